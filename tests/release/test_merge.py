"""Parts from several folders make the data set that one run makes, byte for byte; and so does one that grows."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from sface_data.dataset.manifest import Manifest
from sface_data.dataset.part import Part
from sface_data.errors import BadInput
from tests.killing import tree
from tests.release.certificates import certify

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(golden: Path) -> list[object]:
    """`generate` of ten classes x 6 in three shards, as in the data set of the tests."""
    network = ["generate", "--network", golden / "conditional-32.pkl", "--size", 32, "--device", "cpu"]
    return [*network, "--precision", "fp32", "--samples-per-class", 6, "--samples-per-shard", 25]


def test_parts_of_one_plan(dataset: Path, command: list[object], tmp_path: Path, run: Run) -> None:
    one, two, both = (tmp_path / name for name in ("one", "two", "both"))
    assert run(*command, "--part", "0/2", "--outdir", one)[0] == 0
    there = f"sface-data: {one}: not finished: 2 of 3 shards are there; "
    assert run("validate", one)[2].startswith(there)
    code, _, error = run("merge", one, "--outdir", both)
    assert code == 2
    assert f"{both}: data/train-000001.tar is in none of the parts (1 of 3 are missing)" in error
    code, _, error = run("merge", one, one, "--outdir", both)
    assert code == 2 and f"{one}: given twice; name each part once" in error
    assert run(*command, "--part", "1/2", "--outdir", two)[0] == 0
    before = tree(one), tree(two)
    code, _, error = run("merge", one, two, "--outdir", both)
    assert (code, error.splitlines()[-1]) == (0, f"{both}: 60 images of 10 classes")
    assert tree(both) == tree(dataset)
    assert (tree(one), tree(two)) == before


def test_data_sets_of_other_classes(dataset: Path, command: list[object], tmp_path: Path, run: Run) -> None:
    one, two, both = (tmp_path / name for name in ("one", "two", "both"))
    run(*command, "--classes", "0-2,7", "--outdir", one)
    run(*command, "--classes", "3-6,8-9", "--outdir", two)
    code, _, error = run("merge", two, one, "--outdir", both)
    assert code == 0, error
    assert tree(both) == tree(dataset)
    assert "class 0 is in several of the parts" in run("merge", one, dataset, "--outdir", tmp_path / "x")[2]
    run(*command, "--classes", "8", "--seed", 1, "--outdir", tmp_path / "other")
    code, _, error = run("merge", one, tmp_path / "other", "--outdir", tmp_path / "x")
    assert code == 2
    assert "of another plan than" in error and "base_seed: 1, not 0" in error
    assert not (tmp_path / "x").exists()
    (two / "data" / "train-000001.tar").write_bytes(b"changed")
    assert "train-000001.tar is missing or was changed" in run("merge", one, two, "--outdir", tmp_path / "x")[2]


def test_truncation_towards_classes(command: list[object], tmp_path: Path, run: Run) -> None:
    towards = ["--trunc", 0.5, "--trunc-center", "class", "--samples-per-class", 2]
    for name, classes in (("one", "0,2"), ("two", "1,5"), ("whole", "0-2,5")):
        assert run(*command, *towards, "--classes", classes, "--outdir", tmp_path / name)[0] == 0
    assert run("merge", tmp_path / "one", tmp_path / "two", "--outdir", tmp_path / "both")[0] == 0
    assert tree(tmp_path / "both") == tree(tmp_path / "whole")
    centers = tmp_path / "two" / "class_w_avg.safetensors"
    for data in (centers.read_bytes()[:-1] + b"\1", b"", save({"other": np.zeros(2)})):
        centers.write_bytes(data)
        code, _, error = run("merge", tmp_path / "one", tmp_path / "two", "--outdir", tmp_path / "again")
        assert code == 2
        assert f"{centers}: not the centres of its classes; make the part again" in error


def test_a_data_set_grows(dataset: Path, command: list[object], tmp_path: Path, run: Run) -> None:
    folder = tmp_path / "faces"
    assert run(*command, "--samples-per-class", 4, "--outdir", folder)[0] == 0
    certify(folder)
    assert "audit: pass" in (folder / "README.md").read_text()
    full = folder / "data" / "train-000000.tar"
    before = full.stat().st_mtime_ns
    code, _, error = run(*command, "--outdir", folder)
    assert code == 2 and "(more samples per class: --extend)" in error
    code, _, error = run(*command, "--extend", "--outdir", folder)
    assert code == 0, error
    assert full.stat().st_mtime_ns == before, "a full shard was made again"
    grown, whole = tree(folder), tree(dataset)
    assert "audit: pass" not in grown["README.md"].decode()
    assert grown == whole
    code, _, error = run(*command, "--samples-per-class", 5, "--extend", "--outdir", folder)
    assert code == 2 and "samples_per_class: 5, not 6" in error


def test_growing_can_be_stopped(dataset: Path, command: list[object], tmp_path: Path, run: Run) -> None:
    """As a kill leaves it before anything new was made: the manifest is gone, the full shard is recorded."""
    from sface_data.dataset.workspace import open_workspace

    folder = tmp_path / "faces"
    run(*command, "--samples-per-class", 4, "--outdir", folder)
    with open_workspace(folder, Manifest.load(dataset).plan, extend=True):
        pass
    assert not (folder / "manifest.json").exists()
    before = (folder / "data" / "train-000000.tar").stat().st_mtime_ns
    assert run(*command, "--outdir", folder)[0] == 0
    assert (folder / "data" / "train-000000.tar").stat().st_mtime_ns == before
    assert tree(folder) == tree(dataset)


def test_parts_are_named_by_hand_or_by_what_starts_them() -> None:
    assert Part.parse("2/3") == Part(2, 3)
    assert list(Part(1, 3).of(8)) == [1, 4, 7]
    slurm = {"SLURM_ARRAY_TASK_ID": "4", "SLURM_ARRAY_TASK_COUNT": "9", "RANK": "0", "WORLD_SIZE": "2"}
    assert Part.parse("auto", slurm) == Part(4, 9)
    assert Part.parse("auto", {"RANK": "1", "WORLD_SIZE": "2"}) == Part(1, 2)
    for text, said in (("5/4", "--part 5/4: no part"), ("1", "no part"), ("a/b", "no part"), ("-1/2", "no part")):
        with pytest.raises(BadInput, match=said):
            Part.parse(text)
    with pytest.raises(BadInput, match="has neither SLURM_ARRAY_TASK_ID and SLURM_ARRAY_TASK_COUNT nor RANK"):
        Part.parse("auto", {})
    with pytest.raises(BadInput, match="--part auto, SLURM_ARRAY_TASK_ID and SLURM_ARRAY_TASK_COUNT: 9/9"):
        Part.parse("auto", {**slurm, "SLURM_ARRAY_TASK_ID": "9"})
