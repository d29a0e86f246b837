"""What is trusted after a stop."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from sface_data.dataset.manifest import Manifest
from sface_data.dataset.workspace import open_workspace
from tests.killing import crash_points, tree

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(golden: Path, tmp_path: Path) -> list[str]:
    """What made the data set of the tests, into a folder of this test."""
    network = str(golden / "conditional-32.pkl")
    sizes = ["--samples-per-class", "6", "--samples-per-shard", "25", "--size", "32"]
    where = ["--outdir", str(tmp_path / "faces"), "--device", "cpu", "--precision", "fp32"]
    return ["generate", "--network", network, *sizes, *where]


@pytest.fixture
def unfinished(dataset: Path, tmp_path: Path) -> Path:
    """The folder as it is when two of three shards are done, and the third is being written."""
    folder = tmp_path / "faces"
    (folder / ".sface-data-build").mkdir(parents=True)
    (folder / "data").mkdir()
    manifest = json.loads((dataset / "manifest.json").read_text())
    (folder / ".sface-data-build" / "plan.json").write_text(json.dumps(manifest["plan"]))
    for shard in manifest["shards"][:2]:
        name = Path(shard["filename"]).name
        shutil.copy(dataset / "data" / name, folder / "data" / name)
        record = {
            "made_by": {"plan_fingerprint": manifest["plan_fingerprint"]},
            "info": shard,
            "environment": manifest["environments"][0],
        }
        (folder / ".sface-data-build" / name).with_suffix(".json").write_text(json.dumps(record))
    (folder / ".sface-data-build" / ".train-000002.tar.part").write_bytes(b"half")
    return folder


def stamps(folder: Path) -> list[int]:
    return [(folder / "data" / f"train-{number:06d}.tar").stat().st_mtime_ns for number in range(2)]


def test_finished_shards_are_kept(unfinished: Path, run: Run, command: list[str], dataset: Path) -> None:
    before = stamps(unfinished)
    assert run(*command)[0] == 0
    assert tree(unfinished) == tree(dataset)
    assert stamps(unfinished) == before


@pytest.mark.parametrize("text", ["", " ", "{", "[]", "{}", '{"made_by": {"plan_fingerprint": "another"}}'])
def test_a_shard_without_a_good_record_is_made_again(
    unfinished: Path, run: Run, command: list[str], dataset: Path, text: str
) -> None:
    record = unfinished / ".sface-data-build" / "train-000000.json"
    record.write_text(text or record.read_text().replace('"network"', '"other"'))
    before = stamps(unfinished)
    assert run(*command)[0] == 0
    assert tree(unfinished) == tree(dataset)
    after = stamps(unfinished)
    assert after[0] != before[0] and after[1] == before[1]


def test_a_shard_that_is_not_as_recorded_is_made_again(
    unfinished: Path, run: Run, command: list[str], dataset: Path
) -> None:
    shard = unfinished / "data" / "train-000001.tar"
    data = shard.read_bytes()
    shard.write_bytes(data[:-1] + b"x")
    assert run(*command)[0] == 0
    assert tree(unfinished) == tree(dataset)


def test_replacing_can_be_stopped_in_the_middle(
    unfinished: Path, run: Run, command: list[str], dataset: Path
) -> None:
    """Some files of the old data set are gone, its plan is still noted: both ways out are open."""
    (unfinished / "data" / "train-000000.tar").unlink()
    code, _, errors = run(*command, "--seed", "1")
    assert code == 2 and "base_seed: 1, not 0" in errors
    copy = shutil.copytree(unfinished, unfinished.parent / "copy")
    assert run(*command)[0] == 0
    assert tree(unfinished) == tree(dataset)
    assert run(*command, "--seed", "1", "--overwrite", "--outdir", str(copy))[0] == 0
    assert run("validate", copy)[0] == 0


def test_a_folder_that_was_stopped_at_its_making_is_gone_on_with(dataset: Path, tmp_path: Path) -> None:
    plan = Manifest.load(dataset).plan

    def prepare() -> Path:
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        return tmp_path / "out"

    def make(folder: Path) -> None:
        with open_workspace(folder, plan):
            pass

    moments = 0
    for moment, folder in crash_points(prepare, make):
        moments += 1
        with open_workspace(folder, plan) as workspace:
            assert (folder / "data").is_dir(), moment
            assert workspace.finished() == {}
    assert moments > 5  # locks, and the plan: opened, half written, written, renamed
