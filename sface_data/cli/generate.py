"""`sface-data generate`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sface_data.cli.options import ALIGN, DETECTOR, DEVICE, LICENCE, NamedPath
from sface_data.dataset.plan import (
    CENTER_SAMPLES,
    IMAGE_FORMATS,
    NOISE_MODES,
    PRECISIONS,
    TRUNCATION_CENTERS,
    Alignment,
    ImageFormat,
    SamplePlan,
    Truncation,
    parse_ranges,
)
from sface_data.errors import BadInput

if TYPE_CHECKING:
    from sface_data.faces.detector import Detector
    from sface_data.generator.generator_file import GeneratorFile


@click.command()
@click.option(
    "--outdir",
    metavar="DIR",
    required=True,
    type=NamedPath(path_type=Path),
    help="Folder of the data set: new, empty, or one to go on with.",
)
@click.option(
    "--network",
    metavar="FILE",
    type=NamedPath(path_type=Path),
    help="Generator: a StyleGAN2-ADA snapshot (.pkl; nothing in it is executed), or .safetensors.  "
    "[default: the one that ships, 32 identities of rendered faces in 64x64]",
)
@click.option("--classes", metavar="RANGES", help="Classes to draw, as in 0-9,12,20-29.  [default: all]")
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
    "image_format",
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
    type=click.IntRange(min=1),
    help="Images at a time.  [default: 64; fewer for large networks on a CPU]",
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
@click.option("--overwrite", is_flag=True, help="Replace the data set of another plan that the folder holds.")
def generate(
    outdir: Path,
    network: Path | None,
    device: str,
    batch: int | None,
    licence: str | None,
    dry_run: bool,
    overwrite: bool,
    **options: Any,
) -> None:
    """Make a class-labelled data set of synthetic faces, as WebDataset shards.

    With --align detect, faces are first looked for: a class draws its next image for each in which none is found,
    up to ten times the images asked for; alignment.safetensors has which they are. Each image is then made twice.

    It can be stopped at any moment: run the same command again, and only what is missing is made.

    \b
    Examples:
      sface-data generate --outdir faces --samples-per-class 8
      sface-data generate --network network.pkl --outdir faces --classes 0-99 --samples-per-class 60
    """
    from sface_data.dataset.workspace import open_workspace
    from sface_data.faces.detector import open_detector
    from sface_data.generation.build import build, estimate
    from sface_data.generator.generator_file import DEMO_GENERATOR, load_generator
    from sface_data.generator.sampler import check_plan, default_batch
    from sface_data.release.contents import finish
    from sface_data.release.licences import check_licence
    from sface_data.runtime.devices import choose_device

    where = choose_device(device)
    file = load_generator(network or DEMO_GENERATOR)
    detector = open_detector(options["detector"], device) if options["align"] == "detect" else None
    plan = _plan(file, str(where), options, detector)
    check_plan(plan, file.generator)  # before the folder is touched
    batch = batch or default_batch(where, file.generator.config, plan.image.size)
    if dry_run:
        _print_plan(plan, file, str(where), batch)
        return
    if overwrite:
        estimate(plan, file, where)  # what is there goes only if the new images can be made
    else:
        check_licence(outdir, licence)
    with open_workspace(outdir, plan, overwrite) as workspace:
        manifest = build(workspace, file, where, batch, detector)
        finish(workspace, manifest, licence)
    click.echo(
        f"{outdir}: {manifest.num_samples:,} images of {len(plan.classes):,} classes in {len(manifest.shards):,} "
        f"shards, {manifest.num_bytes / 1e6:,.1f} MB. "
        f"Look at {outdir / 'preview.png'}, read {outdir / 'README.md'}.",
        err=True,
    )


def _plan(file: "GeneratorFile", device: str, options: dict[str, Any], detector: "Detector | None") -> SamplePlan:
    import torch

    from sface_data.runtime.devices import choose_precision

    config = file.generator.config
    if config.c_dim == 0 and options["classes"] is not None:
        raise BadInput(f"{file.path}: an unconditional network has no classes; leave out --classes")
    classes = tuple(range(max(config.c_dim, 1)))
    if options["classes"] is not None:
        classes = parse_ranges(options["classes"])
    quality = options["quality"]
    if quality is None and options["image_format"] != "png":
        quality = 95
    precision: Any = choose_precision(options["precision"], torch.device(device), config.conv_clamp)
    center = options["trunc_center"]
    return SamplePlan(
        generator_sha256=file.generator_sha256,
        generator_classes=config.c_dim,
        classes=classes,
        samples_per_class=options["samples_per_class"],
        base_seed=options["seed"],
        truncation=Truncation(
            options["trunc"],
            options["trunc_cutoff"],
            center,
            CENTER_SAMPLES if center == "class" else None,
        ),
        noise_mode=options["noise_mode"],
        precision=precision,
        image=ImageFormat(options["size"], options["image_format"], quality),
        split=options["split"],
        samples_per_shard=options["samples_per_shard"],
        align=None if detector is None else Alignment(detector.sha256),
    )


def _print_plan(plan: SamplePlan, file: "GeneratorFile", device: str, batch: int) -> None:
    import torch

    from sface_data.dataset.plan import format_ranges
    from sface_data.generation.build import estimate

    size = estimate(plan, file, torch.device(device))
    resolution = file.generator.config.img_resolution
    rows = {
        "images": f"{plan.num_samples:,} ({len(plan.classes):,} classes x {plan.samples_per_class:,})",
        "classes": format_ranges(plan.classes),
        "shards": f"{plan.num_shards:,} of up to {plan.samples_per_shard:,} images",
        "bytes": f"about {size.num_bytes:,} (from {size.images} images made for it)",
        "image": f"{plan.image.size}x{plan.image.size} {plan.image.format}, from {resolution}x{resolution}",
        "aligned": "no" if plan.align is None else f"yes, by detector {plan.align.detector_sha256[:12]}",
        "generator": f"{file.path} ({plan.generator_sha256[:12]})",
        "device": f"{device}, {plan.precision}, batch {batch}",
        "fingerprint": plan.fingerprint,
    }
    for name, value in rows.items():
        click.echo(f"{name:12} {value}")
