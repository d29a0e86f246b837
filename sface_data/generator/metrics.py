"""How good the images of a generator are: distances of distributions, and what this field asks of identities.

All work on features: what an embedder of faces makes of images, float [N,D], and their classes, int [N].
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sface_data.biometrics.rates import ErrorRates, fdr

Features = NDArray[np.float64]
NEAREST = 3  # neighbours that span the support of a distribution


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
    within_a, within_b, across = _cubic(a, a), _cubic(b, b), _cubic(a, b)
    n, m = len(a), len(b)
    inside = (within_a.sum() - within_a.trace()) / (n * (n - 1)) + (within_b.sum() - within_b.trace()) / (
        m * (m - 1)
    )
    return float(inside - 2 * across.mean())


def precision_and_recall(real: Features, made: Features) -> tuple[float, float]:
    """Share of the made images within the support of the real ones, and the reverse.

    A support is the union of balls around the points, each reaching its third neighbour (Kynkaanniemi et al.,
    2019, https://arxiv.org/abs/1904.06991), so each set has more than three points.
    """
    across = _squared_distances(real, made)  # [real,made]
    precision = (across <= _reach(real)[:, None]).any(axis=0).mean()
    recall = (across <= _reach(made)[None, :]).any(axis=1).mean()
    return float(precision), float(recall)


def separability(
    a: Features,
    classes_a: NDArray[np.int64],
    b: Features | None = None,
    classes_b: NDArray[np.int64] | None = None,
) -> Separability:
    """How well classes are told apart within a set, or between two sets that number their classes alike.

    Mated comparisons are those of the same class; an image is never compared with itself. Rates are exact, from
    the scores themselves.

    Raises:
        NoComparisons: if there are only mated comparisons, or none.
    """
    if b is None or classes_b is None:
        first, second = np.triu_indices(len(a), k=1)
        scores = (_unit(a) @ _unit(a).T)[first, second]
        same = classes_a[first] == classes_a[second]
    else:
        scores = (_unit(a) @ _unit(b).T).ravel()
        same = (classes_a[:, None] == classes_b[None, :]).ravel()
    mated, nonmated = scores[same], scores[~same]
    rates = ErrorRates.of(mated, nonmated)
    return Separability(
        auc=rates.auc,
        eer=rates.eer,
        fdr=fdr(mated, nonmated),
        mated_mean=float(mated.mean()),
        nonmated_mean=float(nonmated.mean()),
        mated=len(mated),
        nonmated=len(nonmated),
    )


def _unit(features: Features) -> Features:
    return features / np.linalg.norm(features, axis=1, keepdims=True)


def _root(covariance: Features) -> Features:
    """The symmetric square root of a covariance."""
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(values.clip(min=0))) @ vectors.T


def _cubic(a: Features, b: Features) -> Features:
    return (a @ b.T / a.shape[1] + 1) ** 3


def _squared_distances(a: Features, b: Features) -> Features:
    squares = np.square(a).sum(axis=1)[:, None] + np.square(b).sum(axis=1)[None, :]
    return (squares - 2 * a @ b.T).clip(min=0)


def _reach(features: Features) -> Features:
    """Squared distance of each point to its third neighbour [N]."""
    distances = _squared_distances(features, features)
    np.fill_diagonal(distances, np.inf)
    return np.partition(distances, NEAREST - 1, axis=1)[:, NEAREST - 1]
