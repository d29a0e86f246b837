"""Shares of clustered units: hand-computed cases, known formulas, properties."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from sface_data.auditing.checks.membership import clustered_auc
from sface_data.auditing.verdict import Check, Finding, decide, holm, overall
from sface_data.biometrics.clustered import (
    ClusteredShare,
    clustered_share,
    excess_risk,
    logit_bounds,
    p_above,
    ratio,
    share_by_class,
)
from sface_data.biometrics.intervals import Interval, logit_t


def plain(hits: int, n: int) -> ClusteredShare:
    """A share of independent units, in so many clusters that t is the normal distribution."""
    return ClusteredShare(hits, n, 10**9, float(n))


@pytest.mark.parametrize(("hits", "n"), [(0, 50), (1, 50), (7, 50), (50, 50)])
def test_independent_units_have_the_interval_of_clopper_and_pearson(hits: int, n: int) -> None:
    exact = stats.binomtest(hits, n).proportion_ci(0.95, "exact")
    assert plain(hits, n).bounds(0.95) == pytest.approx((exact.low, exact.high), abs=1e-6)


def test_units_that_agree_entirely_count_once_per_cluster() -> None:
    hits, sizes = np.array([10, 0, 10, 0, 0, 0, 0, 0]), np.full(8, 10)
    share = clustered_share(hits, sizes)
    # variance 8/7 * sum (h - 2.5)^2 / 80^2 = 8/7 * 150 / 6400, of independent units 0.25 * 0.75 / 80
    assert share.value == 0.25
    assert share.effective == pytest.approx(0.25 * 0.75 / (8 / 7 * 150 / 6400))
    assert share.effective < 8


def test_without_hits_only_clusters_count_unless_a_weaker_event_tells_more() -> None:
    none, sizes = np.zeros(100, int), np.full(100, 10)
    assert clustered_share(none, sizes).effective == 100
    spread = np.tile([0, 1, 2, 1, 1], 20)  # nearer than chance to one in ten: no dependence
    assert clustered_share(none, sizes, spread).effective == 1000
    lumped = np.tile([5, 0, 0, 0, 0], 20)
    assert clustered_share(none, sizes, lumped).effective < 300


def test_comparisons_of_two_subjects_are_counted_once() -> None:
    share = clustered_share(np.array([2, 1, 1]), np.array([10, 10, 10]), sides=2)
    assert (share.hits, share.n) == (2, 15)


def test_shares_by_class_count_per_class() -> None:
    hit = np.array([True, True, False, False])
    share = share_by_class(hit, np.array([3, 3, 0, 0]))
    assert (share.hits, share.n, share.clusters) == (2, 4, 2)


@given(st.integers(0, 40), st.integers(40, 4000), st.integers(0, 40), st.integers(40, 4000))
def test_excess_is_within_its_bounds_and_grows_with_the_attack(a: int, n: int, c: int, m: int) -> None:
    value, bounds = excess_risk(plain(a, n), plain(c, m))
    low, high = bounds(0.95)
    assert low <= value <= high
    wide = bounds(0.999)
    assert wide[0] <= low + 1e-12 and high <= wide[1] + 1e-12
    if a < n:
        assert excess_risk(plain(a + 1, n), plain(c, m))[0] >= value


def test_excess_of_hand_computed_shares() -> None:
    value, _ = excess_risk(plain(30, 100), plain(20, 100))
    assert value == pytest.approx((0.3 - 0.2) / (1 - 0.2))
    # twice as many trials: chance is 1 - 0.8^2 = 0.36
    value, _ = excess_risk(plain(40, 100), plain(20, 100), trials=2)
    assert value == pytest.approx((0.4 - 0.36) / (1 - 0.36))


def test_an_unseen_denominator_leaves_the_ratio_open() -> None:
    value, bounds = ratio(plain(3, 100), plain(0, 100))
    assert value == np.inf and bounds(0.95)[1] == np.inf and bounds(0.95)[0] > 0
    value, bounds = ratio(plain(0, 100), plain(100, 1000))
    assert value == 0 and bounds(0.95)[0] == 0 and 0.2 < bounds(0.95)[1] < 0.6


def test_ratio_of_many_events_is_that_of_the_delta_method() -> None:
    p, q, n = 2000, 1000, 100_000
    _, bounds = ratio(plain(p, n), plain(q, n))
    error = np.sqrt(1 / p - 1 / n + 1 / q - 1 / n)
    assert np.log(bounds(0.95)) == pytest.approx(np.log(2) + np.array([-1.96, 1.96]) * error, abs=0.006)


def test_the_p_value_is_the_level_at_which_the_interval_reaches_the_limit() -> None:
    share = plain(20, 1000)
    p = p_above(share.value, share.bounds, 0.01)
    assert p == pytest.approx(stats.binomtest(20, 1000, 0.01, "greater").pvalue, rel=1e-3)
    assert p_above(share.value, share.bounds, 0.03) == 1.0


def test_bounds_at_any_confidence_from_an_interval_in_log_odds() -> None:
    for confidence in (0.95, 0.999):
        found = logit_t(0.7, 0.03, 6, "", 1, confidence)
        interval = logit_t(0.7, 0.03, 6, "", 1)  # fewer degrees of freedom than there are subjects
        bounds = logit_bounds(interval, 200)(confidence)
        assert bounds == pytest.approx((found.low, found.high), rel=1e-6)


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []
    assert holm([0.9, 0.8]) == [1.0, 1.0]


def finding(name: str, low: float, high: float, p: float, **more: str) -> Finding:
    return Finding(name, "j", "", "", 0.1, Interval((low + high) / 2, low, high, "", 1), p, **more)


def test_verdicts() -> None:
    findings = [
        finding("below", 0.0, 0.05, 1.0),
        finding("above", 0.2, 0.3, 1e-6),
        finding("across", 0.0, 0.2, 1.0),
        finding("blind", 0.0, 0.05, 1.0, blocks_pass="no power"),
        finding("caught though blind", 0.2, 0.3, 1e-6, blocks_pass="no power"),
        finding("invalid", 0.2, 0.3, 1e-6, invalid_because="the judge sees nothing"),
        Finding("unmeasured", "j", "", "", 0.1, blocks_pass="no control group"),
    ]
    checks = decide(findings, frozenset(["below"]))
    assert [check.verdict for check in checks] == [
        "pass",
        "fail",
        "inconclusive",
        "inconclusive",
        "fail",
        "inconclusive",
        "inconclusive",
    ]
    assert [checks[i].reason for i in (3, 5, 6)] == ["no power", "the judge sees nothing", "no control group"]


def test_a_small_p_value_that_chance_explains_among_many_checks_fails_nothing() -> None:
    findings = [finding(str(i), 0.11, 0.3, 0.01) for i in range(10)]
    assert {check.verdict for check in decide(findings, frozenset())} == {"inconclusive"}
    assert decide(findings[:1], frozenset())[0].verdict == "fail"


def together(checks: tuple[Check, ...]) -> str:
    return overall([(check.verdict, check.needed) for check in checks])


def test_the_certificate_passes_only_with_all_that_is_needed() -> None:
    good, bad, unsure = finding("a", 0, 0.05, 1.0), finding("b", 0.2, 0.3, 1e-6), finding("c", 0, 0.2, 1.0)
    assert together(decide([good, unsure], frozenset("a"))) == "pass"
    assert together(decide([good, unsure], frozenset("ac"))) == "inconclusive"
    assert together(decide([good, bad], frozenset("a"))) == "fail"  # whether it was needed or not
    assert together(decide([good], frozenset())) == "inconclusive"  # nothing needed, nothing passed


def test_auc_of_clustered_scores() -> None:
    first, second = np.array([0.9, 0.5, 0.5], np.float32), np.array([0.5, 0.1], np.float32)
    people = np.arange(3), np.arange(2)
    # 6 pairs: 0.9 beats both, 0.5 ties once and beats once, twice
    assert clustered_auc(first, people[0], second, people[1]).value == pytest.approx((2 + 1.5 + 1.5) / 6)
    rng = np.random.default_rng(0)
    shift = np.repeat(rng.normal(size=60), 5)  # people differ, and have scores of both kinds
    a, b = (shift + rng.normal(size=300)).astype(np.float32), (shift + rng.normal(size=300)).astype(np.float32)
    owner = np.repeat(np.arange(60), 5)
    paired = clustered_auc(a, owner, b, owner)
    apart = clustered_auc(a, owner, b, owner + 60)
    assert paired.low < 0.5 < paired.high
    assert paired.high - paired.low < 0.8 * (apart.high - apart.low)  # what people share cancels out
