"""Detectors of the kinds that insightface runs (SCRFD, RetinaFace); insightface is an extra."""

import hashlib
from collections.abc import Callable
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sface_data.errors import BadInput, brief
from sface_data.faces.alignment import Pixels
from sface_data.faces.detector import Detector
from sface_data.io.files import MAX_ARRAYS, read_bytes
from sface_data.runtime.onnx_session import (
    FLOATS,
    check_given,
    load_model,
    providers,
    session_errors,
    session_options,
)

# In which an image is looked at, if the network takes any: near, and far.
DETECTOR_SIZES = ((128, 128), (640, 640))
_LANDMARK_OUTPUTS = (9, 15)  # scores, boxes and landmarks for three or five sizes of faces


class InsightfaceDetector(Detector):
    """A detector in an ONNX file, run by insightface. Of several faces the largest and most central counts.

    Args:
        path: an ONNX file; all weights must be in it.
        device: `auto`, `cpu`, `cuda`, `cuda:1`.

    Raises:
        BadInput: if it is no such detector, insightface is not there, or the device is asked for and not there.
    """

    def __init__(self, path: Path, device: str = "auto") -> None:
        data = read_bytes(path, MAX_ARRAYS)
        self.name = path.name
        self.sha256 = hashlib.sha256(data).hexdigest()
        self._path = path
        _check_network(path, load_model(path, data).graph)
        self._model = _open(path, device)
        try:
            self.landmarks(np.full((64, 64, 3), 128, np.uint8))
        except session_errors() as error:
            raise BadInput(f"{path}: fails on an image of 64 x 64 pixels ({brief(error)})") from error

    @property
    def opens(self) -> Callable[[str], Detector]:
        """See `Detector`."""
        return partial(InsightfaceDetector, self._path)

    @property
    def versions(self) -> dict[str, str]:
        """See `Detector`."""
        return {"insightface": metadata.version("insightface"), **super().versions}

    def landmarks(self, image: Pixels) -> NDArray[np.float32] | None:
        """See `Detector`."""
        colours = np.ascontiguousarray(image[:, :, ::-1])  # insightface takes BGR
        _, points = self._model.detect(colours, input_size=DETECTOR_SIZES, max_num=1)
        if points is None or not len(points):
            return None
        found = points[0].astype(np.float32)
        usable = np.isfinite(found).all() and found.std(axis=0).min() > 0.1
        return found if usable else None


def _check_network(path: Path, graph: Any) -> None:
    if len(graph.input) == 0 or len(graph.output) not in _LANDMARK_OUTPUTS:
        raise BadInput(
            f"{path}: not a detector with landmarks: {len(graph.output)} outputs, where those of insightface "
            "have 9 or 15"
        )


def _open(path: Path, device: str) -> Any:
    asked = providers(device)
    try:
        from insightface.model_zoo import get_model
    except ImportError as error:
        raise BadInput(
            f"{path}: a detector that insightface runs, which cannot be imported here ({brief(error)}); "
            "`pip install insightface`, or use the detector that ships (--detector mtcnn)"
        ) from error
    try:
        model = get_model(str(path), providers=asked, sess_options=session_options(threads=1))
    except session_errors() as error:
        raise BadInput(f"{path}: insightface cannot load it as a detector ({brief(error)})") from error
    check_given(model.session, device)
    takes = model.session.get_inputs()[0].type
    if takes not in FLOATS:
        raise BadInput(f"{path}: not a detector of faces: its input is {takes}, where it should be tensor(float)")
    model.input_dtype = FLOATS[takes]  # insightface feeds float32 if nothing is said
    return model
