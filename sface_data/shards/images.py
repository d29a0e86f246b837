"""Images as bytes."""

import io

import numpy as np
import simplejpeg
from PIL import Image, UnidentifiedImageError

from sface_data.errors import BadInput
from sface_data.plan import ImageFormat

_DECODED = ("JPEG", "PNG", "WEBP")  # no more: Pillow hands some other formats to programs outside
_WEBP_METHOD = 4  # the encoder's own balance of time and size


def encode(image: np.ndarray, form: ImageFormat) -> bytes:
    """The file that holds an image.

    Args:
        image: uint8 [H,W,3], RGB.
        form: `jpg` keeps full colour resolution (4:4:4).
    """
    if form.format == "jpg":
        assert form.quality is not None
        return simplejpeg.encode_jpeg(image, quality=form.quality, colorspace="RGB", colorsubsampling="444")
    buffer = io.BytesIO()
    if form.format == "png":
        Image.fromarray(image).save(buffer, "png")
    else:
        Image.fromarray(image).save(buffer, "webp", quality=form.quality, method=_WEBP_METHOD)
    return buffer.getvalue()


def decode(data: bytes) -> np.ndarray:
    """The image in a file: uint8 [H,W,3], RGB.

    Raises:
        BadInput: if it is no jpg, png or webp image, or broken.
    """
    try:
        with Image.open(io.BytesIO(data), formats=_DECODED) as image:
            return np.asarray(image.convert("RGB"))
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise BadInput(f"not an image that can be decoded ({error})") from error
