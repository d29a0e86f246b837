"""Whether an image file holds one picture and nothing beside it.

Notes, thumbnails, colour profiles, transparency, further frames and bytes after the end are read by some programs
and not by others: what one of them shows is not what another has checked.
"""

import struct
from collections.abc import Callable

_SOI, _EOI, _SOS = b"\xff\xd8", b"\xff\xd9", 0xDA
_APP0, _DQT, _DHT, _SOF0 = 0xE0, 0xDB, 0xC4, 0xC0
_JFIF = 16  # bytes of the segment without a thumbnail
_PNG = b"\x89PNG\r\n\x1a\n"
_RGB8 = bytes([8, 2, 0, 0, 0])  # bits, colour type, compression, filter, interlacing


def is_bare(data: bytes, form: str) -> bool:
    """Whether a `jpg`, `png` or `webp` is one opaque picture of 8 bits in colour, and nothing else."""
    try:
        return _BARE[form](data)
    except (struct.error, IndexError):  # it ends early
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
        at += 2 + size
        if kind == _SOS:
            return data.find(_EOI, at) == len(data) - len(_EOI)


def _bare_png(data: bytes) -> bool:
    """Header, pixels and end alone (PNG, third edition, section 11)."""
    at, kinds = len(_PNG), []
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        kinds.append(kind)
        at += 12 + size
    right = data.startswith(_PNG) and at == len(data) and data[24:29] == _RGB8
    return right and kinds[0] == b"IHDR" and kinds[-1] == b"IEND" and set(kinds[1:-1]) == {b"IDAT"}


def _bare_webp(data: bytes) -> bool:
    """One lossy chunk, which knows no transparency (RFC 9649)."""
    riff, size, webp, kind, inner = struct.unpack_from("<4sI4s4sI", data)
    whole = size + 8 == len(data) and inner + inner % 2 + 20 == len(data)
    return bool(whole and (riff, webp, kind) == (b"RIFF", b"WEBP", b"VP8 "))


_BARE: dict[str, Callable[[bytes], bool]] = {"jpg": _bare_jpeg, "png": _bare_png, "webp": _bare_webp}
