"""What is in an image file beside one picture."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from sface_data.dataset.plan import ImageFormat
from sface_data.dataset.shard_writer import encode
from sface_data.io.bare_images import is_bare

IMAGE = np.random.default_rng(0).integers(0, 256, (24, 24, 3), np.uint8)
FORMS = {"jpg": ImageFormat(24), "png": ImageFormat(24, "png", None), "webp": ImageFormat(24, "webp", 80)}
NAMES = {"jpg": "JPEG", "png": "PNG", "webp": "WEBP"}


def saved(form: str, **options: object) -> bytes:
    file = io.BytesIO()
    image = options.pop("image", Image.fromarray(IMAGE))
    image.save(file, NAMES[form], **options)  # type: ignore[attr-defined]
    return file.getvalue()


@pytest.mark.parametrize("form", FORMS)
def test_what_we_write_is_bare_and_nothing_can_be_added(form: str) -> None:
    data = encode(IMAGE, FORMS[form])
    assert is_bare(data, form)
    assert is_bare(saved(form), form)  # as another encoder writes it
    notes = Image.Exif()
    notes[0x0112] = 3  # upside down
    for other in (data + b"x", data[:-1], data[:40], b"", b"x" + data, data + data):
        assert not is_bare(other, form)
    assert not is_bare(saved(form, exif=notes), form)
    assert not is_bare(saved(form, icc_profile=b"colours" * 20), form)


def test_pictures_of_other_kinds_are_not_bare() -> None:
    picture = Image.fromarray(IMAGE)
    assert not is_bare(saved("png", image=picture.convert("RGBA")), "png")
    assert not is_bare(saved("png", image=picture.convert("P")), "png")
    assert not is_bare(saved("png", save_all=True, append_images=[picture.rotate(90)]), "png")
    assert not is_bare(saved("webp", save_all=True, append_images=[picture.rotate(90)]), "webp")
    assert not is_bare(saved("webp", image=picture.convert("RGBA").point(lambda value: value // 2)), "webp")
    assert not is_bare(saved("jpg", progressive=True), "jpg")
    assert not is_bare(saved("jpg", comment=b"by me"), "jpg")
    assert not is_bare(saved("jpg", image=picture.convert("L")), "jpg")
    assert not is_bare(saved("jpg", image=picture.convert("CMYK")), "jpg")


def test_nothing_stands_between_parts_that_belong() -> None:
    jpeg = encode(IMAGE, FORMS["jpg"])
    note = b"\xff\xfe\0\x06note"
    assert not is_bare(jpeg[:2] + note + jpeg[2:], "jpg")
    assert not is_bare(jpeg[:-2] + note + jpeg[-2:], "jpg")  # after the pixels
    table = jpeg[jpeg.index(b"\xff\xdb") : jpeg.index(b"\xff\xc0")]
    assert not is_bare(jpeg[:20] + table * 9 + jpeg[20:], "jpg")

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + row.tobytes() for row in IMAGE)
    start, end = encode(IMAGE, FORMS["png"])[:33], chunk(b"IEND", b"")
    assert is_bare(start + chunk(b"IDAT", zlib.compress(rows)) + end, "png")
    for pixels in (
        zlib.compress(rows) + b"note",
        zlib.compress(rows + b"note"),
        zlib.compress(rows)[:-1],
        b"note",
    ):
        assert not is_bare(start + chunk(b"IDAT", pixels) + end, "png")
    assert not is_bare(start + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"note"), "png")
