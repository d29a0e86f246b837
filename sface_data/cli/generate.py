"""`sface-data generate`."""

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sface_data import api
from sface_data.cli.options import (
    ADDRESS,
    ALIGN,
    DETECTOR,
    DEVICE,
    ENGINE,
    LICENCE,
    OUTDIR,
    NamedPath,
    remember_batch,
    say,
    warn_of_name,
)
from sface_data.dataset.plan import (
    CENTER_SAMPLES,
    IMAGE_FORMATS,
    NOISE_MODES,
    PRECISIONS,
    TRUNCATION_CENTERS,
    format_ranges,
)
from sface_data.errors import counted, shown
from sface_data.runtime.arguments import MOST

if TYPE_CHECKING:
    from sface_data.generation.job import Job


@click.command(short_help="Generate a data set of synthetic faces")
@OUTDIR
@click.option(
    "--network",
    metavar="FILE",
    type=NamedPath(path_type=Path),
    help="Generator: a StyleGAN2-ADA snapshot (.pkl; nothing in it is executed), or .safetensors.  "
    "[default: the one that ships, 1,000 rendered identities in 64x64]",
)
@click.option("--classes", metavar="RANGES", help="Classes to draw, as in 0-9,12,20-29.  [default: all]")
@click.option(
    "--new-identities",
    metavar="N",
    type=int,
    help="Draw N classes that the generator was not trained on. The first of them are those of a smaller N.",
)
@click.option("--identity-seed", metavar="S", type=int, help="What that draw derives from.  [default: 0]")
@click.option(
    "--mix", metavar="K", type=int, help="Make each new identity an equal mixture of K training classes."
)
@click.option(
    "--samples-per-class", metavar="N", type=int, default=60, show_default=True, help="Images of each class."
)
@click.option(
    "--seed",
    metavar="N",
    type=int,
    default=0,
    show_default=True,
    help="What the seeds of all images derive from.",
)
@click.option(
    "--trunc",
    metavar="PSI",
    type=float,
    default=1.0,
    show_default=True,
    help="Truncation psi, 0 to 2: 1 for full variety, less for more typical faces.",
)
@click.option("--trunc-cutoff", metavar="N", type=int, help="Truncate only the first N layers.  [default: all]")
@click.option(
    "--trunc-center",
    type=click.Choice(TRUNCATION_CENTERS),
    default="global",
    show_default=True,
    help=f"Truncate towards the mean w of all classes, or of the image's class (over {CENTER_SAMPLES} z).",
)
@click.option(
    "--noise-mode",
    type=click.Choice(NOISE_MODES),
    default="const",
    show_default=True,
    help="Noise in the layers: the network's own, drawn for each image from its seed, or none.",
)
@click.option(
    "--size",
    metavar="PIXELS",
    type=int,
    default=112,
    show_default=True,
    help="Height and width of the images; the generator's are resized to it.",
)
@ALIGN
@DETECTOR
@click.option(
    "--format",
    type=click.Choice(IMAGE_FORMATS),
    default="jpg",
    show_default=True,
    help="How images are stored.",
)
@click.option("--quality", metavar="Q", type=int, help="1 to 100, for jpg and webp.  [default: 95]")
@click.option("--split", metavar="NAME", default="train", show_default=True, help="Name of the split.")
@click.option(
    "--samples-per-shard", metavar="N", type=int, default=10_000, show_default=True, help="Images per tar."
)
@click.option(
    "--batch",
    metavar="N",
    type=click.IntRange(1, MOST),
    callback=remember_batch,
    help="Images at a time.  [default: 64; fewer for large networks on a CPU, or on a GPU with little memory]",
)
@DEVICE
@click.option(
    "--precision",
    type=click.Choice(["auto", *PRECISIONS]),
    default="auto",
    show_default=True,
    help="Of the convolutions. auto: fp16 on a GPU (bf16 if the network does not clamp), "
    "bf16 on a CPU that computes it natively, else fp32.",
)
@LICENCE
@click.option("--dry-run", is_flag=True, help="Say what would be made, and make nothing.")
@click.option(
    "--overwrite",
    is_flag=True,
    help="Replace the data set of another plan that the folder holds, and shards made where images may come out "
    "otherwise (another device or version of torch).",
)
@click.option(
    "--workers",
    metavar="N",
    type=click.IntRange(1, 4096),
    help="Processes that make images.  [default: one per core, or per GPU]",
)
@click.option(
    "--part",
    metavar="I/N",
    help="Make every N-th shard from I (0 to N-1) on, beside others in the same folder; auto: as Slurm arrays or "
    "torchrun number this process. Whichever finds all shards there finishes the data set.",
)
@ENGINE
@ADDRESS
@click.option(
    "--extend",
    is_flag=True,
    help="Make more samples per class than the finished data set in the folder has: its full shards are kept, its "
    "certificate is not.",
)
def generate(outdir: Path, dry_run: bool, **options: Any) -> None:
    """Make a class-labelled data set of synthetic faces, as WebDataset shards.

    With --align detect, faces are first looked for: a class draws its next image for each in which none is found,
    up to ten times the images asked for; alignment.safetensors has which they are. Each image is then made twice.

    It can be stopped at any moment: run the same command again, and only what is missing is made.

    \b
    Examples:
      sface-data generate --outdir faces --samples-per-class 8
      sface-data generate --network network.pkl --outdir faces --classes 0-99 --samples-per-class 60
      sface-data generate --outdir new --new-identities 200 --samples-per-class 20
    """
    if dry_run:
        _print_plan(options)
        return
    from sface_data.release.card import counts

    manifest = api.generate(outdir, **options).manifest
    if (missing := manifest.plan.num_shards - len(manifest.shards)) > 0:
        say(
            f"{outdir}: {len(manifest.shards):,} of {manifest.plan.num_shards:,} shards are there; {missing:,} of "
            "other parts are missing, and the last one finishes the data set (or `sface-data merge`, if they lie "
            "in other folders)."
        )
        return
    warn_of_name(outdir)
    say(
        f"{outdir}: {counts(manifest)} in {counted(len(manifest.shards), 'shard')}, "
        f"{manifest.num_bytes / 1e6:,.1f} MB. Look at {outdir / 'preview.png'}, read {outdir / 'README.md'}.",
    )


