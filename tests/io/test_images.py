import contextlib
import io
import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps

from sface_data.io.images import FORMAT_OF, MAX_PIXELS, BrokenImage, decode_image

RAMP = np.arange(256, dtype=np.uint8).reshape(16, 16)


def encoded(image: Image.Image, format: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def test_grey_becomes_three_equal_channels() -> None:
    for format in ("PNG", "BMP", "PPM"):
        pixels = decode_image(encoded(Image.fromarray(RAMP), format), "it")
        assert pixels.dtype == np.uint8
        np.testing.assert_array_equal(pixels, np.repeat(RAMP[..., None], 3, axis=2))


def test_grey_jpeg_is_read_as_pillow_reads_it() -> None:
    data = encoded(Image.fromarray(RAMP), "JPEG")
    np.testing.assert_array_equal(decode_image(data, "it"), Image.open(io.BytesIO(data)).convert("RGB"))


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
def test_colour_jpeg_is_read_as_pillow_reads_it(subsampling: str) -> None:
    smooth = np.stack([RAMP, RAMP.T, 255 - RAMP], axis=-1)
    data = encoded(Image.fromarray(smooth), "JPEG", quality=90, subsampling=subsampling)
    expected = np.asarray(Image.open(io.BytesIO(data)), int)
    assert np.abs(decode_image(data, "it") - expected).max() <= 1


def test_sixteen_bits_become_their_upper_eight() -> None:
    deep = (RAMP.astype(np.uint16) << 8) | 0x7F
    for format in ("PNG", "PPM"):
        pixels = decode_image(encoded(Image.fromarray(deep), format), "it")
        np.testing.assert_array_equal(pixels[..., 0], RAMP)


def test_cmyk_is_converted() -> None:
    inks = Image.new("CMYK", (8, 8), (0, 255, 255, 0))  # magenta and yellow: red
    pixels = decode_image(encoded(inks, "JPEG"), "it").astype(int)
    assert pixels[..., 0].min() > 200
    assert pixels[..., 1:].max() < 60


def test_a_palette_is_looked_up() -> None:
    image = Image.new("P", (4, 4), 1)
    image.putpalette([9, 8, 7, 200, 100, 50])
    np.testing.assert_array_equal(decode_image(encoded(image), "it")[0, 0], [200, 100, 50])


def test_transparent_parts_are_refused_as_programs_show_them_differently() -> None:
    image = Image.new("RGBA", (2, 1), (200, 100, 50, 255))
    np.testing.assert_array_equal(decode_image(encoded(image), "it")[0], [[200, 100, 50]] * 2)
    image.putpixel((1, 0), (200, 100, 50, 254))
    with pytest.raises(BrokenImage, match="it: parts of it are transparent"):
        decode_image(encoded(image), "it")


def test_a_second_frame_is_not_passed_over() -> None:
    picture = Image.fromarray(np.stack([RAMP, RAMP.T, 255 - RAMP], axis=-1))
    for format in ("PNG", "WEBP", "TIFF"):
        data = encoded(picture, format, save_all=True, append_images=[picture.rotate(90)])
        with pytest.raises(BrokenImage, match="it: has 2 frames, of which readers show one"):
            decode_image(data, "it")


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "BMP", "PPM"])
def test_a_truncated_image_is_one_sentence(format: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    data = encoded(Image.fromarray(noise), format)
    with pytest.raises(BrokenImage, match="album/3"):
        decode_image(data[: len(data) // 2], "album/3")


NO_IMAGES = [b"", b"\xff\xd8\xff", b"GIF89a", b"II*\0", b"hello" * 100, b"Pf\n1 1\n-1\n\0\0\0\0"]


@pytest.mark.parametrize("data", NO_IMAGES, ids=repr)
def test_what_is_no_image_is_one_sentence(data: bytes) -> None:
    with pytest.raises(BrokenImage, match="it: "):
        decode_image(data, "it")


def png_of_size(width: int, height: int) -> bytes:
    """A PNG that says that it is that large."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data).to_bytes(4, "big")
        return len(data).to_bytes(4, "big") + kind + data + check

    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 2, 0, 0, 0])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [8_000, 10_000, 60_000])
def test_a_huge_image_is_refused_before_it_is_decoded(side: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(BrokenImage, match=f"{MAX_PIXELS:,}"):
            decode_image(png_of_size(side, side), "it")


def test_a_huge_jpeg_is_refused_before_it_is_decoded() -> None:
    data = bytearray(encoded(Image.new("RGB", (8, 8)), "JPEG"))
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = (60_000).to_bytes(2, "big") * 2
    with pytest.raises(BrokenImage, match="60000 x 60000"):
        decode_image(bytes(data), "it")


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(10))
def test_a_picture_stored_sideways_is_upright(format: str, orientation: int) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (24, 40, 3), np.uint8)
    note = Image.Exif()
    note[0x0112] = orientation
    options = {"lossless": True} if format == "WEBP" else {}
    data = encoded(Image.fromarray(noise), format, exif=note, **options)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    np.testing.assert_array_equal(decode_image(data, "it"), expected)


def test_the_same_photograph_turned_and_noted_so_is_the_same() -> None:
    picture = Image.fromarray(np.stack([RAMP, RAMP.T, RAMP], axis=-1))
    note = Image.Exif()
    note[0x0112] = 6  # to be turned clockwise
    sideways = encoded(picture.transpose(Image.Transpose.ROTATE_90), exif=note)
    np.testing.assert_array_equal(decode_image(sideways, "it"), decode_image(encoded(picture), "it"))


def test_a_broken_note_of_orientation_says_nothing() -> None:
    note = Image.Exif()
    note[0x0112] = 6
    data = encoded(Image.fromarray(RAMP), "JPEG", exif=note)
    broken = data.replace(b"Exif\0\0MM", b"Exif\0\0ZZ").replace(b"Exif\0\0II", b"Exif\0\0ZZ")
    assert broken != data
    np.testing.assert_array_equal(
        decode_image(broken, "it"), decode_image(encoded(Image.fromarray(RAMP), "JPEG"), "it")
    )


@pytest.mark.parametrize("marker", [b"\xff\xdb", b"\xff\xda", b"\xff\xd9"])
def test_stray_bytes_before_a_marker_are_passed_over(marker: bytes) -> None:
    data = encoded(Image.fromarray(RAMP), "JPEG")
    at = data.index(marker)
    stray = data[:at] + b"\x00\x12\x34" + data[at:]
    np.testing.assert_array_equal(
        decode_image(stray, "it"), np.asarray(Image.open(io.BytesIO(stray)).convert("RGB"))
    )
    with pytest.raises(BrokenImage):
        decode_image(stray[:-40], "it")


@pytest.mark.parametrize("end", [0, 2])
def test_a_jpeg_that_has_lost_pixels_is_broken(end: int) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    data = encoded(Image.fromarray(noise), "JPEG")
    with pytest.raises(BrokenImage, match="the image is broken"):
        decode_image(data[: len(data) // 2] + data[len(data) - end :], "it")


@pytest.mark.parametrize("form", ["jpg", "png", "webp"])
def test_no_flipped_byte_ends_in_another_error(form: str) -> None:
    data = encoded(Image.fromarray(np.stack([RAMP, RAMP.T, RAMP], axis=-1)), FORMAT_OF[form])
    for at in range(0, len(data), 3):
        changed = bytearray(data)
        changed[at] ^= 0xFF
        with contextlib.suppress(BrokenImage):
            assert decode_image(bytes(changed), "it", form).ndim == 3


@pytest.mark.parametrize("format", ["GIF", "ICO", "EPS"])
def test_other_formats_are_refused(format: str) -> None:
    with pytest.raises(BrokenImage, match="it: not an image of the format BMP or JPEG or PNG or PPM or TIFF"):
        decode_image(encoded(Image.fromarray(RAMP), format), "it")


@pytest.mark.parametrize("format", ["PNG", "BMP"])
def test_a_data_set_takes_its_own_format_only(format: str) -> None:
    with pytest.raises(BrokenImage, match="it: not an image of the format JPEG"):
        decode_image(encoded(Image.fromarray(RAMP), format), "it", "jpg")


def test_a_tiff_with_a_fraction_for_the_place_of_its_pixels_is_broken() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "TIFF")
    data = bytearray(buffer.getvalue())
    entry = data.index(struct.pack("<HHI", 273, 4, 1))  # StripOffsets: LONG
    data[entry + 2 : entry + 4] = struct.pack("<H", 5)  # RATIONAL
    with pytest.raises(BrokenImage, match=r"^a.tif: the image is broken"):
        decode_image(bytes(data), "a.tif")


def test_a_jpeg_of_thousands_of_scans_is_refused() -> None:
    data = encoded(Image.fromarray(RAMP), "JPEG", progressive=True)
    at = data.rindex(b"\xff\xda")
    with pytest.raises(BrokenImage, match="scans"):
        decode_image(data[:at] + data[at:-2] * 1000 + data[-2:], "it")
