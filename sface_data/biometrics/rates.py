"""Error rates of comparisons, by the names and definitions of ISO/IEC 19795-1.

A comparison is mated if both samples are of one subject. A score at or above the threshold is a match. FMR is
the share of non-mated comparisons that match, FNMR the share of mated ones that do not, TMR = 1 - FNMR.

Mated and non-mated scores come either as `ScoreHistogram`s or raw. Both walk the same path over thresholds and
counts: raw scores with a threshold at every score that occurs, histograms with one at every edge of a bin. At an
edge, the rates of a histogram are exact.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sface_data.biometrics.scores import ScoreHistogram
from sface_data.errors import BadInput

Scores = ScoreHistogram | ArrayLike
Rates = NDArray[np.float64]


class NoComparisons(BadInput):
    """A rate was asked for of no comparisons at all."""


@dataclass(frozen=True)
class ErrorRates:
    """FMR and FNMR at every threshold: the points of the DET curve.

    Attributes:
        thresholds: float64 [T], ascending. Nothing is below the first, so that there FMR = 1 and FNMR = 0; at the
            last, which may be infinite, nothing matches.
        mated_counts, nonmated_counts: int64 [T-1], scores from one threshold up to the next.
    """

    thresholds: Rates
    mated_counts: NDArray[np.int64]
    nonmated_counts: NDArray[np.int64]

    def __post_init__(self) -> None:
        for counts, name in ((self.mated_counts, "mated"), (self.nonmated_counts, "non-mated")):
            if not counts.sum():
                raise NoComparisons(f"there are no {name} comparisons, so rates of errors are not defined")

    @classmethod
    def of(cls, mated: Scores, nonmated: Scores) -> "ErrorRates":
        """From two histograms, or from raw scores.

        Raises:
            NoComparisons: if either side is empty.
            ValueError: if a score is NaN, or the histograms have different bins.
        """
        if isinstance(mated, ScoreHistogram) and isinstance(nonmated, ScoreHistogram):
            if mated.bins != nonmated.bins:
                raise ValueError(f"{mated.bins} bins cannot be compared with {nonmated.bins}")
            # scores of exactly 1 are in the last bin: nothing matches above it
            return cls(np.append(mated.edges[:-1], np.inf), mated.counts, nonmated.counts)
        if isinstance(mated, ScoreHistogram) or isinstance(nonmated, ScoreHistogram):
            raise TypeError("two histograms, or two arrays of raw scores")
        first, second = (np.asarray(side, np.float64).reshape(-1) for side in (mated, nonmated))
        values, indices = np.unique(np.concatenate([first, second]), return_inverse=True)
        if np.isnan(values).any():
            raise ValueError("a similarity score is not a number")
        counts = [np.bincount(part, minlength=len(values)) for part in np.split(indices.reshape(-1), [len(first)])]
        return cls(np.append(values, np.inf), counts[0], counts[1])

    @property
    def mated(self) -> int:
        """The number of mated comparisons."""
        return int(self.mated_counts.sum())

    @property
    def nonmated(self) -> int:
        """The number of non-mated comparisons."""
        return int(self.nonmated_counts.sum())

    @cached_property
    def fmr(self) -> Rates:
        """FMR at each threshold [T], from 1 down to 0."""
        return np.append(self.nonmated_counts[::-1].cumsum()[::-1], 0) / self.nonmated

    @cached_property
    def fnmr(self) -> Rates:
        """FNMR at each threshold [T], from 0 up to 1."""
        return np.append(0, self.mated_counts.cumsum()) / self.mated

    @cached_property
    def tmr(self) -> Rates:
        """TMR at each threshold [T], from 1 down to 0."""
        return np.append(self.mated_counts[::-1].cumsum()[::-1], 0) / self.mated

    @property
    def eer(self) -> float:
        """Equal error rate: where the DET curve, straight between its points, crosses FMR = FNMR."""
        return float(equal_error_rates(self.fmr, self.fnmr))

    @property
    def auc(self) -> float:
        """Area under the ROC curve: how often a mated score is above a non-mated one, ties counting half."""
        above = self.mated - self.mated_counts.cumsum()
        # whole numbers as Python has them: beyond 2**63 for large sets
        wins = 2 * _dot(self.nonmated_counts, above) + _dot(self.nonmated_counts, self.mated_counts)
        return wins / (2 * self.mated * self.nonmated)

    def det_curve(self) -> tuple[Rates, Rates, Rates]:
        """FMR, FNMR and thresholds [P] where either rate changes, by rising threshold."""
        return self.fmr[self._corners], self.fnmr[self._corners], self.thresholds[self._corners]

    def roc_curve(self) -> tuple[Rates, Rates, Rates]:
        """FMR, TMR and thresholds [P] where either rate changes, by rising threshold."""
        return self.fmr[self._corners], self.tmr[self._corners], self.thresholds[self._corners]

    @cached_property
    def _corners(self) -> NDArray[np.bool_]:
        """The thresholds at which either rate changes [T]."""
        changes = (self.mated_counts > 0) | (self.nonmated_counts > 0)
        return np.append(changes, True) | np.append(True, changes)


def equal_error_rates(fmr: Rates, fnmr: Rates) -> Rates:
    """EER of each of any number of DET curves [...,T] by rising threshold, straight between their points."""
    gap = fnmr - fmr
    upper = np.maximum(np.argmax(gap >= 0, axis=-1), 1)[..., None]
    lower = upper - 1
    before, after = (np.take_along_axis(gap, index, -1) for index in (lower, upper))
    fmr_before, fmr_after = (np.take_along_axis(fmr, index, -1) for index in (lower, upper))
    step = after - before
    share = np.divide(-before, step, out=np.zeros_like(step), where=step > 0)
    return (fmr_before + share * (fmr_after - fmr_before))[..., 0]


def threshold_at_fmr(nonmated: ScoreHistogram, fmr: float) -> float:
    """The lowest edge at or above which at most this share of non-mated scores lies; infinite if none has.

    Raises:
        NoComparisons: for an empty histogram.
    """
    if not nonmated.total:
        raise NoComparisons("there are no non-mated comparisons, so no threshold follows from them")
    above = np.append(nonmated.counts[::-1].cumsum()[::-1], 0) / nonmated.total
    return float(np.append(nonmated.edges[:-1], np.inf)[np.argmax(above <= fmr)])


def fdr(mated: Scores, nonmated: Scores) -> float:
    """Fisher's discriminant ratio: squared distance of the means over the sum of the variances.

    0 for scores that are all equal. Raises NoComparisons if either side is empty.
    """
    moments = []
    for side, name in ((mated, "mated"), (nonmated, "non-mated")):
        if isinstance(side, ScoreHistogram):
            number, mean, variance = side.total, side.mean, side.variance
        else:
            scores = np.asarray(side, np.float64)
            number = scores.size
            mean, variance = (float(scores.mean()), float(scores.var())) if number else (0.0, 0.0)
        if not number:
            raise NoComparisons(f"there are no {name} comparisons, so their mean is not defined")
        moments.append((mean, variance))
    squared, spread = (moments[0][0] - moments[1][0]) ** 2, moments[0][1] + moments[1][1]
    if spread == 0:
        return float(np.inf) if squared else 0.0
    return squared / spread


def _dot(a: NDArray[np.int64], b: NDArray[np.int64]) -> int:
    """Exact sum of products of counts."""
    if int(a.sum()) * int(b.max(initial=0)) < 2**63:
        return int(np.dot(a, b))
    return sum(x * y for x, y in zip(a.tolist(), b.tolist(), strict=True))
