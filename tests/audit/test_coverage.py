"""Intervals over subjects hold the true value as often as they say. In full: scripts/bench_audit_truth.py."""

from sface_data.audit.compare.pairs import compare
from sface_data.biometrics.rates import ErrorRates
from sface_data.biometrics.scores import merged
from sface_data.biometrics.simulation import simulate_faces

RUNS = 30
THRESHOLD = 0.36


def test_intervals_hold_the_true_value() -> None:
    draws = [compare(simulate_faces(seed, classes=100, images=(4, 8))) for seed in range(RUNS)]
    # what all draws together say is close enough to the truth
    rates = ErrorRates.of(merged(draw.mated for draw in draws), merged(draw.nonmated for draw in draws))
    truth = {
        "eer": rates.eer,
        "auc": rates.auc,
        "tmr": 1 - rates.fnmr_at(THRESHOLD),
        "fmr": rates.fmr_at(THRESHOLD),
        "fmr100": rates.fnmr_at_fmr(0.01),
    }
    held = dict.fromkeys(truth, 0)
    for draw in draws:
        subjects = draw.subjects(replicates=200)
        found = {
            "eer": subjects.eer(),
            "auc": subjects.auc(),
            "tmr": subjects.tmr(THRESHOLD),
            "fmr": subjects.fmr(THRESHOLD),
            "fmr100": subjects.fmr100(),
        }
        for name, value in truth.items():
            held[name] += found[name].low <= value <= found[name].high
    # of 30 draws 28.5 on average; 25 or fewer with a chance of 1 % if the intervals are right
    assert min(held.values()) > 25, held


def test_half_the_width_would_not_do() -> None:
    """The test above can fail: intervals as if comparisons were independent hold the truth far less often."""
    held = 0
    draws = [compare(simulate_faces(seed, classes=100, images=(4, 8))) for seed in range(RUNS)]
    truth = 1 - ErrorRates.of(merged(d.mated for d in draws), merged(d.nonmated for d in draws)).fnmr_at(THRESHOLD)
    for draw in draws:
        found = draw.subjects().tmr(THRESHOLD)
        error = (found.value * (1 - found.value) / draw.mated.total) ** 0.5
        held += abs(found.value - truth) <= 1.96 * error
    assert held < 25
