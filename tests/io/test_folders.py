"""A folder is claimed for one purpose and one process, and one that is not ours stays as it is."""

import errno
import fcntl
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sface_data.errors import BadInput
from sface_data.io.folders import check_folder, claim_folder, differences


def held_in(folder: Path) -> str | None:
    record = folder / "record"
    return record.read_text() if record.exists() else None


def claim(folder: Path, **options: object):
    return claim_folder(folder, "cakes", lambda: held_in(folder), **options)


def test_a_new_folder_and_one_that_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    with claim(folder) as held:
        assert held is None
        (folder / "record").write_text("plum")
    with claim(folder) as held:
        assert held == "plum"


def test_what_is_not_ours_is_named_and_not_touched(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with (
        pytest.raises(BadInput, match=r"holds 'thesis\.tex' and is no folder of cakes; choose an empty one"),
        claim(tmp_path),
    ):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    with claim(tmp_path, ours=("*.tex",)):
        pass


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    with pytest.raises(BadInput, match="a: a file; give a folder"):
        check_folder(tmp_path / "a", "cakes", lambda: None)


def test_a_second_process_is_kept_out_until_the_end(tmp_path: Path) -> None:
    with claim(tmp_path), pytest.raises(BadInput, match="another process is filling this folder"), claim(tmp_path):
        pass
    with claim(tmp_path):
        pass


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_keeps_a_second_process_out_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def flock(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", flock)
    for _ in range(2):
        with (
            claim(tmp_path),
            pytest.raises(BadInput, match=r"wait for it, or remove .*\.alone if"),
            claim(tmp_path),
        ):
            pass
        assert [path.name for path in tmp_path.iterdir() if path.name != ".lock"] == []


def test_a_process_that_was_killed_where_there_are_no_locks_keeps_nobody_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", flock)
    process = os.fork()
    if process == 0:
        with claim(tmp_path):
            os._exit(0)
    os.waitpid(process, 0)
    assert list(tmp_path.glob("*.alone"))
    with claim(tmp_path):
        pass


def test_what_another_process_has_filled_since_is_seen(tmp_path: Path) -> None:
    calls = []

    def held() -> str | None:
        calls.append(1)
        return None if len(calls) == 1 else "filled"

    with claim_folder(tmp_path, "cakes", held) as found:
        assert found == "filled"


def test_differences_reach_into_the_parts() -> None:
    asked = {"seed": 5, "image": {"size": 64, "format": "jpg"}, "only": 1}
    held = {"seed": 5, "image": {"size": 112, "format": "jpg"}, "other": None}
    assert differences(asked, held) == ["image.size: 64, not 112", "only: 1, not None"]
    assert differences({"names": "x" * 9999}, {"names": "y"}) == [f"names: {'x' * 100}..., not y"]
    assert differences(asked, "nothing") == [
        "seed: 5, not None",
        "image.size: 64, not None",
        "image.format: jpg, not None",
        "only: 1, not None",
    ]


@given(st.dictionaries(st.text(), st.integers() | st.dictionaries(st.text(), st.text(), max_size=2)))
def test_the_same_has_no_differences(value: dict[str, object]) -> None:
    assert differences(value, dict(value)) == []
