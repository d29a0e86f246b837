"""Files that are either whole or not there, and digests of them."""

import errno
import hashlib
import json
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO

import sface_data
from sface_data.errors import BadInput

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MAX_TEXT = 64 << 20  # bytes; no text or JSON that belongs to a data set comes near, nor an image of a face
MAX_ARRAYS = 4 << 30  # bytes; nor weights of a network, or a list of all images of a data set
APPLE_DOUBLE = b"\0\x05\x16\x07"  # begins what macOS puts beside a file `x` as `._x`
_DEEPEST = 100  # lists in lists; nothing that belongs to a data set comes near
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def os_errors_as_bad_input(path: Path) -> Iterator[None]:
    """Turns the errors of the operating system on `path` into one sentence.

    Raises:
        BadInput: for every `OSError` inside the block, and for a name that no file can have.
    """
    if "\0" in str(path):
        raise BadInput(f"{path}: a name with a zero byte, which no file has")
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise BadInput(
                f"{path}: no space left to write it ({error.strerror}); what was finished is kept: "
                "free some space and run the same command again"
            ) from error
        raise BadInput(f"{path}: {error.strerror or error}") from error


@contextmanager
def atomic_write(path: Path, scratch: Path | None = None) -> Iterator[BinaryIO]:
    """Opens a temporary file that becomes `path` when the block ends, and vanishes when it raises.

    The bytes are on disk (fsync of the file, then of its folder) before the name changes, so a reader sees
    the whole file or none, also after a power cut.

    Args:
        path: the file to write; its folder must exist.
        scratch: folder of the temporary file, on the same file system; the folder of `path` by default.

    Raises:
        BadInput: if the operating system refuses (disk full, no permission, ...).
    """
    if not is_dir(path.parent):
        raise BadInput(f"{path}: cannot be written, as {path.parent} is no folder; make it first")
    temporary = _unfinished(path, scratch)
    with os_errors_as_bad_input(path):
        try:
            with temporary.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            put_in_place(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def put_in_place(finished: Path, path: Path) -> None:
    """Gives a file its final name, also after a power cut."""
    finished.replace(path)
    _fsync_folder(path.parent)


def remove_unfinished(path: Path, scratch: Path | None = None) -> None:
    """Removes what an `atomic_write` left that was killed."""
    with os_errors_as_bad_input(path):
        _unfinished(path, scratch).unlink(missing_ok=True)


def _unfinished(path: Path, scratch: Path | None) -> Path:
    return (scratch or path.parent) / f".{path.name}.part"


def _fsync_folder(folder: Path) -> None:
    if os.name != "posix":  # Windows cannot open a folder
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def exists(path: Path) -> bool:
    """Whether there is something at a path. Raises BadInput where the operating system does not say."""
    with os_errors_as_bad_input(path):
        return path.exists()


def is_file(path: Path) -> bool:
    """Whether a path is a file, or a link to one. Raises BadInput where the operating system does not say."""
    with os_errors_as_bad_input(path):
        return path.is_file()


def is_dir(path: Path) -> bool:
    """Whether a path is a folder, or a link to one. Raises BadInput where the operating system does not say."""
    with os_errors_as_bad_input(path):
        return path.is_dir()


def check_utf8(path: Path, name: str) -> None:
    """Raises BadInput for the name of a file in `path` that is not UTF-8, which no list of faces can hold."""
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise BadInput(f"{path}: the name {name} is not UTF-8; rename it") from error


def write_text(path: Path, text: str) -> None:
    """Writes `text` as UTF-8 with `atomic_write`."""
    with atomic_write(path) as file:
        file.write(text.encode())


def open_regular(path: Path) -> BinaryIO:
    """Opens a regular file, or the one that a link leads to, for reading.

    Raises:
        BadInput: for a pipe, a device or a socket, of which the end might never come.
        OSError: if it cannot be opened.
    """
    at_once = getattr(os, "O_NONBLOCK", 0)  # else a pipe waits for its writer
    file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | at_once))  # noqa: SIM115
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise BadInput(f"{path}: not a regular file; put the file itself there")
    return file


def read_bytes(path: Path, at_most: int = MAX_TEXT) -> bytes:
    """The bytes of a regular file.

    Raises:
        BadInput: if it cannot be read, is no regular file or has more than `at_most` bytes.
    """
    with os_errors_as_bad_input(path), open_regular(path) as file:
        # Not read(at_most + 1), which takes that much memory before it reads.
        data = file.read() if os.fstat(file.fileno()).st_size <= at_most else None
    if data is None:
        raise BadInput(f"{path}: more than {at_most:,} bytes, which no such file has")
    return data


