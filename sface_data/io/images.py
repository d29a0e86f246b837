"""Encoded images to pixels: always RGB, 8 bits, whatever they were; hostile ones are refused."""

import io
import warnings

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from sface_data.errors import BadInput

MAX_PIXELS = 50_000_000  # nobody's face is larger; a few kilobytes can decode to far more
FORMATS = ("BMP", "JPEG", "PNG", "PPM", "WEBP")
EXTENSIONS = frozenset(("bmp", "jpeg", "jpg", "pgm", "png", "ppm", "webp"))
_JPEG = b"\xff\xd8\xff"
_BOMBS = (Image.DecompressionBombError, Image.DecompressionBombWarning)


class BrokenImage(BadInput):
    """An image that cannot be decoded: the one kind of bad input that may be skipped."""


def decode_image(data: bytes, where: str) -> NDArray[np.uint8]:
    """The pixels [H,W,3] of an encoded image.

    Grey becomes three equal channels; 16 bits become their upper 8; CMYK and palettes are converted;
    transparent parts are laid on black. The orientation that a camera noted is not applied.

    Args:
        where: names the image in errors.

    Raises:
        BrokenImage: if it cannot be decoded, is truncated or has more than MAX_PIXELS.
    """
    if data.startswith(_JPEG):
        try:
            height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
            _check_size(width, height, where)
            if colours in ("YCbCr", "Gray"):
                return simplejpeg.decode_jpeg(data, "RGB")
        except ValueError as error:
            if isinstance(error, BrokenImage):
                raise
            raise _broken(where, error) from error
    return _decode_with_pillow(data, where)


def _decode_with_pillow(data: bytes, where: str) -> NDArray[np.uint8]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            warnings.simplefilter("error", UserWarning)  # Pillow's about damaged files
            image = Image.open(io.BytesIO(data), formats=FORMATS)
            _check_size(*image.size, where)
            return np.asarray(_to_rgb(image))
    except UnidentifiedImageError as error:
        raise BrokenImage(f"{where}: not an image of a known format ({', '.join(FORMATS)})") from error
    except _BOMBS as error:
        raise BrokenImage(f"{where}: more than {MAX_PIXELS:,} pixels; not a picture of a face") from error
    except BrokenImage:
        raise
    except (OSError, SyntaxError, ValueError, EOFError, UserWarning) as error:  # what Pillow's decoders raise
        raise _broken(where, error) from error


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "I" or image.mode.startswith("I;16"):
        deep = np.asarray(image).astype(np.int64)
        return Image.fromarray((deep.clip(0, 65535) >> 8).astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        raise ValueError("floating-point pixels have no defined range")
    if image.has_transparency_data:
        on_black = Image.new("RGBA", image.size, (0, 0, 0, 255))
        return Image.alpha_composite(on_black, image.convert("RGBA")).convert("RGB")
    return image.convert("RGB")


def _check_size(width: int, height: int, where: str) -> None:
    if width * height > MAX_PIXELS:
        raise BrokenImage(
            f"{where}: {width} x {height} pixels are more than {MAX_PIXELS:,}; not a picture of a face"
        )


def _broken(where: str, error: Exception) -> BrokenImage:
    return BrokenImage(f"{where}: the image is broken ({error}); mend or delete it, or skip broken images")
