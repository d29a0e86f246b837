"""Intervals over subjects: their arithmetic by hand, and the edges where there is little to go by.

Whether they cover what they promise is tried in tests/auditing/test_coverage.py.
"""

import dataclasses

import numpy as np
import pytest
from scipy import stats

from sface_data.biometrics.intervals import FEW_SUBJECTS, RULE_OF_3
from sface_data.biometrics.rates import NoComparisons
from sface_data.biometrics.scores import ScoreHistogram
from sface_data.biometrics.subjects import SUBJECT_BINS, SubjectScores, _Replicates


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


def test_the_bootstrap_is_the_projection_by_hand() -> None:
    """Of three subjects, the first drawn twice: AUC and EER of the weighted scores, non-mated ones projected."""
    scores = scores_of([[0.8, 0.1], [0.5], [0.5]], {(0, 1): [0.3], (0, 2): [0.6], (1, 2): [0.0]})
    found = _Replicates(np.array([[1, 1, 1], [2, 1, 0]]), scores.mated_by_subject, scores.nonmated_by_subject, 2)
    # all alike: mated .8 .1 .5 .5 with non-mated .3 .6 .0: 3 + 1 + 2 + 2 of 12 pairs
    assert found.auc[0] == pytest.approx(8 / 12)
    # mated: .8 .8 .1 .1 .5; non-mated of subjects 0 twice and 1 once: .3 three, .6 twice, .0 once in 6 shares,
    # projected 2 (3/6, 2/6, 1/6) - (1/3, 1/3, 1/3) = (2/3, 1/3, 0) of (.3, .6, .0)
    assert found.auc[1] == pytest.approx((2 * 1 + 2 * 0 + 1 * 2 / 3) / 5)


def test_values_are_those_of_the_fine_bins() -> None:
    scores = random_scores()
    assert scores.eer().value == scores.error_rates.eer
    assert scores.auc().value == scores.error_rates.auc
    for found in (scores.eer(), scores.auc()):
        assert found.low < found.value < found.high


def test_the_interval_of_an_auc_is_that_of_independent_subjects() -> None:
    """One score of each subject, and non-mated scores that vary little: the spread of a mean of 200 subjects."""
    rng = np.random.default_rng(0)
    wins = rng.random(200) < 0.7
    nonmated = {(i, i + 1): [0.0] for i in range(0, 200, 2)}
    found = scores_of([[0.5 if win else -0.5] for win in wins], nonmated).auc()
    error = (np.log(found.high / (1 - found.high)) - np.log(found.low / (1 - found.low))) / 2
    error *= found.value * (1 - found.value) / stats.t.ppf(0.975, 199)
    assert found.value == pytest.approx(wins.mean())
    assert error == pytest.approx(np.sqrt(found.value * (1 - found.value) / 200), rel=0.1)


def test_same_seed_same_interval() -> None:
    first, again = random_scores(), random_scores()
    assert first.eer() == again.eer()
    other = dataclasses.replace(first, seed=1)
    assert other._bootstrap.eer.std() != first._bootstrap.eer.std()
    assert other.eer().high == pytest.approx(first.eer().high, rel=0.05)


def test_no_errors_leave_room_for_some() -> None:
    """None of 10,000 comparisons, but of 20 subjects: errors in 1 of 10 cannot be ruled out."""
    units = 20
    scores = scores_of([[0.9] * 50] * units, {(i, j): [0.0] * 50 for i in range(units) for j in range(i)})
    eer, auc = scores.eer(), scores.auc()
    assert (eer.value, auc.value) == (0, 1)
    assert eer.high == 1 - auc.low == pytest.approx(1 - 0.05 ** (1 / 10))
    assert eer.flags == auc.flags == (RULE_OF_3,)


def test_one_subject_says_nothing_about_others() -> None:
    scores = scores_of([[0.9, 0.1], []], {(0, 1): [0.0, 0.4]})
    for found in (scores.eer(), scores.auc()):
        assert (found.low, found.high) == (0, 1) and found.flags == (FEW_SUBJECTS,)


def test_an_empty_side_is_an_error() -> None:
    for scores, words in (
        (scores_of([[], []], {(0, 1): [0.2, 0.7]}), "no mated"),
        (scores_of([[0.2, 0.7], [0.3]], {}), "no non-mated"),
    ):
        for ask in (scores.eer, scores.auc):
            with pytest.raises(NoComparisons, match=words):
                ask()
