"""`sface-data render`: a folder of rendered faces."""

from pathlib import Path
from typing import Any

import click

from sface_data import api
from sface_data.cli.options import Finite, NamedPath, say
from sface_data.errors import counted
from sface_data.runtime.arguments import LARGEST_SEED


@click.command(short_help="Render faces of people who do not exist")
@click.option(
    "--outdir",
    type=NamedPath(file_okay=False, path_type=Path),
    required=True,
    help="Folder to fill; empty, or one that this command did not finish.",
)
@click.option(
    "--identities", metavar="N", type=click.IntRange(1, 999_999), required=True, help="Number of identities."
)
@click.option(
    "--images-per-identity",
    metavar="N",
    type=click.IntRange(1, 999_999),
    required=True,
    help="Images of each identity.",
)
@click.option(
    "--size",
    metavar="PIXELS",
    type=click.IntRange(16, 1024),
    default=112,
    show_default=True,
    help="Side of the images in pixels.",
)
@click.option(
    "--seed",
    metavar="N",
    type=click.IntRange(0, LARGEST_SEED),
    default=0,
    show_default=True,
    help="Another seed, other faces.",
)
@click.option(
    "--strength",
    metavar="X",
    type=Finite(0, 1.5),
    default=0.8,
    show_default=True,
    help="How much pose, light, tint, sharpness and noise vary; 0 gives frontal faces.",
)
def render(outdir: Path, **options: Any) -> None:
    """Draw faces of people who do not exist, from a mesh and random numbers.

    Fills DIR/000000/000000.jpg (identity / image) and so on with JPEG files aligned as ArcFace's are, and
    DIR/landmarks.csv with the exact five landmarks of each. The faces are in the public domain (CC0). An
    image depends on seed, size, strength, its identity and its number only; interrupted work goes on where it
    was.

    \b
    Example:
      sface-data render --outdir faces --identities 8 --images-per-identity 6
    """
    request = api.render(outdir, **options)
    say(f"{outdir}: {counted(len(request), 'image')} of {counted(request.identities, 'identity')}")
