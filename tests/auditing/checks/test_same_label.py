"""Same-label comparisons: what was published comes out so; how alike matches are is read where enough are."""

import numpy as np
import pytest

from sface_data.auditing.checks.run import run_checks
from sface_data.auditing.checks.same_label import _matches
from sface_data.auditing.policy import load_policy
from sface_data.auditing.simulation import Leak, World, simulate
from sface_data.biometrics.clustered import ratio
from sface_data.biometrics.rates import fdr

CLASSES = 200


def test_matches_enough_speak_for_themselves() -> None:
    by_class = np.zeros((100, 10), np.int64)
    by_class[:, 9] = 3  # 300 matches, three in every class
    by_class[:10, 5] = 97  # common scores that only ten classes have
    by_class[10:, 0] = 97
    assert (_matches(by_class, 9).hits, _matches(by_class, 9).effective) == (300, 10_000)
    assert _matches(by_class, 5).effective < 200


def test_few_matches_are_as_alike_as_more_of_them_are() -> None:
    by_class = np.zeros((100, 10), np.int64)
    by_class[:50, 9] = 1
    by_class[:10, 7] = 25  # with them 300
    by_class[:10, 2] = 70  # and these are too common to be asked
    by_class[:, 0] = 100 - by_class.sum(axis=1)
    found = _matches(by_class, 9)
    assert found.hits == 50
    more = np.where(np.arange(100) < 10, 26, np.where(np.arange(100) < 50, 1, 0))
    variance = 100 / 99 * np.square(more - 3.0).sum() / 10_000**2
    assert found.effective == pytest.approx(10_000 / (variance / (0.03 * 0.97 / 10_000)))


def scores(comparisons: int, rng: np.random.Generator) -> np.ndarray:
    """Scores of classes that differ in how often they match, in bins that 100 %, 10 %, 1 % and 0.1 % reach."""
    likeness = rng.gamma(1.0, 1.0, CLASSES)
    reached, before = [np.full(CLASSES, comparisons)], np.ones(CLASSES)
    for rate in (0.1, 0.01, 0.001):
        share = np.minimum(1 - np.exp(-rate * likeness), before)
        reached.append(rng.binomial(reached[-1], share / before))
        before = share
    return -np.diff([*reached, np.zeros(CLASSES, int)], axis=0).T


def drawn(comparisons: int, draws: int = 300) -> np.ndarray:
    """Intervals [draws,2] of a ratio that is 1, with so many same-label comparisons of each class."""
    rng = np.random.default_rng(0)
    both = ((scores(comparisons, rng), scores(20_000, rng)) for _ in range(draws))
    return np.array([ratio(_matches(same, 3), _matches(other, 3))[1](0.95) for same, other in both])


def test_the_interval_of_the_ratio_holds_the_true_value_as_often_as_it_says() -> None:
    low, high = drawn(3_000).T  # 600 matches of the same label
    assert 0.93 <= np.mean((low <= 1) & (high >= 1)) <= 0.98
    assert np.mean(high < 1) <= 0.04 and np.median(high) < 1.5


def test_with_few_matches_it_holds_more_often_and_says_something_all_the_same() -> None:
    low, high = drawn(300).T  # 60 matches
    assert np.mean((low <= 1) & (high >= 1)) >= 0.95
    assert np.median(high) < 2


def test_what_was_published_of_sface_comes_out_so_and_fails() -> None:
    """SFace with CASIA-WebFace, same label, read off its authors' plots: EER 29.2 %, AUC .780, FDR .61."""
    world = World(classes=150, images=10, authentic=6, control=50, control_images=4)
    found = run_checks([simulate(world, Leak(related=0.245), 1)], None, load_policy("paper"), trials=1)
    checks = {check.finding.name: check for check in found.checks}
    statistics = {name: checks[name].finding.interval for name in ("same-label-auc", "same-label-eer")}
    auc, eer = statistics["same-label-auc"], statistics["same-label-eer"]
    cross = found.evidence[0].cross
    assert auc is not None and auc.value == pytest.approx(0.780, abs=0.005)
    assert eer is not None and 0.5 - eer.value == pytest.approx(0.292, abs=0.005)
    assert fdr(cross.mated, cross.nonmated) == pytest.approx(0.61, abs=0.02)
    assert checks["same-label-auc"].verdict == checks["same-label-eer"].verdict == found.verdict == "fail"
