"""Recipes of training: data, of which one loop makes runs."""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

from sface_data.recognition.margin import MARGINS, MarginConfig


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
        milestones: epochs, counted from 0, of a run of `epochs`; of a shorter one they move in proportion.
        warm_up: epochs in which the learning rate rises from 0.
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
    margin: MarginConfig = MarginConfig()  # noqa: RUF009 (frozen)
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

    def for_epochs(self, epochs: float) -> "Recipe":
        """The recipe for a run of another length: its milestones move in proportion."""
        moved = tuple(milestone * epochs / self.epochs for milestone in self.milestones)
        return dataclasses.replace(self, epochs=epochs, milestones=moved)

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
        "warm_up": 0.5,
        "epochs": 20,
    },
}


def recipe_of(objective: str, preset: str) -> Recipe:
    """A recipe as a preset changes it."""
    recipe = dataclasses.replace(RECIPES[objective], **PRESETS[preset])
    if preset == "tiny" and not recipe.class_weight:
        # The mean over dimensions makes small gradients, which only long runs make up for.
        recipe = dataclasses.replace(recipe, teacher_weight=RECIPES["cls-kt"].teacher_weight)
    return recipe


def adjusted(recipe: Recipe, changes: dict[str, Any]) -> Recipe:
    """A recipe with some of its values changed; None leaves one as it is.

    Args:
        changes: by name; `margin` is a key of MARGINS and brings its published size along, `epochs` moves the
            milestones.
    """
    given = {name: value for name, value in changes.items() if value is not None}
    if "margin" in given:
        name = given["margin"]
        given["margin"] = dataclasses.replace(recipe.margin, name=name, margin=MARGINS[name])
    epochs = given.pop("epochs", None)
    recipe = dataclasses.replace(recipe, **given)
    return recipe if epochs is None else recipe.for_epochs(epochs)
