"""Images as bytes, and back."""

import io

import numpy as np
import pytest
from PIL import Image

from sface_data.dataset.images import decode, encode
from sface_data.dataset.plan import ImageFormat
from sface_data.errors import BadInput


@pytest.fixture
def picture() -> np.ndarray:
    """Smooth in all three channels, with one hard edge in colour only."""
    y, x = np.mgrid[0:48, 0:48]
    picture = np.stack([5 * x, 5 * y, 240 - 2 * x - 2 * y], axis=2).astype(np.uint8)
    picture[:, 25:] = picture[:, 25:, ::-1]
    return picture


def test_png_is_exact(picture: np.ndarray) -> None:
    data = encode(picture, ImageFormat(48, "png", None))
    assert data.startswith(b"\x89PNG")
    assert np.array_equal(decode(data), picture)


@pytest.mark.parametrize(("form", "bound"), [("jpg", 2.0), ("webp", 6.0)])
def test_jpg_and_webp_are_close(picture: np.ndarray, form: str, bound: float) -> None:
    data = encode(picture, ImageFormat(48, form, 95))
    decoded = decode(data)
    assert (decoded.shape, decoded.dtype) == ((48, 48, 3), np.uint8)
    difference = np.abs(decoded.astype(int) - picture)
    assert 0 < difference.mean() < bound


def test_jpg_keeps_full_colour_resolution(picture: np.ndarray) -> None:
    with Image.open(io.BytesIO(encode(picture, ImageFormat(48, "jpg", 95)))) as image:
        assert image.format == "JPEG"
        assert [component[1:3] for component in image.layer] == [(1, 1)] * 3  # sampling of Y, Cb, Cr


@pytest.mark.parametrize("form", ["jpg", "webp"])
def test_quality_matters_and_the_same_image_gives_the_same_bytes(picture: np.ndarray, form: str) -> None:
    low, high = (encode(picture, ImageFormat(48, form, quality)) for quality in (30, 95))
    assert len(low) < len(high)
    assert encode(picture, ImageFormat(48, form, 95)) == high


@pytest.mark.parametrize("form", ["jpg", "png", "webp"])
def test_an_image_cut_short_does_not_decode(picture: np.ndarray, form: str) -> None:
    data = encode(picture, ImageFormat(48, form, None if form == "png" else 95))
    for length in (0, 10, len(data) // 2, len(data) * 3 // 4):
        with pytest.raises(BadInput, match="not an image that can be decoded"):
            decode(data[:length])


@pytest.mark.parametrize("form", ["jpg", "png", "webp"])
def test_no_flipped_byte_ends_in_another_error(picture: np.ndarray, form: str) -> None:
    data = encode(picture, ImageFormat(48, form, None if form == "png" else 95))
    for index in range(0, len(data), 7):
        changed = bytearray(data)
        changed[index] ^= 0xFF
        try:
            assert decode(bytes(changed)).ndim == 3
        except BadInput as error:
            assert "not an image that can be decoded" in str(error)


@pytest.mark.parametrize("form", ["GIF", "BMP", "TIFF", "EPS", "PPM"])
def test_other_formats_are_refused(picture: np.ndarray, form: str) -> None:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, form)
    with pytest.raises(BadInput, match="not an image that can be decoded"):
        decode(buffer.getvalue())


def test_grey_images_get_three_channels() -> None:
    buffer = io.BytesIO()
    Image.new("L", (9, 8), 77).save(buffer, "png")
    assert np.array_equal(decode(buffer.getvalue()), np.full((8, 9, 3), 77))
