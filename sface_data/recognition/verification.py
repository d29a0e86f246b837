"""Verification of pairs: two faces, and whether they are of one person.

The protocol of LFW (Huang et al., 2007, http://vis-www.cs.umass.edu/lfw/) in the form that InsightFace's
`recognition/arcface_torch/eval/verification.py` gave it, by which the tables of the literature are made:
embeddings of unit norm, squared distances, ten folds of neighbouring pairs, and for each fold the threshold that
is most accurate on the other nine.
"""

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student_t

from sface_data.biometrics.intervals import CONFIDENCE, FEW_ERRORS
from sface_data.biometrics.rates import ErrorRates
from sface_data.errors import BadInput

THRESHOLDS = np.linspace(0, 4, 400, endpoint=False)  # squared distances; smaller ones are matches
FALSE_ACCEPT_RATES = (1e-1, 1e-2, 1e-3, 1e-4)


@dataclass(frozen=True)
class Verification:
    """Ten-fold accuracy. Rates are from 0 to 1.

    Attributes:
        accuracy: mean over the folds.
        deviation: standard deviation over the folds, dividing by their number, as published tables do.
        accuracy_per_fold: of the pairs of each fold, at the threshold of the other folds.
        threshold_per_fold: squared distance below which a pair was taken for one person.
        tar, far: [400] mean over the folds of the rates at each of THRESHOLDS.
        mated, nonmated: numbers of pairs.
    """

    accuracy: float
    deviation: float
    accuracy_per_fold: tuple[float, ...]
    threshold_per_fold: tuple[float, ...]
    tar: NDArray[np.float64]
    far: NDArray[np.float64]
    mated: int
    nonmated: int

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the accuracy: Student's t over the folds.

        It holds as far as folds are independent, which they are where no person is in two of them (as in LFW).
        """
        folds = len(self.accuracy_per_fold)
        reach = student_t.ppf((1 + CONFIDENCE) / 2, folds - 1) * self.deviation / sqrt(folds - 1)
        return max(0.0, self.accuracy - reach), min(1.0, self.accuracy + reach)


@dataclass(frozen=True)
class OperatingPoint:
    """The true accept rate at the threshold that keeps the false accept rate at or below `far`.

    Attributes:
        far: what was asked for.
        tar: share of mated pairs accepted.
        threshold: similarity (cosine) from which a pair is accepted; above 1 where every non-mated pair must be
            refused and one has similarity 1.
        false_accepts: non-mated pairs accepted.
        few: whether the rate asked for is less than 30 of the non-mated pairs there are, so that the threshold,
            and with it `tar`, is known only roughly.
    """

    far: float
    tar: float
    threshold: float
    false_accepts: int
    few: bool


@dataclass(frozen=True)
class Roc:
    """The exact curve over all thresholds, from none accepted to all accepted.

    Attributes:
        threshold: [n] similarities, falling; infinite where none is accepted. A score at the threshold is a match.
        far: [n] false accept rate (FMR).
        tar: [n] true accept rate (1 - FNMR).
        auc, eer: area under it, and equal error rate, see `ErrorRates`.
    """

    threshold: NDArray[np.float64]
    far: NDArray[np.float64]
    tar: NDArray[np.float64]
    auc: float
    eer: float


def squared_distances(embeddings: NDArray[np.floating]) -> NDArray[np.float64]:
    """Squared distances [P] of pairs.

    Args:
        embeddings: [2P,D] of unit norm; pair i is rows 2i and 2i+1.

    Raises:
        BadInput: if the number is odd or a value is not finite.
    """
    if embeddings.ndim != 2 or len(embeddings) % 2:
        raise BadInput(f"{len(embeddings)} embeddings do not make pairs; their number must be even")
    if not np.isfinite(embeddings).all():
        raise BadInput("the embedder gives numbers that are not finite; its weights are broken")
    return np.square(np.subtract(embeddings[::2], embeddings[1::2], dtype=np.float64)).sum(axis=1)


def ten_fold(embeddings: NDArray[np.floating], issame: NDArray[np.bool_], folds: int = 10) -> Verification:
    """Accuracy of telling mated from non-mated pairs, by the published protocol.

    Folds are neighbouring pairs; where their number is not a multiple, the first folds have one more. Of equally
    accurate thresholds the smallest is taken. A pair is accepted if its distance is below the threshold.

    Args:
        embeddings: [2P,D] of unit norm; pair i is rows 2i and 2i+1.
        issame: [P] whether pair i is mated.

    Raises:
        BadInput: if there are fewer pairs than folds, or as `squared_distances`.
    """
    distances, issame = _pairs(embeddings, issame)
    if not 2 <= folds <= len(distances):
        raise BadInput(f"{len(distances)} pairs are too few for {folds} folds")
    cut = np.array_split(np.arange(len(distances)), folds)
    # Accepted pairs by fold and threshold, mated and not: [folds,400]
    mated = np.array([_below(distances[part][issame[part]]) for part in cut])
    nonmated = np.array([_below(distances[part][~issame[part]]) for part in cut])
    mated_pairs = np.array([issame[part].sum() for part in cut])[:, None]
    nonmated_pairs = np.array([(~issame[part]).sum() for part in cut])[:, None]
    right = mated + nonmated_pairs - nonmated
    best = (right.sum(axis=0) - right).argmax(axis=1)  # on the other folds: pairs of all less those of this one
    accuracy = right[np.arange(folds), best] / (mated_pairs + nonmated_pairs)[:, 0]
    return Verification(
        accuracy=float(accuracy.mean()),
        deviation=float(accuracy.std()),
        accuracy_per_fold=tuple(accuracy.tolist()),
        threshold_per_fold=tuple(THRESHOLDS[best].tolist()),
        tar=(mated / mated_pairs.clip(min=1)).mean(axis=0),
        far=(nonmated / nonmated_pairs.clip(min=1)).mean(axis=0),
        mated=int(issame.sum()),
        nonmated=int((~issame).sum()),
    )


def tar_at_far(
    embeddings: NDArray[np.floating],
    issame: NDArray[np.bool_],
    rates: tuple[float, ...] = FALSE_ACCEPT_RATES,
) -> tuple[OperatingPoint, ...]:
    """The true accept rate at false accept rates: exact, over all pairs at once.

    Published tables interpolate between thresholds and average over folds; with few non-mated pairs their figures
    differ, and `few` says where no figure means much.

    Raises:
        BadInput: if there are no mated or no non-mated pairs, or as `squared_distances`.
    """
    curve = roc(embeddings, issame)
    nonmated = int((~np.asarray(issame, bool)).sum())
    points = []
    for rate in rates:
        # The last index within the rate; the first one, where none is accepted, always is.
        index = int(np.searchsorted(curve.far, rate * (1 + 1e-12), side="right")) - 1
        threshold = min(float(curve.threshold[index]), np.nextafter(1.0, 2.0))
        accepted = round(float(curve.far[index]) * nonmated)
        points.append(
            OperatingPoint(rate, float(curve.tar[index]), threshold, accepted, rate * nonmated < FEW_ERRORS)
        )
    return tuple(points)


def roc(embeddings: NDArray[np.floating], issame: NDArray[np.bool_]) -> Roc:
    """The curve over every threshold that makes a difference.

    Raises:
        BadInput: as `tar_at_far`.
    """
    distances, issame = _pairs(embeddings, issame)
    if issame.all() or not issame.any():
        raise BadInput("rates need mated and non-mated pairs, and one kind is missing")
    rates = ErrorRates.of(-distances[issame], -distances[~issame])
    fmr, tmr, thresholds = (values[::-1] for values in rates.roc_curve())
    # |a - b|^2 = 2 - 2ab for unit vectors
    return Roc(threshold=1 + thresholds / 2, far=fmr, tar=tmr, auc=rates.auc, eer=rates.eer)


def _pairs(
    embeddings: NDArray[np.floating], issame: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    distances, issame = squared_distances(embeddings), np.asarray(issame, bool)
    if issame.shape != distances.shape:
        raise BadInput(f"{len(distances)} pairs of embeddings do not fit {len(issame)} labels")
    return distances, issame


def _below(distances: NDArray[np.float64]) -> NDArray[np.int64]:
    """How many distances are below each threshold [400]."""
    return np.searchsorted(np.sort(distances), THRESHOLDS, side="left")
