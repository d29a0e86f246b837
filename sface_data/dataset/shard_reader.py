"""Reading shards, ours and others', without ever extracting anything to disk."""

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from sface_data.errors import BadInput
from sface_data.io.files import APPLE_DOUBLE, check_utf8, open_regular, os_errors_as_bad_input

_BLOCK = 512  # bytes; members of a tar start at multiples of it


@dataclass(frozen=True, slots=True)
class Member:
    """Where the bytes of one file of a sample lie in its tar, so that they can be read without the rest."""

    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One sample of a shard: its key, and its members by extension (`jpg`, `cls`, `json`)."""

    key: str
    members: dict[str, Member]


@dataclass(frozen=True, slots=True)
class ShardSample:
    """One sample of a shard, read: the bytes of its members by extension."""

    key: str
    members: dict[str, bytes]


def scan_shard(path: Path) -> Iterator[Entry]:
    """Yields the samples of a tar in order, headers only.

    As in WebDataset, the key is the name up to the first dot of its last part, the extension all after that
    dot, in lower case; `./` before the name does not count. What macOS puts into archives of itself (`._x`,
    `.DS_Store`) is passed over; other names that begin with a dot are refused, as some readers pass them over and
    others do not. Folders of such a name are read as any.

    Raises:
        BadInput: for a file that is not an uncompressed tar or ends early, a link, a device, a sparse or a hidden
            file, an absolute path or one with `..`, a key that comes twice or whose members do not stand together,
            and two members with the same extension.
    """
    seen: set[str] = set()
    key: str | None = None
    members: dict[str, Member] = {}
    end = 0  # of the last member, padded
    try:
        with (
            os_errors_as_bad_input(path),
            open_regular(path) as file,
            tarfile.open(fileobj=file, mode="r:") as tar,
        ):
            size = path.stat().st_size
            for info in tar:
                end = info.offset_data + (0 if info.isdir() else -(-info.size // _BLOCK) * _BLOCK)
                if info.size < 0:
                    raise BadInput(f"{path}: {info.name!r} has a negative size; get or make the file again")
                if info.isdir() or _is_of_macos(file, info):
                    continue
                name, extension = _split(path, info)
                if name != key:
                    if key is not None:
                        yield Entry(key, members)
                    if name in seen:
                        raise BadInput(f"{path}: the members of {name!r} come twice or do not stand together")
                    seen.add(name)
                    key, members = name, {}
                if extension in members:
                    raise BadInput(f"{path}: {info.name!r} comes twice")
                if info.offset_data + info.size > size:
                    raise BadInput(f"{path}: ends in the middle of {info.name!r}; get or make the file again")
                members[extension] = Member(info.offset_data, info.size)
            # tarfile takes a broken header, or none, for the end of the archive.
            file.seek(end)
            if file.read(_BLOCK) != bytes(_BLOCK):
                after = "" if key is None else f" after {key!r}"
                raise BadInput(f"{path}: ends early or is broken{after}; get or make the file again")
    except BadInput:
        raise
    except (tarfile.TarError, ValueError, OverflowError) as error:  # what tarfile makes of hostile headers
        raise BadInput(f"{path}: not a readable uncompressed tar file ({error})") from error
    if key is not None:
        yield Entry(key, members)


def read_shard(path: Path) -> Iterator[ShardSample]:
    """Yields the samples of a tar in order, with their bytes. Raises as `scan_shard` does."""
    with os_errors_as_bad_input(path), open_regular(path) as file:
        for entry in scan_shard(path):
            yield ShardSample(entry.key, {name: read_member(file, m) for name, m in entry.members.items()})


def read_member(file: BinaryIO, member: Member) -> bytes:
    """The bytes of one member, from the open tar."""
    file.seek(member.offset)
    return file.read(member.size)


def _plain(name: str) -> str:
    """A name without `./` before it."""
    while name.startswith("./"):
        name = name[2:].lstrip("/")
    return name


def _is_of_macos(file: BinaryIO, info: tarfile.TarInfo) -> bool:
    name = info.name.rpartition("/")[2]
    if not name.startswith("._"):
        return name == ".DS_Store"
    return info.isreg() and read_member(file, Member(info.offset_data, len(APPLE_DOUBLE))) == APPLE_DOUBLE


def _split(path: Path, info: tarfile.TarInfo) -> tuple[str, str]:
    if not info.isreg() or info.issparse():
        raise BadInput(
            f"{path}: {info.name!r} is a link, a device or a sparse file; a shard holds plain files only"
        )
    if info.name.startswith(("/", "\\")) or ".." in info.name.split("/"):
        raise BadInput(f"{path}: {info.name!r} points out of its folder; a shard must not")
    check_utf8(path, info.name)
    folder, slash, name = _plain(info.name).rpartition("/")
    if name.startswith("."):
        raise BadInput(f"{path}: {info.name!r} is hidden, and only some readers read it; rename or remove it")
    stem, _, extension = name.partition(".")
    return folder + slash + stem, extension.lower()