def sha256_of_file(path: Path) -> str:
    """The hex SHA-256 of the bytes of `path`.

    Raises:
        BadInput: if it cannot be read, or is no regular file.
    """
    digest = hashlib.sha256()
    with os_errors_as_bad_input(path), open_regular(path) as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def cards_folder() -> Path:
    """Where the texts that people edit lie: inside the package when installed, beside it in a checkout."""
    package = Path(sface_data.__file__).parent
    installed = package / "cards"
    return installed if installed.is_dir() else package.parent / "cards"


def canonical_json(value: Any) -> str:
    """JSON of which there is one spelling only: sorted keys, no spaces, no NaN. What digests are taken of."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def sha256_of_json(value: Any) -> str:
    """The hex SHA-256 of the canonical JSON of a value."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def pretty_json(value: Any) -> str:
    """JSON for people, in the order given, ending in a newline."""
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def parse_json(data: bytes | str) -> Any:
    """The value in JSON that others may have written; it can be walked through, and written again.

    Raises:
        ValueError: if it is none, is nested too deep, or holds text that UTF-8 has not.
    """
    try:
        value = json.loads(data)
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    level = [value]
    for _ in range(_DEEPEST):
        inner = (
            each.values() if isinstance(each, dict) else each for each in level if isinstance(each, dict | list)
        )
        level = [item for items in inner for item in items]
    if level:
        raise ValueError("nested too deep")
    json.dumps(value, ensure_ascii=False).encode()
    return value


def read_json(path: Path) -> Any:
    """The value in a JSON file.

    Raises:
        BadInput: if it cannot be read, is too large or is not JSON.
    """
    data = read_bytes(path)
    try:
        return parse_json(data)
    except ValueError as error:
        raise BadInput(f"{path}: not a JSON file ({error})") from error


def read_toml(path: Path) -> dict[str, Any]:
    """The values in a TOML file.

    Raises:
        BadInput: if it cannot be read, is too large or is not TOML.
    """
    data = read_bytes(path)
    try:
        return tomllib.loads(data.decode())
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{path}: not a TOML file ({error})") from error


@dataclass(frozen=True, slots=True)
class PiecedFile:
    """A file of which pieces are read in any order; it can be pickled, and few are kept open at a time.

    It is not mapped into memory: a map of a file that somebody cuts short ends the process without a word.
    """

    path: Path
    size: int  # bytes
    modified: int  # nanoseconds since the epoch: a file written anew is opened anew

    @classmethod
    def at(cls, path: Path) -> "PiecedFile":
        """Raises BadInput if the file cannot be read, or is no regular file."""
        with os_errors_as_bad_input(path), open_regular(path) as file:
            status = os.fstat(file.fileno())
        return cls(path, status.st_size, status.st_mtime_ns)

    def read(self, offset: int, size: int) -> bytes:
        """`size` bytes from `offset` on, fewer at its end.

        Raises:
            BadInput: if it cannot be read, or was cut short since it was opened.
        """
        wanted = min(size, self.size - offset)
        if wanted <= 0:
            return b""
        with os_errors_as_bad_input(self.path):
            data = _opened(self).read(offset, wanted)
        if len(data) < wanted:
            raise BadInput(f"{self.path}: was cut short while it was read; get or make the file again")
        return data


class _Handle:
    """A regular file that is open for as long as anybody holds this."""

    def __init__(self, path: Path) -> None:
        with open_regular(path) as file:
            self._number = os.dup(file.fileno())
        self._reading = Lock()  # where a file has one place only at which it is read

    def __del__(self) -> None:
        if hasattr(self, "_number"):
            os.close(self._number)

    def read(self, offset: int, size: int) -> bytes:
        """Bytes from a place on, fewer at the end, for several threads at a time."""
        data = b""
        while len(data) < size and (more := self._read(offset + len(data), size - len(data))):
            data += more  # a system call gives 2 GB at most
        return data

    def _read(self, offset: int, size: int) -> bytes:
        if hasattr(os, "pread"):
            return os.pread(self._number, size, offset)
        with self._reading:
            os.lseek(self._number, offset, os.SEEK_SET)
            return os.read(self._number, size)


@lru_cache(maxsize=64)
def _opened(file: PiecedFile) -> _Handle:
    return _Handle(file.path)
