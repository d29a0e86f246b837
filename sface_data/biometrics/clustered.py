"""Shares of images that come in classes: images of one class tend to agree and are not independent units."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from sface_data.biometrics.intervals import CONFIDENCE, FEW_ERRORS, RULE_OF_30, Interval, logit_t, rule_of_three

_MOST = 1 - 1e-12  # the logarithm of a share of 1 - 1 is infinite
_MOST_ODDS = 50.0

Bounds = Callable[[float], tuple[float, float]]  # confidence -> the two-sided interval


@dataclass(frozen=True)
class ClusteredShare:
    """A share of units in clusters, with the number of independent units that would be as precise.

    Attributes:
        hits, n: units with the event, and all.
        clusters: independent groups of units.
        effective: independent units of the same precision, at most `n`.
    """

    hits: int
    n: int
    clusters: int
    effective: float

    @property
    def value(self) -> float:
        """The share."""
        return self.hits / self.n

    def bounds(self, confidence: float = CONFIDENCE) -> tuple[float, float]:
        """Clopper and Pearson's interval for the effective number of units (Korn and Graubard, 1998)."""
        tail = (1 - confidence) / 2
        # A variance estimated from few clusters is itself uncertain: the quantile of t instead of the normal's.
        shrink = (special.ndtri(tail) / special.stdtrit(max(self.clusters - 1, 1), tail)) ** 2
        n = max(self.effective * shrink, 1e-9)
        hits = self.value * n
        low = float(special.betaincinv(hits, n - hits + 1, tail)) if self.hits else 0.0
        high = float(special.betainccinv(hits + 1, n - hits, tail)) if self.hits < self.n else 1.0
        return min(low, self.value), max(high, self.value)


