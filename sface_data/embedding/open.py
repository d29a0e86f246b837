"""Embedders of every kind, by file."""

from pathlib import Path

from sface_data.embedding.embedder import Embedder
from sface_data.embedding.onnx_embedder import OnnxEmbedder
from sface_data.embedding.torch_embedder import TorchEmbedder
from sface_data.errors import BadInput
from sface_data.io.files import exists

DEMO = "demo"  # what the embedder that ships is called
# It was trained on rendered faces. `cards/demo_embedder.md` tells more.
DEMO_EMBEDDER = Path(__file__).parent.parent / "assets" / "demo_embedder.onnx"


def open_embedder(path: Path, device: str = "auto", threads: int = 0) -> Embedder:
    """The embedder in a file, or the one that ships.

    Args:
        path: an `.onnx`, the `.safetensors` of a training run, a published `.pth`; or `demo`.
        device: `auto`, `cpu`, `cuda`, `cuda:1`.
        threads: of ONNX Runtime on the CPU; 0 for one per core.

    Raises:
        BadInput: if there is none, or the device is asked for and not there.
    """
    if str(path) == DEMO:
        path = DEMO_EMBEDDER
    if path.suffix == ".onnx":
        return OnnxEmbedder(path, device, threads)
    if path.suffix in (".safetensors", ".pth", ".pt"):
        return TorchEmbedder(path, device)
    if not exists(path):
        raise BadInput(f"{path}: no such file; give the .onnx inside the model pack (buffalo_l/w600k_r50.onnx)")
    raise BadInput(
        f"{path}: its name says no kind of embedder; give an .onnx, the .safetensors of a training run, a "
        f"published .pth, or {DEMO} for the embedder that ships"
    )
