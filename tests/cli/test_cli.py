"""The commands, run as people run them."""

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest

Run = Callable[..., tuple[int, str, str]]
SMALL = ["--size", 32, "--device", "cpu", "--precision", "fp32"]
HEAVY = ("torch", "datasets", "numpy", "scipy", "PIL", "simplejpeg", "huggingface_hub", "jinja2", "safetensors")


def tree(directory: Path) -> dict[str, str]:
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        for path in directory.rglob("*")
    }


def times(directory: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in directory.rglob("*") if path.is_file()}


@pytest.fixture
def again(golden: Path) -> Callable[[Path], list[object]]:
    """The command that made the data set of the tests, for a folder."""

    def arguments(directory: Path) -> list[object]:
        sizes = ["--samples-per-class", 6, "--samples-per-shard", 25]
        return ["generate", "--network", golden / "conditional-32.pkl", "--outdir", directory, *sizes, *SMALL]

    return arguments


@pytest.fixture
def faces(dataset: Path, tmp_path: Path) -> Path:
    return shutil.copytree(dataset, tmp_path / "faces")


@pytest.mark.parametrize(
    "code",
    [
        "import sface_data",
        "from sface_data.cli import main; main(['--help'], standalone_mode=False)",
        "from sface_data.cli import main; main(['generate', '--help'], standalone_mode=False)",
    ],
)
def test_nothing_heavy_is_imported_for_help(code: str) -> None:
    look = f"; import sys; print('heavy:', [name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code + look], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "heavy: []"


def test_the_installed_command() -> None:
    command = Path(sys.executable).parent / "sface-data"
    done = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"sface-data, version {version('sface-data')}\n"


def test_a_dry_run_says_what_would_be_made(run: Run, golden: Path, tmp_path: Path) -> None:
    network = golden / "conditional-32.pkl"
    arguments = ["generate", "--network", network, "--outdir", tmp_path / "faces", *SMALL, "--dry-run"]
    code, output, errors = run(*arguments, "--classes", "1,4-6", "--samples-per-class", 30)
    assert code == 0, errors
    rows = dict(line.split(maxsplit=1) for line in output.splitlines())
    assert rows["images"] == "120 (4 classes x 30)"
    assert rows["classes"] == "1,4-6"
    assert rows["shards"] == "1 of up to 10,000 images"
    assert rows["image"] == "32x32 jpg, from 32x32"
    assert rows["device"] == "cpu, fp32, batch 64"
    assert list(tmp_path.iterdir()) == []


def test_the_size_that_a_dry_run_gives_is_about_right(run: Run, dataset: Path, again, tmp_path: Path) -> None:
    _, output, _ = run(*again(tmp_path / "faces"), "--dry-run")
    rows = dict(line.split(maxsplit=1) for line in output.splitlines())
    planned = int(rows["bytes"].split()[1].replace(",", ""))
    made = sum(path.stat().st_size for path in dataset.glob("data/*.tar"))
    assert planned == pytest.approx(made, rel=0.15)
    manifest = json.loads((dataset / "manifest.json").read_text())
    assert rows["fingerprint"] == manifest["plan_fingerprint"]


def test_a_dry_run_of_the_published_size(run: Run, tmp_path: Path) -> None:
    """All 10,572 classes, from a network that has them and next to nothing else."""
    from sface_data.generator.config import GeneratorConfig
    from sface_data.generator.generator_file import save_generator
    from sface_data.generator.networks import Generator

    config = GeneratorConfig(4, 10_572, 4, 8, mapping_layers=1, channel_base=8, channel_max=2)
    save_generator(Generator(config), tmp_path / "many.safetensors")
    arguments = [
        "generate",
        "--network",
        tmp_path / "many.safetensors",
        "--outdir",
        tmp_path / "faces",
        "--dry-run",
    ]
    for center in ("global", "class"):
        code, output, errors = run(*arguments, "--device", "cpu", "--trunc", 0.7, "--trunc-center", center)
        assert code == 0, errors
        rows = dict(line.split(maxsplit=1) for line in output.splitlines())
        assert rows["images"] == "634,320 (10,572 classes x 60)"
        assert rows["classes"] == "0-10571"
        assert rows["shards"] == "64 of up to 10,000 images"
        assert "(from 8 images made for it)" in rows["bytes"]
    assert [path.name for path in tmp_path.iterdir()] == ["many.safetensors"]


