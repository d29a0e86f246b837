"""`sface-data card`."""

from pathlib import Path

import click

from sface_data.cli.options import DATASET, LICENCE


@click.command()
@DATASET
@LICENCE
def card(directory: Path, licence: str | None) -> None:
    """Write the card of a data set anew, with datasheet, citation, licence and what other readers look for.

    What was edited by hand is kept as README.md.old and so on; answers in DATASHEET.md stay where they are.
    Without --licence the licence stays. Results of recognition are taken from evaluation.json, if it is there.

    \b
    Example:
      sface-data card faces --licence cc-by-4.0
    """
    from sface_data.dataset.manifest import Manifest
    from sface_data.release.contents import write_card

    written = write_card(directory, Manifest.load(directory), licence)
    for path in written:
        click.echo(f"{path}: written", err=True)
    if not written:
        click.echo(f"{directory}: everything is up to date", err=True)
