"""What surrounds the shards is written whole or not at all, whenever it is stopped; a person's words survive."""

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from sface_data.dataset.manifest import Manifest
from sface_data.dataset.workspace import open_workspace
from sface_data.release.contents import adopt_audit, finish, foreign_files, release_files, write_card
from sface_data.release.licences import default_licence
from sface_data.release.validate import validate
from tests.killing import crash_points, tree
from tests.release.certificates import certify

Run = Callable[..., tuple[int, str, str]]
WORDS = {
    "README.md": "\nThanks to all.\n",
    "DATASHEET.md": "\n### One more question?\n\nNo.\n",
    "CITATION.cff": "# ours\n",
}


def edited(dataset: Path, tmp_path: Path, also: Path | None = None) -> Callable[[], Path]:
    """Makes a data set with words of a person in its texts, again and again."""

    def prepare() -> Path:
        folder = tmp_path / "faces"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(dataset, folder)
        for name, words in WORDS.items():
            (folder / name).write_text((folder / name).read_text() + words)
        if also is not None:
            shutil.copytree(also, folder / "audit")
        return folder

    return prepare


def stopped_everywhere(prepare: Callable[[], Path], function: Callable[[Path], object], step: int = 1) -> int:
    """Stops a function at each of its moments, or some, runs it again, and compares. Returns how often."""
    folder = prepare()
    function(folder)
    whole = tree(folder)
    assert validate(folder).valid
    moments = 0
    for moment, folder in crash_points(prepare, function, step):
        moments += 1
        for name, words in WORDS.items():
            assert (folder / name).read_text().endswith(words), moment
        function(folder)
        assert tree(folder) == whole, moment
    return moments


def test_a_card_that_is_stopped_anywhere(dataset: Path, tmp_path: Path) -> None:
    moments = stopped_everywhere(edited(dataset, tmp_path), lambda folder: write_card(folder, licence="cc0-1.0"))
    assert moments > 5 * 5  # five files: opened, half written, written, renamed, their folder


def test_an_audit_that_is_stopped_anywhere(dataset: Path, tmp_path: Path) -> None:
    """Another audit was there before; its signature goes with it."""
    audits = []
    for verdict in ("fail", "pass"):
        folder = shutil.copytree(dataset, tmp_path / verdict)
        certify(folder, verdict)
        audits.append(folder / "audit")
    (audits[0] / "certificate.sig").write_text("QUFB")
    prepare = edited(dataset, tmp_path / "x", also=audits[0])
    assert stopped_everywhere(prepare, lambda folder: adopt_audit(folder, audits[1])) > 10


def test_an_end_of_generate_that_is_stopped_anywhere(dataset: Path, tmp_path: Path) -> None:
    """Shards were made again elsewhere: preview, card and manifest follow, the manifest last."""
    manifest = Manifest.load(dataset)
    other = dataclasses.replace(manifest, environments=({**manifest.environments[0], "device": "cpu elsewhere"},))

    def finish_again(folder: Path) -> None:
        with open_workspace(folder, other.plan) as workspace:
            finish(workspace, other, "cc-by-4.0")
            workspace.close()

    assert stopped_everywhere(edited(dataset, tmp_path), finish_again, step=6) > 5


def test_what_a_stopped_run_left_goes_with_the_next(dataset: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(dataset, tmp_path / "faces")
    for name in ("README.md", "preview.png", "manifest.json"):
        (folder / f".{name}.part").write_text("half")
    assert write_card(folder) == []
    assert foreign_files(folder, release_files(folder, Manifest.load(folder))) == []


def test_the_licence_of_the_generator_that_ships(dataset: Path, tmp_path: Path, run: Run) -> None:
    """Its images show nobody: they are CC0. Those of a network of others keep the licence of SFace."""
    folder = tmp_path / "faces"
    command = ["generate", "--outdir", folder, "--samples-per-class", 1, "--classes", "0-2", "--size", 32]
    assert run(*command, "--device", "cpu")[0] == 0
    assert "\nlicense: cc0-1.0\n" in (folder / "README.md").read_text()
    assert (folder / "LICENSE").read_text().startswith("Creative Commons Legal Code\n\nCC0 1.0 Universal")
    assert "\nlicense: CC0-1.0\n" in (folder / "CITATION.cff").read_text()
    assert validate(folder).valid
    assert default_licence(Manifest.load(dataset)) == "cc-by-nc-sa-4.0"
    assert "\nlicense: cc-by-nc-sa-4.0\n" in (dataset / "README.md").read_text()
    (folder / "README.md").unlink()  # LICENSE knows
    write_card(folder, licence="cc-by-4.0")
    (folder / "README.md").unlink()
    write_card(folder)
    assert "\nlicense: cc-by-4.0\n" in (folder / "README.md").read_text()


@pytest.mark.parametrize("name", ["README.md", "DATASHEET.md", "CITATION.cff"])
def test_line_ends_of_windows(dataset: Path, tmp_path: Path, name: str) -> None:
    folder = shutil.copytree(dataset, tmp_path / "faces")
    text = (folder / name).read_bytes().replace(b"\n", b"\r\n")
    (folder / name).write_bytes(text)
    assert validate(folder).problems == ()
    assert write_card(folder) == []
    assert (folder / name).read_bytes() == text
