"""The sets of faces of an audit as one judge sees them, and what is done with sets of embeddings."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sface_data.auditing.verdict import CLAIM, LABEL, SEARCH
from sface_data.embedding.embeddings import EmbeddingSet
from sface_data.errors import BadInput
from sface_data.faces.base import canonical_class

RELEASE, TRAINING, CONTROL, HELD_OUT = "release", "training", "control", "held-out"
ROLES = (RELEASE, TRAINING, CONTROL, HELD_OUT)
DISGUISED = "disguised"  # the role of disguised training images

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class AlteredCopies:
    """Training images, altered, as a judge sees them.

    Attributes:
        faces: [M] the altered images, with the class names of training.
        simulated: made from embeddings, as there were no images.
    """

    faces: EmbeddingSet
    simulated: bool

    @property
    def kind(self) -> str:
        """What the positive control calls them."""
        return "simulated" if self.simulated else "altered"


@dataclass(frozen=True)
class Sample:
    """Images that are looked at more closely.

    Attributes:
        indices: [M] of the images in their sets, by role: release, training, control and disguised.
        odd: [M] which of them are as odd as only 1 % of training images are, or do not show one face.
        one_face: [M] which of them show one face; None if most training images do not.
        disguises: of each disguised training image.
    """

    indices: dict[str, Indices]
    odd: dict[str, NDArray[np.bool_]]
    one_face: dict[str, NDArray[np.bool_]] | None
    disguises: tuple[str, ...]


@dataclass(frozen=True)
class Viewed:
    """Sampled images in every view, as a judge sees them.

    Attributes:
        faces: [M*V] by role, all views of one image after each other; not of training.
        views: the names of the V views.
    """

    sample: Sample
    faces: dict[str, EmbeddingSet]
    views: tuple[str, ...]


@dataclass(frozen=True)
class JudgedSets:
    """The faces of an audit under one judge.

    Attributes:
        judge: its name.
        release, training: what is audited, and what its generator was trained on.
        control: people who were not in training; None if there is no such group.
        held_out: images of training people that were not in training; None if there are none.
        copies: altered training images, for the positive control.
        labels_related: whether a class of the release is meant to be the training class of the same name.
        claimed: int64 [classes of the release,K] training classes to which the manifest says that each is related;
            -1 for one that is not there. None where it says nothing.
        viewed: sampled images in every view; None if there are none, or nobody asked.
        names: what errors call the sets, by role.
    """

    judge: str
    release: EmbeddingSet
    training: EmbeddingSet
    control: EmbeddingSet | None
    held_out: EmbeddingSet | None
    copies: AlteredCopies | None
    labels_related: bool
    viewed: Viewed | None = None
    names: dict[str, str] = field(default_factory=dict)
    claimed: Indices | None = None

    @cached_property
    def relations(self) -> tuple[str, ...]:
        """By which relations classes and training people are compared: see `auditing.relations`.

        Names that are those of training people are looked at whatever they are said to mean.
        """
        named = namesakes(self.release, self.training)[np.unique(self.release.class_index)]
        found = [LABEL] if self.labels_related or (named >= 0).sum() > 1 else []
        found += [] if self.claimed is None else [CLAIM]
        return tuple(found if self.labels_related else [*found, SEARCH])

    def name(self, role: str) -> str:
        """What errors call a set."""
        default = {RELEASE: "the release", CONTROL: "the control group"}.get(role, f"the {role} set")
        return self.names.get(role, default)


def unit(vectors: NDArray[np.floating]) -> NDArray[np.float32]:
    """Vectors [N,D] made of length 1; those that are zero become the first axis."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    fallback = np.zeros(vectors.shape[1])
    fallback[0] = 1
    return np.where(lengths > 1e-12, vectors / np.maximum(lengths, 1e-12), fallback).astype(np.float32)


def derived(vectors: NDArray[np.float32], class_index: Indices, like: EmbeddingSet) -> EmbeddingSet:
    """Vectors [N,D] that are of no stored images, with the classes and the embedder of a set."""
    keys = tuple(f"{index:08d}" for index in range(len(vectors)))
    class_index = np.asarray(class_index, np.int64)
    return EmbeddingSet(
        keys,
        like.class_names,
        class_index,
        vectors,
        like.embedder_sha256,
        "",
        ("",) * len(keys),
        like.detector_sha256,
    )


def subset(faces: EmbeddingSet, indices: Indices) -> EmbeddingSet:
    """Some faces of a set."""
    return derived(faces.vectors[indices], faces.class_index[indices], faces)


def class_means(faces: EmbeddingSet) -> EmbeddingSet:
    """The mean of each class that has faces, of length 1, as a set of one face per class in their order.

    Raises:
        BadInput: for a class whose embeddings cancel each other, so that their mean has no direction.
    """
    sums = np.zeros((len(faces.class_names), faces.vectors.shape[1]))
    np.add.at(sums, faces.class_index, faces.vectors)
    present = np.flatnonzero(np.bincount(faces.class_index, minlength=len(sums)))
    lengths = np.linalg.norm(sums[present], axis=1)
    if (lengths < 1e-6).any():
        name = faces.class_names[present[int(lengths.argmin())]]
        raise BadInput(f"the embeddings of the class {name!r} cancel each other, so that it has no mean")
    return derived(unit(sums[present]), present, faces)


def namesakes(faces: EmbeddingSet, training: EmbeddingSet) -> Indices:
    """Of each class of a set, the class of training with the same name, or -1."""
    class_of = {canonical_class(name): index for index, name in enumerate(training.class_names)}
    return np.array([class_of.get(canonical_class(name), -1) for name in faces.class_names], np.int64)
