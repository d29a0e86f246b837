"""A plan with all that it takes to carry it out."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
from sface_data.faces.detector import Detector, open_detector
from sface_data.generator.generator_file import DEMO_GENERATOR, GeneratorFile, load_generator
from sface_data.generator.identities import draw_identities, with_identities
from sface_data.generator.sampler import check_plan, default_batch
from sface_data.runtime.devices import choose_device, choose_precision
from sface_data.runtime.progress import progress_bar

_QUALITY = 95


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


def plan_job(
    network: Path | None = None,
    *,
    classes: str | None = None,
    new_identities: int | None = None,
    identity_seed: int | None = None,
    mix: int | None = None,
    samples_per_class: int = 60,
    seed: int = 0,
    trunc: float = 1.0,
    trunc_cutoff: int | None = None,
    trunc_center: str = "global",
    noise_mode: Any = "const",
    size: int = 112,
    align: str = "none",
    detector: str = "buffalo_l",
    format: str = "jpg",
    quality: int | None = None,
    split: str = "train",
    samples_per_shard: int = 10_000,
    batch: int | None = None,
    device: str = "auto",
    precision: str = "auto",
) -> Job:
    """Plans a data set and opens what it takes; no folder is touched. For the arguments see `generate`.

    Raises:
        BadInput: for a network, a detector or a device that cannot be used, and for options that do not fit them.
    """
    where = choose_device(device)
    file = load_generator(network or DEMO_GENERATOR)
    config = file.generator.config
    identities = _identities(new_identities, identity_seed, mix)
    finder = open_detector(detector, device) if align == "detect" else None
    if quality is None and format != "png":
        quality = _QUALITY
    center_samples = CENTER_SAMPLES if trunc_center == "class" else None
    chosen: Any = choose_precision(precision, where, config.conv_clamp)
    plan = SamplePlan(
        generator_sha256=file.generator_sha256,
        generator_classes=config.c_dim,
        classes=_classes(file, classes, new_identities),
        samples_per_class=samples_per_class,
        base_seed=seed,
        truncation=Truncation(trunc, trunc_cutoff, trunc_center, center_samples),
        noise_mode=noise_mode,
        precision=chosen,
        image=ImageFormat(size, format, quality),
        split=split,
        samples_per_shard=samples_per_shard,
        align=None if finder is None else Alignment(finder.sha256),
        identities=identities,
    )
    check_plan(plan, file.generator)
    drawn = None
    if identities is not None:
        drawn = _drawn(file, identities, len(plan.classes))
        file = dataclasses.replace(file, generator=with_identities(file.generator, drawn.embeddings))
    return Job(plan, file, where, batch or default_batch(where, config, size), finder, drawn)


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
            raise BadInput(f"{new_identities} new identities are asked for; it must be at least 1")
        return tuple(range(new_identities))
    if ranges is None:
        return tuple(range(max(count, 1)))
    if count == 0:
        raise BadInput(f"{file.path}: an unconditional network has no classes; leave out --classes")
    return parse_ranges(ranges)
