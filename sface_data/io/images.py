"""Encoded images to pixels: always RGB, 8 bits, upright, whatever they were; hostile ones are refused."""

import io
import logging
import threading
import warnings
from collections.abc import Callable

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from sface_data.errors import BadInput

Pixels = NDArray[np.uint8]

MAX_PIXELS = 50_000_000  # nobody's face is larger; a few kilobytes can decode to far more
MAX_SCANS = 500  # of a progressive JPEG, each of which takes as long as all pixels do
# As Pillow calls them; it hands some others to programs outside.
FORMATS = ("BMP", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
FORMAT_OF = {"jpg": "JPEG", "png": "PNG", "webp": "WEBP"}  # those that data sets are made of
EXTENSIONS = frozenset(("bmp", "jfif", "jpeg", "jpg", "pgm", "png", "ppm", "tif", "tiff", "webp"))
# Of images that other readers may read: left out without a word, they would be missing where it matters.
UNREAD_EXTENSIONS = frozenset(
    ("apng", "avif", "gif", "heic", "heif", "j2k", "jfi", "jif", "jp2", "jpe", "jxl", "mpo", "psd", "tga", "xpm")
)
_JPEG, _SCAN, _EXIF = b"\xff\xd8\xff", b"\xff\xda", b"Exif\0\0"
_HARMLESS = "extraneous bytes before marker"  # what libjpeg skips, as everybody's decoders do; no pixel is lost
_ORIENTATION = 0x0112  # number of the EXIF field
# What turns pixels as they are stored into the picture, by the value of the field (EXIF 2.3, 4.6.4).
_UPRIGHT: dict[int, Callable[[Pixels], Pixels]] = {
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: pixels[::-1].swapaxes(0, 1),
    7: lambda pixels: pixels[::-1, ::-1].swapaxes(0, 1),
    8: lambda pixels: pixels[:, ::-1].swapaxes(0, 1),
}
_opening = threading.Lock()  # the filters of warnings are those of the whole process
logging.getLogger("PIL").addHandler(logging.NullHandler())  # what is wrong with an image is in the error


class BrokenImage(BadInput):
    """An image that cannot be decoded: the one kind of bad input that may be skipped."""


def decode_image(data: bytes, where: str, form: str | None = None) -> Pixels:
    """The pixels [H,W,3] of an encoded image, upright as its EXIF orientation says.

    Grey becomes three equal channels; 16 bits become their upper 8; CMYK and palettes are converted;
    what is transparent or of several frames is refused, as programs show different pictures of it. Stray bytes
    before a marker of a JPEG are passed over, as by Pillow and OpenCV; damage that costs pixels is not.

    Args:
        where: names the image in errors.
        form: `jpg`, `png` or `webp`, if it has to be that, and without stray bytes.

    Raises:
        BrokenImage: if it cannot be decoded, is of another format, damaged or truncated, shows more than one
            picture, or has more than MAX_PIXELS or MAX_SCANS.
    """
    formats = FORMATS if form is None else (FORMAT_OF[form],)
    if data.startswith(_JPEG) and "JPEG" in formats:
        _check_scans(data, where)
        pixels = _decode_jpeg(data, where, stray=form is None)
        if pixels is not None:
            return _upright(pixels, lambda: _open(data, formats)) if _EXIF in data else pixels
    return _decode_with_pillow(data, where, formats)


def _decode_jpeg(data: bytes, where: str, stray: bool) -> Pixels | None:
    """The pixels as they are stored; None where Pillow has to look at them, also for stray bytes if allowed."""
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
        _check_size(width, height, where)
        return simplejpeg.decode_jpeg(data, "RGB") if colours in ("YCbCr", "Gray") else None
    except ValueError as error:
        if isinstance(error, BrokenImage):
            raise
        if stray and _HARMLESS in str(error):
            return None
        raise _broken(where, error) from error


def _decode_with_pillow(data: bytes, where: str, formats: tuple[str, ...]) -> Pixels:
    try:
        image = _open(data, formats)
        _check_size(*image.size, where)
        if (frames := getattr(image, "n_frames", 1)) > 1:
            raise BrokenImage(
                f"{where}: has {frames} frames, of which readers show one; keep the one that is meant"
            )
        return _upright(np.asarray(_to_rgb(image, where)), lambda: image)
    except UnidentifiedImageError as error:
        raise BrokenImage(f"{where}: not an image of the format {' or '.join(formats)}") from error
    except Image.DecompressionBombError as error:
        raise BrokenImage(f"{where}: more than {MAX_PIXELS:,} pixels; not a picture of a face") from error
    except (BrokenImage, MemoryError):
        raise
    except Exception as error:  # Pillow's decoders raise whatever they come upon
        raise _broken(where, error) from error


def _open(data: bytes, formats: tuple[str, ...]) -> Image.Image:
    with _opening, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of sizes, which are checked next, and of metadata, which nobody reads
        image = Image.open(io.BytesIO(data), formats=formats)
        if image.format == "TIFF" and image.width * image.height <= MAX_PIXELS:
            image.load()  # which warns of tags
        return image


def _upright(pixels: Pixels, opened: Callable[[], Image.Image]) -> Pixels:
    """The pixels turned as the camera noted; as they are where its note cannot be read."""
    try:
        turn = _UPRIGHT.get(opened().getexif().get(_ORIENTATION, 1))
    except Exception:  # whatever Pillow makes of a broken note: it says nothing of the pixels
        return pixels
    return pixels if turn is None else np.ascontiguousarray(turn(pixels))


def _to_rgb(image: Image.Image, where: str) -> Image.Image:
    if image.mode == "I" or image.mode.startswith("I;16"):
        deep = np.asarray(image).astype(np.int64)
        return Image.fromarray((deep.clip(0, 65535) >> 8).astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        raise ValueError("floating-point pixels have no defined range")
    if image.has_transparency_data and image.convert("RGBA").getchannel("A").getextrema() != (255, 255):
        raise BrokenImage(
            f"{where}: parts of it are transparent, and programs show different pictures of it; flatten the image"
        )
    return image.convert("RGB")


def _check_scans(data: bytes, where: str) -> None:
    if data.count(_SCAN) > MAX_SCANS:
        raise BrokenImage(f"{where}: a JPEG of more than {MAX_SCANS} scans; not a picture of a face")


def _check_size(width: int, height: int, where: str) -> None:
    if width * height > MAX_PIXELS:
        raise BrokenImage(
            f"{where}: {width} x {height} pixels are more than {MAX_PIXELS:,}; not a picture of a face"
        )


def _broken(where: str, error: Exception) -> BrokenImage:
    return BrokenImage(f"{where}: the image is broken ({error}); mend or delete it, or skip broken images")
