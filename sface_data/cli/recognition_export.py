"""`sface-data recognition export`."""

from pathlib import Path

import click

from sface_data.cli.options import NamedPath


@click.command()
@click.option(
    "--weights",
    metavar="FILE",
    required=True,
    type=NamedPath(path_type=Path),
    help="weights.safetensors of a run, or a published .pth of iResNet or MobileFaceNet.",
)
@click.option("--out", metavar="FILE.onnx", required=True, type=NamedPath(path_type=Path), help="The new file.")
@click.option("--overwrite", is_flag=True, help="Replace the file if it exists.")
def export(weights: Path, out: Path, overwrite: bool) -> None:
    """Write a trained network as ONNX, which insightface and onnxruntime load.

    Input RGB [N,3,112,112], (x - 127.5) / 127.5; output [N,D], not normalised. insightface's get_feat takes BGR.

    \b
    Example:
      sface-data recognition export --weights run/weights.safetensors --out embedder.onnx
    """
    from sface_data.embedding.backbone_file import load_backbone
    from sface_data.embedding.export import export_onnx
    from sface_data.errors import BadInput

    if out.suffix != ".onnx":
        raise BadInput(f"{out}: the name of the new file must end in .onnx")
    if out.exists() and not overwrite:
        raise BadInput(f"{out}: exists; choose another name, or replace it with --overwrite")
    file = load_backbone(weights)
    export_onnx(file, out)
    click.echo(f"{out}: written, {file.name} with {file.dimensions} dimensions", err=True)
