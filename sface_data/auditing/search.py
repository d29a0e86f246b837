"""The training people nearest to a class: found with one half of its images, and looked at with the other.

Somebody is nearest to everyone, strangers included: of a thousand training people one always looks most like you.
So what is found this way is held against what the same search finds for the people of the control group, with as
many images each: a mean of more images has less noise, and would be nearer for that alone. And what is chosen by
the noise of the first half is not confirmed by the second.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sface_data.auditing.compare import exact
from sface_data.auditing.compare.backend import Backend
from sface_data.auditing.compare.pairs import nearest, prepare
from sface_data.auditing.compare.sweep import PreparedSet
from sface_data.auditing.sets.judged_sets import (
    CONTROL,
    RELEASE,
    TRAINING,
    Indices,
    JudgedSets,
    class_means,
    derived,
    unit,
)
from sface_data.embedding.embeddings import EmbeddingSet

DEPTH = 10  # people who are looked for


@dataclass(frozen=True)
class Searched:
    """What is found for the classes of one set that have images enough.

    Attributes:
        classes: int64 [C] of the set.
        people: int64 [C,R] training people nearest to the first half, best first: rows of the gallery.
        rows: int64 [C,m] images of the second half.
        second: float32 [C,D] their mean, of length 1.
    """

    classes: Indices
    people: Indices
    rows: Indices
    second: NDArray[np.float32]


@dataclass(frozen=True)
class Search:
    """What is found for release, control group and training people themselves.

    Attributes:
        gallery: the means of all training people, of length 1, in the order of their classes.
        prepared: the same, ready to be compared.
        by_role: empty without a control group, or where fewer than two classes have two images.
        training: all training images.
    """

    gallery: EmbeddingSet
    prepared: PreparedSet
    by_role: dict[str, Searched]
    training: EmbeddingSet

    @classmethod
    def of(cls, sets: JudgedSets, seed: int, backend: Backend) -> "Search":
        """Searches for every class of every set that has twice as many images as a half has.

        Args:
            seed: of which images are looked at, and in which half: not the publisher says it, by their order.
        """
        gallery = class_means(sets.training)
        prepared = prepare(gallery)
        if sets.control is None:
            return cls(gallery, prepared, {}, sets.training)
        images = max(1, min(_usual_size(faces) for faces in (sets.release, sets.control, sets.training)) // 2)
        roles = {RELEASE: sets.release, CONTROL: sets.control, TRAINING: sets.training}
        depth = DEPTH if sets.claimed is None else max(DEPTH, sets.claimed.shape[1])
        found = {role: _searched(faces, images, seed, prepared, depth, backend) for role, faces in roles.items()}
        few = any(each is None for each in found.values())
        by_role = {} if few else {role: each for role, each in found.items() if each is not None}
        return cls(gallery, prepared, by_role, sets.training)

    def similarity(self, role: str) -> NDArray[np.float32]:
        """Of each class [C]: its second half with the person found by the first."""
        found = self.by_role[role]
        scores = np.einsum("cd,cd->c", found.second, self.gallery.vectors[found.people[:, 0]])
        return np.asarray(scores, np.float32)

    def of_other_photographs(self) -> NDArray[np.float32]:
        """Of each training person searched [C]: the second half with whom the first finds, who has no such image.

        A generator that shows somebody makes other images than those that it was trained on.
        """
        found, similarity = self.by_role[TRAINING], self.similarity(TRAINING)
        himself = self.gallery.class_index[found.people[:, 0]] == found.classes
        row_of = np.full(len(self.training.class_names), -1)
        row_of[found.classes] = np.arange(len(found.classes))
        row, others = row_of[self.training.class_index], np.ones(len(self.training), bool)
        others[found.rows] = False
        sums = np.zeros(found.second.shape)
        np.add.at(sums, row[others & (row >= 0)], self.training.vectors[others & (row >= 0)])
        own = np.einsum("cd,cd->c", found.second, unit(sums))
        return np.where(himself, own, similarity).astype(np.float32)

    def similarities(self, role: str, people: Indices) -> list[NDArray[np.float32]]:
        """Of each class its second half with people [C,K]: rows of the gallery, or -1 for nobody."""
        scores = np.einsum("cd,ckd->ck", self.by_role[role].second, self.gallery.vectors[people])
        return [row[whom >= 0] for row, whom in zip(scores, people, strict=True)]


def scores_of_images(
    searched: Searched, people: Indices, probes: PreparedSet, training: PreparedSet
) -> list[NDArray[np.float64]]:
    """Of each class all comparisons of the images of its second half with those of the people [C,K] given."""
    place = np.argsort(probes.order)  # of each image among the prepared rows
    scores = []
    for rows, whom in zip(searched.rows, people, strict=True):
        own = [training.rows[training.starts[p] : training.starts[p + 1]] for p in whom if p >= 0]
        units = probes.rows[place[rows]] @ np.concatenate(own).T if own else np.zeros(0)
        scores.append(units.astype(np.float64).ravel() / exact.SCALE)
    return scores


def _usual_size(faces: EmbeddingSet) -> int:
    """How many images at least nine in ten classes have."""
    sizes = np.bincount(faces.class_index)
    return int(np.quantile(sizes[sizes > 0], 0.1, method="lower"))


def _searched(
    faces: EmbeddingSet, images: int, seed: int, people: PreparedSet, depth: int, backend: Backend
) -> Searched | None:
    """None where fewer than two classes have two halves of so many images."""
    drawn = np.random.default_rng(seed).permutation(len(faces))
    order = drawn[np.argsort(faces.class_index[drawn], kind="stable")]
    sizes = np.bincount(faces.class_index)
    starts = np.cumsum(sizes) - sizes
    chosen = np.flatnonzero(sizes >= 2 * images)
    if len(chosen) < 2:
        return None
    rows = order[starts[chosen, None] + np.arange(2 * images)]  # [C,2*images]
    first, second = (
        unit(faces.vectors[half].sum(axis=1, dtype=np.float64)) for half in (rows[:, :images], rows[:, images:])
    )
    found = nearest(prepare(derived(first, chosen, faces)), people, depth, backend=backend)
    return Searched(chosen, found.indices, rows[:, images:], second)
