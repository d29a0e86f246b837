"""Intervals: no rate is reported bare.

Comparisons are hardly ever independent of one another: two that share a subject depend on each other. The spread
between subjects that an interval needs comes from `subjects` (AUC, EER) or `clustered` (shares).
"""

from dataclasses import dataclass

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
        degrees: of freedom of the t distribution that the bounds are quantiles of; None for other bounds.
    """

    value: float
    low: float
    high: float
    method: str
    n: int
    confidence: float = CONFIDENCE
    flags: tuple[str, ...] = ()
    degrees: float | None = None


def rule_of_three(n: int) -> float:
    """None of `n` independent units: the one-sided upper bound of their share, about 3 / n, never above 1.

    Raises:
        ValueError: unless n > 0.
    """
    if n < 1:
        raise ValueError(f"a share of {n} units")
    return 1 - (1 - CONFIDENCE) ** (1 / n)


def logit_t(
    value: float, error: float, degrees: float, method: str, n: int, confidence: float = CONFIDENCE
) -> Interval:
    """A rate strictly between 0 and 1 with its standard error: symmetric in log odds, with quantiles of t."""
    half = float(stats.t.ppf((1 + confidence) / 2, degrees)) * error / (value * (1 - value))
    middle = np.log(value / (1 - value))
    low, high = (float(1 / (1 + np.exp(-(middle + sign * half)))) for sign in (-1, 1))
    return Interval(value, min(low, value), max(high, value), method, n, confidence, degrees=degrees)
