"""Intervals: no rate is reported bare.

Here are those for units that are independent of one another. Comparisons hardly ever are: two that share a
subject depend on each other. Their intervals are in `subjects`.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import stats

CONFIDENCE = 0.95
FEW_ERRORS = 30  # rule of 30: with fewer errors a rate is not called measured (Doddington et al., 2000)
RULE_OF_3 = "no errors seen: upper bound by the rule of 3"
RULE_OF_30 = f"fewer than {FEW_ERRORS} errors"
FEW_SUBJECTS = "fewer than 2 subjects"


@dataclass(frozen=True)
class Interval:
    """A statistic and between which values its true value is likely to be.

    Attributes:
        value: the estimate.
        low, high: bounds; `confidence` of such intervals hold the true value.
        method: how the bounds were found.
        n: number of comparisons, or of other units, that the value is an average over.
        flags: what a reader must know, such as `RULE_OF_30`; empty if all is well.
    """

    value: float
    low: float
    high: float
    method: str
    n: int
    confidence: float = CONFIDENCE
    flags: tuple[str, ...] = ()

    def flagged(self, *flags: str) -> "Interval":
        """The same with more flags."""
        return replace(self, flags=(*self.flags, *(flag for flag in flags if flag not in self.flags)))

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "value": self.value,
            "low": self.low,
            "high": self.high,
            "method": self.method,
            "n": self.n,
            "confidence": self.confidence,
            "flags": list(self.flags),
        }


def wilson(k: int, n: int, confidence: float = CONFIDENCE) -> Interval:
    """Share of `k` in `n` independent units by Wilson's score: close to its nominal coverage on average.

    Raises:
        ValueError: unless 0 <= k <= n and n > 0.
    """
    _check(k, n)
    bounds = stats.binomtest(k, n).proportion_ci(confidence, "wilson")
    return Interval(k / n, _clip(bounds.low), _clip(bounds.high), "Wilson", n, confidence, count_flags(k, n))


def clopper_pearson(k: int, n: int, confidence: float = CONFIDENCE) -> Interval:
    """Share of `k` in `n` independent units, exact: never covers less than it says, often more.

    Raises:
        ValueError: unless 0 <= k <= n and n > 0.
    """
    _check(k, n)
    tail = (1 - confidence) / 2
    low = float(stats.beta.ppf(tail, k, n - k + 1)) if k else 0.0
    high = float(stats.beta.ppf(1 - tail, k + 1, n - k)) if k < n else 1.0
    return Interval(k / n, low, high, "Clopper-Pearson", n, confidence, count_flags(k, n))


def rule_of_three(n: int, confidence: float = CONFIDENCE) -> Interval:
    """0 of `n` independent units: the one-sided upper bound, about 3 / n at 95 %, never above 1.

    Raises:
        ValueError: unless n > 0.
    """
    _check(0, n)
    high = 1 - (1 - confidence) ** (1 / n)
    return Interval(0.0, 0.0, high, "rule of 3", n, confidence, (RULE_OF_3, RULE_OF_30))


def count_flags(k: int, n: int) -> tuple[str, ...]:
    """`RULE_OF_30` if the rarer outcome occurred fewer than 30 times."""
    return (RULE_OF_30,) if min(k, n - k) < FEW_ERRORS else ()


def logit_t(
    value: float, error: float, degrees: int, method: str, n: int, confidence: float = CONFIDENCE
) -> Interval:
    """A rate strictly between 0 and 1 with its standard error: symmetric in log odds, with quantiles of t."""
    half = float(stats.t.ppf((1 + confidence) / 2, degrees)) * error / (value * (1 - value))
    middle = np.log(value / (1 - value))
    low, high = (float(1 / (1 + np.exp(-(middle + sign * half)))) for sign in (-1, 1))
    return Interval(value, min(low, value), max(high, value), method, n, confidence)


def plain_t(
    value: float, error: float, degrees: int, method: str, n: int, confidence: float = CONFIDENCE
) -> Interval:
    """A statistic without bounds with its standard error, with quantiles of t."""
    half = float(stats.t.ppf((1 + confidence) / 2, degrees)) * error
    return Interval(value, value - half, value + half, method, n, confidence)


def _check(k: int, n: int) -> None:
    if not 0 <= k <= n or n == 0:
        raise ValueError(f"{k} of {n} is no share")


def _clip(value: float) -> float:
    return float(min(max(value, 0.0), 1.0))
