"""How good the images of a generator are: distances of distributions, and what this field asks of identities.

All work on features: what an embedder of faces makes of images, float [N,D], and their classes, int [N]. Images
are compared block by block: memory grows with their number, and not with its square.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sface_data.biometrics.rates import ErrorRates, fdr
from sface_data.biometrics.scores import ScoreHistogram

Features = NDArray[np.float64]
NEAREST = 3  # neighbours that span the support of a distribution
_ROWS = 256  # compared with all others at a time


@dataclass(frozen=True)
class Separability:
    """How well classes can be told apart by the cosine similarity of their images.

    Attributes:
        auc: probability that a mated comparison scores above a non-mated one.
        eer: rate at which false matches and false non-matches are equally frequent.
        fdr: Fisher's ratio: squared distance of the means over the sum of the variances.
        mated_mean, nonmated_mean: mean similarities.
        mated, nonmated: numbers of comparisons.
    """

    auc: float
    eer: float
    fdr: float
    mated_mean: float
    nonmated_mean: float
    mated: int
    nonmated: int


def frechet_distance(a: Features, b: Features) -> float:
    """Distance of the Gaussians fitted to two sets (Heusel et al., 2017, https://arxiv.org/abs/1706.08500)."""
    root = _root(np.cov(a, rowvar=False))
    cross = root @ np.cov(b, rowvar=False) @ root
    overlap = np.sqrt(np.linalg.eigvalsh(cross).clip(min=0)).sum()
    spread = a.var(axis=0, ddof=1).sum() + b.var(axis=0, ddof=1).sum()
    return float(np.square(a.mean(axis=0) - b.mean(axis=0)).sum() + spread - 2 * overlap)


def kernel_distance(a: Features, b: Features) -> float:
    """Unbiased squared maximum mean discrepancy under a cubic kernel.

    Binkowski et al., 2018 (https://arxiv.org/abs/1801.01401). It can be slightly negative.
    """
    across = sum(_cubic(a[rows] @ b.T, a.shape[1]).sum() for rows in _blocks(a)) / (len(a) * len(b))
    return float(_kernel_within(a) + _kernel_within(b) - 2 * across)


def precision_and_recall(real: Features, made: Features) -> tuple[float, float]:
    """Share of the made images within the support of the real ones, and the reverse.

    A support is the union of balls around the points, each reaching its third neighbour (Kynkaanniemi et al.,
    2019, https://arxiv.org/abs/1904.06991), so each set has more than three points.
    """
    reach_of_real, reach_of_made = _reach(real), _reach(made)
    within_real, within_made = np.zeros(len(made), bool), np.zeros(len(real), bool)
    for rows in _blocks(real):
        across = _squared_distances(real[rows], made)  # [rows,made]
        within_real |= (across <= reach_of_real[rows, None]).any(axis=0)
        within_made[rows] = (across <= reach_of_made).any(axis=1)
    return float(within_real.mean()), float(within_made.mean())


def separability(
    a: Features,
    classes_a: NDArray[np.int64],
    b: Features | None = None,
    classes_b: NDArray[np.int64] | None = None,
) -> Separability:
    """How well classes are told apart within a set, or between two sets that number their classes alike.

    Mated comparisons are those of the same class; an image is never compared with itself. Rates are those of a
    `ScoreHistogram`, with scores in bins 1e-4 wide.

    Raises:
        NoComparisons: if there are only mated comparisons, or none.
    """
    others, classes = (a, classes_a) if b is None or classes_b is None else (b, classes_b)
    units = _unit(others)
    mated, nonmated = ScoreHistogram.empty(), ScoreHistogram.empty()
    for rows in _blocks(a):
        scores = _unit(a[rows]) @ units.T  # [rows,others]
        same = classes_a[rows, None] == classes
        wanted = np.arange(len(a))[rows, None] < np.arange(len(units)) if b is None else np.True_
        mated += ScoreHistogram.from_scores(scores[same & wanted])
        nonmated += ScoreHistogram.from_scores(scores[~same & wanted])
    rates = ErrorRates.of(mated, nonmated)
    return Separability(
        auc=rates.auc,
        eer=rates.eer,
        fdr=fdr(mated, nonmated),
        mated_mean=mated.mean,
        nonmated_mean=nonmated.mean,
        mated=mated.total,
        nonmated=nonmated.total,
    )


def _unit(features: Features) -> Features:
    return features / np.linalg.norm(features, axis=1, keepdims=True)


def _root(covariance: Features) -> Features:
    """The symmetric square root of a covariance."""
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(values.clip(min=0))) @ vectors.T


def _blocks(features: Features) -> Iterator[slice]:
    """Rows, so many at a time."""
    return (slice(first, first + _ROWS) for first in range(0, len(features), _ROWS))


def _cubic(products: Features, dimensions: int) -> Features:
    return (products / dimensions + 1) ** 3


def _kernel_within(features: Features) -> float:
    """The mean kernel of two different rows."""
    n, dimensions = features.shape
    every = sum(_cubic(features[rows] @ features.T, dimensions).sum() for rows in _blocks(features))
    itself = _cubic(np.square(features).sum(axis=1), dimensions).sum()
    return float((every - itself) / (n * (n - 1)))


def _squared_distances(a: Features, b: Features) -> Features:
    squares = np.square(a).sum(axis=1)[:, None] + np.square(b).sum(axis=1)[None, :]
    return (squares - 2 * a @ b.T).clip(min=0)


def _reach(features: Features) -> Features:
    """Squared distance of each point to its third neighbour [N]."""
    reach = np.empty(len(features))
    for rows in _blocks(features):
        distances = _squared_distances(features[rows], features)
        np.fill_diagonal(distances[:, rows], np.inf)
        reach[rows] = np.partition(distances, NEAREST - 1, axis=1)[:, NEAREST - 1]
    return reach
