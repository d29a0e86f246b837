"""Detectors of every kind, by name or file."""

from pathlib import Path

from sface_data.errors import BadInput
from sface_data.faces.detector import Detector
from sface_data.faces.insightface_detector import InsightfaceDetector
from sface_data.faces.mtcnn import Mtcnn
from sface_data.io.files import is_dir, is_file

_WEIGHTS = (
    "get one from https://github.com/deepinsight/insightface/tree/master/model_zoo and unpack it there, or name "
    "an .onnx file; nothing is downloaded unasked, as those weights are for non-commercial research only"
)


def open_detector(name: str, device: str = "auto") -> Detector:
    """The detector that ships, `mtcnn`; or one by its file, or by the name of a model in insightface's folder.

    Raises:
        BadInput: if there is none; nothing is downloaded.
    """
    if name == Mtcnn.name:
        return Mtcnn(device)
    return InsightfaceDetector(_find(name), device)


def _find(name: str) -> Path:
    path = Path(name)
    if name.endswith(".onnx"):
        return path
    if is_file(path):
        raise BadInput(f"{name}: no detector; give mtcnn, an .onnx file, or the name of a model of insightface")
    models = Path("~/.insightface/models").expanduser()
    if not name or path.name != name or not is_dir(models / name):
        raise BadInput(
            f"{name}: no detector of this name: it is not mtcnn, which ships, and there is no such folder in "
            f"{models}; {_WEIGHTS}"
        )
    pack = models / name
    if is_dir(pack / name):  # as an archive leaves it that has a folder of its own
        pack = pack / name
    files = sorted(file for kind in ("det_", "scrfd_", "retinaface_") for file in pack.glob(f"{kind}*.onnx"))
    if len(files) != 1:
        raise BadInput(f"{pack}: has {len(files)} detectors (det_*.onnx, ...); name the file itself")
    return files[0]
