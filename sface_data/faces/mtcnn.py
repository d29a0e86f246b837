"""MTCNN, the detector that ships and that SFace was aligned with: three small networks, each surer than the last.

Zhang et al., "Joint face detection and alignment using multi-task cascaded convolutional networks", 2016
(arXiv:1604.02878). The first network looks at every place of the image in many sizes; the second and the third
look at squares around what is left, and the third finds the landmarks. `cards/mtcnn.md` says where the weights are
from.
"""

import hashlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sface_data.faces.alignment import Pixels
from sface_data.faces.detector import Detector
from sface_data.io.files import MAX_ARRAYS, read_bytes
from sface_data.runtime.onnx_session import open_session

FOLDER = Path(__file__).parent.parent / "assets" / "mtcnn"
NETWORKS = ("pnet", "rnet", "onet")
_CELL, _STRIDE = 12, 2  # pixels that the first network looks at, and by how many it moves on
_SHRINKING = 0.709  # from one size of the image to the next
_SMALLEST = 20  # pixels of a face,
_SMALLEST_PART = 1 / 16  # and of the shorter side of the image: the face that is meant is no smaller
_SURE = (0.6, 0.7, 0.7)  # from which probability on each network goes on with a place
_OVERLAP = (
    0.5,
    0.7,
    0.7,
    0.7,
)  # of places that are taken for one: in one size, in all, after the second, the third
_MIDDLE, _SCALE = np.float32(127.5), np.float32(1 / 128)

Floats = NDArray[np.float32]


class Mtcnn(Detector):
    """The detector that ships. Of several faces the largest counts.

    Boxes are [N,4]: left, top, right and lower edge, in pixels.

    Args:
        device: `auto`, `cpu`, `cuda`, `cuda:1`.

    Raises:
        BadInput: if the device is asked for and not there.
    """

    name = "mtcnn"

    def __init__(self, device: str = "auto") -> None:
        files = {name: FOLDER / f"{name}.onnx" for name in NETWORKS}
        data = {name: read_bytes(path, MAX_ARRAYS) for name, path in files.items()}
        self.sha256 = hashlib.sha256(b"".join(data.values())).hexdigest()
        self._sessions = {name: open_session(files[name], data[name], device, threads=1) for name in NETWORKS}

    @property
    def opens(self) -> type["Mtcnn"]:
        """See `Detector`."""
        return Mtcnn

    def landmarks(self, image: Pixels) -> Floats | None:
        """See `Detector`."""
        boxes, points = self.faces(image)
        if not len(boxes):
            return None
        return points[(boxes[:, 2:] - boxes[:, :2]).prod(1).argmax()]

    def faces(self, image: Pixels) -> tuple[Floats, Floats]:
        """All faces in an image [H,W,3], RGB, the surest first: boxes [N,4] and landmarks [N,5,2]."""
        boxes = _squares(self._places(image))
        if len(boxes):
            boxes = self._refined(image, boxes)
        if not len(boxes):
            return boxes, np.zeros((0, 5, 2), np.float32)
        sure, moves, points = self._run("onet", _cut_out(image, boxes, 48))
        kept = sure[:, 1] > _SURE[2]
        boxes, sure, moves, points = boxes[kept], sure[kept, 1], moves[kept], points[kept]
        sides = boxes[:, 2:] - boxes[:, :2]
        found = boxes[:, :2, None] + sides[:, :, None] * points.reshape(-1, 2, 5)  # [N,2,5]
        boxes = _moved(boxes, moves)
        distinct = _distinct(boxes, sure, _OVERLAP[3], of_smaller=True)
        return boxes[distinct], found[distinct].transpose(0, 2, 1)

    def _places(self, image: Pixels) -> Floats:
        """Where the first network sees faces, in any size."""
        boxes, sure = [np.zeros((0, 4), np.float32)], [np.zeros(0, np.float32)]
        for scale in _scales(image.shape):
            found, probability = self._places_in(image, scale)
            kept = _distinct(found, probability, _OVERLAP[0])
            boxes.append(found[kept])
            sure.append(probability[kept])
        every = np.concatenate(boxes)
        return every[_distinct(every, np.concatenate(sure), _OVERLAP[1])]

    def _places_in(self, image: Pixels, scale: float) -> tuple[Floats, Floats]:
        """Where the first network sees faces in one size of the image, and how sure it is."""
        import cv2

        height, width = (math.ceil(side * scale) for side in image.shape[:2])
        small = np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
        sure, moves = self._run("pnet", small[None])
        rows, columns = np.nonzero(sure[0, 1] >= _SURE[0])
        corners = np.stack([columns, rows], 1) * _STRIDE
        boxes = np.concatenate([corners, corners + _CELL], 1).astype(np.float32)
        boxes /= np.array([width / image.shape[1], height / image.shape[0]] * 2, np.float32)
        return _moved(boxes, moves[0][:, rows, columns].T), sure[0, 1][rows, columns]

    def _refined(self, image: Pixels, boxes: Floats) -> Floats:
        """What the second network leaves of them, as squares."""
        sure, moves = self._run("rnet", _cut_out(image, boxes, 24))
        kept = sure[:, 1] > _SURE[1]
        boxes, moves, probability = boxes[kept], moves[kept], sure[kept, 1]
        distinct = _distinct(boxes, probability, _OVERLAP[2])
        return _squares(_moved(boxes[distinct], moves[distinct]))

    def _run(self, name: str, images: Pixels) -> list[Any]:
        """What a network makes of images [N,H,W,3]: probability of none and of a face, moves of boxes, points."""
        planes = (images.transpose(0, 3, 1, 2).astype(np.float32) - _MIDDLE) * _SCALE  # [N,3,H,W]
        return self._sessions[name].run(None, {"image": planes})


