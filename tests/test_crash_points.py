"""A short run of `scripts/crash_points`, with stops and with signals, and that it finds what is wrong."""

from pathlib import Path
from typing import Any

import pytest

from tests.scripts import script

RENDER = ["render", "--identities", "1", "--images-per-identity", "1", "--size", "16", "--outdir"]


@pytest.fixture(scope="module", name="script")
def loaded() -> Any:
    return script("crash_points")


@pytest.mark.parametrize(("step", "signals"), [(14, False), (12, True)])
def test_a_stopped_command_goes_on(script: Any, tmp_path: Path, step: int, signals: bool) -> None:
    case = script.Case("render", lambda outdir: [*RENDER, outdir])
    found = list(script.faults(case, tmp_path, step, signals))
    assert len(found) >= 2
    assert set(found) == {None}


def test_a_preview_that_a_signal_ends_leaves_nothing(script: Any, dataset: Path, tmp_path: Path) -> None:
    case = script.Case("preview", lambda out: ["preview", dataset, "--out", script.made(out) / "grid.png"])
    assert set(script.faults(case, tmp_path, 2, True)) == {None}


def test_a_merge_that_a_signal_ends_leaves_nothing(script: Any, dataset: Path, tmp_path: Path) -> None:
    case = script.Case("merge", lambda out: ["merge", dataset, "--outdir", out])
    assert set(script.faults(case, tmp_path, 9, True)) == {None}


def test_an_lmdb_that_was_whole_is_not_changed_again(script: Any, dataset: Path, tmp_path: Path) -> None:
    case = script.Case("export", lambda out: ["export", dataset, "--to", "lmdb", "--outdir", out])
    assert set(script.faults(case, tmp_path, 1, False)) == {None}


def test_what_is_half_written_under_its_final_name_is_a_fault(script: Any) -> None:
    expected, before = {"a": b"whole", ".b": b"whole"}, {"a": b"who"}
    assert script.is_torn(b"wh", "a", expected, before)
    assert not script.is_torn(b"who", "a", expected, before)  # as it was before
    assert not script.is_torn(b"whole", "a", expected, before)
    assert not script.is_torn(b"wh", ".b", expected, before)
    assert not script.is_torn(b"wh", "c", expected, before)


def test_an_ending_without_a_sentence_is_a_fault(script: Any, tmp_path: Path) -> None:
    """A command that fails at once stands for one that a signal ends as it should not."""
    wrong = script.ill_ended(["render", "--no-such-option"], 1 << 20, 15, tmp_path / "moments", tmp_path / "out")
    assert wrong is not None
    assert "exit code 2" in wrong
