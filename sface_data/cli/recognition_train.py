"""`sface-data recognition train`."""

from pathlib import Path
from typing import Any

import click

from sface_data import api
from sface_data.cli.options import (
    DEVICE,
    RUN_SEED,
    SKIP_BROKEN,
    Finite,
    NamedPath,
    SourcePath,
    remember_batch_of_run,
    say,
    say_left_out,
)
from sface_data.embedding.backbone_names import BACKBONES
from sface_data.recognition.recipe import AUGMENTATIONS, MARGINS, PRESETS, RECIPES
from sface_data.runtime.arguments import MOST


@click.command(short_help="Train a network that embeds faces")
@click.option(
    "--data",
    metavar="SOURCE",
    required=True,
    type=SourcePath(path_type=Path),
    help="Labelled, aligned faces: a folder that `generate` made, other WebDataset shards, a folder per "
    "identity, RecordIO (.rec), LMDB (.lmdb), Parquet or a folder of `datasets`. Other sizes than 112 pixels "
    "are resized.",
)
@click.option(
    "--outdir",
    metavar="DIR",
    required=True,
    type=NamedPath(path_type=Path, file_okay=False),
    help="Folder of the run: new, empty, or one to go on with.",
)
@click.option(
    "--recipe",
    type=click.Choice(list(RECIPES)),
    required=True,
    help="What is learned: the classes, the embeddings of a teacher, or both.",
)
@click.option(
    "--preset",
    type=click.Choice(list(PRESETS)),
    default="sface",
    show_default=True,
    help="How: as published (iResNet-50, 64 epochs, for GPUs), or small, for two CPU cores.",
)
@click.option(
    "--teacher",
    metavar="FILE|demo",
    type=NamedPath(path_type=Path),
    help="Of kt and cls-kt: weights of a run, a published .pth, or an .onnx of [N,3,112,112] to [N,D].",
)
@click.option(
    "--teacher-channels",
    type=click.Choice(["rgb", "bgr"]),
    default="rgb",
    show_default=True,
    help="Order of colours that the teacher was trained with; an .onnx says so itself.",
)
@click.option(
    "--backbone",
    type=click.Choice(list(BACKBONES)),
    help="The network.  [default: that of the preset]",
)
@click.option(
    "--dimensions",
    metavar="N",
    type=click.IntRange(min=2, max=65536),
    help="Of the embedding; a teacher must have as many.  [default: that of the preset]",
)
@click.option(
    "--margin",
    type=click.Choice(list(MARGINS)),
    help="Of the head: CosFace 0.35, ArcFace 0.5, ElasticFace-Cos 0.35 and 0.05, AdaFace 0.4.  [default: cosface]",
)
@click.option(
    "--epochs",
    metavar="N",
    type=Finite(min=0, min_open=True),
    help="Length of the run; the schedule follows in proportion.  [default: that of the preset]",
)
@click.option(
    "--batch",
    metavar="N",
    type=click.IntRange(2, MOST),
    callback=remember_batch_of_run,
    help="Images a step, over all processes; the learning rate follows.  [default: that of the preset]",
)
@click.option(
    "--learning-rate",
    metavar="RATE",
    type=Finite(min=0, min_open=True),
    help="For a batch of 512.  [default: that of the preset]",
)
@click.option(
    "--augment",
    type=click.Choice(list(AUGMENTATIONS)),
    default="none",
    show_default=True,
    help="On top of mirroring: strong changes pose, light, resolution and compression.",
)
@RUN_SEED
@SKIP_BROKEN
@click.option(
    "--checkpoint-epochs",
    metavar="N",
    type=Finite(min=0.0001),
    default=1.0,
    show_default=True,
    help="Epochs between two checkpoints.",
)
@click.option(
    "--benchmarks",
    metavar="DIR",
    type=NamedPath(path_type=Path, exists=True, file_okay=False),
    help="Folder of benchmarks (see `recognition eval`) that the network is measured on along the way.",
)
@click.option(
    "--eval-every",
    metavar="N",
    type=click.IntRange(0, MOST),
    default=0,
    show_default=True,
    help="Steps between two measurements on --benchmarks; at the end there is always one.",
)
@DEVICE
@click.option(
    "--precision",
    type=click.Choice(["auto", "fp32", "bf16"]),
    default="auto",
    show_default=True,
    help="Of the backbone. auto: bf16 on a GPU and on a CPU that computes it natively, else fp32.",
)
@click.option(
    "--threads",
    metavar="N",
    type=click.IntRange(1, MOST),
    default=2,
    show_default=True,
    help="Threads that read and decode ahead, in each process.",
)
def train(data: Path, **options: Any) -> None:
    """Train a network that embeds faces, on labelled faces.

    It can be stopped at any moment: run the same command again and it goes on from the last checkpoint; on
    a CPU, with as many threads and the same versions of libraries, to the same bytes. With torchrun several
    processes share the work of each step.

    \b
    Examples:
      sface-data recognition train --data out --outdir run --recipe cls --preset tiny
      sface-data recognition train --data out --outdir run2 --recipe cls-kt --teacher teacher.onnx
      torchrun --nproc-per-node 4 -m sface_data recognition train --data set --outdir run --recipe cls
    """
    run = api.train_recognition(data, **options)
    if run.rank == 0:
        say(f"{run.weights.parent}: {run.epochs:g} epochs; {run.weights.name} is the network")
        say_left_out(data, run.left_out)
