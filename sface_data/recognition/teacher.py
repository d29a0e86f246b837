"""The network whose embeddings another one learns."""

import hashlib
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from sface_data.errors import BadInput
from sface_data.files import explained
from sface_data.recognition.backbones import INPUT_SIZE, on_device
from sface_data.recognition.weights import load_backbone

CHANNELS = ("rgb", "bgr")


class Teacher(Protocol):
    """Embeds images as the student sees them.

    Attributes:
        name: of its file.
        dimensions: of its embeddings.
        sha256: of its file and how it is fed.
    """

    name: str
    dimensions: int
    sha256: str

    def embeddings(self, images: Tensor) -> Tensor:
        """Images [N,3,112,112] of RGB, -1 to 1 -> float32 [N,D], not normalised, on the same device."""


def open_teacher(path: Path, device: torch.device, channels: str = "rgb") -> Teacher:
    """A teacher from weights of a run, a published `.pth`, or `.onnx`.

    Args:
        channels: the order of colours that it was trained with, one of CHANNELS; values are -1 to 1 in both.

    Raises:
        BadInput: if the file does not exist or holds no embedder of 112 x 112 pixels.
    """
    if not path.exists():
        raise BadInput(f"{path}: does not exist; a teacher is never left out: train one or get the file")
    kind = _OnnxTeacher if path.suffix == ".onnx" else _TorchTeacher
    return kind(path, device, channels)


class _TorchTeacher:
    def __init__(self, path: Path, device: torch.device, channels: str) -> None:
        file = load_backbone(path)
        self.name, self.dimensions, self._bgr = str(path), file.dimensions, channels == "bgr"
        self.sha256 = hashlib.sha256(f"{file.file_sha256} {channels}".encode()).hexdigest()
        self._network = on_device(file.network, device)

    @torch.no_grad()
    def embeddings(self, images: Tensor) -> Tensor:
        return self._network(images.flip(1) if self._bgr else images).float()


class _OnnxTeacher:
    def __init__(self, path: Path, device: torch.device, channels: str) -> None:
        import onnxruntime

        with explained(path):
            data = path.read_bytes()
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = torch.get_num_threads()
        wanted = ["CUDAExecutionProvider"] if device.type == "cuda" else []
        if wanted and wanted[0] not in onnxruntime.get_available_providers():
            wanted = []  # the teacher is right on the CPU too, only slower
        try:
            self._session = onnxruntime.InferenceSession(data, options, [*wanted, "CPUExecutionProvider"])
            (source,) = self._session.get_inputs()
            self._input = source.name
            probe = self._run(np.zeros((2, 3, INPUT_SIZE, INPUT_SIZE), np.float32))
        except Exception as error:  # onnxruntime's errors have no common base
            reason = str(error).splitlines()[0]
            raise BadInput(
                f"{path}: no embedder of [N,3,{INPUT_SIZE},{INPUT_SIZE}] to [N,D] that onnxruntime runs ({reason})"
            ) from error
        if probe.ndim != 2 or len(probe) != 2:
            raise BadInput(f"{path}: gives {list(probe.shape)} for two images, not embeddings [2,D]")
        self.name, self.dimensions, self._bgr = str(path), probe.shape[1], channels == "bgr"
        self.sha256 = hashlib.sha256(hashlib.sha256(data).digest() + channels.encode()).hexdigest()

    def embeddings(self, images: Tensor) -> Tensor:
        inputs = (images.flip(1) if self._bgr else images).contiguous().cpu().numpy()
        return torch.from_numpy(self._run(inputs)).to(images.device)

    def _run(self, inputs: np.ndarray) -> np.ndarray:
        (outputs,) = self._session.run(None, {self._input: inputs})
        return outputs
