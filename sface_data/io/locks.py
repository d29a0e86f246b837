"""Folders that one process at a time works in."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from sface_data.errors import BadInput
from sface_data.io.files import os_errors_as_bad_input


@contextmanager
def locked(lock: Path, busy: str) -> Iterator[None]:
    """Keeps other processes out until the block ends, also where it ends by being killed.

    Args:
        lock: file that stands for the folder; it is made where it is not there.
        busy: what is said to the process that comes second.

    Raises:
        BadInput: if another process is in such a block, or the file cannot be made.
    """
    held = FileLock(lock)
    with os_errors_as_bad_input(lock):
        try:
            held.acquire(timeout=0)
        except Timeout as error:
            raise BadInput(busy) from error
    try:
        yield
    finally:
        held.release()
