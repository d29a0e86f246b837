"""Intervals over subjects: their arithmetic by hand, and the edges where there is little to go by.

Whether they cover what they promise is tried in tests/audit/test_coverage.py.
"""

import numpy as np
import pytest
from scipy import stats

from sface_data.biometrics.intervals import FEW_SUBJECTS, RULE_OF_3, RULE_OF_30
from sface_data.biometrics.rates import NoComparisons
from sface_data.biometrics.scores import ScoreHistogram
from sface_data.biometrics.subjects import SUBJECT_BINS, SubjectScores


def coarse(scores: list[float]) -> np.ndarray:
    return ScoreHistogram.from_scores(scores).coarser(SUBJECT_BINS)


def scores_of(
    mated: list[list[float]], nonmated: dict[tuple[int, int], list[float]], seed: int = 0
) -> SubjectScores:
    """Mated scores of each subject, and non-mated ones of pairs of subjects."""
    units = len(mated)
    touching = [[s for pair, some in nonmated.items() if unit in pair for s in some] for unit in range(units)]
    return SubjectScores(
        ScoreHistogram.from_scores([s for some in mated for s in some]),
        ScoreHistogram.from_scores([s for some in nonmated.values() for s in some]),
        np.stack([coarse(some) for some in mated]),
        np.stack([coarse(some) for some in touching]),
        units // 2,
        seed=seed,
    )


def random_scores(seed: int = 0, units: int = 40) -> SubjectScores:
    rng = np.random.default_rng(seed)
    level = rng.normal(0, 0.1, units)
    mated = [np.clip(0.5 + x + 0.15 * rng.normal(size=10), -1, 1).tolist() for x in level]
    pairs = {
        (i, j): np.clip(level[i] + level[j] + 0.15 * rng.normal(size=9), -1, 1).tolist()
        for i in range(units)
        for j in range(i)
    }
    return scores_of(mated, pairs)


def test_a_mated_rate_by_hand() -> None:
    """Subjects with 1 of 2, 0 of 4 and 2 of 4 matches: 3 of 10."""
    mated = [[0.8, 0.1], [0.1] * 4, [0.8, 0.8, 0.1, 0.1]]
    found = scores_of(mated, {(0, 1): [0.0], (0, 2): [0.0], (1, 2): [0.9]}).tmr(0.5)
    deviations = np.array([1 - 0.6, 0 - 1.2, 2 - 1.2]) / 10
    error = np.sqrt(np.square(deviations).sum() * 3 / 2)
    half = stats.t.ppf(0.975, 2) * error / (0.3 * 0.7)
    assert found.value == 0.3
    assert found.n == 10
    for bound, sign in ((found.low, -1), (found.high, 1)):
        assert np.log(bound / (1 - bound)) == pytest.approx(np.log(3 / 7) + sign * half)
    assert found.flags == (RULE_OF_30,)
    fnmr = scores_of(mated, {(0, 1): [0.0]}).fnmr(0.5)
    assert (fnmr.value, fnmr.low, fnmr.high) == pytest.approx((0.7, 1 - found.high, 1 - found.low))


def test_comparisons_without_dependence_have_the_variance_of_a_binomial() -> None:
    """What a pair of subjects varies by of its own must not count twice."""
    rng = np.random.default_rng(0)
    units = 60
    pairs = {(i, j): [0.8 if rng.random() < 0.05 else 0.0] for i in range(units) for j in range(i)}
    found = scores_of([[0.8]] * units, pairs).fmr(0.5)
    n = units * (units - 1) // 2
    error = (np.log(found.high / (1 - found.high)) - np.log(found.low / (1 - found.low))) / 2
    error *= found.value * (1 - found.value) / stats.t.ppf(0.975, units - 1)
    assert error == pytest.approx(np.sqrt(found.value * (1 - found.value) / n), rel=0.2)


def test_the_closed_form_is_the_spread_of_the_bootstrap() -> None:
    scores = random_scores()
    threshold = 0.304  # an edge of the coarse bins
    edge = round((threshold + 1) * SUBJECT_BINS / 2)
    fmr, fnmr = scores._curves
    for found, replicated in ((scores.fmr(threshold), fmr[:, edge]), (scores.fnmr(threshold), fnmr[:, edge])):
        odds = [np.log(p / (1 - p)) for p in (found.low, found.high)]
        error = (odds[1] - odds[0]) / 2 / stats.t.ppf(0.975, 39) * found.value * (1 - found.value)
        assert error == pytest.approx(replicated.std() * (40 / 39) ** 0.5, rel=0.1)
        assert replicated.mean() == pytest.approx(found.value, abs=error / 2)


