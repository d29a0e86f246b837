"""The rule of three, and intervals in log odds."""

import numpy as np
import pytest
from scipy import stats

from sface_data.biometrics.intervals import logit_t, rule_of_three


def test_nothing_seen_does_not_mean_nothing_there() -> None:
    assert rule_of_three(1000) == pytest.approx(3 / 1000, rel=4e-3)
    for n in (1, 7, 300):  # with the bound as true share, none of n comes about in 5 % of cases
        assert stats.binom.pmf(0, n, rule_of_three(n)) == pytest.approx(0.05)
    with pytest.raises(ValueError, match="a share of 0 units"):
        rule_of_three(0)


@pytest.mark.parametrize("value", [0.001, 0.3, 0.999])
def test_an_interval_in_log_odds_mirrors_and_stays_between_0_and_1(value: float) -> None:
    found, mirrored = logit_t(value, 0.0005, 9, "", 10), logit_t(1 - value, 0.0005, 9, "", 10)
    assert 0 < found.low < value < found.high < 1
    assert (found.low, found.high) == pytest.approx((1 - mirrored.high, 1 - mirrored.low))
    half = stats.t.ppf(0.975, 9) * 0.0005 / (value * (1 - value))
    odds = np.log(value / (1 - value))
    assert np.log(found.high / (1 - found.high)) == pytest.approx(odds + half)
