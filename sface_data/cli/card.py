"""`sface-data card`."""

from pathlib import Path
from typing import Any

import click

from sface_data import api
from sface_data.cli.options import DATASET, LICENCE, say, warn_of_name


@click.command(short_help="Rewrite card, datasheet, citation and licence")
@DATASET
@LICENCE
def card(directory: Path, **options: Any) -> None:
    """Write the card of a data set anew, with datasheet, citation, licence and what other readers look for.

    Of README.md, DATASHEET.md and CITATION.cff only what stands between the marks of sface-data is written, and
    the front matter where it is not what the manifest says; your words around them stay as they are. A block that
    was deleted comes back after the one before it.

    Without --licence the licence stays. Results of recognition are taken from evaluation.json, if it is there.

    \b
    Example:
      sface-data card faces --licence cc-by-4.0
    """
    written = api.write_card(directory, **options)
    warn_of_name(directory)
    for path in written:
        say(f"{path}: written")
    if not written:
        say(f"{directory}: everything is up to date")
