"""Files are read only where they end, and to their end."""

import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sface_data.errors import BadInput
from sface_data.io.files import (
    PiecedFile,
    exists,
    is_dir,
    is_file,
    parse_json,
    read_bytes,
    read_json,
    sha256_of_file,
)


@pytest.mark.parametrize("read", [read_bytes, read_json, sha256_of_file, PiecedFile.at])
def test_pipes_and_devices_are_refused_at_once(tmp_path: Path, read: Callable[[Path], object]) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/zero")
    for name in ("pipe", "link"):
        with pytest.raises(BadInput, match="not a regular file"):
            read(tmp_path / name)
    with pytest.raises(BadInput, match="Is a directory"):
        read(tmp_path)


def test_files_are_read_up_to_a_bound(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_bytes(b"x" * 9)
    (tmp_path / "link").symlink_to(path)
    assert read_bytes(tmp_path / "link", 9) == b"x" * 9
    with pytest.raises(BadInput, match="more than 8 bytes"):
        read_bytes(path, 8)


@pytest.mark.parametrize("ask", [exists, is_file, is_dir])
def test_a_name_that_no_file_can_have_is_refused(tmp_path: Path, ask: Callable[[Path], bool]) -> None:
    assert not ask(tmp_path / "nothing")
    with pytest.raises(BadInput, match="File name too long"):
        ask(tmp_path / ("n" * 300))
    with pytest.raises(BadInput, match="a name with a zero byte"):
        ask(tmp_path / "a\0b")


def as_a_worker_gets_it(file: PiecedFile) -> PiecedFile:
    """What arrives of it at the other end of a pipe between processes."""
    there, here = multiprocessing.Pipe(duplex=False)
    with there, here:
        here.send(file)
        received = there.recv()
    assert isinstance(received, PiecedFile)
    return received


def test_pieces_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    content = bytes(range(256)) * 40
    path.write_bytes(content)
    for without in (False, True):
        if without:
            monkeypatch.delattr(os, "pread")
        file = as_a_worker_gets_it(PiecedFile.at(path))
        with ThreadPoolExecutor(4) as pool:
            starts = range(0, 11_000, 7)
            pieces = list(pool.map(lambda start, file=file: file.read(start, 300), starts))
        assert pieces == [content[start : start + 300] for start in starts]
        assert file.read(1 << 70, 5) == file.read(0, 0) == b""


def test_a_file_that_is_cut_short_meanwhile_is_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "shard.tar"
    path.write_bytes(bytes(100_000))
    file = PiecedFile.at(path)
    assert file.read(90_000, 10) == bytes(10)
    os.truncate(path, 50_000)
    with pytest.raises(BadInput, match=f"{path}: was cut short while it was read"):
        file.read(90_000, 10)


@pytest.mark.parametrize(
    "text",
    ["", "{", b"\xff", '["\\ud800"]', '{"\\udfff": 1}', "[" * 101 + "]" * 101, '{"a":' * 950 + "1" + "}" * 950],
)
def test_json_that_could_not_be_written_again_is_none(text: str | bytes) -> None:
    with pytest.raises(ValueError):
        parse_json(text)


def test_json() -> None:
    assert parse_json('{"a": [1, "\\ud83d\\ude00"], "b": []}') == {"a": [1, "\U0001f600"], "b": []}
    assert parse_json("[" * 99 + "]" * 99)
