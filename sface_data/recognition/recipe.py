"""Recipes of training: data, without torch, of which one loop makes runs."""

import dataclasses
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sface_data.embedding.backbone_names import BACKBONES
from sface_data.errors import BadInput

MARGINS = {"cosface": 0.35, "arcface": 0.5, "elasticface": 0.35, "adaface": 0.4}  # with their published sizes
AUGMENTATIONS = ("none", "strong")


def _check_name(kind: str, name: str, known: Iterable[str]) -> None:
    if name not in known:
        raise BadInput(f"there is no {kind} {name!r}; choose one of {', '.join(known)}")


@dataclass(frozen=True)
class MarginConfig:
    """Which margin, and how large.

    Attributes:
        name: a key of MARGINS.
        scale: what cosines are multiplied by.
        margin: subtracted from the cosine (cosface, elasticface: its mean) or added to the angle (arcface).
        sigma: spread of the margin from image to image; elasticface.
        sharpness: h of AdaFace, by which the norm of an embedding, over the batch, changes the margin.
        memory: share of a batch in AdaFace's running mean and spread of norms.
    """

    name: str = "cosface"
    scale: float = 64.0
    margin: float = 0.35
    sigma: float = 0.05
    sharpness: float = 0.333
    memory: float = 0.01


@dataclass(frozen=True)
class Recipe:
    """Everything that a training run depends on, but for its faces, its teacher and its random numbers.

    The loss is `class_weight` times the cross-entropy of the head plus `teacher_weight` times the mean square
    difference, over batch and dimensions, of the normalised embeddings of network and teacher; what has weight
    0 is neither made nor needed.

    Attributes:
        objective: its name, a key of RECIPES.
        backbone, dimensions, dropout: see `backbones.create_backbone`.
        margin: of the head.
        batch: images a step, over all processes.
        learning_rate: for a batch of 512; with others it is in proportion.
        momentum, weight_decay: of stochastic gradient descent.
        schedule: `steps`: times 0.1 from each of the milestones on; `cosine`: along half a wave down to 0.
        milestones: epochs, counted from 0, of a run of `epochs`; of another length they move in proportion.
        warm_up: epochs in which the learning rate rises from 0; as the milestones.
        clip: largest norm of the gradient of the backbone.
        mirror: probability that a face is shown mirrored.
        augment: `none`, or `strong` on top of that, see `augment`.
        epochs: length of the run unless another is asked for.
    """

    objective: str
    class_weight: float
    teacher_weight: float
    backbone: str = "iresnet50"
    dimensions: int = 512
    dropout: float = 0.4
    margin: MarginConfig = MarginConfig()
    batch: int = 512
    learning_rate: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    schedule: str = "steps"
    milestones: tuple[float, ...] = (39, 47, 51)
    warm_up: float = 0.0
    clip: float = 5.0
    mirror: float = 0.5
    augment: str = "none"
    epochs: float = 64

    def __post_init__(self) -> None:
        _check_name("backbone", self.backbone, BACKBONES)
        _check_name("margin", self.margin.name, MARGINS)
        _check_name("augmentation", self.augment, AUGMENTATIONS)
        if self.batch < 2 or self.dimensions < 2:
            raise BadInput(f"batch is {self.batch}, dimensions are {self.dimensions}; both must be at least 2")
        if not (self.epochs > 0 and self.learning_rate > 0):
            raise BadInput(
                f"epochs are {self.epochs:g}, the learning rate is {self.learning_rate:g}; both must be above 0"
            )

    def for_epochs(self, epochs: float) -> "Recipe":
        """The recipe for a run of another length: milestones and warm-up move in proportion.

        So runs of as many steps on fewer or more faces have the same schedule.
        """
        ratio = epochs / self.epochs
        moved = tuple(milestone * ratio for milestone in self.milestones)
        return dataclasses.replace(self, epochs=epochs, milestones=moved, warm_up=self.warm_up * ratio)

    def rate(self, epoch: float) -> float:
        """The learning rate at a moment of the run, in epochs from its start."""
        rate = self.learning_rate * self.batch / 512
        if epoch < self.warm_up:
            rate *= epoch / self.warm_up
        if self.schedule == "cosine":
            return rate * (0.5 + 0.5 * math.cos(math.pi * min(epoch / self.epochs, 1)))
        # In whole epochs, as published, where the milestones are whole.
        return rate * 0.1 ** sum(milestone <= epoch for milestone in self.milestones)


# The published values of SFace (https://arxiv.org/abs/2206.10520). `cls`: labels alone; `kt`: a teacher's
# embeddings alone; `cls-kt`: both.
RECIPES = {
    "cls": Recipe("cls", class_weight=1.0, teacher_weight=0.0),
    "kt": Recipe("kt", class_weight=0.0, teacher_weight=1.0),
    "cls-kt": Recipe("cls-kt", class_weight=1.0, teacher_weight=10000.0),
}

# What a preset changes in every recipe.
PRESETS: dict[str, dict[str, Any]] = {
    "sface": {},
    # What two CPU cores train: a small network, small batches, and a schedule that needs few epochs.
    "tiny": {
        "backbone": "tiny",
        "dimensions": 128,
        "dropout": 0.0,
        "batch": 64,
        "learning_rate": 0.4,
        "schedule": "cosine",
        "warm_up": 2.0,
        "epochs": 20,
    },
}


def recipe_of(objective: str, preset: str) -> Recipe:
    """A recipe as a preset changes it.

    Raises:
        BadInput: if there is no recipe or no preset of that name.
    """
    _check_name("recipe", objective, RECIPES)
    _check_name("preset", preset, PRESETS)
    recipe = dataclasses.replace(RECIPES[objective], **PRESETS[preset])
    if preset == "tiny" and not recipe.class_weight:
        # The mean over dimensions makes small gradients, which only long runs make up for.
        recipe = dataclasses.replace(recipe, teacher_weight=RECIPES["cls-kt"].teacher_weight)
    return recipe


def adjusted(recipe: Recipe, **changes: Any) -> Recipe:
    """A recipe with some of its values changed; None leaves one as it is.

    Args:
        changes: by name; `margin` is a key of MARGINS and brings its published size along, `epochs` moves
            milestones and warm-up.

    Raises:
        BadInput: if a name is unknown or a number out of range.
    """
    given = {name: value for name, value in changes.items() if value is not None}
    if "margin" in given:
        name = given["margin"]
        _check_name("margin", name, MARGINS)
        given["margin"] = dataclasses.replace(recipe.margin, name=name, margin=MARGINS[name])
    epochs = given.pop("epochs", None)
    recipe = dataclasses.replace(recipe, **given)
    return recipe if epochs is None else recipe.for_epochs(epochs)
