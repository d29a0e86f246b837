"""Intervals of a certificate hold the true value as often as they say. In full: scripts/bench_audit_truth.py."""

from functools import cache

import pytest

from sface_data.auditing.compare.pairs import compare, prepare
from sface_data.auditing.simulation import Leak, World, simulate
from sface_data.biometrics.rates import ErrorRates
from sface_data.biometrics.scores import ScoreHistogram
from sface_data.biometrics.subjects import SubjectScores

RUNS = 30
SMALL = World(classes=100, images=2, authentic=6, control=2, control_images=2, spread=1.8)


@cache
def draws() -> tuple[list[SubjectScores], ErrorRates]:
    """Comparisons within training sets of people drawn anew, and the rates of all together: the truth, nearly."""
    found = [
        compare(prepare(simulate(SMALL, Leak(), seed).training)).subjects(replicates=200) for seed in range(RUNS)
    ]
    empty = ScoreHistogram.empty()
    every = [sum((getattr(draw, side) for draw in found), empty) for side in ("mated", "nonmated")]
    return found, ErrorRates.of(*every)


def held(name: str, width: float = 1.0) -> int:
    """How many intervals of a rate hold its true value, made wider by a factor about their values."""
    found, truth = draws()
    value = getattr(truth, name)
    intervals = [getattr(draw, name)() for draw in found]
    return sum(
        i.value + width * (i.low - i.value) <= value <= i.value + width * (i.high - i.value) for i in intervals
    )


@pytest.mark.parametrize("name", ["auc", "eer"])
def test_intervals_hold_the_true_value(name: str) -> None:
    # of 30 draws 28.5 on average; 25 or fewer with a chance of 1 % if the intervals are right
    assert held(name) > 25


@pytest.mark.parametrize("name", ["auc", "eer"])
def test_half_the_width_would_not_do(name: str) -> None:
    """The test above can fail."""
    assert held(name, 0.5) <= 25
