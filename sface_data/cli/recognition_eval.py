"""`sface-data recognition eval`."""

from pathlib import Path
from typing import Any

import click

from sface_data import api
from sface_data.cli.options import BATCH, DEVICE, NamedPath, say


@click.command("eval", short_help="Measure how well a network verifies faces")
@click.option(
    "--embedder",
    metavar="FILE|demo",
    required=True,
    type=NamedPath(path_type=Path),
    help="Network of faces: .onnx, a .safetensors of this package, a published .pth (weights only), or demo, "
    "which ships.",
)
@click.option(
    "--benchmarks",
    metavar="DIR",
    required=True,
    type=NamedPath(path_type=Path),
    help="Folder with lfw.bin, agedb_30.bin, cfp_fp.bin, calfw.bin, cplfw.bin, other .bin files, tables of "
    "pairs (.parquet), or pairs lists (.txt, .csv).",
)
@click.option(
    "--benchmark",
    metavar="NAME",
    multiple=True,
    help="Only this benchmark, as in lfw; can be given several times.  [default: all in DIR]",
)
@click.option(
    "--outdir",
    metavar="DIR",
    type=NamedPath(path_type=Path, file_okay=False),
    help="Folder for evaluation.json and roc.png.",
)
@BATCH
@DEVICE
@click.option("--json", "as_json", is_flag=True, help="Print the record as JSON on standard output.")
def evaluate(as_json: bool, **options: Any) -> None:
    """Measure how well a network verifies faces: ten-fold accuracy, TMR at FMR, ROC.

    Benchmarks are .bin files as InsightFace publishes them (nothing in them is executed), Parquet with two columns
    of images and one that says whether both show one person, or pairs lists: LFW's pairs.txt, or lines
    `path1 path2 0/1`, over the folder named like the list, else the one it is in. Where a
    published benchmark is used, published results are printed beside ours.

    \b
    Examples:
      sface-data recognition eval --embedder run/weights.safetensors --benchmarks faces_emore
      sface-data recognition eval --embedder model.onnx --benchmarks DIR --benchmark lfw --outdir eval
    """
    from sface_data.io.files import pretty_json
    from sface_data.recognition.evaluation_table import comparison, summary

    evaluation = api.evaluate_recognition(**options)
    if as_json:
        click.echo(pretty_json(evaluation.record()), nl=False)
    else:
        click.echo("\n\n".join(filter(None, (summary(evaluation), comparison(evaluation)))))
    if evaluation.absent and not options["benchmark"]:
        absent = ", ".join(evaluation.absent)
        say(f"not in {options['benchmarks']}, so not measured: {absent}")