def _scales(shape: tuple[int, ...]) -> Iterator[float]:
    """The sizes in which an image is looked at, largest first."""
    side = min(shape[:2])
    scale = _CELL / max(_SMALLEST, side * _SMALLEST_PART)
    while side * scale >= _CELL:
        yield scale
        scale *= _SHRINKING


def _moved(boxes: Floats, moves: Floats) -> Floats:
    """Boxes with each edge moved by a part of their sides."""
    sides = boxes[:, 2:] - boxes[:, :2]
    return boxes + moves * np.concatenate([sides, sides], 1)


def _squares(boxes: Floats) -> Floats:
    """Squares with the same middles, as large as the longer side."""
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = (boxes[:, 2:] - boxes[:, :2]).max(1, keepdims=True) / 2
    return np.concatenate([middle - half, middle + half], 1)


def _distinct(boxes: Floats, sure: Floats, overlap: float, of_smaller: bool = False) -> NDArray[np.intp]:
    """Which boxes are left if of those that overlap only the surest stays.

    Args:
        overlap: from which part on: of what both cover together, or of the smaller one.
    """
    area = np.maximum(boxes[:, 2:] - boxes[:, :2], 0).prod(1)
    left, kept = np.argsort(-sure, kind="stable"), []
    while len(left):
        first, left = left[0], left[1:]
        kept.append(first)
        shared = np.minimum(boxes[first, 2:], boxes[left, 2:]) - np.maximum(boxes[first, :2], boxes[left, :2])
        common = np.maximum(shared, 0).prod(1)
        least = np.minimum(area[first], area[left])
        left = left[common <= overlap * (least if of_smaller else area[first] + area[left] - common)]
    return np.array(kept, np.intp)


def _cut_out(image: Pixels, boxes: Floats, size: int) -> Pixels:
    """What is in square boxes [N,4], as [N,size,size,3]; beyond the image is black."""
    import cv2

    height, width = image.shape[:2]
    cut = np.zeros((len(boxes), size, size, 3), np.uint8)
    for target, (left, top, right, bottom) in zip(cut, boxes.round().astype(int).tolist(), strict=True):
        side = max(right - left, bottom - top, 1)
        patch = np.zeros((side, side, 3), np.uint8)
        part = image[max(top, 0) : min(top + side, height), max(left, 0) : min(left + side, width)]
        if part.size:
            y, x = max(-top, 0), max(-left, 0)
            patch[y : y + part.shape[0], x : x + part.shape[1]] = part
        shrinks = side > size
        target[:] = cv2.resize(patch, (size, size), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return cut
