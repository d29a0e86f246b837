"""What one judge sees: all comparisons of an audit, from which the checks are made."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sface_data.audit.compare.pairs import compare, compare_and_nearest, nearest
from sface_data.biometrics.subjects import SubjectScores
from sface_data.embedding.embeddings import EmbeddingSet
from sface_data.faces.base import canonical_class

MOST_OTHERS = 2_000  # enough to know to a per cent or two which share of them is found

Scores = NDArray[np.float32]
Places = NDArray[np.int64]


@dataclass(frozen=True)
class Copies:
    """Training images, altered, as a judge sees them.

    Attributes:
        faces: [M] the altered images, with the class names of training.
        places: [M] of the training images that they were made from.
        simulated: made from embeddings, as there were no images.
    """

    faces: EmbeddingSet
    places: Places
    simulated: bool

    @property
    def kind(self) -> str:
        """What the positive control calls them."""
        return "simulated" if self.simulated else "altered"


@dataclass(frozen=True)
class Sets:
    """The faces of an audit under one judge.

    Attributes:
        judge: its name.
        synthetic, training: the release, and what its generator was trained on.
        control: people who were not in training; None if there is no such group.
        held_out: images of training people that were not in training; None if there are none.
        copies: altered training images, for the positive control.
        labels_related: whether a class of the release is meant to be the training class of the same name.
        control_name, training_name, release_name: what errors call them.
    """

    judge: str
    synthetic: EmbeddingSet
    training: EmbeddingSet
    control: EmbeddingSet | None
    held_out: EmbeddingSet | None
    copies: Copies | None
    labels_related: bool
    control_name: str = "the control group"
    training_name: str = "the training set"
    release_name: str = "the release"


@dataclass(frozen=True)
class Others:
    """Other images of training people, looked for as if each were not in the training set itself.

    Attributes:
        best: [K] similarity to the nearest training image other than itself.
        subject: [K] the class of training it belongs to.
        nearest_subject: [K] the class of that nearest image.
    """

    best: Scores
    subject: Places
    nearest_subject: Places


@dataclass(frozen=True)
class Nearness:
    """How near each image is to its nearest training image.

    Attributes:
        synthetic_best, control_best, copies_best: similarity of each to its nearest training image.
        synthetic_place, control_place, copies_place: the place of that training image.
        others: other images of training people.
    """

    sets: Sets
    synthetic_best: Scores
    synthetic_place: Places
    control_best: Scores | None
    control_place: Places | None
    copies_best: Scores | None
    copies_place: Places | None
    others: Others | None


@dataclass(frozen=True)
class Evidence(Nearness):
    """All comparisons of one judge.

    Attributes:
        authentic: within training; `cross`: synthetic with training; `within`: within the release.
        training_best: similarity of each training image to its nearest synthetic one; `training_place` where.
        training_best_control, training_place_control: the same to the control group.
        held_out_best: similarity of each held-out image to its nearest synthetic one.
        namesake: [classes of the release] the class of training with the same name; -1 without one.
    """

    authentic: SubjectScores
    cross: SubjectScores
    within: SubjectScores
    training_best: Scores
    training_place: Places
    training_best_control: Scores | None
    training_place_control: Places | None
    held_out_best: Scores | None
    namesake: Places


def gather(sets: Sets, seed: int, device: str = "cpu") -> Evidence:
    """Compares everything with everything that the checks need.

    Args:
        seed: of the bootstrap, and of which images stand for other images of training people.
        device: where the products of matrices are computed; it does not change the result.
    """
    synthetic, training, control = sets.synthetic, sets.training, sets.control
    cross, best = compare_and_nearest(synthetic, training, 1, device=device)
    back = nearest(training, synthetic, 1, device=device)
    control_best, control_place = _best(control, training, device)
    back_control, back_control_place = (None, None) if control is None else _best(training, control, device)
    copies_best, copies_place = _best(None if sets.copies is None else sets.copies.faces, training, device)
    return Evidence(
        sets=sets,
        synthetic_best=best.scores[:, 0],
        synthetic_place=best.places[:, 0],
        control_best=control_best,
        control_place=control_place,
        copies_best=copies_best,
        copies_place=copies_place,
        others=_others(sets, seed, device),
        authentic=compare(training, device=device).subjects(seed),
        cross=cross.subjects(seed),
        within=compare(synthetic, device=device).subjects(seed),
        training_best=back.scores[:, 0],
        training_place=back.places[:, 0],
        training_best_control=back_control,
        training_place_control=back_control_place,
        held_out_best=_best(sets.held_out, synthetic, device)[0],
        namesake=namesakes(synthetic, training),
    )


def gather_mirrored(sets: Sets, mirrored: Sets, device: str = "cpu") -> Nearness:
    """Nearness for vectors that change when an image is mirrored: the better of the image and its mirror image.

    Args:
        mirrored: the same faces, mirrored; its training set is not looked at.
    """

    def best(a: EmbeddingSet | None, b: EmbeddingSet | None) -> tuple[Scores, Places] | tuple[None, None]:
        if a is None or b is None:
            return None, None
        first, second = nearest(a, sets.training, 1, device=device), nearest(b, sets.training, 1, device=device)
        straight = first.scores[:, 0] >= second.scores[:, 0]
        return (
            np.where(straight, first.scores[:, 0], second.scores[:, 0]),
            np.where(straight, first.places[:, 0], second.places[:, 0]),
        )

    synthetic_best, synthetic_place = best(sets.synthetic, mirrored.synthetic)
    assert synthetic_best is not None and synthetic_place is not None
    control_best, control_place = best(sets.control, mirrored.control)
    copies = [None if each.copies is None else each.copies.faces for each in (sets, mirrored)]
    copies_best, copies_place = best(copies[0], copies[1])
    return Nearness(
        sets,
        synthetic_best,
        synthetic_place,
        control_best,
        control_place,
        copies_best,
        copies_place,
        others=None,
    )


def _best(
    probes: EmbeddingSet | None, gallery: EmbeddingSet, device: str
) -> tuple[Scores, Places] | tuple[None, None]:
    if probes is None:
        return None, None
    found = nearest(probes, gallery, 1, device=device)
    return found.scores[:, 0], found.places[:, 0]


def namesakes(synthetic: EmbeddingSet, training: EmbeddingSet) -> Places:
    """Of each class of the release, the class of training with the same name, or -1."""
    place = {canonical_class(name): index for index, name in enumerate(training.class_names)}
    return np.array([place.get(canonical_class(name), -1) for name in synthetic.class_names], np.int64)


def centroids(faces: EmbeddingSet) -> EmbeddingSet:
    """The mean of each class that has faces, of length 1, as a set of one face per class in their order."""
    sums = np.zeros((len(faces.class_names), faces.vectors.shape[1]))
    np.add.at(sums, faces.class_index, faces.vectors)
    present = np.flatnonzero(np.bincount(faces.class_index, minlength=len(sums)))
    return plain_set(unit(sums[present]), present, faces.class_names, faces.embedder_sha256, faces.detector_sha256)


def unit(vectors: NDArray[np.floating]) -> NDArray[np.float32]:
    """Vectors [N,D] made of length 1; those that are zero become the first axis."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    fallback = np.zeros(vectors.shape[1])
    fallback[0] = 1
    return np.where(lengths > 1e-12, vectors / np.maximum(lengths, 1e-12), fallback).astype(np.float32)


