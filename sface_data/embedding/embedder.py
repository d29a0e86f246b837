"""What makes vectors of faces."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sface_data.errors import BadInput

Vectors = NDArray[np.float32]
Pixels = NDArray[np.uint8]


class Embedder(Protocol):
    """Makes vectors of aligned faces whose cosine says how alike two are."""

    @property
    def sha256(self) -> str:
        """Its identity: digest of its file and of whatever else the vectors depend on."""

    @property
    def name(self) -> str:
        """The name of its file."""

    @property
    def size(self) -> int:
        """Height and width of the images that it looks at."""

    @property
    def dimensions(self) -> int:
        """D of its vectors."""

    def embed(self, images: Pixels) -> Vectors:
        """Vectors [N,D] of length 1 of images [N,H,H,3], RGB: `flip_sum` of what the network gives.

        Images of another size are resized as by `resized`.

        Raises:
            NoVector: if the network gives none that can be used for some images.
        """


class NoVector(BadInput):
    """The network gives values that are not finite, or nothing but zeros, for the images at `indices`."""

    def __init__(self, name: str, indices: Sequence[int], images: Sequence[str] | None = None) -> None:
        self.name = name
        self.indices = tuple(indices)
        which = f"{len(self.indices)} images" if images is None else _list(images)
        super().__init__(
            f"{name}: gives values that are not finite, or only zeros, for {which}; "
            "the file is broken, or its input is prepared in another way"
        )


def flip_sum(straight: NDArray[Any], mirrored: NDArray[Any], name: str) -> Vectors:
    """The sum of the vectors [N,D] of images and of their mirror images, scaled to length 1: float32 [N,D].

    So do the published evaluations of face recognition.

    Raises:
        NoVector: where the sum is not finite or zero; `name` is that of the embedder.
    """
    total = straight.astype(np.float64) + mirrored
    with np.errstate(over="ignore", invalid="ignore"):
        length = np.sqrt(np.einsum("nd,nd->n", total, total))
    useless = np.flatnonzero(~np.isfinite(length) | (length == 0))
    if len(useless):
        raise NoVector(name, useless.tolist())
    return (total / length[:, None]).astype(np.float32)


def resized(image: Pixels, size: int, where: str = "an image") -> Pixels:
    """A square image [H,H,3] in another size: bicubic, each pixel a weighted mean over all it covers (Pillow's).

    Raises:
        BadInput: if it is not square, which would distort the face; `where` names it.
    """
    height, width, _ = image.shape
    if height != width:
        raise BadInput(
            f"{where}: {width} x {height} pixels; an embedder looks at square images of aligned faces: "
            "align them (--align detect) or crop them"
        )
    if height == size:
        return image
    return np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.BICUBIC))


def _list(names: Sequence[str], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
