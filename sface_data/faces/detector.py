"""Five landmarks of a face, found by a detector."""

from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from sface_data.faces.alignment import Pixels, warp


class Detector(ABC):
    """A detector of faces with five landmarks.

    An image is looked at by itself and by one thread: what is found does not depend on other images, and several
    threads can look at several.
    """

    name: str  # of its file, or by which it is known
    sha256: str  # its identity: hex digest of its weights

    @property
    def versions(self) -> dict[str, str]:
        """Of the libraries that landmarks and aligned images depend on."""
        import cv2
        import onnxruntime

        return {"opencv": cv2.__version__, "onnxruntime": onnxruntime.__version__}

    @property
    @abstractmethod
    def opens(self) -> Callable[[str], "Detector"]:
        """What opens it anew on a device (`cpu`, `cuda:1`), in this process or another."""

    @abstractmethod
    def landmarks(self, image: Pixels) -> NDArray[np.float32] | None:
        """Right eye, left eye, nose, right and left corner of the mouth [5,2] in an image [H,W,3], RGB.

        Of several faces only one counts: the largest, or the largest and most central, as the detector has it.

        Returns:
            x, y in pixels, the centre of the first being (0, 0); None if there is no face.
        """

    def aligned(self, image: Pixels, size: int) -> Pixels | None:
        """The face in an image [H,W,3], as `warp` has it; None if there is none."""
        landmarks = self.landmarks(image)
        return None if landmarks is None else warp(image, landmarks, size)
