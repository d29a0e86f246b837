"""A plan with all that it takes to carry it out."""

import dataclasses
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from sface_data.dataset.drawn_identities import DrawnIdentities
from sface_data.dataset.plan import (
    CENTER_SAMPLES,
    Alignment,
    ImageFormat,
    NewIdentities,
    SamplePlan,
    Truncation,
    parse_ranges,
)
from sface_data.errors import BadInput
from sface_data.faces.detector import Detector
from sface_data.faces.open_detector import open_detector
from sface_data.generator.generator_file import DEMO_GENERATOR, GeneratorFile, load_generator
from sface_data.generator.identities import draw_identities, with_identities
from sface_data.generator.sampler import check_plan, default_batch
from sface_data.runtime.arguments import Align, Count, StrPath
from sface_data.runtime.devices import choose_device, choose_precision
from sface_data.runtime.progress import progress_bar

_QUALITY = 95


@dataclass(frozen=True, kw_only=True)
class PlanOptions:
    """What a data set is planned from.

    Attributes:
        network: generator: a StyleGAN2-ADA snapshot (.pkl; nothing in it is executed) or .safetensors; the one
            that ships by default.
        classes: ranges such as `0-9,12,20-29`; all by default.
        new_identities: draw so many classes that the generator was not trained on, in place of `classes`.
        identity_seed: what that draw derives from; 0 by default.
        mix: make each new identity an equal mixture of so many training classes.
        samples_per_class: images of each class.
        seed: what the seeds of all images derive from.
        trunc: truncation psi, 0 to 2; 1 for full variety.
        trunc_cutoff: truncate only the first layers, so many; all by default.
        trunc_center: `global`: towards the mean w of all classes; `class`: of the image's class.
        noise_mode: `const`: the network's own; `random`: drawn for each image from its seed; `none`.
        size: height and width of the images in pixels; the generator's are resized to it.
        align: `detect`: find the face in each image and put its landmarks where ArcFace has them; `none`.
        detector: for `align="detect"`: `mtcnn`, which ships; an .onnx file that insightface runs, or the name of a
            model in `~/.insightface/models`.
        format: `jpg`, `png` or `webp`.
        quality: 1 to 100, for jpg and webp; 95 by default.
        split: name of the split.
        samples_per_shard: images per tar.
        batch: images at a time; 64 by default, fewer for large networks on a CPU.
        device: `auto`, `cpu`, `cuda` or `cuda:1`.
        precision: of the convolutions: `auto`, `fp32`, `bf16` or `fp16`.
    """

    network: StrPath | None = None
    classes: str | None = None
    new_identities: int | None = None
    identity_seed: int | None = None
    mix: int | None = None
    samples_per_class: int = 60
    seed: int = 0
    trunc: float = 1.0
    trunc_cutoff: int | None = None
    trunc_center: Literal["global", "class"] = "global"
    noise_mode: Literal["const", "random", "none"] = "const"
    size: int = 112
    align: Align = "none"
    detector: StrPath = "mtcnn"
    format: Literal["jpg", "png", "webp"] = "jpg"
    quality: int | None = None
    split: str = "train"
    samples_per_shard: int = 10_000
    batch: Count | None = None
    device: str = "auto"
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"


@dataclass(frozen=True)
class Job:
    """A data set to be made.

    Attributes:
        network: the generator that the plan names; with new identities, they are its classes.
        device: where images are made.
        batch: images at a time.
        detector: the one that the plan names, if it aligns.
        identities: those that the plan asks for.
    """

    plan: SamplePlan
    network: GeneratorFile
    device: torch.device
    batch: int
    detector: Detector | None = None
    identities: DrawnIdentities | None = None


def plan_job(options: PlanOptions) -> Job:
    """Plans a data set and opens what it takes; no folder is touched.

    Raises:
        BadInput: for a network, a detector or a device that cannot be used, and for options that do not fit them.
    """
    where = choose_device(options.device)
    file = load_generator(DEMO_GENERATOR if options.network is None else Path(options.network))
    config = file.generator.config
    finder = open_detector(os.fspath(options.detector), str(where)) if options.align == "detect" else None
    plan = _plan(options, file, choose_precision(options.precision, where, config.conv_clamp), finder)
    check_plan(plan, file.generator)
    drawn = None
    if plan.identities is not None:
        drawn = _drawn(file, plan.identities, len(plan.classes))
        file = dataclasses.replace(file, generator=with_identities(file.generator, drawn.embeddings))
    return Job(plan, file, where, options.batch or default_batch(where, config, options.size), finder, drawn)


def _plan(options: PlanOptions, file: GeneratorFile, precision: Any, finder: Detector | None) -> SamplePlan:
    quality = _QUALITY if options.quality is None and options.format != "png" else options.quality
    samples = CENTER_SAMPLES if options.trunc_center == "class" else None
    return SamplePlan(
        generator_sha256=file.generator_sha256,
        generator_classes=file.generator.config.c_dim,
        classes=_classes(file, options.classes, options.new_identities),
        samples_per_class=options.samples_per_class,
        base_seed=options.seed,
        truncation=Truncation(options.trunc, options.trunc_cutoff, options.trunc_center, samples),
        noise_mode=options.noise_mode,
        precision=precision,
        image=ImageFormat(options.size, options.format, quality),
        split=options.split,
        samples_per_shard=options.samples_per_shard,
        align=None if finder is None else Alignment(finder.sha256),
        identities=_identities(options.new_identities, options.identity_seed, options.mix),
        training_identities=file.trained_on.identities,
    )


def _identities(count: int | None, seed: int | None, mix: int | None) -> NewIdentities | None:
    if count is not None:
        return NewIdentities(seed or 0, mix)
    if seed is not None or mix is not None:
        option = "--mix" if seed is None else "--identity-seed"
        raise BadInput(f"{option} is of new identities; say how many with --new-identities N")
    return None


def _drawn(file: GeneratorFile, identities: NewIdentities, count: int) -> DrawnIdentities:
    try:
        with progress_bar(count, "identities") as bar:
            return draw_identities(file.generator, identities, count, bar.update)
    except BadInput as error:
        raise BadInput(f"{file.path}: {error}") from error


def _classes(file: GeneratorFile, ranges: str | None, new_identities: int | None) -> tuple[int, ...]:
    """The classes asked for; all of the generator by default."""
    count = file.generator.config.c_dim
    if new_identities is not None:
        if ranges is not None:
            raise BadInput(
                "--classes are those that the network was trained on; leave it out with --new-identities"
            )
        if count == 0:
            raise BadInput(f"{file.path}: an unconditional network has no classes to draw new identities from")
        if not 1 <= new_identities < 1_000_000_000:
            raise BadInput(f"{new_identities} new identities are asked for; it must be 1 to 999,999,999")
        return tuple(range(new_identities))
    if ranges is None:
        return tuple(range(max(count, 1)))
    if count == 0:
        raise BadInput(f"{file.path}: an unconditional network has no classes; leave out --classes")
    return parse_ranges(ranges)
