"""`sface-data generator`."""

import json
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
from sface_data.generator.recipe import PRESETS
from sface_data.runtime.arguments import MOST


@click.group(short_help="Train, measure, inspect or convert generators")
def generator() -> None:
    """Generators: train one, measure it, say what a file holds, convert it."""


@generator.command(short_help="Convert a snapshot into a .safetensors file")
@click.argument("source", metavar="IN.pkl", type=NamedPath(path_type=Path))
@click.argument("target", metavar="OUT.safetensors", type=NamedPath(path_type=Path))
@click.option("--overwrite", is_flag=True, help="Replace OUT.safetensors if it exists.")
def convert(source: Path, target: Path, overwrite: bool) -> None:
    """Convert a published StyleGAN2-ADA snapshot into a file that cannot execute anything.

    The averaged generator (G_ema) is kept, with its configuration in the metadata. Images and the digest of
    the generator stay the same.

    \b
    Example:
      sface-data generator convert network-snapshot.pkl network.safetensors
    """
    file = api.convert_generator(source, target, overwrite=overwrite)
    say(f"{target}: written, generator {file.generator_sha256[:12]}")


@generator.command(short_help="Say what a generator's file holds")
@click.argument("path", metavar="FILE", type=NamedPath(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON on standard output.")
def info(path: Path, as_json: bool) -> None:
    """Say what a file of a generator holds, without executing anything in it.

    \b
    Example:
      sface-data generator info network.safetensors
    """
    loaded = api.load_generator(path)
    config = loaded.generator.config
    rows = {
        "resolution": config.img_resolution,
        "classes": config.c_dim,
        "parameters": sum(parameter.numel() for parameter in loaded.generator.parameters()),
        "z_dim": config.z_dim,
        "w_dim": config.w_dim,
        "mapping_layers": config.mapping_layers,
        "channel_base": config.channel_base,
        "channel_max": config.channel_max,
        "conv_clamp": config.conv_clamp,
        "layout": loaded.layout,
        "generator_sha256": loaded.generator_sha256,
        "file_sha256": loaded.file_sha256,
        "faces_sha256": loaded.trained_on.faces_sha256,
        "faces_left_out": loaded.trained_on.faces_left_out,
    }
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    for name, value in rows.items():
        shown = f"{value:,}" if name in ("classes", "parameters") else "none" if value is None else str(value)
        click.echo(f"{name.replace('_', ' '):18} {shown}")


@generator.command(short_help="Train a class-conditional generator")
@click.option(
    "--data",
    metavar="SOURCE",
    required=True,
    type=SourcePath(path_type=Path),
    help="Labelled square faces, the side a power of two: a folder per identity, WebDataset shards, RecordIO "
    "(.rec), LMDB (.lmdb), Parquet or a folder of `datasets`.",
)
@click.option(
    "--outdir",
    metavar="DIR",
    required=True,
    type=NamedPath(path_type=Path, file_okay=False),
    help="Folder of the run: new, empty, or one to go on with.",
)
@click.option(
    "--preset",
    type=click.Choice(list(PRESETS)),
    default="demo",
    show_default=True,
    help="Recipe: a small one, 16 to 64 pixels, that two CPU cores train in two and a half hours (demo), or twice "
    "as wide and seven times as long, for a quarter of an hour of a GPU (demo-gpu); or that of SFace, 128 pixels, "
    "for GPUs, as it was published or grown from 32 pixels.",
)
@click.option(
    "--resolution",
    metavar="PIXELS",
    type=click.IntRange(8, MOST),
    help="Side of the images of the last stage; a run that ended at a lower one goes on to a higher one.  "
    "[default: that of the preset]",
)
@click.option(
    "--kimg",
    metavar="KIMG",
    type=Finite(min=0, min_open=True),
    help="Length of the run, all stages, in thousands of images.  [default: that of the preset]",
)
@click.option(
    "--batch",
    metavar="N",
    type=click.IntRange(1, MOST),
    callback=remember_batch_of_run,
    help="Images a step, over all processes, in every stage.  [default: that of the preset]",
)
@click.option(
    "--gamma",
    metavar="GAMMA",
    type=Finite(min=0),
    help="Weight of the gradient penalty R1 in every stage.  [default: that of the preset]",
)
@click.option(
    "--init",
    metavar="FILE",
    type=NamedPath(path_type=Path),
    help="Generator to start from, in the stage of its resolution: one trained with this preset on as many "
    "classes.  [default: random weights]",
)
@RUN_SEED
@SKIP_BROKEN
@click.option(
    "--checkpoint-kimg",
    metavar="KIMG",
    type=Finite(min=0.001),
    default=10.0,
    show_default=True,
    help="Thousands of images between two checkpoints.",
)
@click.option(
    "--tensorboard", is_flag=True, help="Write the metrics for TensorBoard as well (an extra of this package)."
)
@DEVICE
@click.option(
    "--precision",
    type=click.Choice(["auto", "fp32", "bf16"]),
    default="auto",
    show_default=True,
    help="Of the convolutions. auto: bf16 on a GPU and on a CPU that computes it natively, else fp32.",
)
def train(data: Path, **options: Any) -> None:
    """Train a class-conditional generator: StyleGAN2 with adaptive discriminator augmentation.

    It goes through the stages of the recipe, from small images to large ones. It can be stopped at any moment:
    run the same command again and it goes on from the last checkpoint; on a CPU, with as many threads and the
    same versions of libraries, to the same bytes. With torchrun several processes share the work of each step.

    \b
    Examples:
      sface-data render --outdir faces --identities 1000 --images-per-identity 30 --size 64
      sface-data generator train --data faces --outdir run
      torchrun --nproc-per-node 4 -m sface_data generator train --data set --outdir run --preset sface
    """
    run = api.train_generator(data, **options)
    if run.rank == 0:
        say(
            f"{run.weights.parent}: {run.images / 1000:g} kimg, {run.resolution} pixels; {run.weights.name} is "
            "the generator, and the newest samples-*.png shows it",
        )
        say_left_out(data, run.left_out)


@generator.command(short_help="Measure a generator against its training faces")
@click.argument("network", metavar="FILE", type=NamedPath(path_type=Path))
@click.option(
    "--data",
    metavar="SOURCE",
    required=True,
    type=SourcePath(path_type=Path),
    help="The faces that the generator was trained on.",
)
@click.option(
    "--embedder",
    metavar="FILE|demo",
    required=True,
    type=NamedPath(path_type=Path),
    help="Embedder of faces, as for `sface-data embed`.",
)
@click.option(
    "--classes",
    metavar="N",
    type=click.IntRange(2, MOST),
    default=64,
    show_default=True,
    help="Classes to look at, spread over all.",
)
@click.option(
    "--images-per-class",
    metavar="N",
    type=click.IntRange(2, MOST),
    default=50,
    show_default=True,
    help="Images of each class, made and real.",
)
@click.option(
    "--inception",
    metavar="FILE.pth",
    type=NamedPath(path_type=Path),
    help="Weights of Inception as torch-fidelity (an extra of this package) publishes them: adds the Frechet "
    "distance that papers report. It needs some 10,000 images to mean the same as theirs.",
)
@SKIP_BROKEN
@click.option("--json", "as_json", is_flag=True, help="Print JSON on standard output.")
def metrics(as_json: bool, **options: Any) -> None:
    """Measure a generator against the faces it was trained on, in the feature space of an embedder.

    Frechet and kernel distance, precision and recall; how well the made classes are told apart (AUC, EER,
    FDR), how much images of a class differ (1 - mean cosine similarity), and whether a made class is its real
    namesake (made against real). Images are enlarged to the embedder's size.

    \b
    Example:
      sface-data generator metrics run/generator.safetensors --data faces --embedder judge.onnx
    """
    rows = api.evaluate_generator(**options)
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    for name, value in rows.items():
        shown = f"{value:,}" if isinstance(value, int) else f"{value:.4f}"
        click.echo(f"{name.replace('_', ' '):26} {shown}")
