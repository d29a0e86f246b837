"""`sface-data recognition export`."""

from pathlib import Path
from typing import Any

import click

from sface_data import api
from sface_data.cli.options import NamedPath, say


@click.command(short_help="Write a trained network as ONNX")
@click.option(
    "--embedder",
    metavar="FILE",
    required=True,
    type=NamedPath(path_type=Path),
    help="weights.safetensors of a run, or a published .pth of iResNet or MobileFaceNet.",
)
@click.option("--out", metavar="FILE.onnx", required=True, type=NamedPath(path_type=Path), help="The new file.")
@click.option("--overwrite", is_flag=True, help="Replace the file if it exists.")
def export(out: Path, **options: Any) -> None:
    """Write a trained network as ONNX, which insightface and onnxruntime load.

    Input RGB [N,3,112,112], (x - 127.5) / 127.5; output [N,D], not normalised. insightface's get_feat takes BGR.

    \b
    Example:
      sface-data recognition export --embedder run/weights.safetensors --out embedder.onnx
    """
    written = api.export_embedder(out=out, **options)
    say(f"{out}: written, {written.name} with {written.dimensions} dimensions")
