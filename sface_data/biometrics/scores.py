"""Similarity scores of any number of comparisons, in bins that can be added up."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

BINS = 20_000  # over [-1,1]: 1e-4 wide
_UNIT = 2**30  # sums are kept in whole multiples of 1 / _UNIT, so that they do not depend on the order
_CHUNK = 1 << 20  # scores binned at a time; their squares in units fit an int64 for up to 2**33


def edges(bins: int = BINS) -> NDArray[np.float64]:
    """The borders [bins+1] of equal bins over [-1,1]; bin i holds edge i and all up to edge i+1."""
    return (2 * np.arange(bins + 1) - bins) / bins


@dataclass(frozen=True, eq=False)
class ScoreHistogram:
    """How often each similarity occurred, in equal bins over [-1,1], with the sums behind mean and variance.

    Histograms add up, in any order and grouping, to exactly the same: parts may be counted on different
    machines. A score on an edge counts in the bin above it, so that counts from an edge on are exactly the
    scores >= that edge. Scores outside [-1,1] are taken as -1 or 1.

    Attributes:
        counts: int64 [bins].
        score_sum, square_sum: of the scores and of their squares, each rounded to a whole multiple of 2**-30.
    """

    counts: NDArray[np.int64]
    score_sum: int
    square_sum: int

    @classmethod
    def empty(cls, bins: int = BINS) -> "ScoreHistogram":
        """No scores: the neutral element of addition."""
        return cls(np.zeros(bins, np.int64), 0, 0)

    @classmethod
    def from_scores(cls, scores: ArrayLike, bins: int = BINS) -> "ScoreHistogram":
        """Counts scores of any shape. Raises ValueError if one is not a number."""
        flat = np.asarray(scores).reshape(-1)
        counts, total, squares = np.zeros(bins, np.int64), 0, 0
        borders = edges(bins)
        for start in range(0, len(flat), _CHUNK):
            some = np.clip(flat[start : start + _CHUNK].astype(np.float64), -1, 1)
            if np.isnan(some).any():
                raise ValueError("a similarity score is not a number")
            indices = np.clip(((some + 1) * (bins / 2)).astype(np.int64), 0, bins - 1)
            # the product may round across an edge: compare with the edges themselves
            indices -= (some < borders[indices]) & (indices > 0)
            indices += (some >= borders[indices + 1]) & (indices < bins - 1)
            counts += np.bincount(indices, minlength=bins)
            total += int(np.rint(some * _UNIT).astype(np.int64).sum())
            squares += int(np.rint(some * some * _UNIT).astype(np.int64).sum())
        return cls(counts, total, squares)

    def __add__(self, other: "ScoreHistogram") -> "ScoreHistogram":
        if len(self.counts) != len(other.counts):
            raise ValueError(f"{len(self.counts)} bins cannot be added to {len(other.counts)}")
        return ScoreHistogram(
            self.counts + other.counts, self.score_sum + other.score_sum, self.square_sum + other.square_sum
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ScoreHistogram):
            return NotImplemented
        sums = (self.score_sum, self.square_sum) == (other.score_sum, other.square_sum)
        return sums and np.array_equal(self.counts, other.counts)

    __hash__ = None  # type: ignore[assignment]

    @property
    def bins(self) -> int:
        return len(self.counts)

    @property
    def edges(self) -> NDArray[np.float64]:
        """The borders of the bins [bins+1]."""
        return edges(self.bins)

    @property
    def total(self) -> int:
        """The number of comparisons."""
        return int(self.counts.sum())

    @property
    def mean(self) -> float:
        """From the sums, not from the bins: off by at most 2**-31. NaN without comparisons."""
        return self.score_sum / _UNIT / self.total if self.total else float("nan")

    @property
    def variance(self) -> float:
        """Of the scores as a population (divided by their number), from the sums: off by at most 2**-29."""
        total = self.total
        if not total:
            return float("nan")
        # in whole numbers until the last division: nothing cancels
        return max(self.square_sum * total * _UNIT - self.score_sum**2, 0) / (total * _UNIT) ** 2

    def quantile(self, share: float) -> float:
        """The upper edge of the bin that holds this quantile. -1 without comparisons."""
        if not self.total:
            return -1.0
        index = int(np.searchsorted(self.counts.cumsum(), share * self.total))
        return float(self.edges[min(index, self.bins - 1) + 1])

    def coarser(self, bins: int) -> NDArray[np.int64]:
        """The counts in fewer bins [bins]; their number must divide that of the bins."""
        return self.counts.reshape(bins, -1).sum(axis=1)
