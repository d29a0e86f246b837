"""`sface-data export`."""

from pathlib import Path
from typing import Any

import click

from sface_data import api
from sface_data.cli.options import DATASET, NamedPath, say


@click.command(short_help="Convert to RecordIO, folders, Parquet or LMDB")
@DATASET
@click.option(
    "--to",
    required=True,
    type=click.Choice(["rec", "folder", "parquet", "lmdb"]),
    help="rec: RecordIO, as arcface_torch reads it; folder: a folder per class; parquet: with columns image and "
    "label, as `datasets` and the hub show it; lmdb: as Vec2Face reads it.",
)
@click.option(
    "--outdir",
    metavar="DIR",
    required=True,
    type=NamedPath(path_type=Path),
    help="Folder of the export: new, empty, or one to go on with.",
)
def export(directory: Path, outdir: Path, **options: Any) -> None:
    """Write a data set in another form that trainers take, image files as they are.

    What was written is read again and compared with the shards. Certificate, report and licence go along.

    It can be stopped at any moment: run the same command again, and it goes on where it was.

    \b
    Examples:
      sface-data export faces --to rec --outdir faces-rec
      sface-data export faces --to parquet --outdir faces-parquet
    """
    done = api.export(directory, outdir, **options)
    say(f"{outdir}: {done.num_images:,} images, the same as in {directory}; its README.md says how to read them")
