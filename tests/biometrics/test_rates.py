"""Error rates by hand, against brute force over raw scores, and binned against exact ones."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sface_data.biometrics.rates import ErrorRates, NoComparisons, fdr, threshold_at_fmr
from sface_data.biometrics.scores import BINS, ScoreHistogram, edges

# few values, so that ties are common; and any value
some = st.lists(st.integers(-10, 10).map(lambda x: x / 10) | st.floats(-1, 1), min_size=1, max_size=30)


def binned(values: list[float]) -> ScoreHistogram:
    return ScoreHistogram.from_scores(values)


def test_by_hand() -> None:
    found = ErrorRates.of([0.9, 0.8, 0.3, 0.6], [0.1, 0.2, 0.7, 0.4, 0.3])
    assert (found.mated, found.nonmated) == (4, 5)
    at = {threshold: index for index, threshold in enumerate(found.thresholds.tolist())}
    assert (found.fmr[at[0.7]], found.fnmr[at[0.7]], found.tmr[at[0.7]]) == (1 / 5, 2 / 4, 2 / 4)
    assert (found.fmr[at[0.8]], found.fnmr[at[0.6]]) == (0, 1 / 4)
    # pairs won: 0.9 and 0.8 beat five each, 0.6 beats four, 0.3 beats two and ties with one
    assert found.auc == (5 + 5 + 4 + 2.5) / 20
    # thresholds 0.4 and 0.6 have (FMR, FNMR) of (2/5, 1/4) and (1/5, 1/4): FMR falls to 1/4 between them
    assert found.eer == pytest.approx(0.25)
    fmr, tmr, thresholds = found.roc_curve()
    assert (fmr[0], tmr[0], fmr[-1], tmr[-1], thresholds[-1]) == (1, 1, 0, 0, np.inf)


@given(some, some)
@settings(max_examples=50, deadline=None)  # no deadline: machines may be busy
def test_raw_scores_against_brute_force(mated: list[float], nonmated: list[float]) -> None:
    found = ErrorRates.of(mated, nonmated)
    m, n = np.array(mated), np.array(nonmated)
    wins = (m[:, None] > n).sum() + (m[:, None] == n).sum() / 2
    assert found.auc == pytest.approx(wins / (len(m) * len(n)), abs=1e-12)
    for threshold, fmr, fnmr in zip(found.thresholds, found.fmr, found.fnmr, strict=True):
        assert fmr == (n >= threshold).mean()
        assert fnmr == pytest.approx((m < threshold).mean(), abs=1e-12)


@given(some, some)
@settings(max_examples=50, deadline=None)  # no deadline: machines may be busy
def test_equal_error_rate_is_where_the_line_crosses(mated: list[float], nonmated: list[float]) -> None:
    m, n = np.array(mated), np.array(nonmated)
    points = [((n >= t).mean(), (m < t).mean()) for t in sorted({*mated, *nonmated})] + [(0.0, 1.0)]
    for (fmr, fnmr), (next_fmr, next_fnmr) in pairwise(points):
        if next_fnmr >= next_fmr:
            share = (fmr - fnmr) / ((fmr - fnmr) + (next_fnmr - next_fmr))
            wanted = fmr + share * (next_fmr - fmr)
            assert ErrorRates.of(mated, nonmated).eer == pytest.approx(wanted, abs=1e-12)
            break


@given(some, some)
@settings(max_examples=50, deadline=None)  # no deadline: machines may be busy
def test_binned_rates_are_exact_at_edges(mated: list[float], nonmated: list[float]) -> None:
    raw, found = ErrorRates.of(mated, nonmated), ErrorRates.of(binned(mated), binned(nonmated))
    m, n = np.array(mated), np.array(nonmated)
    ties = found.mated_counts @ found.nonmated_counts / (2 * len(m) * len(n))  # pairs that share a bin
    assert abs(raw.auc - found.auc) <= ties + 1e-12
    for index in (0, 5_000, 10_000, 12_345, 19_999):
        edge = float(edges()[index])
        assert found.fmr[index] == (n >= edge).mean()
        assert found.fnmr[index] == pytest.approx((m < edge).mean(), abs=1e-12)
    for fmr in (0, 0.1, 0.5):
        threshold = threshold_at_fmr(binned(nonmated), fmr)
        index = BINS if threshold == np.inf else int(np.searchsorted(edges(), threshold))
        assert (n >= threshold).mean() <= fmr or index == BINS
        assert index == 0 or (n >= edges()[index - 1]).mean() > fmr  # the lowest such edge


@given(some, some)
@settings(max_examples=50, deadline=None)  # no deadline: machines may be busy
def test_fisher_ratio_of_bins_is_that_of_scores(mated: list[float], nonmated: list[float]) -> None:
    spread = np.var(mated) + np.var(nonmated)
    if spread > 1e-2:
        wanted = (np.mean(mated) - np.mean(nonmated)) ** 2 / spread
        assert fdr(mated, nonmated) == pytest.approx(wanted)
        assert fdr(binned(mated), binned(nonmated)) == pytest.approx(wanted, abs=1e-4)


def test_all_equal() -> None:
    for mated, nonmated in (([0.3] * 4, [0.3] * 3), (binned([1.0]), binned([1.0]))):
        found = ErrorRates.of(mated, nonmated)
        assert (found.eer, found.auc) == (0.5, 0.5)
        assert fdr(mated, nonmated) == 0
    assert (ErrorRates.of([0.5], [0.4]).eer, ErrorRates.of([0.4], [0.5]).eer) == (0, 1)
    assert fdr([0.5], [0.4]) == np.inf


def test_no_threshold_separates_what_the_last_bin_holds() -> None:
    assert threshold_at_fmr(binned([1.0, 0.5]), 0.1) == np.inf


def test_an_empty_side_is_an_error() -> None:
    for mated, nonmated, name in (([], [0.1], "no mated"), ([0.1], [], "no non-mated")):
        for ask in (ErrorRates.of, fdr):
            with pytest.raises(NoComparisons, match=name):
                ask(mated, nonmated)
            with pytest.raises(NoComparisons, match=name):
                ask(binned(mated), binned(nonmated))
    with pytest.raises(NoComparisons, match="non-mated"):
        threshold_at_fmr(binned([]), 0.5)


def test_sides_must_be_of_one_kind() -> None:
    with pytest.raises(TypeError):
        ErrorRates.of(binned([0.1]), [0.1])
    with pytest.raises(ValueError, match="bins"):
        ErrorRates.of(binned([0.1]), ScoreHistogram.from_scores([0.1], bins=10))
    with pytest.raises(ValueError, match="not a number"):
        ErrorRates.of([np.nan], [0.1])
