from pathlib import Path

from click.testing import CliRunner

from sface_data.cli import main


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    return result.exit_code, result.output


def test_the_command_makes_the_faces_that_were_asked_for(tmp_path: Path) -> None:
    outdir = tmp_path / "faces"
    code, output = run("render", "--outdir", outdir, "--identities", 2, "--images-per-identity", 2, "--size", 32)
    assert code == 0, output
    assert "4 images of 2 identities" in output
    assert sorted(str(path.relative_to(outdir)) for path in outdir.glob("*/*")) == [
        "000000/000000.jpg",
        "000000/000001.jpg",
        "000001/000000.jpg",
        "000001/000001.jpg",
    ]
    readme = (outdir / "README.md").read_text()
    assert "CC0" in readme
    assert "--identities 2" in readme
    code, output = run("render", "--outdir", outdir, "--identities", 2, "--images-per-identity", 3, "--size", 32)
    assert code == 2
    assert "images_per_identity: 3, not 2" in output
    assert len(output.splitlines()) == 2


def test_help_shows_an_example_units_and_ranges() -> None:
    code, output = run("render", "--help")
    assert code == 0
    assert "sface-data render --outdir faces --identities 8 --images-per-identity 6" in output
    assert "pixels" in output
    assert "16<=x<=1024" in output
