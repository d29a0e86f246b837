"""Every comparison there is, of one set of embeddings or of two: exhaustive, in blocks, exact.

Scores are those of `exact`: whole numbers in float32, so that nothing here depends on the size of blocks, the
number of threads, the library or the device. Memory grows with the sets and with blocks, never with pairs.

One pass over blocks yields what statistics need: the histogram of all scores, one for each class on either side,
and the best neighbours of each row. Mated comparisons are few: they are counted apart, class by class, and
taken from the total.

Two classes are the same subject if their names are, as `canonical_class` has them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sface_data.audit.compare import exact
from sface_data.audit.compare.sweep import BLOCK, COARSE, FINE, FINE_BITS, ByClass, Neighbours, Sweep
from sface_data.biometrics.scores import ScoreHistogram
from sface_data.biometrics.subjects import REPLICATES, SUBJECT_BINS, SubjectScores
from sface_data.errors import BadInput
from sface_data.faces.base import canonical_class
from sface_data.runtime.progress import Progress

_MATRIX_BYTES = 2 << 30  # beyond, no matrix of classes is kept


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
        place = {name: index for index, name in enumerate(dict.fromkeys([*self.names_a, *self.names_b]))}
        mated = np.zeros((len(place), SUBJECT_BINS), np.int64)
        nonmated = np.zeros_like(mated)
        for names, counts, sums in (
            (self.names_a, self.mated_by_class, mated),
            (self.names_a, self.nonmated_by_class_a, nonmated),
            (self.names_b, self.nonmated_by_class_b, nonmated),
        ):
            sums[[place[name] for name in names]] += counts
        sides = [len(place) // 2, len(self.names_a), *([len(self.names_b)] if self.names_b else [])]
        return SubjectScores(self.mated, self.nonmated, mated, nonmated, min(sides), replicates, seed)


@dataclass(frozen=True, eq=False)
class Linkage:
    """How well synthetic images and classes find the authentic identity of their own label.

    An identity is represented by its centroid, the mean of its embeddings brought to length 1, and so is a
    synthetic class; a score is a cosine with a centroid. Ranks count from 1; of equal scores the lower place
    comes first. Linked are the synthetic images and classes whose label occurs among the authentic ones.

    Attributes:
        class_names: [S] canonical names of the synthetic classes with images.
        identity_names: [I] those of the authentic identities.
        label_of_class: int64 [S], the identity of the same name, -1 if there is none.
        class_of_image: int64 [N], places in `class_names`.
        image_ranks: int64 [N], rank of the own label for each image; 0 if it has none.
        class_ranks: int64 [S], the same for centroids of classes.
        image_top, class_top: the best k identities of each image and each class.
        class_scores: float32 [S,I], centroids against centroids; None above 2 GiB.
    """

    class_names: tuple[str, ...]
    identity_names: tuple[str, ...]
    label_of_class: NDArray[np.int64]
    class_of_image: NDArray[np.int64]
    image_ranks: NDArray[np.int64]
    class_ranks: NDArray[np.int64]
    image_top: Neighbours
    class_top: Neighbours
    class_scores: NDArray[np.float32] | None

    def hit_matrix(self, k: int) -> NDArray[np.int64]:
        """For each class and identity [S,I], how many images of the class have it among their best `k`.

        The hit rate under any assignment of labels is a sum of entries: permutations need no new comparisons.
        """
        hits = np.zeros((len(self.class_names), len(self.identity_names)), np.int64)
        places = self.image_top.places[:, :k]
        np.add.at(hits, (np.broadcast_to(self.class_of_image[:, None], places.shape), places), 1)
        return hits


def compare(
    a: Embeddings,
    b: Embeddings | None = None,
    *,
    block: int | None = None,
    device: str = "cpu",
    progress: Progress | None = None,
) -> PairScores:
    """All comparisons within `a`, or of `a` with `b`.

    Args:
        block: columns of a block; changes memory and speed, never the result.
        device: of the arithmetic, such as `cuda`. The result is the same on each.
        progress: is told the number of comparisons made since the last call.

    Raises:
        BadInput: for vectors of different dimensions, or an empty set.
    """
    return _compare(a, b, 0, block, device, progress)[0]


def nearest(
    probes: Embeddings,
    gallery: Embeddings,
    k: int = 5,
    *,
    block: int | None = None,
    device: str = "cpu",
    progress: Progress | None = None,
) -> Neighbours:
    """The best `k` of the gallery for each probe; see `compare` for the arguments."""
    _check(probes, gallery)
    first, second = _by_class(probes), _by_class(gallery)
    sweep = Sweep(first, second, min(k, len(second.rows)), False, block, device, progress)
    sweep.run()
    return sweep.neighbours()


def compare_and_nearest(
    a: Embeddings,
    b: Embeddings,
    k: int = 5,
    *,
    block: int | None = None,
    device: str = "cpu",
    progress: Progress | None = None,
) -> tuple[PairScores, Neighbours]:
    """Both in one pass: all comparisons of `a` with `b`, and the best `k` in `b` of each row of `a`."""
    scores, neighbours = _compare(a, b, k, block, device, progress)
    assert neighbours is not None
    return scores, neighbours


def compare_linkage(
    synthetic: Embeddings,
    authentic: Embeddings,
    k: int = 10,
    *,
    block: int | None = None,
    device: str = "cpu",
) -> Linkage:
    """Ranks of the own label among the authentic identities, for each synthetic image and class."""
    _check(synthetic, authentic)
    classes, identities = _centroids(synthetic), _centroids(authentic)
    place = {name: index for index, name in enumerate(identities.class_names)}
    labels = np.array([place.get(name, -1) for name in classes.class_names], np.int64)
    present = np.unique(synthetic.class_index)
    class_of_image = np.searchsorted(present, synthetic.class_index).astype(np.int64)
    scores = None
    if len(labels) * len(place) * 4 <= _MATRIX_BYTES:
        grid = exact.on_grid(classes.vectors), exact.on_grid(identities.vectors)
        scores = exact.as_score(torch.from_numpy(grid[0]) @ torch.from_numpy(grid[1]).T).numpy()
    return Linkage(
        tuple(classes.class_names),
        tuple(identities.class_names),
        labels,
        class_of_image,
        _ranks(synthetic.vectors, identities.vectors, labels[class_of_image], block or BLOCK),
        _ranks(classes.vectors, identities.vectors, labels, block or BLOCK),
        nearest(synthetic, identities, k, block=block, device=device),
        nearest(classes, identities, k, block=block, device=device),
        scores,
    )


# -- sets in the order of their classes


@dataclass(frozen=True, eq=False)
class _Centroids:
    class_names: tuple[str, ...]
    class_index: NDArray[np.int64]
    vectors: NDArray[np.float32]


def _merged_classes(faces: Embeddings) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Canonical names of the classes with images, and the class of each row among them."""
    present, index = np.unique(faces.class_index, return_inverse=True)
    names = [canonical_class(faces.class_names[c]) for c in present]
    if len(set(names)) != len(names):
        double = next(name for name in names if names.count(name) > 1)
        raise BadInput(f"two classes of one set are both called {double!r}; give them different names")
    return tuple(names), index.reshape(-1)


