"""Verification against recorded figures, cases done by hand, and properties."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sface_data.errors import BadInput
from sface_data.recognition.verification import THRESHOLDS, roc, squared_distances, tar_at_far, ten_fold


@pytest.fixture(scope="module")
def recorded(golden):
    with np.load(golden / "verification.npz") as file:
        return dict(file)


def pairs_at(*distances: float) -> np.ndarray:
    """Unit vectors [2P,2] in pairs at these squared distances."""
    cosine = 1 - np.array(distances) / 2
    second = np.stack([cosine, np.sqrt(1 - np.square(cosine))], axis=1)
    return np.stack([np.tile([1.0, 0.0], (len(second), 1)), second], axis=1).reshape(-1, 2)


def test_recorded_accuracy_of_every_fold(recorded) -> None:
    result = ten_fold(recorded["embeddings"], recorded["issame"])
    assert result.accuracy_per_fold == tuple(recorded["accuracy_per_fold"])
    assert result.accuracy == pytest.approx(recorded["accuracy_per_fold"].mean(), abs=1e-15)
    assert result.deviation == pytest.approx(recorded["accuracy_per_fold"].std(), abs=1e-15)
    assert (result.mated, result.nonmated) == (600, 600)


def test_recorded_curve(recorded) -> None:
    result = ten_fold(recorded["embeddings"], recorded["issame"])
    np.testing.assert_allclose(result.tar, recorded["tpr"], rtol=0, atol=1e-12)
    np.testing.assert_allclose(result.far, recorded["fpr"], rtol=0, atol=1e-12)


def test_single_precision_gives_the_recorded_accuracy_too(recorded) -> None:
    result = ten_fold(recorded["embeddings"].astype(np.float32), recorded["issame"])
    assert result.accuracy_per_fold == tuple(recorded["accuracy_per_fold"])


def test_four_pairs_in_two_folds_by_hand() -> None:
    """Fold 1: mated 0.505, non-mated 1.505. Fold 2: mated 1.005, non-mated 0.705.

    On fold 2 the best threshold accepts nothing or both (one of two right) or, worst, only the non-mated pair: the
    smallest, 0, is taken, and fold 1 has one of two right. On fold 1 the smallest that accepts the mated pair is
    0.51: fold 2 has nothing accepted, one of two right.
    """
    result = ten_fold(pairs_at(0.505, 1.505, 1.005, 0.705), np.array([True, False, True, False]), folds=2)
    assert result.threshold_per_fold == (0.0, pytest.approx(0.51))
    assert result.accuracy_per_fold == (0.5, 0.5)
    assert result.accuracy == 0.5
    assert result.deviation == 0.0


def test_four_pairs_rates_by_hand() -> None:
    """Similarities: mated 0.9 and 0.4, non-mated 0.6 and -0.2."""
    embeddings = pairs_at(0.2, 1.2, 0.8, 2.4)
    issame = np.array([True, True, False, False])
    curve = roc(embeddings, issame)
    np.testing.assert_allclose(curve.threshold, [np.inf, 0.9, 0.6, 0.4, -0.2])
    np.testing.assert_allclose(curve.tar, [0, 0.5, 0.5, 1, 1])
    np.testing.assert_allclose(curve.far, [0, 0, 0.5, 0.5, 1])
    assert curve.auc == pytest.approx(0.75)  # of four comparisons of scores, three are the right way round
    assert curve.eer == pytest.approx(0.5)
    half, tenth = tar_at_far(embeddings, issame, (0.5, 0.1))
    assert (half.tar, half.false_accepts, half.few) == (1.0, 1, True)
    assert half.threshold == pytest.approx(0.4)
    assert (tenth.tar, tenth.false_accepts) == (0.5, 0)
    assert tenth.threshold == pytest.approx(0.9)


def test_equal_scores_are_accepted_together() -> None:
    embeddings = pairs_at(1.0, 1.0, 1.0, 1.0)
    issame = np.array([True, False, True, False])
    curve = roc(embeddings, issame)
    assert (curve.tar.tolist(), curve.far.tolist(), curve.auc) == ([0, 1], [0, 1], 0.5)
    (point,) = tar_at_far(embeddings, issame, (0.1,))
    assert (point.tar, point.false_accepts) == (0.0, 0)
    assert point.threshold > 1


def test_the_rule_of_30() -> None:
    nonmated = 3000
    distances = np.concatenate([np.full(10, 0.1), np.linspace(0.5, 3.5, nonmated)])
    issame = np.arange(len(distances)) < 10
    points = tar_at_far(pairs_at(*distances), issame)
    assert [point.few for point in points] == [False, False, True, True]
    assert [point.false_accepts for point in points] == [300, 30, 3, 0]


def test_folds_are_neighbouring_pairs_and_the_first_are_longer() -> None:
    """23 pairs in folds of 3, 3, 3, 2, ...: a perfect embedder fails only where labels are turned round."""
    issame = np.arange(23) % 2 == 0
    distances = np.where(issame, 0.3, 1.7)
    issame[[0, 8, 9, 22]] ^= True  # in folds 0, 2, 3 and 9
    result = ten_fold(pairs_at(*distances), issame)
    expected = [2 / 3, 1, 2 / 3, 1 / 2, 1, 1, 1, 1, 1, 1 / 2]
    np.testing.assert_allclose(result.accuracy_per_fold, expected)


def test_the_interval_by_hand() -> None:
    issame = np.arange(20) % 2 == 0
    distances = np.where(issame, 0.3, 1.7)
    issame[0] = False  # fold 0 has one of two right, the others both
    result = ten_fold(pairs_at(*distances), issame)
    assert result.accuracy == pytest.approx(0.95)
    assert result.deviation == pytest.approx(0.15)
    low, high = result.interval
    assert low == pytest.approx(0.95 - 2.262157 * math.sqrt(0.225 / 9) / math.sqrt(10), abs=1e-6)
    assert high == 1.0


@pytest.mark.parametrize(
    ("embeddings", "issame", "said"),
    [
        (np.ones((21, 4)), [True] * 10, "must be even"),
        (np.full((40, 4), np.nan), [True, False] * 10, "not finite"),
        (np.ones((40, 4)), [True, False] * 9, "do not fit"),
        (np.ones((18, 4)), [True] * 9, "too few for 10 folds"),
    ],
)
def test_what_is_no_set_of_pairs(embeddings, issame, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        ten_fold(embeddings, np.array(issame))


@pytest.mark.parametrize("label", [True, False])
def test_rates_need_both_kinds(label: bool) -> None:
    with pytest.raises(BadInput, match="one kind is missing"):
        tar_at_far(np.ones((8, 2)), np.full(4, label))


def naive_ten_fold(distances: np.ndarray, issame: np.ndarray) -> list[float]:
    """Fold by fold and threshold by threshold, by the definition."""
    accuracies = []
    bounds = np.cumsum([0] + [len(distances) // 10 + (fold < len(distances) % 10) for fold in range(10)])
    for first, last in itertools.pairwise(bounds):
        test = np.zeros(len(distances), bool)
        test[first:last] = True
        training = [np.mean((distances[~test] < threshold) == issame[~test]) for threshold in THRESHOLDS]
        best = THRESHOLDS[int(np.argmax(training))]
        accuracies.append(np.mean((distances[test] < best) == issame[test]))
    return accuracies


@st.composite
def sets_of_pairs(draw) -> tuple[np.ndarray, np.ndarray]:
    count = draw(st.integers(10, 60))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    issame = random.random(count) < draw(st.sampled_from([0.2, 0.5, 0.8]))
    issame[:2] = True, False
    embeddings = random.standard_normal((count, 2, draw(st.integers(1, 5))))
    embeddings[issame, 1] += draw(st.sampled_from([0, 1, 4])) * embeddings[issame, 0]
    embeddings /= np.linalg.norm(embeddings, axis=-1, keepdims=True)
    return embeddings.reshape(2 * count, -1), issame


@settings(max_examples=60, deadline=None)
@given(sets_of_pairs())
def test_agrees_with_the_definition(given_pairs) -> None:
    embeddings, issame = given_pairs
    result = ten_fold(embeddings, issame)
    assert list(result.accuracy_per_fold) == naive_ten_fold(squared_distances(embeddings), issame)


@settings(max_examples=40, deadline=None)
@given(sets_of_pairs(), st.integers(0, 2**32))
def test_order_inside_folds_and_inside_pairs_does_not_matter(given_pairs, seed: int) -> None:
    embeddings, issame = given_pairs
    random = np.random.default_rng(seed)
    order = np.concatenate([random.permutation(part) for part in np.array_split(np.arange(len(issame)), 10)])
    shuffled = embeddings.reshape(len(issame), 2, -1)[order]
    sides = random.random(len(issame)) < 0.5
    shuffled[sides] = shuffled[sides, ::-1]
    one, other = ten_fold(embeddings, issame), ten_fold(shuffled.reshape(embeddings.shape), issame[order])
    assert one.accuracy_per_fold == other.accuracy_per_fold
    assert one.threshold_per_fold == other.threshold_per_fold


@settings(max_examples=40, deadline=None)
@given(sets_of_pairs(), st.integers(0, 2**32))
def test_folds_in_another_order_give_the_same_accuracies(given_pairs, seed: int) -> None:
    embeddings, issame = given_pairs
    count = len(issame) // 10 * 10
    order = np.arange(count).reshape(10, -1)[np.random.default_rng(seed).permutation(10)]
    embeddings, issame = embeddings[: 2 * count].reshape(count, 2, -1), issame[:count]
    one = ten_fold(embeddings.reshape(2 * count, -1), issame)
    other = ten_fold(embeddings[order.ravel()].reshape(2 * count, -1), issame[order.ravel()])
    assert sorted(one.accuracy_per_fold) == sorted(other.accuracy_per_fold)


@settings(max_examples=40, deadline=None)
@given(sets_of_pairs())
def test_the_curve_rises_and_its_points_are_rates_at_its_thresholds(given_pairs) -> None:
    embeddings, issame = given_pairs
    curve = roc(embeddings, issame)
    assert (np.diff(curve.tar) >= 0).all() and (np.diff(curve.far) >= 0).all()
    assert (curve.tar[-1], curve.far[-1]) == (1, 1)
    assert 0 <= curve.auc <= 1
    scores = 1 - squared_distances(embeddings) / 2
    for threshold, tar, far in zip(curve.threshold, curve.tar, curve.far, strict=True):
        assert (scores[issame] >= threshold).mean() == pytest.approx(tar)
        assert (scores[~issame] >= threshold).mean() == pytest.approx(far)


@settings(max_examples=40, deadline=None)
@given(sets_of_pairs(), st.sampled_from([0.01, 0.1, 0.3, 0.5]))
def test_no_better_threshold_keeps_the_rate(given_pairs, rate: float) -> None:
    embeddings, issame = given_pairs
    (point,) = tar_at_far(embeddings, issame, (rate,))
    scores = 1 - squared_distances(embeddings) / 2
    assert (scores[~issame] >= point.threshold).mean() <= rate + 1e-12
    for threshold in scores:
        if (scores[~issame] >= threshold).mean() <= rate:
            assert (scores[issame] >= threshold).mean() <= point.tar + 1e-12
