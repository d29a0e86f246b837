"""Labelled faces in LMDB as the field hands them out (Vec2Face, HSFace, VFace).

An entry is an image and its class, packed with msgpack: `[bytes, number]`, under the number of the image in
decimal digits. Three more say what there is: `__keys__` the list of keys, `__len__` their number, and mostly
`__classnum__` the number of classes.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from sface_data.errors import BadInput
from sface_data.faces.base import Face, Label, Source
from sface_data.faces.lmdb_pages import check_pages
from sface_data.io.files import PiecedFile, is_dir

KEYS, COUNT, CLASSES = b"__keys__", b"__len__", b"__classnum__"
_BYTES = {0xC4: 1, 0xC5: 2, 0xC6: 4, 0xD9: 1, 0xDA: 2, 0xDB: 4}  # how many bytes give the length, by the first one
_AGAIN = "get or make it again"


class LmdbSource(Source):
    """An LMDB, a file or a folder with `data.mdb`, read as the format above says; nothing in it is unpickled."""

    def __init__(self, path: Path) -> None:
        self._file = PiecedFile.at((path / "data.mdb" if is_dir(path) else path).absolute())
        with _reading(self._file) as transaction:
            self._keys = _listed_keys(path, transaction)
            labels = [_label(path, key, transaction.get(key)) for key in self._keys]
            classes = _fact(path, transaction, CLASSES)
        most = max((label for label in labels if isinstance(label, int)), default=0)
        if isinstance(classes, int) and most >= classes:
            raise BadInput(
                f"{path}: an image has label {most}, but {CLASSES.decode()} says there are {classes} classes"
            )
        super().__init__(path, labels)

    def _face(self, index: int) -> Face:
        key = self._keys[index]
        where = f"{self.path}: {key.decode(errors='replace')}"
        with _reading(self._file) as transaction:
            start, end = _image(where, transaction.get(key))
            data = bytes(transaction.get(key)[start:end])
        return Face(key.decode(errors="replace"), int(self.class_indices[index]), data, where)


@contextmanager
def _reading(file: PiecedFile) -> Iterator[Any]:
    """A transaction. Raises BadInput if the pages of the file are not what they should be."""
    import lmdb

    try:
        with _opened(file).begin(buffers=True) as transaction:
            yield transaction
    except lmdb.Error as error:
        raise BadInput(f"{file.path}: damaged ({error}); {_AGAIN}") from error


@lru_cache(maxsize=8)
def _opened(file: PiecedFile) -> Any:
    """The database, for reading only; without a lock file, so that it may lie where nobody can write."""
    import lmdb

    try:
        database = lmdb.open(str(file.path), subdir=False, readonly=True, lock=False, readahead=False)
        end = (database.info()["last_pgno"] + 1) * database.stat()["psize"]
    except lmdb.Error as error:
        raise BadInput(f"{file.path}: not an LMDB, or damaged ({error}); {_AGAIN}") from error
    if file.size < end:  # to read beyond the end would kill the process
        raise BadInput(f"{file.path}: ends early, at {file.size:,} of {end:,} bytes; {_AGAIN}")
    check_pages(file)
    return database


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_opened.cache_clear)  # a forked process opens its own


def _listed_keys(path: Path, transaction: Any) -> list[bytes]:
    """The keys of the images. Raises BadInput unless they are listed, and are all that is there."""
    keys, count = _fact(path, transaction, KEYS), _fact(path, transaction, COUNT)
    if not isinstance(keys, list) or not isinstance(count, int):
        lacking = KEYS if not isinstance(keys, list) else COUNT
        raise BadInput(
            f"{path}: has no {lacking.decode()} as LMDBs of faces have (keys and their number, in msgpack); "
            "convert it to one that has, or to a folder per identity"
        )
    listed = [key.encode() if isinstance(key, str) else key for key in keys]
    if count != len(listed) or not all(isinstance(key, bytes) for key in listed):
        raise BadInput(f"{path}: {COUNT.decode()} is {count}, but {KEYS.decode()} lists {len(listed)}; {_AGAIN}")
    facts = sum(transaction.get(name) is not None for name in (KEYS, COUNT, CLASSES))
    there = transaction.stat()["entries"] - facts
    if there != len(set(listed)):
        raise BadInput(
            f"{path}: holds {there:,} entries, of which {KEYS.decode()} lists {len(set(listed)):,}; {_AGAIN}"
        )
    return listed


def _fact(path: Path, transaction: Any, name: bytes) -> Any:
    """What is said under a name, None if nothing is."""
    value = transaction.get(name)
    return None if value is None else _unpacked(f"{path}: {name.decode()}", value)


def _label(path: Path, key: bytes, value: Any) -> Label:
    where = f"{path}: {key.decode(errors='replace')}"
    if value is None:
        raise BadInput(f"{where} is listed and not there; {_AGAIN}")
    _, end = _image(where, value)
    label = _unpacked(where, value[end:])
    if isinstance(label, bool) or not isinstance(label, (int, str)) or label in (-1, ""):
        raise BadInput(f"{where} has the label {str(label)[:40]!r}, which is no class")
    return label


def _image(where: str, value: Any) -> tuple[int, int]:
    """Where the image begins and ends in an entry; only the pages that say so are read."""
    first = bytes(value[:6])
    width = _BYTES.get(first[1], 0) if len(first) == 6 and first[0] == 0x92 else 0
    end = 2 + width + int.from_bytes(first[2 : 2 + width], "big")
    if not width or end >= len(value):
        raise BadInput(
            f"{where} is not an image and a label, packed with msgpack; convert it to a folder per identity"
        )
    return 2 + width, end


def _unpacked(where: str, value: Any) -> Any:
    import msgpack

    try:
        return msgpack.unpackb(value)
    except Exception as error:  # whatever foreign bytes come to; msgpack only makes plain values
        raise BadInput(f"{where} is not packed with msgpack; {_AGAIN}") from error