def plain_set(
    vectors: NDArray[np.float32],
    class_index: Places,
    class_names: tuple[str, ...],
    embedder_sha256: str,
    detector_sha256: str | None = None,
) -> EmbeddingSet:
    """Vectors that are of no stored images, as a set."""
    keys = tuple(f"{place:08d}" for place in range(len(vectors)))
    class_index = np.asarray(class_index, np.int64)
    return EmbeddingSet(
        keys, class_names, class_index, vectors, embedder_sha256, "", ("",) * len(keys), detector_sha256
    )


def part(faces: EmbeddingSet, places: Places) -> EmbeddingSet:
    """Some faces of a set."""
    return plain_set(
        faces.vectors[places],
        faces.class_index[places],
        faces.class_names,
        faces.embedder_sha256,
        faces.detector_sha256,
    )


def _others(sets: Sets, seed: int, device: str) -> Others | None:
    """Held-out images where there are any, else training images that are left out one at a time."""
    training = sets.training
    rng = np.random.default_rng(seed)
    if sets.held_out is not None:
        held_out = sets.held_out
        subject = namesakes(held_out, training)[held_out.class_index]
        places = _some(np.flatnonzero(subject >= 0), rng)
        found = nearest(part(held_out, places), training, 1, device=device)
        return Others(found.scores[:, 0], subject[places], training.class_index[found.places[:, 0]])
    sizes = np.bincount(training.class_index, minlength=len(training.class_names))
    places = _some(np.flatnonzero(sizes[training.class_index] > 1), rng)
    if not len(places):
        return None
    found = nearest(part(training, places), training, 2, device=device)
    second = np.where(found.places[:, 0] == places, 1, 0)  # the first one that is not the image itself
    rows = np.arange(len(places))
    neighbour = found.places[rows, second]
    return Others(found.scores[rows, second], training.class_index[places], training.class_index[neighbour])


def _some(places: Places, rng: np.random.Generator) -> Places:
    """All places, or some of them where there are many."""
    return places if len(places) <= MOST_OTHERS else np.sort(rng.choice(places, MOST_OTHERS, replace=False))