def test_generating_twice_gives_the_same_folder(run: Run, dataset: Path, again, tmp_path: Path) -> None:
    code, output, errors = run(*again(tmp_path / "faces"))
    assert (code, output) == (0, ""), errors
    last = errors.splitlines()[-1]
    assert last.startswith(f"{tmp_path / 'faces'}: 60 images of 10 classes in 3 shards, 0.3 MB.")
    assert tree(tmp_path / "faces") == tree(dataset)


def test_a_finished_folder_stays_as_it_is(run: Run, faces: Path, again) -> None:
    before = tree(faces), times(faces)
    assert run(*again(faces))[0] == 0
    assert (tree(faces), times(faces)) == before


@pytest.mark.parametrize("damage", ["deleted", "corrupted", "cut", "two", "indexes"])
def test_what_is_damaged_is_made_again_and_nothing_else(run: Run, faces: Path, again, damage: str) -> None:
    before, stamps = tree(faces), times(faces)
    shard = faces / "data" / "train-000001.tar"
    data = shard.read_bytes()
    touched = [shard]
    if damage == "deleted":
        shard.unlink()
    elif damage == "corrupted":
        shard.write_bytes(data[:5000] + bytes([data[5000] ^ 1]) + data[5001:])
    elif damage == "cut":
        shard.write_bytes(data[:5000])
    elif damage == "two":
        touched.append(faces / "data" / "train-000002.tar")
        for path in touched:
            path.write_bytes(b"")
    else:
        touched = [faces / "_info.json", faces / "croissant.json", faces / "preview.png", faces / "LICENSE"]
        touched[0].write_text("{}")
        for path in touched[1:]:
            path.unlink()
    assert run("validate", faces)[0] == 1
    assert run(*again(faces))[0] == 0
    assert tree(faces) == before
    assert {name for name, stamp in times(faces).items() if stamp != stamps[name]} == {str(p) for p in touched}
    assert run("validate", faces)[0] == 0


def test_edits_of_the_card_survive(run: Run, faces: Path, again) -> None:
    text = (faces / "README.md").read_text() + "\nEdited by hand.\n"
    (faces / "README.md").write_text(text)
    (faces / "data" / "train-000000.tar").unlink()
    assert run(*again(faces))[0] == 0
    assert (faces / "README.md").read_text() == text
    assert run("validate", faces)[0] == 0


def test_a_new_card_keeps_the_words_of_people(run: Run, faces: Path, dataset: Path) -> None:
    mine = "\nEdited by hand.\n"
    text = (faces / "README.md").read_text() + mine
    (faces / "README.md").write_text(text)
    code, output, errors = run("card", faces, "--licence", "cc-by-4.0")
    assert (code, output) == (0, "")
    names = ["README.md", "DATASHEET.md", "CITATION.cff", "LICENSE", "croissant.json"]
    assert errors.splitlines() == [f"{faces / name}: written" for name in names]
    card = (faces / "README.md").read_text()
    assert card.endswith(mine)
    assert "\nlicense: cc-by-4.0\n" in card
    assert "\n- **Licence:** CC-BY-4.0, see `LICENSE`\n" in card
    assert "\nlicense: CC-BY-4.0\n" in (faces / "CITATION.cff").read_text()
    assert (faces / "LICENSE").read_text().startswith("Creative Commons Attribution 4.0 International")
    assert run("validate", faces)[0] == 0
    assert run("card", faces, "--licence", "cc-by-4.0")[2] == f"{faces}: everything is up to date\n"
    assert run("card", faces)[2] == f"{faces}: everything is up to date\n"  # without --licence it stays
    assert run("card", faces, "--licence", "cc-by-nc-sa-4.0")[0] == 0
    (faces / "README.md").write_text((faces / "README.md").read_text().removesuffix(mine))
    assert tree(faces) == tree(dataset)


def test_texts_of_which_nothing_is_left_but_a_persons_words(run: Run, faces: Path) -> None:
    for name in ("README.md", "DATASHEET.md", "CITATION.cff"):
        (faces / name).write_text(f"# {name}, all mine\n")
    for licence in ("cc-by-nc-sa-4.0", "cc0-1.0"):
        assert run("card", faces, "--licence", licence)[0] == 0
        for name in ("README.md", "DATASHEET.md", "CITATION.cff"):
            assert (
                (faces / name)
                .read_text()
                .endswith(
                    f"-->\n# {name}, all mine\n".replace(
                        "-->", "# sface-data:end" if name == "CITATION.cff" else "-->"
                    )
                )
            )
        assert run("validate", faces)[0] == 0


