"""The network whose embeddings another one learns."""

import hashlib
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from sface_data.embedding.backbone_file import load_backbone
from sface_data.embedding.backbones import INPUT_SIZE, on_device
from sface_data.embedding.onnx_embedder import OnnxEmbedder
from sface_data.embedding.open import DEMO, DEMO_EMBEDDER
from sface_data.errors import BadInput
from sface_data.io.files import exists


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
    """A teacher from weights of a run, a published `.pth`, or `.onnx`; or `demo`, the embedder that ships.

    Args:
        device: of the student; of several GPUs the teacher runs on the same one.
        channels: the order of colours that it was trained with, `rgb` or `bgr`; values are -1 to 1 in both. An
            ONNX file says so itself.

    Raises:
        BadInput: if the file does not exist or holds no embedder of 112 x 112 pixels, channels are given for an
            ONNX file, or ONNX Runtime cannot use the device.
    """
    if str(path) == DEMO:
        path = DEMO_EMBEDDER
    if not exists(path):
        raise BadInput(f"{path}: does not exist; a teacher is never left out: train one or get the file")
    if path.suffix != ".onnx":
        return _TorchTeacher(path, device, channels)
    if channels != "rgb":
        raise BadInput(
            f"{path}: an ONNX file says itself which order of colours it takes; leave out --teacher-channels, and "
            "if it says nothing, give it the metadata Image.BitmapPixelFormat = Bgr8"
        )
    return _OnnxTeacher(path, device)


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
    def __init__(self, path: Path, device: torch.device) -> None:
        self._embedder = OnnxEmbedder(path, str(device))
        size = self._embedder.size
        if size != INPUT_SIZE:
            raise BadInput(
                f"{path}: looks at {size} x {size} pixels; a teacher looks at {INPUT_SIZE} x {INPUT_SIZE}"
            )
        self.name, self.dimensions, self.sha256 = str(path), self._embedder.dimensions, self._embedder.sha256

    def embeddings(self, images: Tensor) -> Tensor:
        levels = (images * 127.5 + 127.5).contiguous().cpu().numpy()
        return torch.from_numpy(self._embedder.outputs(levels)).to(images.device)
