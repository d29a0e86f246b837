"""Labelled faces as training of a generator takes them: decoded, of one size."""

import hashlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from sface_data.errors import BadInput
from sface_data.generator.labelled import LabelledFaces

_KEPT = 4 << 30  # bytes of pixels that are kept in memory


class TrainingFaces:
    """Faces of one square size, a power of two.

    Attributes:
        resolution: height and width in pixels.
        class_names: by class index.
        sha256: digest of names, labels and, where they are kept in memory, pixels.

    Raises:
        BadInput: if they cannot be read, or are not square with a power of two as side.
    """

    def __init__(self, source: LabelledFaces) -> None:
        self.class_names = source.class_names
        self.resolution = _resolution(source)
        self._source = source
        self._classes = source.class_indices
        self._kept: np.ndarray | None = None  # uint8 [N,R,R,3]
        digest = hashlib.sha256("\n".join(self.class_names).encode() + self._classes.tobytes())
        if len(source) * self.resolution**2 * 3 <= _KEPT:
            self._kept = np.empty((len(source), self.resolution, self.resolution, 3), np.uint8)
            for place in range(len(source)):
                self._kept[place] = self._decode(place)
            digest.update(self._kept.data)
        self.sha256 = digest.hexdigest()

    def __len__(self) -> int:
        return len(self._classes)

    def batch(self, places: np.ndarray, mirrored: np.ndarray) -> tuple[Tensor, Tensor]:
        """Some faces, each mirrored or not.

        Args:
            places: in the source, int64 [N].
            mirrored: bool [N].

        Returns:
            Images float32 [N,3,R,R], -1 to 1, and their classes int64 [N].
        """
        if self._kept is not None:
            pixels = self._kept[places]
        else:
            with ThreadPoolExecutor() as pool:
                pixels = np.stack(list(pool.map(self._decode, places.tolist())))
        pixels = np.where(mirrored[:, None, None, None], pixels[:, :, ::-1], pixels)  # [N,R,R,3]
        images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 127.5 - 1  # [N,3,R,R], channels last
        return images, torch.from_numpy(self._classes[places])

    def classes(self, places: Tensor) -> Tensor:
        """The classes of the faces at `places` [N], int64 [N]."""
        return torch.from_numpy(self._classes)[places.cpu()]

    def _decode(self, place: int) -> np.ndarray:
        face = self._source[place]
        pixels = face.decode()
        if pixels.shape[:2] != (self.resolution, self.resolution):
            height, width, _ = pixels.shape
            raise BadInput(
                f"{face.where}: {width} x {height} pixels, but the first has {self.resolution} x "
                f"{self.resolution}; make all one size"
            )
        return pixels


def _resolution(source: LabelledFaces) -> int:
    first = source[0]
    height, width, _ = first.decode().shape
    if height != width or height < 8 or height & (height - 1):
        raise BadInput(
            f"{first.where}: {width} x {height} pixels; a generator is trained on square images with a side of "
            "8, 16, 32, 64 ... pixels: resize them"
        )
    return height
