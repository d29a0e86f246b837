"""Every comparison there is, of one set of embeddings or of two: exhaustive, in blocks, exact.

Scores are those of `exact`: whole numbers in float32, so that nothing here depends on the size of blocks, the
number of threads, the library or the device. Memory grows with the sets and with blocks, never with pairs.

A set is prepared once, for any number of comparisons. One pass over blocks yields what statistics need: the
histogram of all scores, one for each class on either side, and the best neighbours on both sides. Mated
comparisons are few: they are counted apart, class by class, and taken from the total.

Two classes are the same subject if their names are, as `canonical_class` has them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sface_data.auditing.compare import exact
from sface_data.auditing.compare.sweep import Neighbours, PreparedSet, Sweep
from sface_data.auditing.compare.tally import COARSE, FINE, FINE_BITS
from sface_data.biometrics.scores import ScoreHistogram
from sface_data.biometrics.subjects import REPLICATES, SUBJECT_BINS, SubjectScores
from sface_data.errors import BadInput
from sface_data.faces.base import canonical_class


class Embeddings(Protocol):
    """What is compared; `faces.embeddings.EmbeddingSet` is one."""

    @property
    def class_names(self) -> Sequence[str]: ...

    @property
    def class_index(self) -> NDArray[np.int64]: ...  # [N]

    @property
    def vectors(self) -> NDArray[np.float32]: ...  # [N,D] of length 1


@dataclass(frozen=True, eq=False)
class PairScores:
    """All comparisons within a set, or of set A with set B.

    Within a set each pair of images counts once, and no image is compared with itself.

    Attributes:
        mated, nonmated: scores of the same subject and of different ones, 20,000 bins.
        names_a, names_b: canonical names of the classes that have images, in the order of the class index. Within
            a set `names_b` is empty.
        mated_by_class: int64 [A,2500], mated comparisons of each class of A.
        nonmated_by_class_a: int64 [A,2500], non-mated comparisons that each class of A takes part in. Within a set
            a comparison counts for both its classes, so that the sum is twice `nonmated`.
        nonmated_by_class_b: int64 [B,2500], the same for B.
    """

    mated: ScoreHistogram
    nonmated: ScoreHistogram
    names_a: tuple[str, ...]
    names_b: tuple[str, ...]
    mated_by_class: NDArray[np.int64]
    nonmated_by_class_a: NDArray[np.int64]
    nonmated_by_class_b: NDArray[np.int64]

    def subjects(self, seed: int = 0, replicates: int = REPLICATES) -> SubjectScores:
        """The same for statistics with intervals over subjects: classes of one name on both sides are one."""
        subject_of = {name: index for index, name in enumerate(dict.fromkeys([*self.names_a, *self.names_b]))}
        mated = np.zeros((len(subject_of), SUBJECT_BINS), np.int64)
        nonmated = np.zeros_like(mated)
        for names, counts, sums in (
            (self.names_a, self.mated_by_class, mated),
            (self.names_a, self.nonmated_by_class_a, nonmated),
            (self.names_b, self.nonmated_by_class_b, nonmated),
        ):
            sums[[subject_of[name] for name in names]] += counts
        sides = [len(subject_of) // 2, len(self.names_a), *([len(self.names_b)] if self.names_b else [])]
        return SubjectScores(self.mated, self.nonmated, mated, nonmated, min(sides), replicates, seed)


def prepare(faces: Embeddings) -> PreparedSet:
    """Brings a set to the form in which it can be compared any number of times.

    Raises:
        BadInput: for an empty set, vectors that are not of length 1, and classes whose names count as one.
    """
    if not len(faces.vectors):
        raise BadInput("a set without embeddings cannot be compared")
    present, index = np.unique(faces.class_index, return_inverse=True)
    names = [canonical_class(faces.class_names[c]) for c in present]
    if len(set(names)) != len(names):
        double = next(name for name in names if names.count(name) > 1)
        raise BadInput(f"two classes of one set are both called {double!r}; give them different names")
    index = index.reshape(-1)
    order = np.argsort(index, kind="stable")
    starts = np.append(0, np.bincount(index, minlength=len(names)).cumsum())
    return PreparedSet(exact.on_grid(faces.vectors)[order], order, starts, tuple(names))


def compare(a: PreparedSet, b: PreparedSet | None = None, **options: Any) -> PairScores:
    """All comparisons within `a`, or of `a` with `b`.

    Args:
        options: block, backend and progress of `Sweep`.

    Raises:
        BadInput: for vectors of different dimensions.
    """
    return _pair_scores(_swept(a, b, count=True, **options))


def nearest(probes: PreparedSet, gallery: PreparedSet, k: int = 1, **options: Any) -> Neighbours:
    """The best `k` of the gallery for each probe; see `compare`."""
    return _swept(probes, gallery, k=k, **options).neighbours()


def nearest_both_ways(a: PreparedSet, b: PreparedSet, **options: Any) -> tuple[Neighbours, Neighbours]:
    """The nearest one in `b` of each of `a`, and in `a` of each of `b`, in one pass; see `compare`."""
    sweep = _swept(a, b, k=1, both=True, **options)
    return sweep.neighbours(), sweep.neighbours_of_b()


def compare_and_nearest(
    a: PreparedSet, b: PreparedSet, k: int = 1, **options: Any
) -> tuple[PairScores, Neighbours, Neighbours]:
    """In one pass: all comparisons, the best `k` in `b` of each of `a`, and the nearest in `a` of each of `b`."""
    sweep = _swept(a, b, k=k, both=True, count=True, **options)
    return _pair_scores(sweep), sweep.neighbours(), sweep.neighbours_of_b()


def _swept(a: PreparedSet, b: PreparedSet | None, **options: Any) -> Sweep:
    if b is not None and a.rows.shape[1] != b.rows.shape[1]:
        raise BadInput(
            f"embeddings of {a.rows.shape[1]} and of {b.rows.shape[1]} dimensions cannot be compared; "
            "make both with one embedder"
        )
    return Sweep(a, b, **options).run()


def _pair_scores(sweep: Sweep) -> PairScores:
    within = sweep.b is None
    first = sweep.a
    second = first if sweep.b is None else sweep.b
    own = _Mated(first, second)
    mated, mated_total, mated_squares, mated_by_class = own.counts, own.total, own.squares, own.by_a
    nonmated = sweep.counts - mated
    nonmated_total = exact.sum_of_scores(first.rows, second.rows) - mated_total
    nonmated_squares = exact.sum_of_squares(first.rows, second.rows) - mated_squares
    nonmated_by_a = sweep.by_a - own.by_a
    nonmated_by_b = np.zeros((0, COARSE), np.int64) if within else sweep.by_b - own.by_b
    if within:  # each pair came in both orders, and each image met itself
        selves = _Selves(first)
        mated, mated_by_class = (mated - selves.counts) // 2, (mated_by_class - selves.by_a) // 2
        mated_total, mated_squares = (mated_total - selves.total) // 2, (mated_squares - selves.squares) // 2
        nonmated, nonmated_total, nonmated_squares = nonmated // 2, nonmated_total // 2, nonmated_squares // 2
    return PairScores(
        exact.histogram_of(exact.folded(mated), mated_total, mated_squares),
        exact.histogram_of(exact.folded(nonmated), nonmated_total, nonmated_squares),
        first.names,
        () if within else second.names,
        *(exact.folded(counts, exact.MARGIN // FINE) for counts in (mated_by_class, nonmated_by_a, nonmated_by_b)),
    )


# -- comparisons of a class with itself


class _Mated:
    """All ordered comparisons of each class with that of the same name, those of an image with itself included.

    Attributes:
        counts: int64 [PADDED].
        by_a, by_b: int64 [A,COARSE] and [B,COARSE].
        total, squares: exact sums in steps, see `exact`.
    """

    def __init__(self, a: PreparedSet, b: PreparedSet) -> None:
        self.counts = np.zeros(exact.PADDED, np.int64)
        self.by_a = np.zeros((len(a.names), COARSE), np.int64)
        self.by_b = self.by_a if a is b else np.zeros((len(b.names), COARSE), np.int64)
        self.total = self.squares = 0
        class_of = {name: c for c, name in enumerate(b.names)}
        for c, name in enumerate(a.names):
            if name not in class_of:
                continue
            other = class_of[name]
            rows = torch.from_numpy(a.rows[a.starts[c] : a.starts[c + 1]])
            columns = torch.from_numpy(b.rows[b.starts[other] : b.starts[other + 1]])
            fine = np.zeros(exact.PADDED, np.int64)
            for some in rows.split(512):
                for others in columns.split(2048):
                    units = some @ others.T
                    total, squares = exact.sums(units)
                    self.total += total
                    self.squares += squares
                    fine += torch.bincount(_bins_of(units).reshape(-1), minlength=exact.PADDED).numpy()
            self.counts += fine
            coarse = fine.reshape(COARSE, FINE).sum(axis=1)
            self.by_a[c] += coarse
            if a is not b:
                self.by_b[other] += coarse


class _Selves:
    """Comparisons of each image with itself; see `_Mated`."""

    def __init__(self, a: PreparedSet) -> None:
        steps = torch.from_numpy(a.rows)
        units = torch.cat([(some * some).sum(dim=1) for some in steps.split(4096)])
        self.total, self.squares = exact.sums(units[:, None])
        bins = _bins_of(units).numpy().astype(np.int64)
        self.counts = np.bincount(bins, minlength=exact.PADDED)
        classes = np.repeat(np.arange(len(a.names)), np.diff(a.starts))
        self.by_a = np.zeros((len(a.names), COARSE), np.int64)
        np.add.at(self.by_a, (classes, bins >> FINE_BITS), 1)


def _bins_of(units: Tensor) -> Tensor:
    return exact.to_bins(units, torch.empty(units.shape, dtype=torch.int16))
