"""Whether the pages of an LMDB lead nowhere but to whole pages of the same file.

The library that reads LMDB maps the file into memory and trusts what is in it: a damaged number of a page ends the
process without a word. So all pages that it may come to are looked at first, by reading.

Layout of LMDB 0.9 on machines of 64 bits, little-endian (http://www.lmdb.tech/doc/): the file is pages of a size.
The first two say where the tree of keys begins; the one with the higher transaction counts. A page of the tree is
a header, the places of its nodes, and the nodes: keys with the number of a page below, or with their value, or
with the number of the first of several pages that hold the value.
"""

import struct
from collections.abc import Iterator

from sface_data.errors import BadInput
from sface_data.io.files import PiecedFile

_PAGE = struct.Struct("<QHHHH")  # its number, unused, flags, end of the places, begin of the nodes
_LONG = struct.Struct("<I")  # how many pages a value has, in place of the last two
# magic, version, unused, depth of the tree, its first page, last page, transaction
_META = struct.Struct("<II16x48xI2xH32xQQQ")
_NODE = struct.Struct("<HHHH")  # a number in three parts, or size of the value in two and flags; length of the key
_MAGIC, _VERSION = 0xBEEFC0DE, 1
_BRANCH, _LEAF, _VALUE = 1, 2, 4  # flags of pages
_ELSEWHERE = 1  # flag of a node: its value has pages of its own
_SIZES = [2**k for k in range(8, 17)]  # of pages, in bytes
_EMPTY = 2**64 - 1


def check_pages(file: PiecedFile) -> None:
    """Raises BadInput unless every page that a reader of the keys and values can come to is there and is whole."""
    try:
        size, depth, root = _head(file)
        if root != _EMPTY:
            _walk(file, size, depth, root)
    except (ValueError, struct.error) as error:
        raise BadInput(f"{file.path}: not an LMDB, or damaged ({error}); get or make it again") from error


def _head(file: PiecedFile) -> tuple[int, int, int]:
    """Size of a page, depth of the tree and number of its first page."""
    size = next((s for s in _SIZES if file.read(s + _PAGE.size, 4) == _LONG.pack(_MAGIC)), 0)
    if not size:
        raise ValueError("its second page is none")
    metas = [_META.unpack(file.read(at + _PAGE.size, _META.size)) for at in (0, size)]
    if any(meta[:2] != (_MAGIC, _VERSION) for meta in metas):
        raise ValueError("of another version")
    _, _, _, depth, root, _, _ = max(metas, key=lambda meta: meta[-1])
    return size, depth, root


def _walk(file: PiecedFile, size: int, depth: int, root: int) -> None:
    """All pages below the first one, each once."""
    seen: set[int] = set()
    waiting = [(root, 1)]
    while waiting:
        number, level = waiting.pop()
        if number in seen:
            raise ValueError(f"two ways lead to page {number}")
        seen.add(number)
        page = file.read(number * size, size)
        if len(page) < size:
            raise ValueError(f"there is no page {number}")
        flags = _PAGE.unpack_from(page)[2]
        if _PAGE.unpack_from(page)[0] != number or flags != (_LEAF if level == depth else _BRANCH):
            raise ValueError(f"page {number} is another one")
        for at, low, high, node_flags, length in _nodes(page):
            if flags == _BRANCH:
                waiting.append((low | high << 16 | node_flags << 32, level + 1))
                continue
            value, end = low | high << 16, at + _NODE.size + length
            if node_flags & _ELSEWHERE:
                _check_value(file, size, int.from_bytes(page[end : end + 8], "little"), value)
            elif end + value > size:
                raise ValueError(f"a value goes beyond page {number}")


def _nodes(page: bytes) -> Iterator[tuple[int, int, int, int, int]]:
    """Place and head of each node. Raises ValueError for one that is not in its page."""
    number, _, _, places, begin = _PAGE.unpack_from(page)
    if not (_PAGE.size <= places <= begin <= len(page)) or places % 2:
        raise ValueError(f"page {number} has no room for its nodes")
    for (at,) in struct.iter_unpack("<H", page[_PAGE.size : places]):
        if not begin <= at <= len(page) - _NODE.size:
            raise ValueError(f"a node lies outside of page {number}")
        head = _NODE.unpack_from(page, at)
        if at + _NODE.size + head[3] > len(page):
            raise ValueError(f"a key goes beyond page {number}")
        yield at, *head


def _check_value(file: PiecedFile, size: int, number: int, length: int) -> None:
    """Raises ValueError unless a value of so many bytes lies whole in pages from a number on."""
    head = file.read(number * size, _PAGE.size)
    if len(head) < _PAGE.size or _PAGE.unpack(head)[:3:2] != (number, _VALUE):
        raise ValueError(f"there is no value in page {number}")
    (pages,) = _LONG.unpack_from(head, _PAGE.size - _LONG.size)
    if pages * size - _PAGE.size < length or (number + pages) * size > file.size:
        raise ValueError(f"the value in page {number} ends early")
