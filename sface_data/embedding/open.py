"""Embedders of every kind, by file."""

from pathlib import Path

from sface_data.embedding.embedder import Embedder
from sface_data.embedding.onnx_embedder import OnnxEmbedder
from sface_data.embedding.torch_embedder import TorchEmbedder
from sface_data.errors import BadInput

# The embedder that ships, trained on rendered faces. `cards/demo_embedder.md` tells more.
DEMO_EMBEDDER = Path(__file__).parent.parent / "assets" / "demo_embedder.onnx"


def open_embedder(path: Path, device: str = "auto") -> Embedder:
    """The embedder in a file.

    Args:
        device: `auto`, `cpu`, `cuda`, `cuda:1`.

    Raises:
        BadInput: if there is none, or the device is asked for and not there.
    """
    if path.suffix == ".onnx":
        return OnnxEmbedder(path, device)
    if path.suffix in (".safetensors", ".pth", ".pt"):
        return TorchEmbedder(path, device)
    raise BadInput(
        f"{path}: its name says no kind of embedder; give an .onnx, the .safetensors of a training run, or a "
        "published .pth"
    )