def clustered_share(
    hits: NDArray[np.integer], sizes: NDArray[np.integer], often: NDArray[np.integer] | None = None, sides: int = 1
) -> ClusteredShare:
    """The share of units with an event, from the counts of every cluster.

    Args:
        hits: [C] units of each cluster with the event.
        sizes: [C] all units of each cluster; empty ones do not count.
        often: [C] units with a weaker form of the event, which more units have. Few hits tell little of how alike
            the units of a cluster are; the weaker event tells more, and counts where it makes them more alike.
        sides: to how many clusters a unit belongs: 2 for comparisons of two subjects, counted for both.

    Raises:
        ValueError: without units.
    """
    n, clusters = int(sizes.sum()) // sides, int((sizes > 0).sum())
    if not n:
        raise ValueError("a share of nothing")
    effects = [_design_effect(events, sizes, sides) for events in (hits, often) if events is not None]
    known = [effect for effect in effects if effect is not None]
    # Where nothing tells how alike the units of a cluster are, they may be so entirely.
    effective = n / max(known) if known else float(clusters)
    return ClusteredShare(int(hits.sum()) // sides, n, clusters, min(max(effective, 1.0), float(n)))


def share_by_class(
    hit: NDArray[np.bool_], cluster: NDArray[np.int64], often: NDArray[np.bool_] | None = None
) -> ClusteredShare:
    """`clustered_share` of units [N] in the clusters [N], numbered from zero."""
    weaker = None if often is None else np.bincount(cluster[often], minlength=int(cluster.max()) + 1)
    return clustered_share(
        np.bincount(cluster[hit], minlength=int(cluster.max()) + 1), np.bincount(cluster), weaker
    )


def _design_effect(hits: NDArray[np.integer], sizes: NDArray[np.integer], sides: int) -> float | None:
    """By how much clusters inflate the variance of a share, at least 1; None where all or none have the event."""
    n, events = int(sizes.sum()) // sides, int(hits.sum()) // sides
    if events in (0, n):
        return None
    share, clusters = events / n, int((sizes > 0).sum())
    if clusters < 2:
        return float(n)
    residuals = hits - share * sizes
    variance = clusters / (clusters - 1) * float((residuals**2).sum()) / n**2
    return max(1.0, variance / (share * (1 - share) / n))


def excess_risk(attack: ClusteredShare, control: ClusteredShare, trials: float = 1.0) -> tuple[float, Bounds]:
    """(attack - chance) / (1 - chance), and its interval.

    Chance is what the control shows, or, for an attack that had `trials` times as many trials as the control,
    1 - (1 - control)^trials. The intervals of the two shares are combined as Zou and Donner (2008) do (MOVER),
    on ln(1 - share), of which the excess is a function of the difference.
    """

    def risk(share: float) -> float:
        return -np.log1p(-min(share, _MOST))

    a, c = risk(attack.value), trials * risk(control.value)

    def bounds(confidence: float) -> tuple[float, float]:
        a_low, a_high = map(risk, attack.bounds(confidence))
        c_low, c_high = (trials * risk(bound) for bound in control.bounds(confidence))
        low = a - c - np.hypot(a - a_low, c_high - c)
        high = a - c + np.hypot(a_high - a, c - c_low)
        return excess(low), excess(high)

    def excess(difference: float) -> float:
        return -float(np.expm1(min(-difference, _MOST_ODDS)))

    return excess(a - c), bounds


def beyond_chance(share: ClusteredShare, chance: float) -> tuple[float, Bounds]:
    """(share - chance) / (1 - chance) and its bounds; chance is known."""

    def beyond(value: float) -> float:
        return (value - chance) / (1 - chance)

    def bounds(confidence: float) -> tuple[float, float]:
        low, high = share.bounds(confidence)
        return beyond(low), beyond(high)

    return beyond(share.value), bounds


def ratio(above: ClusteredShare, below: ClusteredShare) -> tuple[float, Bounds]:
    """above / below, and its interval: MOVER for a ratio (Donner and Zou, 2012).

    Infinite where `below` may be zero.
    """
    p, q = above.value, below.value

    def bounds(confidence: float) -> tuple[float, float]:
        (p_low, p_high), (q_low, q_high) = above.bounds(confidence), below.bounds(confidence)
        if q_low <= 0:
            return (p_low / q_high if q_high else 0.0), np.inf
        if q_high >= 1.9 * q:  # the formula needs a denominator that is known better
            return p_low / q_high, p_high / q_low
        low = p * q - np.sqrt(max((p * q) ** 2 - p_low * q_high * (2 * p - p_low) * (2 * q - q_high), 0.0))
        high = p * q + np.sqrt(max((p * q) ** 2 - p_high * q_low * (2 * p - p_high) * (2 * q - q_low), 0.0))
        return max(low / (q_high * (2 * q - q_high)), 0.0), high / (q_low * (2 * q - q_low))

    return (p / q if q else np.inf if p else 1.0), bounds


def logit_bounds(found: Interval, units: int) -> Bounds:
    """The bounds of a rate at any confidence, from its 95 % interval that is symmetric in log odds over subjects.

    An interval of another form, as at 0 and 1, is stretched likewise about its middle.
    """
    degrees = max(units - 1, 1) if found.degrees is None else found.degrees
    tail = float(special.stdtrit(degrees, (1 - CONFIDENCE) / 2))
    inner = np.clip([found.value, found.low, found.high], 1e-9, 1 - 1e-9)
    middle, below, above = special.logit(inner)

    def bounds(confidence: float) -> tuple[float, float]:
        scale = float(special.stdtrit(degrees, (1 - confidence) / 2)) / tail
        lower, upper = middle - scale * (middle - below), middle + scale * (above - middle)
        return float(special.expit(lower)), float(special.expit(upper))

    return bounds


def logit_interval(value: float, error: float, units: int, method: str, n: int) -> Interval:
    """A rate with its standard error over subjects; at 0 and 1, where it has none, the rule of 3."""
    if not 0 < value < 1 or error == 0:
        bound = rule_of_three(max(units, 1))
        return Interval(value, max(0.0, value - bound), min(1.0, value + bound), f"rule of 3 over {units}", n)
    return logit_t(value, error, max(units - 1, 1), method, n)


def p_above(value: float, bounds: Bounds, limit: float) -> float:
    """One-sided p-value of "not above the limit": the level at which the lower bound reaches the limit."""
    if value <= limit:
        return 1.0
    low, high = -12.0, np.log10(0.5)  # exponents of the one-sided level
    if bounds(1 - 2 * 10**low)[0] > limit:
        return float(10**low)
    for _ in range(24):
        middle = (low + high) / 2
        if bounds(1 - 2 * 10**middle)[0] > limit:
            high = middle
        else:
            low = middle
    return float(10**high)


def interval_of(value: float, bounds: Bounds, method: str, n: int, events: int) -> Interval:
    """The 95 % interval.

    Args:
        events: how many the statistic rests on; below 30 it is flagged.
    """
    low, high = bounds(CONFIDENCE)
    flags = () if events >= FEW_ERRORS else (RULE_OF_30,)
    return Interval(float(value), float(min(low, value)), float(max(high, value)), method, int(n), flags=flags)
