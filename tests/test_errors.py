"""Text of others in messages: it is seen, and does nothing."""

from collections.abc import Callable
from multiprocessing import Pipe
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sface_data.errors import BadInput, shown

Run = Callable[..., tuple[int, str, str]]
HOSTILE = "a\x1b[2J\nsface-data: all is well\u202e\u200b\x9b\udcff"


@given(st.text())
def test_what_is_shown_is_one_printable_line(text: str) -> None:
    found = shown(text)
    assert found.isprintable()
    assert shown(found) == found
    if text.isprintable():
        assert found == text


def test_what_is_shown() -> None:
    assert shown(HOSTILE) == r"a\x1b[2J\nsface-data: all is well\u202e\u200b\x9b\udcff"
    assert shown(Path("höhe/写真 1.png")) == "höhe/写真 1.png"


def test_errors_show_what_they_quote() -> None:
    error = BadInput(f"{HOSTILE}: no", "one\x07", "two")
    assert str(error).split("\n") == [f"{shown(HOSTILE)}: no", r"  one\x07", "  two"]
    here, there = Pipe()
    here.send(error)  # as worker processes do
    assert str(there.recv()) == str(error)


@pytest.mark.parametrize("command", ["validate", "card", "preview"])
def test_names_of_folders_on_the_terminal(run: Run, tmp_path: Path, command: str) -> None:
    folder = tmp_path / HOSTILE
    folder.mkdir()
    options = ["--out", tmp_path / "x.png"] if command == "preview" else []
    for path in (folder, folder / "none"):
        code, output, errors = run(command, path, *options)
        assert (code, output) == (2, "")
        assert len(errors.splitlines()) == 1
        assert shown(HOSTILE.removesuffix("\udcff")) in errors  # which click itself replaces
        assert errors.removesuffix("\n").isprintable()
