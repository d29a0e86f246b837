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
    """

    gallery: EmbeddingSet
    prepared: PreparedSet
    by_role: dict[str, Searched]

    @classmethod
    def of(cls, sets: JudgedSets, backend: Backend) -> "Search":
        """Searches for every class of every set that has twice as many images as a half has."""
        gallery = class_means(sets.training)
        prepared = prepare(gallery)
        if sets.control is None:
            return cls(gallery, prepared, {})
        images = max(1, min(_usual_size(faces) for faces in (sets.release, sets.control)) // 2)
        roles = {RELEASE: sets.release, CONTROL: sets.control, TRAINING: sets.training}
        depth = DEPTH if sets.claimed is None else max(DEPTH, sets.claimed.shape[1])
        found = {role: _searched(faces, images, prepared, depth, backend) for role, faces in roles.items()}
        few = any(each is None for each in found.values())
        return cls(gallery, prepared, {} if few else {r: each for r, each in found.items() if each is not None})

    def similarity(self, role: str) -> NDArray[np.float32]:
        """Of each class [C]: its second half with the person found by the first."""
        found = self.by_role[role]
        scores = np.einsum("cd,cd->c", found.second, self.gallery.vectors[found.people[:, 0]])
        return np.asarray(scores, np.float32)

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
    faces: EmbeddingSet, images: int, people: PreparedSet, depth: int, backend: Backend
) -> Searched | None:
    """None where fewer than two classes have two halves of so many images."""
    order = np.argsort(faces.class_index, kind="stable")
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