def _by_class(faces: Embeddings) -> ByClass:
    names, index = _merged_classes(faces)
    order = np.argsort(index, kind="stable")
    starts = np.append(0, np.bincount(index, minlength=len(names)).cumsum())
    return ByClass(exact.on_grid(faces.vectors)[order], order, starts, names)


def _centroids(faces: Embeddings) -> _Centroids:
    names, index = _merged_classes(faces)
    order = np.argsort(index, kind="stable")
    starts = np.searchsorted(index[order], np.arange(len(names)))
    sums = np.add.reduceat(faces.vectors[order].astype(np.float64), starts, axis=0)
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    if (lengths < 1e-6).any():
        raise BadInput(f"the embeddings of class {names[int(lengths.argmin())]!r} cancel each other")
    return _Centroids(names, np.arange(len(names)), (sums / lengths).astype(np.float32))


def _check(a: Embeddings, b: Embeddings) -> None:
    for side in (a, b):
        if not len(side.vectors):
            raise BadInput("a set without embeddings cannot be compared")
    if a.vectors.shape[1] != b.vectors.shape[1]:
        raise BadInput(
            f"embeddings of {a.vectors.shape[1]} and of {b.vectors.shape[1]} dimensions cannot be compared; "
            "make both with one embedder"
        )
    for side in (a, b):
        exact.check_lengths(side.vectors)


# -- all comparisons, mated and non-mated


def _compare(
    a: Embeddings, b: Embeddings | None, k: int, block: int | None, device: str, progress: Progress | None
) -> tuple[PairScores, Neighbours | None]:
    _check(a, a if b is None else b)
    first = _by_class(a)
    second = first if b is None else _by_class(b)
    within = b is None
    sweep = Sweep(first, second, min(k, len(second.rows)), True, block, device, progress, within)
    sweep.run()
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
    scores = PairScores(
        exact.histogram_of(exact.folded(mated), mated_total, mated_squares),
        exact.histogram_of(exact.folded(nonmated), nonmated_total, nonmated_squares),
        first.names,
        () if within else second.names,
        *(exact.folded(counts, exact.MARGIN // FINE) for counts in (mated_by_class, nonmated_by_a, nonmated_by_b)),
    )
    return scores, sweep.neighbours() if k else None


# -- comparisons of a class with itself


class _Mated:
    """All ordered comparisons of each class with that of the same name, those of an image with itself included.

    Attributes:
        counts: int64 [PADDED].
        by_a, by_b: int64 [A,COARSE] and [B,COARSE].
        total, squares: exact sums in steps, see `exact`.
    """

    def __init__(self, a: ByClass, b: ByClass) -> None:
        self.counts = np.zeros(exact.PADDED, np.int64)
        self.by_a = np.zeros((len(a.names), COARSE), np.int64)
        self.by_b = self.by_a if a is b else np.zeros((len(b.names), COARSE), np.int64)
        self.total = self.squares = 0
        place = {name: c for c, name in enumerate(b.names)}
        for c, name in enumerate(a.names):
            if name not in place:
                continue
            other = place[name]
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

    def __init__(self, a: ByClass) -> None:
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


def _ranks(
    probes: NDArray[np.float32], gallery: NDArray[np.float32], own: NDArray[np.int64], block: int
) -> NDArray[np.int64]:
    """Rank [N] of one row of the gallery, `own`, for each probe, from 1; 0 where `own` is -1."""
    rows, columns = torch.from_numpy(exact.on_grid(probes)), torch.from_numpy(exact.on_grid(gallery))
    ranks = np.zeros(len(rows), np.int64)
    for start in range(0, len(rows), 1024):
        some, place = rows[start : start + 1024], torch.from_numpy(own[start : start + 1024])
        bar = (some * columns[place.clamp(min=0)]).sum(dim=1, keepdim=True)
        ahead = torch.zeros(len(some), dtype=torch.int64)
        for left in range(0, len(columns), block):
            units = some @ columns[left : left + block].T
            earlier = torch.arange(left, left + units.shape[1]) < place[:, None]
            ahead += ((units > bar) | ((units == bar) & earlier)).sum(dim=1)
        ranks[start : start + 1024] = torch.where(place >= 0, ahead + 1, 0).numpy()
    return ranks
