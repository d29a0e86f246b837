"""Arguments and options that several commands share."""

import math
import os
import re
from pathlib import Path
from typing import Any

import click

from sface_data.cli.ending import REMEDY_KEY
from sface_data.errors import shown
from sface_data.release.licences import DEFAULT_LICENCE, DEMO_LICENCE, LICENCES
from sface_data.runtime.arguments import LARGEST_SEED, MOST


def say(sentence: str) -> None:
    """Prints a sentence on standard error, with nothing of a file's name acting on the terminal."""
    click.echo(shown(sentence), err=True)


def say_left_out(data: Path, count: int) -> None:
    """Says how many images of some faces could not be decoded, if any."""
    if count:
        say(f"{data}: {count:,} images left out, as they cannot be decoded")


def remember_batch(ctx: click.Context, param: click.Parameter, value: int | None) -> int | None:
    """Says what helps when memory runs out: fewer images at a time, on which the result does not depend."""
    if value != 1:
        fewer = "a smaller --batch" if value is None else f"--batch {value // 2}"
        ctx.meta[REMEDY_KEY] = f"run the same command again with {fewer}, or with more memory"
    return value


def remember_batch_of_run(ctx: click.Context, param: click.Parameter, value: int | None) -> int | None:
    """The same of a training run, which depends on its batch; any number of processes may go on with it."""
    ctx.meta[REMEDY_KEY] = (
        "run the same command again with more memory or, by torchrun, on more GPUs or machines, or start a run "
        "with a smaller --batch in another folder"
    )
    return value


def warn_of_name(directory: Path) -> None:
    """Says it if `datasets` will not take the path of a data set as it is."""
    from sface_data.release.folder_name import name_warning

    if (warning := name_warning(directory)) is not None:
        say(warning)


class NamedPath(click.Path):
    """A path of this machine that is not empty; an empty one, as from an unset variable, would be this folder.

    `~` is the home of the user, also where the shell has left it (`--outdir=~/faces`).
    """

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path, as `click.Path` has it."""
        if value == "":
            self.fail("The path is empty.", param, ctx)
        if isinstance(value, str) and _ADDRESS.match(value):
            self.fail(f"{value} is an address; files are read and written on this machine only.", param, ctx)
        if isinstance(value, str) and value.startswith("~"):
            value = os.path.expanduser(value)  # noqa: PTH111 (which raises where there is no such user)
        return super().convert(value, param, ctx)


class SourcePath(NamedPath):
    """Labelled faces: a path of this machine, or an address on the hub (`hf://ORG/NAME`)."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path; of an address, as `pathlib` spells it."""
        if isinstance(value, str) and value.startswith("hf://"):
            return Path(value)
        return super().convert(value, param, ctx)


class Finite(click.FloatRange):
    """A number in a range, and neither infinite nor NaN, which is in every range for click."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number, as `click.FloatRange` has it."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number.", param, ctx)
        return number


_ADDRESS = re.compile("[A-Za-z][A-Za-z0-9+.-]*://")
DATASET = click.argument("directory", metavar="DIR", type=NamedPath(path_type=Path, exists=True, file_okay=False))
OUTDIR = click.option(
    "--outdir",
    metavar="DIR",
    required=True,
    type=NamedPath(path_type=Path),
    help="Folder of the data set: new, empty, or one to go on with.",
)
LICENCE = click.option(
    "--licence",
    type=click.Choice(list(LICENCES)),
    help=f"Licence of the data set.  [default: the one it has, else {DEMO_LICENCE} for images of the generator "
    f"that ships, {DEFAULT_LICENCE} (that of SFace) for others]",
)
ALIGN = click.option(
    "--align",
    type=click.Choice(["none", "detect"]),
    default="none",
    show_default=True,
    help="detect: find the face in each image and put its five landmarks where ArcFace has them.",
)
DETECTOR = click.option(
    "--detector",
    metavar="FILE|NAME",
    default="mtcnn",
    show_default=True,
    help="For --align detect: mtcnn, which ships; or a detector that insightface runs (SCRFD, RetinaFace), as "
    ".onnx file or by the name of a model in ~/.insightface/models. Nothing is downloaded.",
)
BATCH = click.option(
    "--batch",
    metavar="N",
    type=click.IntRange(1, MOST),
    default=64,
    show_default=True,
    callback=remember_batch,
    help="Images at a time.",
)
DEVICE = click.option(
    "--device", metavar="NAME", default="auto", show_default=True, help="auto, cpu, cuda or cuda:1."
)
ENGINE = click.option(
    "--engine",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="What does the work: this machine, or a cluster of Ray (pip install ray).",
)
ADDRESS = click.option(
    "--address",
    metavar="ADDRESS",
    help="Of the Ray cluster, as in auto or 10.0.0.1:6379.  [default: that of RAY_ADDRESS, else one on this "
    "machine]",
)
SKIP_BROKEN = click.option(
    "--skip-broken", is_flag=True, help="Leave out images that cannot be decoded, and count them."
)
RUN_SEED = click.option(
    "--seed",
    metavar="N",
    type=click.IntRange(0, LARGEST_SEED),
    default=0,
    show_default=True,
    help="Seed of all random choices.",
)