def _identities(job: "Job") -> str:
    if job.identities is None or (asked := job.plan.identities) is None:
        return "those of the generator"
    if asked.mix is not None:
        return f"mixtures of {asked.mix} of {job.plan.generator_classes:,}, identity seed {asked.seed}"
    return f"new, identity seed {asked.seed}; {job.identities.rejected:,} draws rejected as too near"


def _print_plan(options: dict[str, Any]) -> None:
    from sface_data.generation.build import estimate
    from sface_data.generation.job import PlanOptions, plan_job

    job = plan_job(PlanOptions(**{field.name: options[field.name] for field in fields(PlanOptions)}))
    plan, config = job.plan, job.network.generator.config
    size = estimate(job)
    rows = {
        "images": f"{plan.num_samples:,} ({len(plan.classes):,} classes x {plan.samples_per_class:,})",
        "classes": format_ranges(plan.classes),
        "identities": _identities(job),
        "shards": f"{plan.num_shards:,} of up to {plan.samples_per_shard:,} images",
        "bytes": f"about {size.num_bytes:,} (from {size.images} images made for it)",
        "image": f"{plan.image.size}x{plan.image.size} {plan.image.format}, "
        f"from {config.img_resolution}x{config.img_resolution}",
        "aligned": "no" if plan.align is None else f"yes, by detector {plan.align.detector_sha256[:12]}",
        "generator": f"{job.network.path} ({plan.generator_sha256[:12]})",
        "device": f"{job.device}, {plan.precision}, batch {job.batch}",
        "fingerprint": plan.fingerprint,
    }
    for name, value in rows.items():
        click.echo(f"{name:12} {shown(value)}")
