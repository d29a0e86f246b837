"""Embeddings with known leakage, to find out whether the audit tells the truth.

People and images are drawn as directions: a person is a point on the sphere, their images scatter around it. How
much they scatter varies from person to person, and people look alike in groups: comparisons of one class depend
on each other as they do in reality.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sface_data.auditing.sets.judged_sets import AlteredCopies, JudgedSets, unit
from sface_data.embedding.embeddings import EmbeddingSet

EMBEDDER = "0" * 64


@dataclass(frozen=True)
class World:
    """The size of a simulated audit, and how well its judge sees.

    Attributes:
        classes: training people and classes of the release; `control` people who were not in training.
        images: of each class of the release.
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
        related: cosine of each class of the release with the training person of its label.
        noise: length of what is added to a copy.
    """

    copies: float = 0.0
    related: float = 0.0
    noise: float = 0.35


def simulate(world: World, leak: Leak, seed: int) -> JudgedSets:
    """The faces of one simulated audit."""
    rng = np.random.default_rng(seed)
    training_people = _people(world.classes, world.dimensions, rng)
    control_people = _people(world.control, world.dimensions, rng)
    own = _people(world.classes, world.dimensions, rng)
    release_people = unit(leak.related * training_people + np.sqrt(1 - leak.related**2) * own)
    training = _images(training_people, world.authentic, world.spread, rng)
    control = _images(control_people, world.control_images, world.spread, rng)
    release = _images(release_people, world.images, world.spread, rng)
    count = round(leak.copies * len(release))
    chosen = rng.choice(len(release), count, replace=False)
    sources = rng.integers(len(training), size=count)
    release[chosen] = _noisy(training[sources], leak.noise, rng)
    planted = rng.integers(len(training), size=200)
    copies = _noisy(training[planted], leak.noise, rng)
    if not world.seen:
        release, training, control, copies = (
            unit(rng.standard_normal(each.shape)) for each in (release, training, control, copies)
        )
    names = tuple(str(c) for c in range(world.classes))
    others = tuple(f"control{c}" for c in range(world.control))
    owner = np.repeat(np.arange(world.classes), world.authentic)
    trained = _set(training, owner, names, "t")
    return JudgedSets(
        judge="simulated",
        release=_set(release, np.repeat(np.arange(world.classes), world.images), names, "s"),
        training=trained,
        control=_set(control, np.repeat(np.arange(world.control), world.control_images), others, "c"),
        held_out=None,
        copies=AlteredCopies(_set(copies, owner[planted], names, "p"), simulated=True),
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
    keys = tuple(f"{prefix}{index:06d}" for index in range(len(vectors)))
    return EmbeddingSet(keys, names, class_index, vectors, EMBEDDER, prefix * 64, keys)
