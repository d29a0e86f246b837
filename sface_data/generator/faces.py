"""Labelled faces as training of a generator takes them: of one size, a power of two."""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from sface_data.errors import BadInput
from sface_data.faces.base import Source
from sface_data.faces.face_list import FaceList
from sface_data.faces.whole_faces import WholeFaces

_KEPT = 1 << 30  # bytes of decoded faces of one resolution


class TrainingFaces:
    """Faces of one square size, a power of two. They are decoded when they are asked for.

    Those of a resolution are kept if all fit into a gigabyte: else none would be there when it comes again.

    Args:
        skip_broken: leave out images that cannot be decoded.

    Attributes:
        side: height and width in pixels.
        class_names: by class index.
        class_indices: class of each face, int64 [N].
        sha256, order_sha256: digests of all faces of the source, see `FaceList`.
        left_out: how many of them cannot be decoded.

    Raises:
        BadInput: if they cannot be read, or are not square with a power of two as side.
    """

    def __init__(self, source: Source, skip_broken: bool = False) -> None:
        faces = FaceList.of(source)
        self.sha256, self.order_sha256, self.left_out = faces.sha256, faces.order_sha256, 0
        if skip_broken:
            source = WholeFaces(source)
            self.left_out = source.left_out
        self.class_names, self.class_indices = source.class_names, source.class_indices
        self.side = _side(source)
        self._source = source
        self._kept: dict[tuple[int, int], NDArray[np.uint8]] = {}

    def __len__(self) -> int:
        return len(self.class_indices)

    def read(self, index: int, resolution: int) -> NDArray[np.uint8]:
        """One face, reduced to a resolution by averaging squares of pixels: uint8 [R,R,3].

        Raises:
            BadInput: if it cannot be read or is of another size than the first.
        """
        if (index, resolution) in self._kept:
            return self._kept[index, resolution]
        pixels = self._reduced(index, resolution)
        if len(self) * 3 * resolution**2 <= _KEPT:
            self._kept[index, resolution] = pixels
        return pixels

    def _reduced(self, index: int, resolution: int) -> NDArray[np.uint8]:
        face = self._source[index]
        pixels = face.decode()
        height, width, _ = pixels.shape
        if (height, width) != (self.side, self.side):
            raise BadInput(
                f"{face.where}: {width} x {height} pixels, but the first has {self.side} x {self.side}; "
                "make all one size"
            )
        step = self.side // resolution
        if step == 1:
            return pixels
        squares = pixels.reshape(resolution, step, resolution, step, 3)
        return (squares.mean(axis=(1, 3), dtype=np.float32) + 0.5).astype(np.uint8)

    def check_resolution(self, resolution: int) -> None:
        """Raises BadInput if the faces are smaller than what a generator is to make."""
        if self.side < resolution:
            raise BadInput(
                f"{self._source.path}: the faces have {self.side} pixels a side, fewer than the {resolution} of "
                f"the recipe; give larger ones, or stop at --resolution {self.side}"
            )


def network_images(pixels: Tensor) -> Tensor:
    """Pixels uint8 [N,R,R,3] as networks take them: float32 [N,3,R,R], -1 to 1, channels last in memory."""
    return pixels.permute(0, 3, 1, 2).float() / 127.5 - 1


def _side(source: Source) -> int:
    first = source[0]
    height, width, _ = first.decode().shape
    if height != width or height < 8 or height & (height - 1):
        raise BadInput(
            f"{first.where}: {width} x {height} pixels; a generator is trained on square images with a side of "
            "8, 16, 32, 64 ... pixels: resize them"
        )
    return height
