"""Five landmarks of a face, found by a detector."""

import hashlib
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sface_data.errors import BadInput
from sface_data.faces.alignment import Pixels, warp
from sface_data.io.files import MAX_ARRAYS, read_bytes
from sface_data.runtime.onnx_session import (
    brief,
    check_given,
    load_model,
    providers,
    session_errors,
    session_options,
)

# In which an image is looked at, if the network takes any: near, and far.
DETECTOR_SIZES = ((128, 128), (640, 640))
_LANDMARK_OUTPUTS = (9, 15)  # scores, boxes and landmarks for three or five sizes of faces
_WEIGHTS = (
    "get one from https://github.com/deepinsight/insightface/tree/master/model_zoo and unpack it there, or name "
    "an .onnx file; nothing is downloaded unasked, as those weights are for non-commercial research only"
)


class Detector:
    """A detector of faces with five landmarks, of the kinds that insightface runs (SCRFD, RetinaFace).

    An image is looked at by itself and by one thread: what is found does not depend on other images, and several
    threads can look at several. Of several faces the largest and most central counts, as insightface has it.

    Args:
        path: an ONNX file; all weights must be in it.
        device: `auto`, `cpu`, `cuda`, `cuda:1`.

    Raises:
        BadInput: if it is no such detector, or the device is asked for and not there.
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
    def versions(self) -> dict[str, str]:
        """Of the libraries that landmarks and aligned images depend on."""
        import cv2
        import onnxruntime

        found = {"opencv": cv2.__version__, "onnxruntime": onnxruntime.__version__}
        return {"insightface": metadata.version("insightface"), **found}

    def landmarks(self, image: Pixels) -> NDArray[np.float32] | None:
        """Right eye, left eye, nose, right and left corner of the mouth [5,2] in an image [H,W,3], RGB.

        Returns:
            x, y in pixels, the centre of the first being (0, 0); None if there is no face.
        """
        colours = np.ascontiguousarray(image[:, :, ::-1])  # insightface takes BGR
        _, points = self._model.detect(colours, input_size=DETECTOR_SIZES, max_num=1)
        if points is None or not len(points):
            return None
        found = points[0].astype(np.float32)
        usable = np.isfinite(found).all() and found.std(axis=0).min() > 0.1
        return found if usable else None

    def aligned(self, image: Pixels, size: int) -> Pixels | None:
        """The face in an image [H,W,3], as `warp` has it; None if there is none."""
        landmarks = self.landmarks(image)
        return None if landmarks is None else warp(image, landmarks, size)


def open_detector(name: str, device: str = "auto") -> Detector:
    """A detector by its file, or by the name of a model that lies in insightface's folder.

    Raises:
        BadInput: if there is none; nothing is downloaded.
    """
    return Detector(_find(name), device)


def _find(name: str) -> Path:
    path = Path(name)
    if name.endswith(".onnx"):
        return path
    if path.is_file():
        raise BadInput(f"{name}: no detector; give an .onnx file, or the name of a model of insightface")
    models = Path("~/.insightface/models").expanduser()
    if not name or path.name != name or not (models / name).is_dir():
        raise BadInput(f"{name}: no detector of this name: there is no such folder in {models}; {_WEIGHTS}")
    files = sorted(
        file for kind in ("det_", "scrfd_", "retinaface_") for file in (models / name).glob(f"{kind}*.onnx")
    )
    if len(files) != 1:
        raise BadInput(f"{models / name}: has {len(files)} detectors (det_*.onnx, ...); name the file itself")
    return files[0]


def _check_network(path: Path, graph: Any) -> None:
    if len(graph.input) == 0 or len(graph.output) not in _LANDMARK_OUTPUTS:
        raise BadInput(
            f"{path}: not a detector with landmarks: {len(graph.output)} outputs, where those of insightface "
            "have 9 or 15"
        )


def _open(path: Path, device: str) -> Any:
    from insightface.model_zoo import get_model

    asked = providers(device)
    try:
        model = get_model(str(path), providers=asked, sess_options=session_options(threads=1))
    except session_errors() as error:
        raise BadInput(f"{path}: insightface cannot load it as a detector ({brief(error)})") from error
    check_given(model.session, device)
    return model
