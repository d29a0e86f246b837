"""Where ArcFace puts the landmarks of an aligned face, and the warp that brings a face there."""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]
_MOST_SHRINKING = 32

# The head's own right eye, left eye, tip of the nose, right and left corner of the mouth: x, y in pixels of an
# image of 112 x 112; the centre of the first pixel is (0, 0), as in OpenCV.
TEMPLATE = np.array(
    [
        [38.2946, 51.6963],
        [73.5318, 51.5014],
        [56.0252, 71.7366],
        [41.5493, 92.3655],
        [70.7299, 92.2041],
    ],
    np.float32,
)
TEMPLATE_SIZE = 112


def template_in(size: int) -> NDArray[np.float32]:
    """The template [5,2] in pixels of an image of that side: edges of the image stay edges."""
    return (TEMPLATE + np.float32(0.5)) * np.float32(size / TEMPLATE_SIZE) - np.float32(0.5)


def similarity(source: Floats, target: Floats) -> tuple[Floats, Floats]:
    """The rotation with scale A [2,2] and shift b [2] for which `source @ A.T + b` fits `target` best.

    Least squares over all points; both arrays are [N,2].
    """
    a, b = source - source.mean(0), target - target.mean(0)
    norm = (a**2).sum()
    cos = (a * b).sum() / norm
    sin = (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum() / norm
    matrix = np.array([[cos, -sin], [sin, cos]], np.float32)
    return matrix, (target.mean(0) - matrix @ source.mean(0)).astype(np.float32)


def warp(
    image: Pixels,
    landmarks: NDArray[np.float32],
    size: int,
    template: Callable[[int], NDArray[np.float32]] = template_in,
) -> Pixels:
    """The face with the landmarks [5,2] of an image [H,W,3], aligned: [size,size,3].

    The similarity transform fits the landmarks to the template by least squares. Interpolation is bicubic; where
    that shrinks the face, the mean is taken over as many pixels as it shrinks. Beyond the image is black.

    Args:
        template: where the landmarks [5,2] lie in an image of a side, in pixels.
    """
    import cv2

    matrix, _ = similarity(landmarks, template(size))
    scale = max(math.hypot(matrix[0, 0], matrix[1, 0]), 1 / _MOST_SHRINKING)
    factor = max(math.ceil(1 / scale), 1)
    side = size * factor
    matrix, shift = similarity(landmarks, template(side))
    whole = np.concatenate([matrix, shift[:, None]], axis=1).astype(np.float64)  # [2,3]
    large = cv2.warpAffine(image, whole, (side, side), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_CONSTANT)
    if factor == 1:
        return np.asarray(large)
    return np.asarray(cv2.resize(large, (size, size), interpolation=cv2.INTER_AREA))
