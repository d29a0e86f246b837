"""Files are read only where they end."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from sface_data.errors import BadInput
from sface_data.io.files import read_bytes, read_json, sha256_of_file


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