def test_a_licence_of_somebody_else_stays(run: Run, faces: Path) -> None:
    (faces / "LICENSE").write_text("All rights reserved.")
    assert run("card", faces, "--licence", "cc0-1.0")[0] == 0
    assert (faces / "LICENSE").read_text() == "All rights reserved."
    code, _, errors = run("validate", faces)
    assert code == 1
    assert (
        f"{faces / 'LICENSE'}: not the text of cc0-1.0, the licence that the card names; delete it first" in errors
    )


def test_a_shard_made_again_elsewhere_keeps_the_licence(run: Run, golden: Path, tmp_path: Path) -> None:
    folder = tmp_path / "faces"
    command = ["generate", "--network", golden / "conditional-32.pkl", "--outdir", folder, "--size", 32]
    command += ["--samples-per-class", 3, "--samples-per-shard", 15]
    assert run(*command, "--licence", "cc0-1.0")[0] == 0
    (folder / "data" / "train-000001.tar").unlink()
    assert run(*command, "--batch", 3)[0] == 0
    assert "\nlicense: cc0-1.0\n" in (folder / "README.md").read_text()
    assert run("validate", folder)[0] == 0


def test_a_card_that_is_no_text(run: Run, faces: Path) -> None:
    (faces / "README.md").write_bytes(b"\xff\xfe")
    before = tree(faces)
    code, _, errors = run("card", faces, "--licence", "cc0-1.0")
    assert (code, len(errors.splitlines())) == (2, 1)
    assert errors.startswith(f"sface-data: {faces / 'README.md'}: not a text in UTF-8 (")
    assert tree(faces) == before


def test_preview(run: Run, dataset: Path, tmp_path: Path) -> None:
    out = tmp_path / "grid.png"
    assert run("preview", dataset, "--out", out) == (0, "", f"{out}: written\n")
    assert out.read_bytes() == (dataset / "preview.png").read_bytes()


def test_the_citation_is_valid(dataset: Path) -> None:
    from cffconvert import Citation

    Citation((dataset / "CITATION.cff").read_text()).validate()


def test_info_and_conversion(run: Run, golden: Path, tmp_path: Path) -> None:
    network, target = golden / "conditional-32.pkl", tmp_path / "network.safetensors"
    assert run("generator", "convert", network, target)[0] == 0
    code, _, errors = run("generator", "convert", network, target)
    assert (code, errors) == (
        2,
        f"sface-data: {target}: exists; choose another name, or replace it with --overwrite\n",
    )
    assert run("generator", "convert", network, target, "--overwrite")[0] == 0
    assert run("generator", "convert", network, tmp_path / "network.pkl")[0] == 2
    snapshot, converted = (json.loads(run("generator", "info", file, "--json")[1]) for file in (network, target))
    assert (snapshot["layout"], converted["layout"]) == ("snapshot", "safetensors")
    for name in ("classes", "resolution", "parameters", "generator_sha256"):
        assert snapshot[name] == converted[name]
    assert (snapshot["classes"], snapshot["resolution"]) == (10, 32)
    assert "classes            10\n" in run("generator", "info", target)[1]


def test_a_converted_network_makes_the_same_shards(run: Run, golden: Path, dataset: Path, again, tmp_path) -> None:
    target = tmp_path / "network.safetensors"
    assert run("generator", "convert", golden / "conditional-32.pkl", target)[0] == 0
    assert run(*again(tmp_path / "faces"), "--network", target)[0] == 0
    assert tree(tmp_path / "faces" / "data") == tree(dataset / "data")


def test_another_licence_for_a_finished_folder_is_said(
    dataset: Path, golden: Path, tmp_path: Path, run: Run
) -> None:
    folder = tmp_path / "faces"
    shutil.copytree(dataset, folder)
    network = golden / "conditional-32.pkl"
    again = ["generate", "--network", network, "--outdir", folder, "--precision", "fp32", "--device", "cpu"]
    again += ["--samples-per-class", 6, "--samples-per-shard", 25, "--size", 32]
    assert run(*again)[0] == 0
    assert run(*again, "--licence", "cc-by-nc-sa-4.0")[0] == 0
    code, _, error = run(*again, "--licence", "cc0-1.0")
    assert code == 2
    assert f"sface-data card {folder} --licence cc0-1.0" in error
    assert run("card", folder, "--licence", "cc0-1.0")[0] == 0
    assert run(*again, "--licence", "cc0-1.0")[0] == 0
    assert run(*again)[0] == 0
