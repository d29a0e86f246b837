"""Comparisons in blocks against brute force in float64, and the same whatever the blocks."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sface_data.auditing.compare import exact, tally
from sface_data.auditing.compare.backend import HERE, Backend
from sface_data.auditing.compare.pairs import (
    PairScores,
    compare,
    compare_and_nearest,
    nearest,
    nearest_both_ways,
    prepare,
)
from sface_data.biometrics.scores import BINS, ScoreHistogram
from sface_data.biometrics.subjects import SUBJECT_BINS
from sface_data.errors import BadInput
from sface_data.runtime.pool import Workers
from sface_data.runtime.workers import local_workers


@dataclass
class Faces:
    class_names: tuple[str, ...]
    class_index: NDArray[np.int64]
    vectors: NDArray[np.float32]


def make(seed: int, number: int, classes: int, dimensions: int = 8, first: int = 0, form: str = "{}") -> Faces:
    """Faces of some classes, in no order, some of them twice: ties are part of life."""
    rng = np.random.default_rng(seed)
    index = rng.integers(classes, size=number)
    vectors = rng.normal(size=(number, dimensions)) + 2 * np.eye(dimensions)[index % dimensions]
    doubles = rng.integers(number, size=number // 4)
    vectors[doubles] = vectors[doubles[::-1]]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return Faces(tuple(form.format(first + c) for c in range(classes)), index, vectors.astype(np.float32))


def score_matrix(a: Faces, b: Faces) -> NDArray[np.float64]:
    """Cosines of the vectors on the grid, exact in float64."""
    rows = [exact.on_grid(side.vectors).astype(np.float64) for side in (a, b)]
    return rows[0] @ rows[1].T / exact.SCALE


def labels(faces: Faces) -> NDArray[np.int64]:
    return np.array([int(faces.class_names[c].removeprefix("class_")) for c in faces.class_index])


def coarse(scores: NDArray[np.float64]) -> NDArray[np.int64]:
    return ScoreHistogram.from_scores(scores).coarser(SUBJECT_BINS)


def check(found: PairScores, a: Faces, b: Faces | None) -> None:
    """Every count of `found` by brute force."""
    other = b or a
    scores, same = score_matrix(a, other), labels(a)[:, None] == labels(other)
    once = np.triu(np.ones(scores.shape, bool), 1) if b is None else np.ones(scores.shape, bool)
    for histogram, chosen in ((found.mated, same & once), (found.nonmated, ~same & once)):
        wanted = ScoreHistogram.from_scores(scores[chosen])
        np.testing.assert_array_equal(histogram.counts, wanted.counts)
        if wanted.total:
            assert histogram.mean == pytest.approx(scores[chosen].mean(), abs=1e-8)
            assert histogram.variance == pytest.approx(scores[chosen].var(), abs=1e-8)
    for index, name in enumerate(found.names_a):
        rows = labels(a) == int(name)
        np.testing.assert_array_equal(found.nonmated_by_class_a[index], coarse(scores[rows][~same[rows]]))
        mated = (same & once)[rows]
        np.testing.assert_array_equal(found.mated_by_class[index], coarse(scores[rows][mated]))
    for index, name in enumerate(found.names_b):
        columns = labels(other) == int(name)
        np.testing.assert_array_equal(
            found.nonmated_by_class_b[index], coarse(scores[:, columns][~same[:, columns]])
        )


@given(st.integers(0, 10**6), st.integers(1, 60), st.integers(1, 9), st.integers(1, 90))
@settings(max_examples=25, deadline=None)
def test_within_a_set(seed: int, number: int, classes: int, block: int) -> None:
    faces = make(seed, number, classes)
    check(compare(prepare(faces), block=block), faces, None)


@given(st.integers(0, 10**6), st.integers(1, 60), st.integers(1, 60), st.integers(1, 90))
@settings(max_examples=25, deadline=None)
def test_across_sets_that_share_some_names(seed: int, number: int, others: int, block: int) -> None:
    a, b = make(seed, number, 7), make(seed + 1, others, 6, first=3, form="class_{:04d}")
    check(compare(prepare(a), prepare(b), block=block), a, b)


@given(st.integers(0, 10**6), st.integers(1, 40), st.integers(1, 300), st.integers(1, 9), st.integers(1, 300))
@settings(max_examples=40, deadline=None)
def test_neighbours(seed: int, number: int, size: int, k: int, block: int) -> None:
    probes, gallery = make(seed, number, 5), make(seed + 1, size, 4)
    gallery.vectors[: size // 2] = probes.vectors[0]
    found = nearest(prepare(probes), prepare(gallery), k, block=block)
    scores = exact.on_grid(probes.vectors).astype(np.float64) @ exact.on_grid(gallery.vectors).T / exact.SCALE
    wanted = np.argsort(-scores, axis=1, kind="stable")[:, :k]  # of equal scores the lower index first
    np.testing.assert_array_equal(found.indices, wanted)
    best = np.take_along_axis(scores, wanted, axis=1).clip(-1, 1)
    np.testing.assert_allclose(found.scores, best, rtol=1e-6, atol=1e-7)


@given(st.integers(0, 10**6), st.integers(1, 60), st.integers(1, 60), st.integers(1, 90))
@settings(max_examples=40, deadline=None)
def test_neighbours_of_both_sides_in_one_pass(seed: int, number: int, others: int, block: int) -> None:
    a, b = make(seed, number, 7), make(seed + 1, others, 6)
    a.vectors[: number // 2] = b.vectors[0]
    first, second = prepare(a), prepare(b)
    scores, *found = compare_and_nearest(first, second, block=block)
    check(scores, a, b)
    for both in (found, nearest_both_ways(first, second, block=block)):
        for one, wanted in zip(both, (nearest(first, second), nearest(second, first)), strict=True):
            np.testing.assert_array_equal(one.indices, wanted.indices)
            np.testing.assert_array_equal(one.scores, wanted.scores)


@given(st.integers(0, 10**6), st.integers(1, 60), st.data())
@settings(max_examples=25, deadline=None)
def test_part_of_a_prepared_set(seed: int, number: int, data: st.DataObject) -> None:
    faces, gallery = make(seed, number, 7), prepare(make(seed + 1, 30, 5))
    chosen = np.flatnonzero(data.draw(st.lists(st.booleans(), min_size=number, max_size=number)))
    found, whole = nearest(prepare(faces).part(chosen), gallery, 2), nearest(prepare(faces), gallery, 2)
    np.testing.assert_array_equal(found.indices, whole.indices[chosen])
    np.testing.assert_array_equal(found.scores, whole.scores[chosen])


def everything(a: Faces, b: Faces, block: int | None, backend: Backend = HERE) -> tuple[NDArray[np.generic], ...]:
    scores, neighbours, back = compare_and_nearest(prepare(a), prepare(b), 3, block=block, backend=backend)
    histograms = [scores.mated, scores.nonmated]
    assert all(abs(h.score_sum) < 2**40 for h in histograms)
    return (
        *(h.counts for h in histograms),
        *(np.array([h.score_sum, h.square_sum]) for h in histograms),
        scores.mated_by_class,
        scores.nonmated_by_class_a,
        scores.nonmated_by_class_b,
        neighbours.indices,
        neighbours.scores,
        back.indices,
        back.scores,
    )


def test_neither_blocks_nor_threads_change_a_bit() -> None:
    """At 512 dimensions, where the order of a sum in float32 would otherwise show."""
    a, b = make(1, 700, 11, 512), make(2, 900, 13, 512)
    threads = torch.get_num_threads()
    found = []
    try:
        for block, number in ((None, 1), (None, 3), (100, 2), (333, 1), (1777, 2)):
            torch.set_num_threads(number)
            found.append(everything(a, b, block))
            assert torch.get_num_threads() == number
    finally:
        torch.set_num_threads(threads)
    for other in found[1:]:
        for one, two in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("count", [1, 2])
def test_workers_that_share_the_rows_change_no_bit(count: int) -> None:
    a, b = make(1, 700, 11, 512), make(2, 900, 13, 512)
    a.vectors[::70] = b.vectors[0]  # ties across what workers get
    told: list[int] = []
    with local_workers(count, str, "counts") as workers:
        shared = Backend(workers=cast("Workers[None]", workers))
        for one, two in zip(everything(a, b, 32), everything(a, b, 32, shared), strict=True):
            np.testing.assert_array_equal(one, two)
        check(compare(prepare(a), block=32, backend=shared, progress=told.append), a, None)
    assert sum(told) == 700 * 700


def test_large_and_small_classes_are_counted_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    faces = make(5, 200, 9)
    found = []
    for direct, group in ((1, 64), (10**9, 64), (10**9, 2), (300, 3)):
        monkeypatch.setattr(tally, "_DIRECT", direct)
        monkeypatch.setattr(tally, "_GROUP", group)
        found.append(compare(prepare(faces), block=64))
        check(found[-1], faces, None)


def test_products_are_exact_and_scores_close_to_those_of_the_vectors() -> None:
    a, b = make(1, 300, 3, 512), make(2, 400, 3, 512)
    rows = exact.on_grid(a.vectors), exact.on_grid(b.vectors)
    products = (torch.from_numpy(rows[0]) @ torch.from_numpy(rows[1]).T).numpy()
    steps = [np.rint(side * exact.SHIFT).astype(np.int64) for side in rows]
    np.testing.assert_array_equal(products * float(exact.FRACTION), steps[0] @ steps[1].T)
    off = products / exact.SCALE - a.vectors.astype(np.float64) @ b.vectors.T
    assert off.std() == pytest.approx(1.3e-4, rel=0.1)
    assert np.abs(off).max() < 1e-3
    # the worst that can happen, not only the usual: all in one component
    one = np.zeros((1, 512), np.float32)
    one[0, 0] = 1
    assert float(exact.as_score(torch.from_numpy(exact.on_grid(one) @ exact.on_grid(one).T))) == 1


@pytest.mark.parametrize("dimensions", [1, 2, 64, 512])
def test_sums_are_whole_numbers(dimensions: int) -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(700, dimensions)) * np.geomspace(1, 1e-3, dimensions)  # a few components carry all
    rows = exact.on_grid((vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32))[:600]
    steps = np.rint(rows * exact.SHIFT).astype(np.int64)
    products = (steps[:400] @ steps[400:].T).astype(object)
    assert exact.sum_of_scores(rows[:400], rows[400:]) == products.sum()
    assert exact.sum_of_squares(rows[:400], rows[400:]) == (products * products).sum()


def test_subjects_of_both_sides_are_one() -> None:
    a, b = prepare(make(1, 80, 6)), prepare(make(2, 90, 6, first=3))
    scores = compare(a, b)
    subjects = scores.subjects()
    assert len(subjects.mated_by_subject) == 9
    assert subjects.nonmated_by_subject.sum() == 2 * scores.nonmated.total
    assert subjects.mated_by_subject.sum() == scores.mated.total
    assert subjects.independent_pairs == 4
    within = compare(a).subjects()
    assert (len(within.mated_by_subject), within.independent_pairs) == (6, 3)
    apart = compare(a, prepare(make(2, 90, 4, first=10))).subjects()
    assert (len(apart.mated_by_subject), apart.independent_pairs) == (10, 4)


def test_progress_counts_every_comparison() -> None:
    a, b = prepare(make(1, 80, 6)), prepare(make(2, 90, 6))
    told: list[int] = []
    compare(a, b, block=16, progress=told.append)
    assert sum(told) == 80 * 90


def test_a_failure_inside_a_block_ends_the_pass() -> None:
    def stop(_: int) -> None:
        raise KeyboardInterrupt

    threads = torch.get_num_threads()
    with pytest.raises(KeyboardInterrupt):
        compare(prepare(make(1, 80, 6)), block=16, progress=stop)
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda f: Faces(f.class_names, f.class_index[:0], f.vectors[:0]), "without embeddings"),
        (lambda f: make(1, 80, 6, dimensions=4), "of 8 and of 4 dimensions"),
        (lambda f: Faces(f.class_names, f.class_index, f.vectors * 2), "length 1"),
        (lambda f: Faces(("1", "01", *f.class_names[2:]), f.class_index, f.vectors), "both called '1'"),
    ],
)
def test_bad_input(spoil: Callable[[Faces], Faces], words: str) -> None:
    good = make(1, 80, 6)
    for ask in (compare, nearest, nearest_both_ways, compare_and_nearest):
        with pytest.raises(BadInput, match=words):
            ask(prepare(good), prepare(spoil(good)))


def test_the_histogram_covers_every_score() -> None:
    """Equal, opposite and nearly equal vectors, at the ends of the bins."""
    vectors = np.array([[1, 0], [1, 0], [-1, 0], [0.6, 0.8], [0.70710678, 0.70710678]], np.float32)
    faces = Faces(tuple("abcde"), np.arange(5), vectors)
    found = compare(prepare(faces))
    assert found.nonmated.total == 10 and found.mated.total == 0
    assert found.nonmated.counts[BINS - 1] == 1
    assert found.nonmated.counts[0] == 2