def test_values_are_those_of_the_fine_bins() -> None:
    scores = random_scores()
    rates = scores.error_rates
    assert scores.eer().value == rates.eer
    assert scores.auc().value == rates.auc
    assert scores.fmr100().value == rates.fnmr_at_fmr(0.01)
    assert scores.fmr1000().value == rates.fnmr_at_fmr(0.001)
    assert scores.fmr(0.3).value == rates.fmr_at(0.3)
    assert scores.mated_mean().value == scores.mated.mean
    assert scores.nonmated_deviation().value == scores.nonmated.standard_deviation
    ratio = scores.match_ratio(0.3)
    assert ratio.value == pytest.approx((1 - rates.fnmr_at(0.3)) / rates.fmr_at(0.3))
    for found in (scores.eer(), scores.auc(), scores.fmr100(), scores.fdr(), scores.d_prime(), ratio):
        assert found.low < found.value < found.high


def test_same_seed_same_interval() -> None:
    first, again = random_scores(), random_scores()
    assert first.eer() == again.eer()
    other = SubjectScores(*(getattr(first, name) for name in (
        "mated", "nonmated", "mated_by_subject", "nonmated_by_subject", "independent_pairs")), seed=1)  # fmt: skip
    assert other.eer() != first.eer()
    assert other.eer().high == pytest.approx(first.eer().high, rel=0.05)
    assert other.fmr(0.3) == first.fmr(0.3)  # no chance in it


def test_no_errors_leave_room_for_some() -> None:
    """None of 10,000 comparisons, but of 20 subjects: 3 in 20 and 3 in 10 cannot be ruled out."""
    units = 20
    scores = scores_of([[0.9] * 50] * units, {(i, j): [0.0] * 50 for i in range(units) for j in range(i)})
    fnmr, fmr = scores.fnmr(0.5), scores.fmr(0.5)
    assert (fnmr.value, fmr.value) == (0, 0)
    assert fnmr.high == pytest.approx(1 - 0.05 ** (1 / 20))
    assert fmr.high == pytest.approx(1 - 0.05 ** (1 / 10))
    assert fmr.flags == fnmr.flags == (RULE_OF_3, RULE_OF_30)
    assert scores.tmr(0.5).low == pytest.approx(0.05 ** (1 / 20))
    assert (scores.eer().value, scores.auc().value) == (0, 1)
    assert scores.eer().high > 0.1
    assert scores.auc().low < 0.9
    ratio = scores.match_ratio(0.5)
    assert (ratio.value, ratio.high) == (np.inf, np.inf)
    assert 1 < ratio.low < np.inf
    with_one = scores_of([[0.1] * 5] * units, {(0, 1): [0.9], (2, 3): [0.0] * 9})
    assert with_one.match_ratio(0.5).value == 0
    assert 0 < with_one.match_ratio(0.5).high < np.inf


def test_one_subject_says_nothing_about_others() -> None:
    scores = scores_of([[0.9, 0.1], []], {(0, 1): [0.0, 0.4]})
    for found in (scores.tmr(0.5), scores.eer(), scores.auc()):
        assert (found.low, found.high) == (0, 1) or RULE_OF_3 in found.flags
    assert FEW_SUBJECTS in scores.tmr(0.5).flags
    assert FEW_SUBJECTS in scores.d_prime().flags


def test_an_empty_side_is_an_error() -> None:
    without_mated = scores_of([[], []], {(0, 1): [0.2, 0.7]})
    assert without_mated.fmr(0.5).value == 0.5
    for ask in (without_mated.eer, without_mated.auc, without_mated.fdr, lambda: without_mated.tmr(0.5)):
        with pytest.raises(NoComparisons, match="no mated"):
            ask()
    without_nonmated = scores_of([[0.2, 0.7], [0.3]], {})
    assert without_nonmated.tmr(0.5).value == pytest.approx(1 / 3)
    for ask in (without_nonmated.eer, without_nonmated.mated_mean, lambda: without_nonmated.fmr(0.5)):
        with pytest.raises(NoComparisons, match="no non-mated"):
            ask()
