"""Some cases of every target of `scripts/fuzz`, and that it finds what is wrong."""

import mmap
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sface_data.errors import BadInput
from tests.scripts import script


@pytest.fixture(scope="module", name="fuzz")
def loaded() -> Any:
    return script("fuzz")


def test_changed_files_end_in_success_or_one_sentence(fuzz: Any, capfd: pytest.CaptureFixture[str]) -> None:
    for name in fuzz.TARGETS:
        assert fuzz.run(name, 5, 1) == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("ill", "wrong"),
    [
        (lambda: {}["x"], "KeyError"),
        (lambda: sum(range(10_000_000)), "seconds of a processor"),
        (lambda: mmap.mmap(-1, 64 << 20).write(bytes(64 << 20)), "MB of memory"),
        (lambda: os.kill(os.getpid(), signal.SIGKILL), "ended by signal 9"),
    ],
)
def test_a_fault_is_found_and_kept(
    fuzz: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ill: Callable[[], object], wrong: str
) -> None:
    def read(path: Path) -> None:
        if path.read_bytes() != b"good":
            ill()
            raise BadInput("which does not make up for it")

    monkeypatch.setattr(fuzz, "MOST_CPU", 0.1)
    monkeypatch.setattr(fuzz, "MOST_MEMORY", 32 << 10)
    monkeypatch.setitem(fuzz.TARGETS, "bad", fuzz.Target("a.bad", lambda: b"good", read))
    faults = fuzz.run("bad", 3, 0, tmp_path)
    assert faults
    assert all(wrong in each for each in faults)
    assert len(list(tmp_path.iterdir())) == len(faults)


def test_what_once_was_a_fault_is_none_and_nothing_is_printed(
    fuzz: Any, golden: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The names of the files begin with their target."""
    files = sorted((golden / "fuzz").iterdir())
    assert files
    for path in files:
        target = fuzz.TARGETS[path.name.partition("-")[0]]
        assert fuzz.fault(target, path.read_bytes()) is None, path.name
    assert capfd.readouterr() == ("", "")
