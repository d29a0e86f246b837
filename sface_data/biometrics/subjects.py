"""AUC and EER with intervals over subjects: comparisons that share a subject are not independent.

A set of comparisons is summarised by one histogram for each subject: of the mated comparisons of that subject,
and of all non-mated comparisons that it takes part in (each of those is so counted for both its subjects). The
non-mated rate at a threshold is then a U-statistic of pairs of subjects, and its first-order (Hajek) projection
is `p* = p + 2 (p~ - p)`, where `p~` is the rate over resampled subjects: the factor 2 stands for the two sides of
a comparison. Comparisons of one set with another are treated alike, over the union of their subjects: a subject
of both sets is resampled once for both, since its two sides depend on each other; for sets that share no
subject the formula is that of two independent sides.

Intervals are symmetric in log odds, with quantiles of t: percentile intervals of few, unequal subjects cover too
little. Shares at a threshold have their intervals from `clustered`.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sface_data.biometrics.intervals import FEW_SUBJECTS, RULE_OF_3, Interval, logit_t, rule_of_three
from sface_data.biometrics.rates import ErrorRates, equal_error_rates
from sface_data.biometrics.scores import ScoreHistogram

SUBJECT_BINS = 2_500  # over [-1,1]: 8e-4 wide; for the spread between subjects only
REPLICATES = 1_000
_JACKKNIFE = 2_000  # subjects; with more, the bootstrap is as good
BOOTSTRAP = "bootstrap over subjects, log odds, t"

Histograms = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class SubjectScores:
    """Mated and non-mated scores, and what each subject contributes to them.

    Attributes:
        mated, nonmated: all scores in fine bins: every value comes from these.
        mated_by_subject: int64 [U,bins], mated comparisons of each subject.
        nonmated_by_subject: int64 [U,bins], non-mated comparisons that each subject takes part in, so that each
            is counted twice; once where `sides` is 1.
        sides: how many subjects a non-mated comparison is counted for.
        independent_pairs: the largest number of non-mated comparisons of which no two share a subject.
        replicates, seed: of the bootstrap. Values and intervals are a function of the fields alone.

    The bins of subjects are coarser than the fine ones, by a whole factor; every value is computed from the fine
    ones, only its spread from the coarse.
    """

    mated: ScoreHistogram
    nonmated: ScoreHistogram
    mated_by_subject: Histograms
    nonmated_by_subject: Histograms
    independent_pairs: int
    replicates: int = REPLICATES
    seed: int = 0
    sides: int = 2

    @classmethod
    def apart(
        cls, mated: Iterable[ArrayLike], nonmated: Iterable[ArrayLike], seed: int, replicates: int = REPLICATES
    ) -> "SubjectScores":
        """Of subjects of which some have mated scores only and the others non-mated ones only.

        Args:
            mated, nonmated: all scores of each subject, for those of either kind; none for a subject without.
        """
        (mated_scores, own), (nonmated_scores, others) = _by_subject(mated), _by_subject(nonmated)
        counts = np.zeros((2, len(own) + len(others), SUBJECT_BINS), np.int64)
        counts[0, : len(own)], counts[1, len(own) :] = own, others
        pairs = min(len(own), len(others))
        return cls(mated_scores, nonmated_scores, counts[0], counts[1], pairs, replicates, seed, sides=1)

    @cached_property
    def error_rates(self) -> ErrorRates:
        """Raises NoComparisons if either side is empty."""
        return ErrorRates.of(self.mated, self.nonmated)

    def eer(self) -> Interval:
        """Equal error rate. Raises NoComparisons."""
        return self._rate(self.error_rates.eer, lambda replicates: replicates.eer)

    def auc(self) -> Interval:
        """Area under the ROC curve. Raises NoComparisons."""
        return self._rate(self.error_rates.auc, lambda replicates: replicates.auc)

    @cached_property
    def _present(self) -> NDArray[np.int64]:
        """Subjects with mated comparisons, of which there are never more than of the others."""
        return np.flatnonzero(self.mated_by_subject.sum(axis=1))

    @cached_property
    def _bootstrap(self) -> "_Replicates":
        units = len(self.mated_by_subject)
        # RandomState: its numbers are the same in every version of numpy
        draws = np.random.RandomState(self.seed).randint(units, size=(self.replicates, units))
        weights = np.stack([np.bincount(row, minlength=units) for row in draws])
        return _Replicates(weights, self.mated_by_subject, self.nonmated_by_subject, self.sides)

    @cached_property
    def _jackknife(self) -> "_Replicates | None":
        """One replicate without each subject with mated comparisons; None for too many to matter."""
        if not 1 < len(self._present) <= _JACKKNIFE:
            return None
        weights = np.ones((len(self._present), len(self.mated_by_subject)), np.int64)
        weights[np.arange(len(self._present)), self._present] = 0
        return _Replicates(weights, self.mated_by_subject, self.nonmated_by_subject, self.sides)

    def _spread(self, statistic: "Statistic") -> tuple[float, float]:
        """Standard error of a statistic, and its degrees of freedom.

        The bootstrap alone is a little too sure of itself where a few hard subjects make most of the errors, the
        jackknife a little too unsure: the larger counts. A variance that few subjects make up is itself uncertain:
        the degrees of freedom are those of a mean of contributions of such kurtosis.
        """
        units = len(self._present)
        error = float(statistic(self._bootstrap).std()) * (units / (units - 1)) ** 0.5
        if self._jackknife is None:
            return error, units - 1.0
        each = statistic(self._jackknife)
        each = each - each.mean()
        variance = float(np.square(each).sum()) * (units - 1) / units
        return max(error, variance**0.5), degrees_of_freedom(each)

    def _rate(self, value: float, statistic: "Statistic") -> Interval:
        """Interval of a rate of both sides from its replicates."""
        n, units = self.mated.total, len(self._present)
        if not 0 < value < 1:
            bound = rule_of_three(max(min(units, self.independent_pairs), 1))
            low, high = (0.0, bound) if value <= 0 else (1 - bound, 1.0)
            return Interval(value, low, high, "rule of 3 on subjects", n, flags=(RULE_OF_3,))
        if units < 2:
            return Interval(value, 0.0, 1.0, "one subject: unknown", n, flags=(FEW_SUBJECTS,))
        return logit_t(value, *self._spread(statistic), BOOTSTRAP, n)


def _by_subject(scores: Iterable[ArrayLike]) -> tuple[ScoreHistogram, Histograms]:
    """All scores together, and those of each subject by coarse bins [U,bins]; fine ones of one at a time."""
    together, rows = ScoreHistogram.empty(), []
    for own in scores:
        fine = ScoreHistogram.from_scores(own)
        together += fine
        rows.append(fine.coarser(SUBJECT_BINS))
    return together, np.array(rows, np.int64).reshape(-1, SUBJECT_BINS)


class _Replicates:
    """EER and AUC of any number of weightings of the subjects, by the projection, from the coarse bins."""

    def __init__(
        self, weights: Histograms, mated_by_subject: Histograms, nonmated_by_subject: Histograms, sides: int
    ) -> None:
        # whole numbers below 2**53: exact in any order of summation
        factors = weights.astype(np.float64)
        mated = factors @ mated_by_subject.astype(np.float64)
        nonmated = factors @ nonmated_by_subject.astype(np.float64)
        kept = (mated.sum(axis=1) > 0) & (nonmated.sum(axis=1) > 0)  # a rare subject may not have been drawn
        mated, nonmated = (part[kept] / part[kept].sum(axis=1, keepdims=True) for part in (mated, nonmated))
        everyone = nonmated_by_subject.sum(axis=0)
        self.mated = mated  # [B,bins] shares
        self.nonmated = sides * nonmated - (sides - 1) * everyone / everyone.sum()  # may be below 0 in a bin

    @cached_property
    def eer(self) -> NDArray[np.float64]:
        """[B]."""
        below = np.zeros((len(self.mated), 1))
        fnmr = np.concatenate([below, self.mated.cumsum(axis=1)], axis=1).clip(0, 1)  # [B,bins+1] by rising edge
        rising = np.concatenate([below, self.nonmated[:, ::-1].cumsum(axis=1)], axis=1)
        fmr = np.maximum.accumulate(rising.clip(0, 1), axis=1)[:, ::-1]  # made to fall
        return equal_error_rates(fmr, fnmr)

    @cached_property
    def auc(self) -> NDArray[np.float64]:
        """[B]."""
        below = self.nonmated.cumsum(axis=1) - self.nonmated / 2
        return np.einsum("bt,bt->b", self.mated, below)


def degrees_of_freedom(contributions: NDArray[np.float64]) -> float:
    """Of the estimated variance of a mean of independent contributions (Satterthwaite): N-1 for Gaussian ones."""
    n = len(contributions)
    second = float(np.square(contributions).mean())
    if second == 0:
        return n - 1.0
    kurtosis = float(np.square(np.square(contributions)).mean()) / second**2
    return float(np.clip(2 * n / max(kurtosis - 1, 1e-9), 1, n - 1))


Statistic = Callable[[_Replicates], NDArray[np.float64]]
