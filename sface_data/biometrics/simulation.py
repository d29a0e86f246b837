"""Simulated faces with known statistics: what intervals promise is tried on them.

An identity is a direction drawn around one of a few groups, so that some pairs of identities are more alike than
others; its images scatter around it, by an amount of its own, so that some identities are harder than others.
Every comparison so depends on its subjects, as with real faces.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Population:
    """From which identities are drawn.

    Attributes:
        dimensions: of an embedding. 64 give non-mated scores the spread that face embedders of 512 show.
        groups: of identities that are alike.
        group_weight: share of a direction that it has in common with its group.
        spread: of images around their identity, the median over identities, relative to length 1.
        spread_deviation: standard deviation of the logarithm of the spread between identities.
    """

    dimensions: int = 64
    groups: int = 8
    group_weight: float = 0.3
    spread: float = 1.0
    spread_deviation: float = 0.35


@dataclass(frozen=True, eq=False)
class SimulatedFaces:
    """Embeddings of one draw; what `audit.comparisons` takes.

    Attributes:
        class_names: [C].
        class_index: int64 [N], ascending.
        vectors: float32 [N,D] of length 1.
        centres: float64 [C,D], the directions of the identities, of length 1.
        spreads: float64 [C].
    """

    class_names: tuple[str, ...]
    class_index: NDArray[np.int64]
    vectors: NDArray[np.float32]
    centres: NDArray[np.float64]
    spreads: NDArray[np.float64]


def simulate_faces(
    seed: int,
    classes: int = 200,
    images: tuple[int, int] = (5, 12),
    population: Population | None = None,
    first_name: int = 0,
) -> SimulatedFaces:
    """New identities from a population, each with a number of images drawn evenly from a range, both ends in.

    Names are numbers from `first_name` on. The groups of a population are the same for every seed.
    """
    population = population or Population()
    rng = np.random.default_rng(seed)
    dimensions = population.dimensions
    groups = _unit(np.random.default_rng(0).normal(size=(population.groups, dimensions)))
    own = _unit(rng.normal(size=(classes, dimensions)))
    weight = population.group_weight
    centres = _unit(weight * groups[rng.integers(population.groups, size=classes)] + (1 - weight) * own)
    spreads = population.spread * np.exp(population.spread_deviation * rng.normal(size=classes))
    numbers = rng.integers(images[0], images[1] + 1, size=classes)
    index = np.repeat(np.arange(classes), numbers)
    names = tuple(str(first_name + c) for c in range(classes))
    return SimulatedFaces(names, index, images_of(centres[index], spreads[index], rng), centres, spreads)


def images_of(
    centres: NDArray[np.float64], spreads: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.float32]:
    """One image [N,D] of each identity given by its centre [N,D] and its spread [N]."""
    noise = rng.normal(size=centres.shape) / centres.shape[1] ** 0.5
    return _unit(centres + spreads[:, None] * noise).astype(np.float32)


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
