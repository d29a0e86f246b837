"""Embeddings with known leakage, to find out whether the audit tells the truth.

People and images are drawn as directions: a person is a point on the sphere, their images scatter around it. How
much they scatter varies from person to person, and people look alike in groups: comparisons of one class depend
on each other as they do in reality.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sface_data.audit.evidence import Copies, Sets, unit
from sface_data.embedding.embeddings import EmbeddingSet

EMBEDDER = "0" * 64


@dataclass(frozen=True)
class World:
    """The size of a simulated audit, and how well its judge sees.

    Attributes:
        classes: training people and classes of the release; `control` people who were not in training.
        images: of each synthetic class.
        authentic, control_images: images of each training person, and of each other person.
        dimensions: of the embeddings.
        spread: length of an image's deviation from its person, whose length is 1.
        seen: False for a broken judge, whose embeddings are random.
    """

    classes: int = 200
    images: int = 20
    authentic: int = 10
    control: int = 200
    control_images: int = 20
    dimensions: int = 64
    spread: float = 0.9
    seen: bool = True


@dataclass(frozen=True)
class Leak:
    """What leaks.

    Attributes:
        copies: share of the release that are noisy copies of random training images.
        related: cosine of each synthetic class with the training person of its label.
        noise: length of what is added to a copy.
    """

    copies: float = 0.0
    related: float = 0.0
    noise: float = 0.35


def simulate(world: World, leak: Leak, seed: int) -> Sets:
    """The faces of one simulated audit."""
    rng = np.random.default_rng(seed)
    training_people = _people(world.classes, world.dimensions, rng)
    control_people = _people(world.control, world.dimensions, rng)
    own = _people(world.classes, world.dimensions, rng)
    synthetic_people = unit(leak.related * training_people + np.sqrt(1 - leak.related**2) * own)
    training = _images(training_people, world.authentic, world.spread, rng)
    control = _images(control_people, world.control_images, world.spread, rng)
    synthetic = _images(synthetic_people, world.images, world.spread, rng)
    count = round(leak.copies * len(synthetic))
    places = rng.choice(len(synthetic), count, replace=False)
    sources = rng.integers(len(training), size=count)
    synthetic[places] = _noisy(training[sources], leak.noise, rng)
    planted = rng.integers(len(training), size=200)
    copies = _noisy(training[planted], leak.noise, rng)
    if not world.seen:
        synthetic, training, control, copies = (
            unit(rng.standard_normal(each.shape)) for each in (synthetic, training, control, copies)
        )
    names = tuple(str(c) for c in range(world.classes))
    others = tuple(f"control{c}" for c in range(world.control))
    owner = np.repeat(np.arange(world.classes), world.authentic)
    trained = _set(training, owner, names, "t")
    return Sets(
        judge="simulated",
        synthetic=_set(synthetic, np.repeat(np.arange(world.classes), world.images), names, "s"),
        training=trained,
        control=_set(control, np.repeat(np.arange(world.control), world.control_images), others, "c"),
        held_out=None,
        copies=Copies(_set(copies, owner[planted], names, "p"), planted, simulated=True),
        labels_related=True,
    )


def _people(count: int, dimensions: int, rng: np.random.Generator) -> NDArray[np.float32]:
    groups = unit(rng.standard_normal((max(count // 20, 1), dimensions)))
    member = rng.integers(len(groups), size=count)
    return unit(0.5 * groups[member] + unit(rng.standard_normal((count, dimensions))))


def _images(
    people: NDArray[np.float32], count: int, spread: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    spreads = np.repeat(spread * rng.uniform(0.7, 1.3, len(people)), count)[:, None]
    noise = rng.standard_normal((len(people) * count, people.shape[1])) / np.sqrt(people.shape[1])
    return unit(np.repeat(people, count, axis=0) + spreads * noise)


def _noisy(vectors: NDArray[np.float32], noise: float, rng: np.random.Generator) -> NDArray[np.float32]:
    return unit(vectors + noise * rng.standard_normal(vectors.shape) / np.sqrt(vectors.shape[1]))


def _set(
    vectors: NDArray[np.float32], class_index: NDArray[np.int64], names: tuple[str, ...], prefix: str
) -> EmbeddingSet:
    keys = tuple(f"{prefix}{place:06d}" for place in range(len(vectors)))
    return EmbeddingSet(keys, names, class_index, vectors, EMBEDDER, prefix * 64, keys)
