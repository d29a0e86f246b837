"""Files are read only where they end."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from sface_data.errors import BadInput
from sface_data.io.files import exists, is_dir, is_file, read_bytes, read_json, sha256_of_file


@pytest.mark.parametrize("read", [read_bytes, read_json, sha256_of_file])
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
