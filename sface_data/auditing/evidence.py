"""What one judge sees: all comparisons of an audit, from which the checks are made."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sface_data.auditing.compare.backend import HERE, Backend
from sface_data.auditing.compare.pairs import compare, compare_and_nearest, nearest, nearest_both_ways, prepare
from sface_data.auditing.compare.sweep import Neighbours, PreparedSet
from sface_data.auditing.relations import Related, relate
from sface_data.auditing.search import Search
from sface_data.auditing.sets.judged_sets import (
    CONTROL,
    DISGUISED,
    HELD_OUT,
    RELEASE,
    TRAINING,
    Indices,
    JudgedSets,
    namesakes,
)
from sface_data.auditing.sets.pixel_embedder import mirrored
from sface_data.biometrics.subjects import SubjectScores

MOST_OTHERS = 2_000  # enough to know to a per cent or two which share of them is found
COPIES = "copies"  # the role of altered training images, beside those of `judged_sets`


@dataclass(frozen=True)
class OtherPhotos:
    """Other images of training people, looked for as if each were not in the training set itself.

    Attributes:
        score: [K] similarity to the nearest training image other than itself.
        nearest_subject: [K] the class of that nearest image.
    """

    score: NDArray[np.float32]
    nearest_subject: Indices


@dataclass(frozen=True)
class Nearness:
    """How near each image is to its nearest training image.

    Attributes:
        to_training: of the images of each role that there is (release, control, copies) in the training set.
        others: other images of training people.
        search: the training people nearest to classes of the release, and to people of the control group; None by
            pixels, which know no people.
    """

    sets: JudgedSets
    to_training: dict[str, Neighbours]
    others: OtherPhotos | None
    search: Search | None


@dataclass(frozen=True)
class InView:
    """How near sampled images are to their nearest training image in the view that comes nearest.

    Attributes:
        score: [M] similarity; `index`: of the training image; `view`: which view, -1 for the image as it is.
    """

    score: NDArray[np.float32]
    index: Indices
    view: Indices


@dataclass(frozen=True)
class Evidence(Nearness):
    """All comparisons of one judge.

    Attributes:
        from_training: of each training image in the release, and in the control group if there is one.
        held_out: of each held-out image in the release, if there are any.
        authentic: within training; `cross`: release with training; `within`: within the release.
        in_view: of sampled images of the release and of the control group, and of disguised training images.
        namesake: [classes of the release] the class of training with the same name; -1 without one.
        related: by the name of the relation; without those that a control group is lacking for.
    """

    from_training: dict[str, Neighbours]
    held_out: Neighbours | None
    authentic: SubjectScores
    cross: SubjectScores
    within: SubjectScores
    in_view: dict[str, InView]
    namesake: Indices
    related: dict[str, Related]


def prepare_sets(sets: JudgedSets) -> dict[str, PreparedSet]:
    """Each set of an audit, by role, in the form in which all comparisons take it."""
    copies = None if sets.copies is None else sets.copies.faces
    roles = {RELEASE: sets.release, TRAINING: sets.training, CONTROL: sets.control, HELD_OUT: sets.held_out}
    given = {**roles, COPIES: copies}
    return {role: prepare(faces) for role, faces in given.items() if faces is not None}


def gather(sets: JudgedSets, prepared: dict[str, PreparedSet], seed: int, backend: Backend = HERE) -> Evidence:
    """Compares everything with everything that the checks need, in six passes.

    Args:
        prepared: the sets, see `prepare_sets`.
        seed: of the bootstrap, and of which images stand for other images of training people.
        backend: where the products of matrices are computed; it does not change the result.
    """
    release, training = prepared[RELEASE], prepared[TRAINING]
    cross, to_training, from_training = compare_and_nearest(release, training, backend=backend)
    near, back = {RELEASE: to_training}, {RELEASE: from_training}
    if CONTROL in prepared:
        near[CONTROL], back[CONTROL] = nearest_both_ways(prepared[CONTROL], training, backend=backend)
    if COPIES in prepared:
        near[COPIES] = nearest(prepared[COPIES], training, backend=backend)
    held_out = nearest(prepared[HELD_OUT], release, backend=backend) if HELD_OUT in prepared else None
    scores, search = cross.subjects(seed), Search.of(sets, seed, backend)
    return Evidence(
        sets=sets,
        to_training=near,
        others=_other_photos(sets, prepared, seed, backend),
        from_training=back,
        held_out=held_out,
        authentic=compare(training, backend=backend).subjects(seed),
        cross=scores,
        within=compare(release, backend=backend).subjects(seed),
        in_view=_in_view(sets, near, training, backend),
        namesake=namesakes(sets.release, sets.training),
        search=search,
        related=relate(sets, search, scores, prepared, seed),
    )


def _in_view(
    sets: JudgedSets, near: dict[str, Neighbours], training: PreparedSet, backend: Backend
) -> dict[str, InView]:
    if sets.viewed is None:
        return {}
    found = {}
    for role, faces in sets.viewed.faces.items():
        count = len(sets.viewed.views)
        views = nearest(prepare(faces), training, backend=backend)
        scores, indices = views.score.reshape(-1, count), views.index.reshape(-1, count)
        if role != DISGUISED:  # of those the image as it is has no place of its own
            chosen = sets.viewed.sample.indices[role]
            scores = np.column_stack([scores, near[role].score[chosen]])
            indices = np.column_stack([indices, near[role].index[chosen]])
        best = scores.argmax(axis=1)
        rows = np.arange(len(scores))
        found[role] = InView(scores[rows, best], indices[rows, best], np.where(best == count, -1, best))
    return found


def gather_mirrored(sets: JudgedSets, backend: Backend = HERE) -> Nearness:
    """Nearness of pixels: the better of each image and its mirror image."""
    training = prepare(sets.training)
    copies = None if sets.copies is None else sets.copies.faces
    near = {}
    for role, faces in {RELEASE: sets.release, CONTROL: sets.control, COPIES: copies}.items():
        if faces is not None:
            both = (nearest(prepare(each), training, backend=backend) for each in (faces, mirrored(faces)))
            near[role] = _better(*both)
    return Nearness(sets, near, others=None, search=None)


def _better(first: Neighbours, second: Neighbours) -> Neighbours:
    """The nearer neighbour of each probe."""
    straight = first.scores >= second.scores
    return Neighbours(
        np.where(straight, first.scores, second.scores), np.where(straight, first.indices, second.indices)
    )


def _other_photos(
    sets: JudgedSets, prepared: dict[str, PreparedSet], seed: int, backend: Backend
) -> OtherPhotos | None:
    """Held-out images where there are any, else training images that are left out one at a time."""
    training, gallery = sets.training, prepared[TRAINING]
    rng = np.random.default_rng(seed)
    if sets.held_out is not None:
        subject = namesakes(sets.held_out, training)[sets.held_out.class_index]
        chosen = _some(np.flatnonzero(subject >= 0), rng)
        found = nearest(prepared[HELD_OUT].part(chosen), gallery, backend=backend)
        return OtherPhotos(found.score, training.class_index[found.index])
    sizes = np.bincount(training.class_index, minlength=len(training.class_names))
    chosen = _some(np.flatnonzero(sizes[training.class_index] > 1), rng)
    if not len(chosen):
        return None
    found = nearest(gallery.part(chosen), gallery, 2, backend=backend)
    second = np.where(found.index == chosen, 1, 0)  # the first one that is not the image itself
    rows = np.arange(len(chosen))
    return OtherPhotos(found.scores[rows, second], training.class_index[found.indices[rows, second]])


def _some(indices: Indices, rng: np.random.Generator) -> Indices:
    """All of them, or some where there are many."""
    if len(indices) <= MOST_OTHERS:
        return indices
    return np.sort(rng.choice(indices, MOST_OTHERS, replace=False))
