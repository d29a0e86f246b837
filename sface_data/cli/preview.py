"""`sface-data preview`."""

from pathlib import Path

import click

from sface_data import api
from sface_data.cli.options import DATASET, NamedPath, say


@click.command(short_help="Draw a contact sheet")
@DATASET
@click.option("--out", metavar="FILE", required=True, type=NamedPath(path_type=Path), help="The PNG to write.")
def preview(directory: Path, out: Path) -> None:
    """Draw a contact sheet of a data set: rows are classes, columns are images of the class.

    \b
    Example:
      sface-data preview faces --out grid.png
    """
    api.preview(directory, out)
    say(f"{out}: written")
