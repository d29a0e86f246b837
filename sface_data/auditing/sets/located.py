"""Where faces lie in images: how many a detector finds there, and how they lie among those of training.

A judge knows faces that lie where those of training do. Others are brought there before it looks.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sface_data.faces.alignment import Pixels, similarity, warp
from sface_data.faces.base import Source
from sface_data.faces.mtcnn import Mtcnn
from sface_data.runtime.pool import cores
from sface_data.runtime.progress import Progress

MOST_FACES = 2  # of an image that judges look at: the largest
_MEAN, _SPREAD = 120.0, 55.0  # of an evened channel
_SIDE = 160  # pixels at which images are searched: faces of an eighth of that and more are found
_USUAL = 0.5  # of training images that show one face; else nothing is known of where faces should lie

Floats = NDArray[np.float32]


def evened(image: Pixels) -> Pixels:
    """Each channel with the same mean and spread: faces in little light are found, too."""
    values = image.astype(np.float32)
    mean, spread = values.mean(axis=(0, 1)), values.std(axis=(0, 1))
    return np.clip((values - mean) * (_SPREAD / np.maximum(spread, 2.0)) + _MEAN, 0, 255).astype(np.uint8)


@dataclass(frozen=True)
class Located:
    """Faces in some images.

    Attributes:
        count: int64 [N] how many there are in each.
        landmarks: float32 [N,2,5,2] x and y of the five landmarks of the largest two, as shares of width and
            height; NaN where there are fewer.
    """

    count: NDArray[np.int64]
    landmarks: Floats

    @classmethod
    def of(cls, source: Source, indices: NDArray[np.int64], progress: Progress | None = None) -> "Located":
        """What the detector that ships finds in some images of a source; on a CPU, and so always the same."""
        detector = Mtcnn("cpu")

        def look(index: int) -> tuple[int, Floats]:
            found = _largest(detector, source[index].decode())
            if progress is not None:
                progress(1)
            return found

        with ThreadPoolExecutor(cores()) as threads:
            found = list(threads.map(look, indices.tolist()))
        count, landmarks = zip(*found, strict=True)
        return cls(np.array(count, np.int64), np.stack(landmarks))

    def __getitem__(self, chosen: slice) -> "Located":
        return Located(self.count[chosen], self.landmarks[chosen])

    @property
    def one(self) -> NDArray[np.bool_]:
        """Which images [N] show one face."""
        return self.count == 1

    @property
    def usual(self) -> Floats | None:
        """Where the landmarks [5,2] of images with one face lie; None if most images have none, or several."""
        return None if self.one.mean() < _USUAL else np.median(self.landmarks[self.one, 0], axis=0)

    def poses(self, usual: Floats) -> NDArray[np.float64]:
        """How the largest face of each image lies beside the usual landmarks.

        Returns:
            [N,5] shift across and down, logarithm of the scale, sine of the turn, and the root mean square of what
            is left of the distances; zeros where there is no face.
        """
        largest = self.landmarks[:, 0]
        return np.stack([np.zeros(5) if np.isnan(face).any() else _pose(face, usual) for face in largest])


def brought(image: Pixels, landmarks: Floats, usual: Floats) -> Pixels:
    """The face with the landmarks [5,2] in an image, where faces usually lie; both as shares of the sides."""
    height, width, _ = image.shape
    pixels = landmarks * np.array([width, height], np.float32) - np.float32(0.5)
    return warp(image, pixels, width, lambda side: usual * np.float32(side) - np.float32(0.5))


def _largest(detector: Mtcnn, image: Pixels) -> tuple[int, Floats]:
    """The number of faces in an image, and landmarks [2,5,2] of the largest."""
    import cv2

    shrinks = min(image.shape[:2]) > _SIDE
    small = cv2.resize(evened(image), (_SIDE, _SIDE), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    boxes, points = detector.faces(np.asarray(small, np.uint8))
    order = np.argsort(-(boxes[:, 2:] - boxes[:, :2]).prod(axis=1), kind="stable")[:MOST_FACES]
    landmarks = np.full((MOST_FACES, 5, 2), np.nan, np.float32)
    landmarks[: len(order)] = (points[order] + 0.5) / _SIDE
    return len(boxes), landmarks


def _pose(landmarks: Floats, usual: Floats) -> NDArray[np.float64]:
    matrix, shift = similarity(usual, landmarks)
    rest = np.sqrt(np.square(usual @ matrix.T + shift - landmarks).sum(axis=1).mean())
    moved = landmarks.mean(axis=0) - usual.mean(axis=0)
    scale = np.hypot(matrix[0, 0], matrix[1, 0])
    return np.array([*moved, np.log(max(scale, 1e-3)), matrix[1, 0] / max(scale, 1e-3), rest], np.float64)
