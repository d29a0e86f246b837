"""Where ArcFace puts the landmarks of an aligned face."""

import numpy as np
from numpy.typing import NDArray

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
