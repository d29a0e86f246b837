"""`sface-data preview`."""

from pathlib import Path

import click

from sface_data.cli.options import DATASET, NamedPath
from sface_data.errors import BadInput


@click.command()
@DATASET
@click.option("--out", metavar="FILE", required=True, type=NamedPath(path_type=Path), help="The PNG to write.")
def preview(directory: Path, out: Path) -> None:
    """Draw a contact sheet of a data set: rows are classes, columns are images of the class.

    \b
    Example:
      sface-data preview faces --out grid.png
    """
    from sface_data.dataset.manifest import Manifest
    from sface_data.release.preview import write_preview

    if out.suffix.lower() != ".png":
        raise BadInput(f"{out}: the name of the picture must end in .png")
    write_preview(directory, Manifest.load(directory), out)
    click.echo(f"{out}: written", err=True)
