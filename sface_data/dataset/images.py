"""Images as bytes."""

import io

import numpy as np
import simplejpeg
from PIL import Image, UnidentifiedImageError

from sface_data.dataset.plan import IMAGE_FORMATS, ImageFormat
from sface_data.errors import BadInput

# What Pillow calls the formats. No more are decoded: Pillow hands some others to programs outside.
_FORMATS = {"jpg": "JPEG", "png": "PNG", "webp": "WEBP"}
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


def decode(data: bytes, form: str | None = None) -> np.ndarray:
    """The image in a file: uint8 [H,W,3], RGB.

    Args:
        form: `jpg`, `png` or `webp`; any of them by default.

    Raises:
        BadInput: if it is no such image, or broken.
    """
    names = IMAGE_FORMATS if form is None else (form,)
    try:
        with Image.open(io.BytesIO(data), formats=[_FORMATS[name] for name in names]) as image:
            return np.asarray(image.convert("RGB"))
    except UnidentifiedImageError as error:
        raise BadInput(f"not an image that can be decoded (no {' or '.join(names)})") from error
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise BadInput(f"not an image that can be decoded ({error})") from error
