"""Error rates with intervals over subjects: comparisons that share a subject are not independent.

A set of comparisons is summarised by one histogram for each subject: of the mated comparisons of that subject,
and of all non-mated comparisons that it takes part in (each of those is so counted for both its subjects). The
non-mated rate at a threshold is then a U-statistic of pairs of subjects, and its first-order (Hajek) projection
is `p* = p + 2 (p~ - p)`, where `p~` is the rate over resampled subjects: the factor 2 stands for the two sides of
a comparison. Comparisons of one set with another are treated alike, over the union of their subjects: a subject
of both sets is resampled once for both, since its two sides depend on each other; for sets that share no
subject the formula is that of two independent sides.

Rates at a threshold are means, of which the resampling variance is known in closed form; EER, AUC and FNMR at an
FMR come from bootstrap replicates. Intervals are symmetric in log odds, with quantiles of t: percentile
intervals of few, unequal subjects cover too little.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sface_data.biometrics import rates
from sface_data.biometrics.intervals import (
    CONFIDENCE,
    FEW_SUBJECTS,
    RULE_OF_3,
    RULE_OF_30,
    Interval,
    count_flags,
    logit_t,
    plain_t,
    rule_of_three,
)
from sface_data.biometrics.rates import ErrorRates, NoComparisons, count_at, equal_error_rates, nearest_edge
from sface_data.biometrics.scores import ScoreHistogram, edges

SUBJECT_BINS = 2_500  # over [-1,1]: 8e-4 wide; for the spread between subjects only
REPLICATES = 1_000
CLOSED_FORM = "over subjects, log odds, t"
BOOTSTRAP = "bootstrap over subjects, log odds, t"
BOOTSTRAP_PLAIN = "bootstrap over subjects, t"

Histograms = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class SubjectScores:
    """Mated and non-mated scores, and what each subject contributes to them.

    Attributes:
        mated, nonmated: all scores in fine bins: every value comes from these.
        mated_by_subject: int64 [U,bins], mated comparisons of each subject.
        nonmated_by_subject: int64 [U,bins], non-mated comparisons that each subject takes part in, so that each
            is counted twice.
        independent_pairs: of how many non-mated comparisons no two share a subject, at most.
        replicates, seed: of the bootstrap. Values and intervals are a function of the fields alone.

    The bins of subjects are coarser than the fine ones, by a whole factor; every value is computed from the fine
    ones, only its spread from the coarse.
    """

    mated: ScoreHistogram
    nonmated: ScoreHistogram
    mated_by_subject: Histograms
    nonmated_by_subject: Histograms
    independent_pairs: int
    confidence: float = CONFIDENCE
    replicates: int = REPLICATES
    seed: int = 0

    @cached_property
    def error_rates(self) -> ErrorRates:
        """Raises NoComparisons if either side is empty."""
        return ErrorRates.of(self.mated, self.nonmated)

    @property
    def subjects(self) -> int:
        """The number of subjects that take part in any comparison."""
        present = (self.mated_by_subject.sum(axis=1) > 0) | (self.nonmated_by_subject.sum(axis=1) > 0)
        return int(present.sum())

    def threshold_at_fmr(self, fmr: float) -> float:
        """The lowest edge with at most this FMR; infinite if none has. Raises NoComparisons."""
        return rates.threshold_at_fmr(self.nonmated, fmr)

    def fmr(self, threshold: float) -> Interval:
        """False match rate at a fixed threshold. Raises NoComparisons."""
        return self._share_from(self.nonmated, self._nonmated_tails, threshold, 2, "non-mated")

    def tmr(self, threshold: float) -> Interval:
        """True match rate at a fixed threshold. Raises NoComparisons."""
        return self._share_from(self.mated, self._mated_tails, threshold, 1, "mated")

    def fnmr(self, threshold: float) -> Interval:
        """False non-match rate at a fixed threshold. Raises NoComparisons."""
        tmr = self.tmr(threshold)
        return Interval(1 - tmr.value, 1 - tmr.high, 1 - tmr.low, tmr.method, tmr.n, tmr.confidence, tmr.flags)

    def match_ratio(self, threshold: float) -> Interval:
        """TMR over FMR at a fixed threshold: how many times more often mated comparisons match; 1 is chance.

        Symmetric in the logarithm. Infinite and unbounded above if no non-mated comparison matches; 0 with a
        bound from those of both rates if no mated one does. Raises NoComparisons.
        """
        tmr, fmr = self.tmr(threshold), self.fmr(threshold)
        flags = tuple(dict.fromkeys([*tmr.flags, *fmr.flags]))
        n = self.mated.total
        if not fmr.value or not tmr.value:
            value = tmr.value / fmr.value if fmr.value else (float("inf") if tmr.value else float("nan"))
            low = tmr.low / fmr.high
            high = tmr.high / fmr.low if fmr.low else float("inf")
            return Interval(value, low, high, "bounds of both rates", n, self.confidence, flags)
        edge = min(nearest_edge(self._bins, threshold), self._bins - 1)
        mated, nonmated = self._deviations(self._mated_tails, edge), self._deviations(self._nonmated_tails, edge)
        if not mated[0] or not nonmated[0]:
            low, high = tmr.low / fmr.high, tmr.high / fmr.low
            return Interval(tmr.value / fmr.value, low, high, "bounds of both rates", n, self.confidence, flags)
        each = mated[1] / mated[0] - 2 * nonmated[1] / nonmated[0]
        units = self.subjects
        error = float(np.sqrt(np.square(each).sum() * units / max(units - 1, 1)))
        value = tmr.value / fmr.value
        log = plain_t(float(np.log(value)), error, max(units - 1, 1), "over subjects, logarithm, t", n)
        low, high = float(np.exp(log.low)), float(np.exp(log.high))
        return Interval(value, low, high, log.method, n, self.confidence, flags)

    def eer(self) -> Interval:
        """Equal error rate. Raises NoComparisons."""
        return self._rate(self.error_rates.eer, self._replicated["eer"])

    def auc(self) -> Interval:
        """Area under the ROC curve. Raises NoComparisons."""
        return self._rate(self.error_rates.auc, self._replicated["auc"])

    def fnmr_at_fmr(self, fmr: float) -> Interval:
        """FNMR at the lowest threshold with at most this FMR, the threshold being estimated from the same data.

        `fnmr_at_fmr(0.01)` is FMR100, `fnmr_at_fmr(0.001)` FMR1000. Raises NoComparisons.
        """
        value = self.error_rates.fnmr_at_fmr(fmr)
        matches = round(fmr * self.nonmated.total)
        fmrs, fnmrs = self._curves
        places = np.argmax(fmrs <= max(fmr, 0), axis=1)
        # straight between the edges: steps of coarse bins are no spread of the data
        before = np.maximum(places - 1, 0)
        rows = np.arange(len(places))
        top, bottom = fmrs[rows, before], fmrs[rows, places]
        share = np.divide(top - fmr, top - bottom, out=np.ones_like(top), where=top > bottom)
        replicated = fnmrs[rows, before] + share * (fnmrs[rows, places] - fnmrs[rows, before])
        interval = self._rate(value, replicated)
        return interval.flagged(RULE_OF_30) if matches < 30 else interval

    def fmr100(self) -> Interval:
        """The lowest FNMR at FMR <= 1 %."""
        return self.fnmr_at_fmr(0.01)

    def fmr1000(self) -> Interval:
        """The lowest FNMR at FMR <= 0.1 %."""
        return self.fnmr_at_fmr(0.001)

    def fdr(self) -> Interval:
        """Fisher's discriminant ratio. Raises NoComparisons."""
        return self._number(rates.fdr(self.mated, self.nonmated), self._replicated["fdr"])

    def d_prime(self) -> Interval:
        """Distance of the means in standard deviations. Raises NoComparisons."""
        return self._number(rates.d_prime(self.mated, self.nonmated), self._replicated["d_prime"])

    def mated_mean(self) -> Interval:
        """Mean mated score. Raises NoComparisons."""
        self.error_rates  # noqa: B018
        return self._number(self.mated.mean, self._replicated["mated_mean"])

    def nonmated_mean(self) -> Interval:
        """Mean non-mated score. Raises NoComparisons."""
        self.error_rates  # noqa: B018
        return self._number(self.nonmated.mean, self._replicated["nonmated_mean"])

    def mated_deviation(self) -> Interval:
        """Standard deviation of mated scores. Raises NoComparisons."""
        return self._number(self.mated.standard_deviation, self._replicated["mated_deviation"])

    def nonmated_deviation(self) -> Interval:
        """Standard deviation of non-mated scores. Raises NoComparisons."""
        return self._number(self.nonmated.standard_deviation, self._replicated["nonmated_deviation"])

    # -- rates at a threshold: closed form

    @property
    def _bins(self) -> int:
        return self.mated_by_subject.shape[1]

    @cached_property
    def _mated_tails(self) -> Histograms:
        return _tails(self.mated_by_subject)

    @cached_property
    def _nonmated_tails(self) -> Histograms:
        return _tails(self.nonmated_by_subject)

    @staticmethod
    def _deviations(tails: Histograms, edge: int) -> tuple[float, NDArray[np.float64]]:
        """Share of scores at or above an edge, and by how much each subject moves it from there [U]."""
        matches, totals = tails[:, edge], tails[:, 0]
        total = totals.sum()
        share = float(matches.sum() / total)
        return share, (matches - share * totals) / total

    def _share_from(
        self, histogram: ScoreHistogram, tails: Histograms, threshold: float, sides: int, name: str
    ) -> Interval:
        n = histogram.total
        if not n:
            raise NoComparisons(f"there are no {name} comparisons, so rates of errors are not defined")
        k = count_at(histogram, threshold)
        units = int((tails[:, 0] > 0).sum())
        if k in (0, n):
            independent = max(units if sides == 1 else self.independent_pairs, 1)
            bound = rule_of_three(independent, self.confidence)
            low, high = (0.0, bound.high) if k == 0 else (1 - bound.high, 1.0)
            method = f"rule of 3 on {independent} independent"
            return Interval(k / n, low, high, method, n, self.confidence, (RULE_OF_3, RULE_OF_30))
        flags = count_flags(k, n)
        if units < 2:
            method = "one subject: unknown"
            return Interval(k / n, 0.0, 1.0, method, n, self.confidence, (*flags, FEW_SUBJECTS))
        # the nearest coarse edge at which the share is not 0 or 1
        edge = min(nearest_edge(tails.shape[1] - 1, threshold), tails.shape[1] - 2)
        column = tails.sum(axis=0)
        while edge > 0 and column[edge] == 0:
            edge -= 1
        while edge < tails.shape[1] - 2 and column[edge] == column[0]:
            edge += 1
        share, each = self._deviations(tails, edge)
        if share in (0.0, 1.0):
            return Interval(k / n, 0.0, 1.0, "bins too coarse: unknown", n, self.confidence, flags)
        variance = sides**2 * float(np.square(each).sum())
        floor = share * (1 - share) / n
        if sides == 2:
            # what pairs of subjects vary by of their own was counted for both subjects; take one back
            variance -= floor * max(0.0, 1 - share * n / _pairs(units))
        error = max(variance * units / (units - 1), floor) ** 0.5
        # as precise in log odds as at that edge
        error *= (k / n) * (1 - k / n) / (share * (1 - share))
        interval = logit_t(k / n, error, units - 1, CLOSED_FORM, n, self.confidence)
        return interval.flagged(*flags)

    # -- everything else: bootstrap

    @cached_property
    def _weights(self) -> NDArray[np.float64]:
        """How often each subject was drawn in each replicate [B,U]."""
        units = len(self.mated_by_subject)
        # RandomState: its numbers are the same in every version of numpy
        draws = np.random.RandomState(self.seed).randint(units, size=(self.replicates, units))
        return np.stack([np.bincount(row, minlength=units) for row in draws]).astype(np.float64)

    @cached_property
    def _densities(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mated and non-mated shares by bin in each replicate [B,bins]; projections may be below 0 in a bin."""
        self.error_rates  # noqa: B018  raises where a side is empty
        # whole numbers below 2**53: exact in any order of summation
        mated = self._weights @ self.mated_by_subject.astype(np.float64)
        nonmated = self._weights @ self.nonmated_by_subject.astype(np.float64)
        kept = (mated.sum(axis=1) > 0) & (nonmated.sum(axis=1) > 0)  # a rare subject may not have been drawn
        mated, nonmated = (part[kept] / part[kept].sum(axis=1, keepdims=True) for part in (mated, nonmated))
        all_nonmated = self.nonmated_by_subject.sum(axis=0)
        return mated, 2 * nonmated - all_nonmated / all_nonmated.sum()

    @cached_property
    def _curves(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """FMR and FNMR [B,bins+1] by rising edge, made to fall and to rise."""
        mated, nonmated = self._densities
        start = np.zeros((len(mated), 1))
        fnmr = np.concatenate([start, mated.cumsum(axis=1)], axis=1)
        fmr = np.concatenate([nonmated[:, ::-1].cumsum(axis=1)[:, ::-1], start], axis=1)
        return np.maximum.accumulate(fmr[:, ::-1].clip(0, 1), axis=1)[:, ::-1], fnmr.clip(0, 1)

    @cached_property
    def _replicated(self) -> dict[str, NDArray[np.float64]]:
        """Statistics of each replicate [B]."""
        mated, nonmated = self._densities
        fmr, fnmr = self._curves
        bins = mated.shape[1]
        middles = edges(bins)[:-1] + 1 / bins
        below = np.concatenate([np.zeros((len(nonmated), 1)), nonmated.cumsum(axis=1)[:, :-1]], axis=1)
        means = [part @ middles for part in (mated, nonmated)]
        variances = [
            (part @ middles**2 - mean**2).clip(min=0) for part, mean in zip((mated, nonmated), means, strict=True)
        ]
        spread = variances[0] + variances[1]
        distance = means[0] - means[1]
        inverse = np.divide(1, spread, out=np.zeros_like(spread), where=spread > 0)
        return {
            "eer": equal_error_rates(fmr, fnmr),
            "auc": np.einsum("bt,bt->b", mated, below + nonmated / 2),
            "fdr": distance**2 * inverse,
            "d_prime": distance * np.sqrt(2 * inverse),
            "mated_mean": means[0],
            "nonmated_mean": means[1],
            "mated_deviation": np.sqrt(variances[0]),
            "nonmated_deviation": np.sqrt(variances[1]),
        }

    def _rate(self, value: float, replicated: NDArray[np.float64]) -> Interval:
        """Interval of a rate of both sides from its replicates."""
        n, units = self.mated.total, self._units
        if units < 2:
            return Interval(value, 0.0, 1.0, "one subject: unknown", n, self.confidence, (FEW_SUBJECTS,))
        if not 0 < value < 1:
            bound = rule_of_three(min(units, max(self.independent_pairs, 1)), self.confidence).high
            low, high = (0.0, bound) if value <= 0 else (1 - bound, 1.0)
            return Interval(value, low, high, "rule of 3 on subjects", n, self.confidence, (RULE_OF_3,))
        error = float(replicated.std()) * (units / (units - 1)) ** 0.5
        return logit_t(value, error, units - 1, BOOTSTRAP, n, self.confidence)

    def _number(self, value: float, replicated: NDArray[np.float64]) -> Interval:
        """Interval of any other statistic from its replicates."""
        n, units = self.mated.total, self._units
        if units < 2:
            infinite = float("inf")
            method = "one subject: unknown"
            return Interval(value, -infinite, infinite, method, n, self.confidence, (FEW_SUBJECTS,))
        error = float(replicated.std()) * (units / (units - 1)) ** 0.5
        return plain_t(value, error, units - 1, BOOTSTRAP_PLAIN, n, self.confidence)

    @cached_property
    def _units(self) -> int:
        """Subjects with mated comparisons, of which there are never more than of the others."""
        return int((self._mated_tails[:, 0] > 0).sum())


def _tails(by_subject: Histograms) -> Histograms:
    """Scores of each subject at or above each edge [U,bins+1]."""
    tails = np.zeros((len(by_subject), by_subject.shape[1] + 1), np.int64)
    tails[:, :-1] = by_subject[:, ::-1].cumsum(axis=1)[:, ::-1]
    return tails


def _pairs(units: int) -> int:
    return max(units * (units - 1) // 2, 1)
