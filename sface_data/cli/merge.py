"""`sface-data merge`."""

from pathlib import Path
from typing import Any

import click

from sface_data import api
from sface_data.cli.options import LICENCE, OUTDIR, NamedPath, say


@click.command(short_help="Join parts made in several folders")
@click.argument(
    "parts",
    metavar="PART...",
    nargs=-1,
    required=True,
    type=NamedPath(path_type=Path, exists=True, file_okay=False),
)
@OUTDIR
@LICENCE
def merge(parts: tuple[Path, ...], outdir: Path, **options: Any) -> None:
    """Put parts of a data set together that were made in several folders.

    Parts of one plan (`generate --part`), or finished data sets that differ in their classes alone. The result has
    the bytes of one run for the whole.

    \b
    Examples:
      sface-data merge half-0 half-1 --outdir faces
    """
    from sface_data.release.card import counts

    say(f"{outdir}: {counts(api.merge(parts, outdir, **options).manifest)}")
