"""Views: what a face would look like if what hides it were undone. A judge knows upright faces of one size only.

Each view of an image is looked for among the training images as it stands there; mirror images need no view, as
an embedder sums both. Contrast is evened out in all of them. Wherever a detector finds a face, it is brought to
where those of training lie.
"""

import io
from collections.abc import Callable
from functools import lru_cache, partial

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sface_data.auditing.sets.located import Located, brought, evened
from sface_data.faces.alignment import Floats, Pixels
from sface_data.faces.base import Face, Source

_SAMPLED = 112  # pixels of a side at which recognition looks at faces
_KEPT = 16  # images whose views are being made


def turned(image: Pixels, degrees: float, scale: float = 1.0, shift: tuple[float, float] = (0.0, 0.0)) -> Pixels:
    """Turned about its middle, enlarged, then moved by shares of its side; what lies beyond is its edge.

    Args:
        degrees: counter-clockwise.
    """
    import cv2

    height, width, _ = image.shape
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, scale)
    matrix[:, 2] += (shift[0] * width, shift[1] * height)
    small = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.warpAffine(image, matrix, (width, height), flags=small, borderMode=cv2.BORDER_REPLICATE))


def part(image: Pixels, left: float, top: float, side: float = 0.5) -> Pixels:
    """A square of it enlarged to the whole; left, top and side as shares."""
    import cv2

    height, width, _ = image.shape
    rows = slice(round(top * height), round((top + side) * height))
    columns = slice(round(left * width), round((left + side) * width))
    return np.asarray(
        cv2.resize(np.ascontiguousarray(image[rows, columns]), (width, height), interpolation=cv2.INTER_CUBIC)
    )


def sampled(image: Pixels) -> Pixels:
    """As readers see it that take single pixels of a larger image, and leave out what lies between them."""
    import cv2

    return np.asarray(cv2.resize(image, (_SAMPLED, _SAMPLED), interpolation=cv2.INTER_LINEAR))


VIEWS: dict[str, Callable[[Pixels], Pixels]] = {
    "evened": lambda image: image,
    "negative": lambda image: 255 - image,
    "turned by 30": lambda image: turned(image, 30),
    "turned by 90": lambda image: turned(image, 90),
    "upside down": lambda image: turned(image, 180),
    "turned by -90": lambda image: turned(image, -90),
    "turned by -30": lambda image: turned(image, -30),
    "sampled": sampled,
    "shrunk": lambda image: turned(image, 0, 0.6),
    "middle": lambda image: part(image, 0.25, 0.25),
    "top left": lambda image: part(image, 0.0, 0.0),
    "top right": lambda image: part(image, 0.5, 0.0),
    "bottom left": lambda image: part(image, 0.0, 0.5),
    "bottom right": lambda image: part(image, 0.5, 0.5),
}
VIEW_NAMES = (*VIEWS, "largest face", "second face")


def encoded(image: Pixels) -> bytes:
    """An image as a file, without loss."""
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(file, "BMP")
    return file.getvalue()


class ViewedSource(Source):
    """Every view of some images of a source, those of one image after each other.

    Args:
        indices: [M] of the images in the source.
        located: the faces in them; each of the largest two is a view, brought to where faces usually lie.
        usual: where their landmarks [5,2] usually lie, as shares of the sides; None if nobody knows, or for a face
            that is not there: the whole image takes its place.
    """

    def __init__(self, source: Source, indices: NDArray[np.int64], located: Located, usual: Floats | None) -> None:
        self.path, self.class_names = source.path, source.class_names
        self.class_indices = np.repeat(source.class_indices[indices], len(VIEW_NAMES))
        self._indices, self._landmarks, self._usual = indices, located.landmarks, usual
        self._original = lru_cache(_KEPT)(partial(_read, source))

    def _face(self, index: int) -> Face:
        row, view = divmod(index, len(VIEW_NAMES))
        original, pixels, even = self._original(int(self._indices[row]))
        name = VIEW_NAMES[view]
        image = VIEWS[name](even) if name in VIEWS else self._brought(row, view - len(VIEWS), pixels)
        return Face(f"{original.key} {name}", original.class_index, encoded(image), f"{original.where} ({name})")

    def _brought(self, row: int, face: int, pixels: Pixels) -> Pixels:
        landmarks = self._landmarks[row, face]
        if self._usual is None or np.isnan(landmarks).any():
            return evened(pixels)
        return evened(brought(pixels, landmarks, self._usual))


def _read(source: Source, index: int) -> tuple[Face, Pixels, Pixels]:
    """A face, its pixels, and these with light and contrast evened."""
    face = source[index]
    pixels = face.decode()
    return face, pixels, evened(pixels)
