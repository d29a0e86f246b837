"""Intervals of independent units: published values and coverage by enumeration."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from sface_data.biometrics.intervals import RULE_OF_3, RULE_OF_30, clopper_pearson, rule_of_three, wilson


def test_published_values() -> None:
    # Newcombe, Statistics in Medicine 17 (1998), table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29
    for k, n, by_wilson, exact in (
        (81, 263, (0.2553, 0.3662), (0.2527, 0.3676)),
        (15, 148, (0.0624, 0.1605), (0.0578, 0.1617)),
        (0, 20, (0.0, 0.1611), (0.0, 0.1684)),
        (1, 29, (0.0061, 0.1718), (0.0009, 0.1776)),
    ):
        found = wilson(k, n)
        assert (found.low, found.high) == pytest.approx(by_wilson, abs=5e-5)
        found = clopper_pearson(k, n)
        assert (found.low, found.high) == pytest.approx(exact, abs=5e-5)
        assert found.value == k / n


def test_nothing_seen_does_not_mean_nothing_there() -> None:
    found = rule_of_three(1000)
    assert found.high == pytest.approx(3 / 1000, rel=4e-3)
    assert found.flags == (RULE_OF_3, RULE_OF_30)
    assert 0 < rule_of_three(1).high <= 1


def test_fewer_than_thirty_errors_are_flagged() -> None:
    assert wilson(29, 1000).flags == wilson(971, 1000).flags == (RULE_OF_30,)
    assert wilson(30, 1000).flags == clopper_pearson(30, 60).flags == ()


@given(st.integers(1, 60), st.floats(0.01, 0.99))
def test_clopper_pearson_never_covers_less_than_it_says(n: int, p: float) -> None:
    k = np.arange(n + 1)
    covers = [(i := clopper_pearson(each, n)).low <= p <= i.high for each in k.tolist()]
    assert stats.binom.pmf(k, n, p) @ covers >= 0.95 - 1e-9


@given(st.integers(1, 500), st.data())
def test_bounds_enclose_the_value_and_mirror(n: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(0, n))
    for method in (wilson, clopper_pearson):
        found, mirrored = method(k, n), method(n - k, n)
        assert 0 <= found.low <= found.value <= found.high <= 1
        assert (found.low, found.high) == pytest.approx((1 - mirrored.high, 1 - mirrored.low), abs=1e-9)


def test_no_units_are_refused() -> None:
    for ask in (lambda: wilson(0, 0), lambda: clopper_pearson(2, 1), lambda: rule_of_three(0)):
        with pytest.raises(ValueError, match="no share"):
            ask()
