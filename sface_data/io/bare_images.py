"""Whether an image file holds one picture and nothing beside it.

Notes, thumbnails, colour profiles, transparency, further frames and bytes after the end are read by some programs
and not by others: what one of them shows is not what another has checked.
"""

import re
import struct
import zlib
from collections.abc import Callable

_SOI, _EOI, _SOS = b"\xff\xd8", b"\xff\xd9", 0xDA
_APP0, _DQT, _DHT, _SOF0 = 0xE0, 0xDB, 0xC4, 0xC0
_JFIF = 16  # bytes of the segment without a thumbnail
_TABLES = 1024  # bytes before the pixels of a JPEG; with the tables of the standard they are 623
_MARKER = re.compile(rb"\xff[^\0]")  # among the pixels of a JPEG, where 255 is written as 255, 0
_PNG = b"\x89PNG\r\n\x1a\n"
_HEADER = _PNG + struct.pack(">I4s", 13, b"IHDR")
_END = struct.pack(">I4sI", 0, b"IEND", zlib.crc32(b"IEND"))
_RGB8 = bytes([8, 2, 0, 0, 0])  # bits, colour type, compression, filter, interlacing


def is_bare(data: bytes, form: str) -> bool:
    """Whether a `jpg`, `png` or `webp` is one opaque picture of 8 bits in colour, and nothing else."""
    try:
        return _BARE[form](data)
    except (struct.error, IndexError, zlib.error):  # it ends early, or what it holds are no pixels
        return False


def _bare_jpeg(data: bytes) -> bool:
    """Baseline, one scan (ITU-T T.81, annex B)."""
    at = len(_SOI)
    if not data.startswith(_SOI):
        return False
    while True:
        mark, kind, size = struct.unpack_from(">BBH", data, at)
        if mark != 0xFF or kind not in (_APP0, _DQT, _DHT, _SOF0, _SOS) or (kind == _APP0 and size != _JFIF):
            return False
        if kind == _SOF0 and data[at + 9] != 3:  # channels
            return False
        at += 2 + size
        if kind == _SOS:
            after = _MARKER.search(data, at)
            return at <= _TABLES and after is not None and data[after.start() :] == _EOI


def _bare_png(data: bytes) -> bool:
    """Header, pixels and end alone (PNG, third edition, section 11)."""
    width, height = struct.unpack_from(">II", data, len(_HEADER))
    at, last, parts = len(_HEADER) + 17, len(data) - len(_END), []  # 17: size and kind of pixels, checksum
    if not (data.startswith(_HEADER) and data[24:29] == _RGB8 and data.endswith(_END)):
        return False
    while at < last:
        size, kind = struct.unpack_from(">I4s", data, at)
        if kind != b"IDAT":
            return False
        parts.append(data[at + 8 : at + 8 + size])
        at += 12 + size
    wanted, pixels = height * (1 + 3 * width), zlib.decompressobj()
    whole = len(pixels.decompress(b"".join(parts), wanted + 1)) == wanted and pixels.eof
    return at == last and whole and not pixels.unused_data


def _bare_webp(data: bytes) -> bool:
    """One lossy chunk, which knows no transparency (RFC 9649). Where its pixels end, only a decoder could tell."""
    riff, size, webp, kind, inner = struct.unpack_from("<4sI4s4sI", data)
    whole = size + 8 == len(data) and inner + inner % 2 + 20 == len(data)
    return bool(whole and (riff, webp, kind) == (b"RIFF", b"WEBP", b"VP8 "))


_BARE: dict[str, Callable[[bytes], bool]] = {"jpg": _bare_jpeg, "png": _bare_png, "webp": _bare_webp}
