"""Error rates by hand, against brute force over raw scores, and binned against exact ones."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sface_data.biometrics import rates
from sface_data.biometrics.rates import ErrorRates, NoComparisons
from sface_data.biometrics.scores import ScoreHistogram, edges

# few values, so that ties are common; and any value
some = st.lists(st.integers(-10, 10).map(lambda x: x / 10) | st.floats(-1, 1), min_size=1, max_size=30)


def binned(values: list[float]) -> ScoreHistogram:
    return ScoreHistogram.from_scores(values)


def test_by_hand() -> None:
    mated, nonmated = [0.9, 0.8, 0.3, 0.6], [0.1, 0.2, 0.7, 0.4, 0.3]
    found = ErrorRates.of(mated, nonmated)
    assert (found.mated, found.nonmated) == (4, 5)
    assert found.fmr_at(0.7) == 1 / 5
    assert found.fmr_at(0.71) == 0
    assert found.fnmr_at(0.6) == 1 / 4
    assert found.fnmr_at(0.61) == 2 / 4
    # pairs won: 0.9 and 0.8 beat five each, 0.6 beats four, 0.3 beats two and ties with one
    assert found.auc == (5 + 5 + 4 + 2.5) / 20
    # thresholds 0.4 and 0.6 have (FMR, FNMR) of (2/5, 1/4) and (1/5, 1/4): FMR falls to 1/4 between them
    assert found.eer == pytest.approx(0.25)
    assert found.threshold_at_fmr(0.2) == 0.6
    assert found.fnmr_at_fmr(0.2) == 0.25
    assert found.threshold_at_fmr(0) == 0.8
    fmr, tmr, thresholds = found.roc_curve()
    assert (fmr[0], tmr[0], fmr[-1], tmr[-1], thresholds[-1]) == (1, 1, 0, 0, np.inf)


@given(some, some)
def test_raw_scores_against_brute_force(mated: list[float], nonmated: list[float]) -> None:
    found = ErrorRates.of(mated, nonmated)
    m, n = np.array(mated), np.array(nonmated)
    wins = (m[:, None] > n).sum() + (m[:, None] == n).sum() / 2
    assert found.auc == pytest.approx(wins / (len(m) * len(n)), abs=1e-12)
    for threshold in [*mated, *nonmated, -1.0, 0.05, 1.0]:
        assert found.fmr_at(threshold) == (n >= threshold).mean()
        assert found.fnmr_at(threshold) == pytest.approx((m < threshold).mean(), abs=1e-12)
    for fmr in (0, 0.01, 0.3, 1):
        candidates = [t for t in [*mated, *nonmated, np.inf] if (n >= t).mean() <= fmr]
        assert found.threshold_at_fmr(fmr) == min(candidates)
        assert found.fnmr_at_fmr(fmr) == pytest.approx((m < min(candidates)).mean())


@given(some, some)
def test_equal_error_rate_is_where_the_line_crosses(mated: list[float], nonmated: list[float]) -> None:
    m, n = np.array(mated), np.array(nonmated)
    points = [((n >= t).mean(), (m < t).mean()) for t in sorted({*mated, *nonmated})] + [(0.0, 1.0)]
    for (fmr, fnmr), (next_fmr, next_fnmr) in pairwise(points):
        if next_fnmr >= next_fmr:
            share = (fmr - fnmr) / ((fmr - fnmr) + (next_fnmr - next_fmr))
            assert rates.eer(mated, nonmated) == pytest.approx(fmr + share * (next_fmr - fmr), abs=1e-12)
            break


@given(some, some)
def test_binning_is_off_by_no_more_than_is_said(mated: list[float], nonmated: list[float]) -> None:
    raw, found = ErrorRates.of(mated, nonmated), ErrorRates.of(binned(mated), binned(nonmated))
    low, high = found.eer_bounds
    assert low - 1e-12 <= raw.eer <= high + 1e-12
    assert low - 1e-12 <= found.eer <= high + 1e-12
    assert abs(raw.auc - found.auc) <= found.auc_error + 1e-12
    for place in (0, 5_000, 10_000, 12_345, 19_999):  # exact at edges
        edge = float(edges()[place])
        assert found.fmr_at(edge) == rates.fmr(binned(nonmated), edge) == raw.fmr_at(edge)
        assert found.fnmr_at(edge) == pytest.approx(raw.fnmr_at(edge), abs=1e-12)
    for fmr in (0, 0.1, 0.5):
        threshold = rates.threshold_at_fmr(binned(nonmated), fmr)
        assert threshold == found.threshold_at_fmr(fmr)
        exact = raw.threshold_at_fmr(fmr)
        assert (np.array(nonmated) >= threshold).mean() <= fmr or threshold == np.inf
        assert threshold >= min(exact, 1) - 1e-4 or np.isinf(exact)


@given(some, some)
def test_moments_of_bins_are_those_of_scores(mated: list[float], nonmated: list[float]) -> None:
    spread = np.var(mated) + np.var(nonmated)
    if spread > 1e-2:
        assert rates.fdr(binned(mated), binned(nonmated)) == pytest.approx(rates.fdr(mated, nonmated), abs=1e-4)
        wanted = (np.mean(mated) - np.mean(nonmated)) / np.sqrt(spread / 2)
        assert rates.d_prime(mated, nonmated) == pytest.approx(wanted)
        assert rates.d_prime(binned(mated), binned(nonmated)) == pytest.approx(wanted, abs=1e-4)


def test_all_equal() -> None:
    for mated, nonmated in (([0.3] * 4, [0.3] * 3), (binned([1.0]), binned([1.0]))):
        found = ErrorRates.of(mated, nonmated)
        assert (found.eer, found.auc) == (0.5, 0.5)
        assert rates.fdr(mated, nonmated) == rates.d_prime(mated, nonmated) == 0
    assert rates.eer([0.5], [0.4]) == 0
    assert rates.eer([0.4], [0.5]) == 1
    assert rates.fdr([0.5], [0.4]) == np.inf


def test_the_last_bin_matches_up_to_a_threshold_of_one_and_nothing_beyond() -> None:
    nonmated = binned([1.0, 0.5])
    assert rates.fmr(nonmated, 1.0) == 0.5
    assert rates.fmr(nonmated, 1.1) == 0
    assert rates.threshold_at_fmr(nonmated, 0.1) == np.inf


def test_an_empty_side_is_an_error() -> None:
    for mated, nonmated, name in (([], [0.1], "no mated"), ([0.1], [], "no non-mated")):
        for ask in (rates.eer, rates.auc, rates.fmr100, rates.fmr1000, rates.fdr, rates.d_prime):
            with pytest.raises(NoComparisons, match=name):
                ask(mated, nonmated)
            with pytest.raises(NoComparisons, match=name):
                ask(binned(mated), binned(nonmated))
    for single in (lambda: rates.fmr(binned([]), 0.5), lambda: rates.threshold_at_fmr(binned([]), 0.5)):
        with pytest.raises(NoComparisons, match="non-mated"):
            single()


def test_sides_must_be_of_one_kind() -> None:
    with pytest.raises(TypeError):
        rates.eer(binned([0.1]), [0.1])
    with pytest.raises(ValueError, match="bins"):
        rates.eer(binned([0.1]), ScoreHistogram.from_scores([0.1], bins=10))
    with pytest.raises(ValueError, match="not a number"):
        rates.eer([np.nan], [0.1])
