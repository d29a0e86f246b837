"""Arguments and options that several commands share."""

from pathlib import Path

import click

from sface_data.release.texts import DEFAULT_LICENCE, LICENCES

DATASET = click.argument("directory", metavar="DIR", type=click.Path(path_type=Path, exists=True, file_okay=False))
LICENCE = click.option(
    "--licence",
    type=click.Choice(list(LICENCES)),
    help=f"Licence of the data set.  [default: {DEFAULT_LICENCE}, that of SFace]",
)
