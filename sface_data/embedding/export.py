"""Embedders as ONNX, for insightface, onnxruntime and whatever else reads it."""

import io
import warnings
from pathlib import Path

import torch

from sface_data.embedding.backbone_file import BackboneFile, load_backbone
from sface_data.embedding.backbones import INPUT_SIZE
from sface_data.errors import BadInput
from sface_data.io.files import atomic_write, exists
from sface_data.runtime.arguments import StrPath, checks_arguments

_OPSET = 17


@checks_arguments
def export_embedder(embedder: StrPath, out: StrPath, *, overwrite: bool = False) -> BackboneFile:
    """Writes a trained network as ONNX, which insightface and onnxruntime load.

    Input: RGB [N,3,112,112], float32, (x - 127.5) / 127.5; output: [N,D], not normalised. insightface's `get_feat`
    takes BGR.

    Args:
        embedder: `weights.safetensors` of a run, or a published `.pth` of iResNet or MobileFaceNet.
        out: the new file; its name ends in `.onnx`.
        overwrite: replace the file if it exists.

    Raises:
        BadInput: if the network cannot be read, or `out` has another ending or exists.

    Example:
        >>> sface_data.export_embedder("run/weights.safetensors", "embedder.onnx").dimensions
        128
    """
    path = Path(out)
    if path.suffix != ".onnx":
        raise BadInput(f"{path}: the name of the new file must end in .onnx")
    if exists(path) and not overwrite:
        raise BadInput(f"{path}: exists; choose another name, or replace it with --overwrite")
    file = load_backbone(Path(embedder))
    export_onnx(file, path)
    return file


def export_onnx(file: BackboneFile, path: Path) -> None:
    """Writes a network as ONNX, atomically: `input` float32 [N,3,112,112], RGB, (x - 127.5) / 127.5, to
    `embedding` [N,D], not normalised, for any N.

    `insightface.model_zoo.get_model` loads it as a network of ArcFace; its `get_feat` takes BGR and swaps.
    """
    import onnx

    buffer = io.BytesIO()
    example = torch.zeros(2, 3, INPUT_SIZE, INPUT_SIZE)
    with warnings.catch_warnings():
        # The exporter that needs no package besides torch and onnx; torch calls it the old one.
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        torch.onnx.export(
            file.network, (example,), buffer, dynamo=False, opset_version=_OPSET,  # type: ignore[arg-type]
            input_names=["input"], output_names=["embedding"],
            dynamic_axes={"input": {0: "N"}, "embedding": {0: "N"}},
        )  # fmt: skip
    model = onnx.load_from_string(buffer.getvalue())
    model.producer_name, model.producer_version = "sface-data", ""
    facts = {"backbone": file.name, "dimensions": file.dimensions, "weights_sha256": file.file_sha256}
    for key, value in {**facts, "input": "RGB, (x - 127.5) / 127.5"}.items():
        model.metadata_props.add(key=key, value=str(value))
    onnx.checker.check_model(model)
    with atomic_write(path) as opened:
        opened.write(model.SerializeToString())
