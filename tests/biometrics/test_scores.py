"""Histograms of scores against the scores themselves."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sface_data.biometrics.scores import BINS, ScoreHistogram, edges

scores = st.lists(st.floats(-1, 1), max_size=40)
on_edges = st.lists(st.integers(0, BINS).map(lambda index: float(edges()[index])), max_size=40)


@given(scores | on_edges)
@settings(max_examples=50, deadline=None)  # no deadline: machines may be busy
def test_counts_from_an_edge_on_are_the_scores_at_or_above_it(values: list[float]) -> None:
    histogram = ScoreHistogram.from_scores(values)
    assert histogram.total == len(values)
    for value in values:
        for index in np.searchsorted(edges(), value) + np.arange(-1, 2):
            if 0 <= index < BINS:
                above = int((np.array(values) >= edges()[index]).sum())
                assert histogram.counts[index:].sum() == above


@given(scores, scores, scores)
@settings(max_examples=50, deadline=None)  # no deadline: machines may be busy
def test_parts_add_up_in_any_order_to_the_same(a: list[float], b: list[float], c: list[float]) -> None:
    whole = ScoreHistogram.from_scores(a + b + c)
    parts = [ScoreHistogram.from_scores(part) for part in (c, a, b)]
    assert sum(parts, ScoreHistogram.empty()) == whole
    assert parts[0] + (parts[1] + parts[2]) == (parts[0] + parts[1]) + parts[2]
    assert whole + ScoreHistogram.empty() == whole


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=40))
@settings(max_examples=50, deadline=None)  # no deadline: machines may be busy
def test_mean_and_variance_are_off_by_no_more_than_is_said(values: list[float]) -> None:
    histogram = ScoreHistogram.from_scores(values)
    assert abs(histogram.mean - np.mean(values)) <= 2**-31 + 1e-15
    assert abs(histogram.variance - np.var(values)) <= 2**-29 + 1e-15


def test_float32_scores_outside_are_taken_in_and_nan_is_refused() -> None:
    histogram = ScoreHistogram.from_scores(np.array([[-1.001, 1.0], [1.2, 0]], np.float32), bins=4)
    assert histogram.counts.tolist() == [1, 0, 1, 2]
    assert histogram.mean == 0.25
    with pytest.raises(ValueError, match="not a number"):
        ScoreHistogram.from_scores([0.1, np.nan])
    assert np.isnan(ScoreHistogram.empty().mean)


def test_histograms_of_different_bins_do_not_add_up() -> None:
    with pytest.raises(ValueError, match="4 bins"):
        ScoreHistogram.empty(4) + ScoreHistogram.empty(8)
    assert ScoreHistogram.empty(4) != ScoreHistogram.empty(8)


def test_coarser_bins() -> None:
    histogram = ScoreHistogram.from_scores([-0.9, -0.6, 0.1, 0.9], bins=8)
    assert histogram.coarser(2).tolist() == [2, 2]


def test_a_quantile_is_the_upper_edge_of_its_bin() -> None:
    histogram = ScoreHistogram.from_scores([-0.6, -0.2, 0.2, 0.6], bins=10)
    assert [histogram.quantile(share) for share in (0.25, 0.5, 0.75, 1.0)] == pytest.approx([-0.4, 0.0, 0.4, 0.8])
    assert ScoreHistogram.empty().quantile(0.5) == -1
