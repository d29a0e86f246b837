"""Recipes of training: data, of which one loop makes runs."""

import bisect
import dataclasses
import itertools
import math
from dataclasses import dataclass
from typing import Literal

from sface_data.errors import BadInput
from sface_data.generator.config import DiscriminatorConfig, GeneratorConfig


@dataclass(frozen=True)
class Stage:
    """A part of a run, at one resolution.

    Attributes:
        resolution: height and width of the images in pixels.
        kimg: length in thousands of images; the last stage of a run goes on for as long as the run does.
        batch: images a step, over all processes.
        learning_rate: of Adam (betas 0 and 0.99), of both networks.
        r1_gamma: weight of the gradient penalty.
    """

    resolution: int
    kimg: float
    batch: int
    learning_rate: float
    r1_gamma: float

    @property
    def images(self) -> int:
        """Length in images, a multiple of the batch."""
        return math.ceil(round(self.kimg * 1000, 6) / self.batch) * self.batch


@dataclass(frozen=True)
class Recipe:
    """Everything that a training run depends on, but for its faces, its length and its random numbers.

    Attributes:
        stages: in order; none at a lower resolution than the one before. Where it rises, the networks grow.
        z_dim, w_dim, mapping_layers, channel_base, channel_max, conv_clamp: see `GeneratorConfig`.
        architecture, mbstd_group_size: of the discriminator, see `DiscriminatorConfig`.
        class_mapping_layers: depth of the network that embeds the class for the discriminator.
        class_codes: what embeddings of classes start from: `random` numbers, or their `mean faces`.
        reuse_fakes: the discriminator learns from the images that the generator has just learned from, not from
            new ones, which saves a pass of the generator in each step.
        r1_interval: steps between two computations of the gradient penalty.
        path_weight: weight of path-length regularisation; 0 leaves it out.
        path_interval: steps between two computations of it, over half of the batch.
        style_mixing: probability of a second z from a random layer on.
        ema_kimg: half-life of the averaged generator, in thousands of images.
        ema_rampup: its half-life is at most this share of the images since the networks grew.
        mirror: every face is also shown mirrored.
        augment: groups of transforms, of `augment.GROUPS`; empty for none.
        augment_target: what the mean sign of the discriminator's output on authentic faces is steered to.
        augment_kimg: thousands of images in which the strength can go from 0 to 1.
        augment_after: how often each face must have been shown before the strength rises from 0.

    Raises:
        BadInput: for stages that no run can have.
    """

    stages: tuple[Stage, ...]
    z_dim: int
    w_dim: int
    mapping_layers: int
    channel_base: int
    channel_max: int
    conv_clamp: float | None
    architecture: Literal["resnet", "orig", "skip"]
    class_mapping_layers: int
    class_codes: Literal["random", "mean faces"]
    mbstd_group_size: int
    reuse_fakes: bool
    r1_interval: int
    path_weight: float
    path_interval: int
    style_mixing: float
    ema_kimg: float
    ema_rampup: float
    mirror: bool
    augment: tuple[str, ...]
    augment_target: float
    augment_kimg: float
    augment_after: float

    def __post_init__(self) -> None:
        sides = [stage.resolution for stage in self.stages]
        for side in sides:
            if side < 8 or side & (side - 1):
                raise BadInput(f"a stage of {side} pixels: the side must be a power of two from 8 on")
        if any(stage.batch < 1 or stage.kimg <= 0 for stage in self.stages):
            raise BadInput("a stage has at least one image a step, and is longer than 0 kimg")
        if not sides or sides != sorted(sides):
            raise BadInput(f"stages of {sides} pixels: none may be smaller than the one before")
        if len(sides) > 1 and self.architecture != "skip":
            raise BadInput(
                f"a discriminator of the architecture {self.architecture} cannot be grown without changing what "
                "it says of images; several stages need the architecture skip"
            )

    @property
    def ends(self) -> tuple[int, ...]:
        """How many images the run has shown when each stage ends."""
        return tuple(itertools.accumulate(stage.images for stage in self.stages))

    @property
    def kimg(self) -> float:
        """Length of the run unless another is asked for, in thousands of images."""
        return self.ends[-1] / 1000

    def total(self, kimg: float) -> int:
        """Images of a run of `kimg` thousand, the last batch full. Raises BadInput if that is none."""
        wanted = round(kimg * 1000, 6)
        if wanted <= 0:
            raise BadInput(f"a run of {kimg:g} kimg shows no image; ask for more")
        starts = (0, *self.ends[:-1])
        start, stage = [pair for pair in zip(starts, self.stages, strict=True) if pair[0] < wanted][-1]
        return start + math.ceil((wanted - start) / stage.batch) * stage.batch

    def up_to(self, resolution: int) -> "Recipe":
        """The recipe without the stages above a resolution.

        Raises:
            BadInput: if it has no stage of that resolution.
        """
        sides = [stage.resolution for stage in self.stages]
        if resolution not in sides:
            there = ", ".join(map(str, dict.fromkeys(sides)))
            raise BadInput(
                f"the recipe has no stage of {resolution} pixels; it has {there}: take one of these, "
                "or another preset"
            )
        return dataclasses.replace(self, stages=self.stages[: bisect.bisect(sides, resolution)])

    def adjusted(self, batch: int | None = None, r1_gamma: float | None = None) -> "Recipe":
        """The recipe with another batch, or weight of the gradient penalty, in every stage."""
        changes = {"batch": batch, "r1_gamma": r1_gamma}
        given = {name: value for name, value in changes.items() if value is not None}
        stages = tuple(dataclasses.replace(stage, **given) for stage in self.stages)  # type: ignore[arg-type]
        return dataclasses.replace(self, stages=stages)

    def generator_config(self, resolution: int, classes: int) -> GeneratorConfig:
        """The generator of images of `resolution` pixels of `classes` classes."""
        return GeneratorConfig(
            z_dim=self.z_dim,
            c_dim=classes,
            w_dim=self.w_dim,
            img_resolution=resolution,
            mapping_layers=self.mapping_layers,
            channel_base=self.channel_base,
            channel_max=self.channel_max,
            conv_clamp=self.conv_clamp,
        )

    def discriminator_config(self, resolution: int, classes: int) -> DiscriminatorConfig:
        """The discriminator of images of `resolution` pixels of `classes` classes."""
        return DiscriminatorConfig(
            c_dim=classes,
            img_resolution=resolution,
            architecture=self.architecture,
            channel_base=self.channel_base,
            channel_max=self.channel_max,
            conv_clamp=self.conv_clamp,
            cmap_dim=min(self.channel_base // 4, self.channel_max),
            mapping_layers=self.class_mapping_layers,
            mbstd_group_size=self.mbstd_group_size,
        )


# The configuration `auto` of StyleGAN2-ADA for 128x128 on 4 GPUs, which SFace was trained with.
_SFACE = Recipe(
    stages=(Stage(resolution=128, kimg=25000, batch=64, learning_rate=0.0025, r1_gamma=0.0512),),
    z_dim=512,
    w_dim=512,
    mapping_layers=2,
    channel_base=16384,
    channel_max=512,
    conv_clamp=256.0,
    architecture="resnet",
    class_mapping_layers=8,
    class_codes="random",
    mbstd_group_size=4,
    reuse_fakes=False,
    r1_interval=16,
    path_weight=2.0,
    path_interval=4,
    style_mixing=0.9,
    ema_kimg=20.0,
    ema_rampup=0.05,
    mirror=True,
    augment=("pixels", "geometry", "colour"),  # `bgc` in the paper
    augment_target=0.6,
    augment_kimg=500.0,
    augment_after=0.0,
)
# The same, grown, which takes a discriminator that can be. Nobody has measured it.
_SFACE_GROWN = dataclasses.replace(
    _SFACE,
    stages=(
        Stage(resolution=32, kimg=3200, batch=64, learning_rate=0.0025, r1_gamma=0.0512),
        Stage(resolution=64, kimg=6400, batch=64, learning_rate=0.0025, r1_gamma=0.0512),
        Stage(resolution=128, kimg=15400, batch=64, learning_rate=0.0025, r1_gamma=0.0512),
    ),
    architecture="skip",
)
# What two CPU cores train in two and a half hours; `--kimg` trains for longer. R1 is at first much stronger than
# the usual 0.0002 resolution^2 / batch: it keeps the discriminator from winning, which with so few parameters it
# does within minutes. Once the generator keeps up, a weaker one lets the discriminator see what is left to learn.
_DEMO = Recipe(
    stages=(
        Stage(resolution=16, kimg=80, batch=32, learning_rate=0.004, r1_gamma=0.1),
        Stage(resolution=32, kimg=40, batch=32, learning_rate=0.003, r1_gamma=0.2),
        Stage(resolution=64, kimg=130, batch=16, learning_rate=0.0025, r1_gamma=0.6),
        Stage(resolution=64, kimg=70, batch=16, learning_rate=0.002, r1_gamma=0.15),
        Stage(resolution=64, kimg=50, batch=16, learning_rate=0.002, r1_gamma=0.05),
    ),
    z_dim=64,
    w_dim=128,
    mapping_layers=2,
    channel_base=2048,
    channel_max=128,
    conv_clamp=None,
    architecture="skip",
    class_mapping_layers=0,
    class_codes="mean faces",
    mbstd_group_size=4,
    reuse_fakes=True,
    r1_interval=16,
    path_weight=0.0,
    path_interval=8,
    style_mixing=0.0,
    ema_kimg=10.0,
    ema_rampup=0.05,
    mirror=True,
    augment=("pixels", "geometry", "colour"),
    augment_target=0.6,
    augment_kimg=500.0,
    augment_after=50.0,
)
# What the generator that ships was trained by, in 13 minutes and a half of an H100 and an H200: twice as wide as
# `demo` from 32 pixels up, seven times as long, with the usual weak penalty in the end, and without augmentation,
# as no face is shown 100 times.
_DEMO_GPU = dataclasses.replace(
    _DEMO,
    stages=(
        Stage(resolution=16, kimg=160, batch=64, learning_rate=0.004, r1_gamma=0.1),
        Stage(resolution=32, kimg=240, batch=64, learning_rate=0.003, r1_gamma=0.15),
        Stage(resolution=64, kimg=500, batch=64, learning_rate=0.0025, r1_gamma=0.15),
        Stage(resolution=64, kimg=300, batch=64, learning_rate=0.002, r1_gamma=0.05),
        Stage(resolution=64, kimg=500, batch=64, learning_rate=0.002, r1_gamma=0.015),
        Stage(resolution=64, kimg=1000, batch=128, learning_rate=0.001, r1_gamma=0.015),
    ),
    channel_base=4096,
    ema_kimg=20.0,
    augment_after=100.0,
)
PRESETS = {"sface": _SFACE, "sface-grown": _SFACE_GROWN, "demo": _DEMO, "demo-gpu": _DEMO_GPU}


def recipe_of(
    preset: str, resolution: int | None = None, batch: int | None = None, r1_gamma: float | None = None
) -> Recipe:
    """The recipe of a preset, up to a resolution, with another batch or weight of the gradient penalty.

    Raises:
        BadInput: if there is no such preset, or no such stage in it.
    """
    if preset not in PRESETS:
        raise BadInput(f"there is no preset {preset!r}; take one of {', '.join(PRESETS)}")
    recipe = PRESETS[preset].adjusted(batch, r1_gamma)
    return recipe if resolution is None else recipe.up_to(resolution)
