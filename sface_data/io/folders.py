"""Folders that are filled for one purpose, by one process at a time."""

import errno
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from filelock import BaseFileLock, FileLock, SoftFileLock, Timeout

from sface_data.errors import BadInput
from sface_data.io.files import exists, is_dir, os_errors_as_bad_input

LOCK = ".lock"
_ALONE = ".alone"  # ending of the file that stands for a lock
_NO_LOCKS = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP}  # as of some network file systems
_LONGEST = 100  # characters of a value that differs
Held = TypeVar("Held")


@contextmanager
def claim_folder(
    folder: Path, kind: str, held: Callable[[], Held | None], lock: str = LOCK, ours: Sequence[str] = ()
) -> Iterator[Held | None]:
    """Makes a folder and keeps other processes out of it until the block ends, also where it ends by being killed.

    Args:
        folder: new, empty, or one that holds what is wanted, finished or not.
        kind: what it is a folder of, in errors.
        held: says what is in it, None if there is nothing of its kind. Raises BadInput if that is not what is
            wanted.
        lock: name of the file below it that stands for it.
        ours: patterns of what may lie in it before `held` knows it, besides hidden files.

    Yields:
        What `held` says.

    Raises:
        BadInput: as `check_folder`, and if another process is in such a block, or the folder cannot be written.
    """
    check_folder(folder, kind, held, ours)
    path = folder / lock
    with os_errors_as_bad_input(folder):
        path.parent.mkdir(parents=True, exist_ok=True)
    process = _locked(folder, path)
    try:
        yield check_folder(folder, kind, held, ours)  # another process may have filled it since
    finally:
        process.release()


def _locked(folder: Path, path: Path) -> BaseFileLock:
    """A lock that goes with its process; a file that only one can make where the file system keeps no locks."""
    with os_errors_as_bad_input(path):
        try:
            return _acquired(FileLock(path), f"{folder}: another process is filling this folder; wait for it")
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
        alone = path.with_name(f"{path.name}{_ALONE}")
        return _acquired(
            SoftFileLock(alone),
            f"{folder}: another process is filling this folder; wait for it, or remove {alone} if there is none",
        )


def _acquired(lock: BaseFileLock, taken: str) -> BaseFileLock:
    """The lock, which is ours now. Raises BadInput with a sentence if it is another's."""
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise BadInput(taken) from error
    return lock


def check_folder(
    folder: Path, kind: str, held: Callable[[], Held | None], ours: Sequence[str] = ()
) -> Held | None:
    """What a folder holds, None if it is empty or not there; nothing in it is touched.

    Arguments as of `claim_folder`.

    Raises:
        BadInput: if it is a file, cannot be read, or holds something else, or as `held` does.
    """
    with os_errors_as_bad_input(folder):
        if not exists(folder):
            return None
        if not is_dir(folder):
            raise BadInput(f"{folder}: a file; give a folder")
        found = held()
        if found is not None:
            return found
        for name in sorted(path.name for path in folder.iterdir()):
            if not any(Path(name).match(pattern) for pattern in (".*", *ours)):
                raise BadInput(f"{folder}: holds {name!r} and is no folder of {kind}; choose an empty one")
    return None


def differences(asked: Mapping[str, Any], held: object) -> list[str]:
    """Where two requests differ, one a line: `stages.0.batch: what is asked for, not what is held`."""
    mine, theirs = _flat(asked), _flat(held) if isinstance(held, Mapping) else {}
    names = [name for name in mine | theirs if mine.get(name) != theirs.get(name)]
    return [f"{name}: {_short(mine.get(name))}, not {_short(theirs.get(name))}" for name in names]


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _flat(value: Any, name: str = "") -> dict[str, Any]:
    """Numbers and strings by where they are."""
    if not isinstance(value, Mapping | list):
        return {name: value}
    flat: dict[str, Any] = {}
    for key, item in value.items() if isinstance(value, Mapping) else enumerate(value):
        flat |= _flat(item, f"{name}.{key}" if name else str(key))
    return flat
