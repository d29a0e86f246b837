"""All faces of an audit, checked against each other, and under every judge."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from sface_data.auditing.sets.altered_copies import AlteredSource, simulated_copies
from sface_data.auditing.sets.contamination import check_digests
from sface_data.auditing.sets.face_set import FaceSet, ImageSet
from sface_data.auditing.sets.judged_sets import (
    CONTROL,
    HELD_OUT,
    RELEASE,
    TRAINING,
    AlteredCopies,
    Indices,
    JudgedSets,
    Viewed,
)
from sface_data.auditing.sets.pixel_embedder import PixelEmbedder
from sface_data.auditing.sets.sampled_images import SampledImages
from sface_data.embedding.embedder import Embedder
from sface_data.embedding.embeddings import EmbeddingSet, check_alike
from sface_data.errors import BadInput
from sface_data.faces.base import canonical_class, numbers_with_gaps
from sface_data.runtime.progress import Progress


@dataclass(frozen=True)
class AuditSets:
    """All faces of an audit.

    Attributes:
        by_role: release and training, control and held-out if they were given.
        labels_related: whether classes of the release are meant to be the training classes of the same names.
        seed: of what is altered.
        named: whether it is on record which training identity each class of the release is.
        claims: by class of the release the training classes to which its manifest says that it is related.
        sampled: images that judges see in every view; None for none.
    """

    by_role: dict[str, FaceSet]
    labels_related: bool
    seed: int
    named: bool = False
    claims: Mapping[str, tuple[str, ...]] | None = None
    sampled: SampledImages | None = None

    def __post_init__(self) -> None:
        assert {RELEASE, TRAINING} <= self.by_role.keys()

    @property
    def all_images(self) -> bool:
        """Whether no set is embeddings."""
        return all(isinstance(faces, ImageSet) for faces in self.by_role.values())

    def to_embed(self) -> int:
        """How many faces each judge has to look at."""
        images = sum(len(faces) for faces in self.by_role.values() if isinstance(faces, ImageSet))
        return images + (0 if self._altered is None else len(self._altered))

    def under(self, embedder: Embedder | None, cache: Path, progress: Progress | None = None) -> JudgedSets:
        """Everything under one judge; see `FaceSet.under`.

        Raises:
            BadInput: for sets that cannot be compared, or must not be.
        """
        found = {role: faces.under(embedder, cache, progress) for role, faces in self.by_role.items()}
        paths = {role: str(faces.path) for role, faces in self.by_role.items()}
        if found[RELEASE].left_out:
            raise BadInput(
                f"{paths[RELEASE]}: {len(found[RELEASE].left_out):,} of its faces have no embedding, so "
                "that nothing could be said of them; embed all, or leave them out of the release"
            )
        for role in found:
            try:
                check_alike(found[role], found[TRAINING])
            except BadInput as error:
                raise BadInput(f"{paths[role]} and {paths[TRAINING]}: {error}") from error
        return JudgedSets(
            judge=f"embedder {found[TRAINING].embedder_sha256[:12]}" if embedder is None else embedder.name,
            release=found[RELEASE],
            training=found[TRAINING],
            control=found.get(CONTROL),
            held_out=found.get(HELD_OUT),
            copies=self._copies(found[TRAINING], embedder, cache, progress),
            labels_related=self.labels_related,
            viewed=self._viewed(embedder, cache, progress),
            names=paths,
            claimed=self._claimed(found[RELEASE], found[TRAINING]),
        )

    def _viewed(self, embedder: Embedder | None, cache: Path, progress: Progress | None) -> Viewed | None:
        if self.sampled is None or embedder is None or isinstance(embedder, PixelEmbedder):
            return None
        return self.sampled.under(embedder, cache, progress)

    def described(self) -> dict[str, Any]:
        """What a certificate says of the sets."""
        return {role: faces.described() for role, faces in self.by_role.items()} | {
            "labels_related": self.labels_related
        }

    def _claimed(self, release: EmbeddingSet, training: EmbeddingSet) -> Indices | None:
        """See `JudgedSets.claimed`."""
        if self.claims is None:
            return None
        class_of = {canonical_class(name): index for index, name in enumerate(training.class_names)}
        rows = [self.claims[name] for name in release.class_names]
        return np.array([[class_of.get(canonical_class(name), -1) for name in row] for row in rows], np.int64)

    def check(self) -> None:
        """Looks for what would make the audit meaningless, by names and digests.

        Raises:
            BadInput: if labels do not match, or sets overlap that must not.
        """
        self._check_labels()
        for role, others, why in (
            (CONTROL, (TRAINING, RELEASE), "a control group has people and images of its own"),
            (HELD_OUT, (TRAINING,), "held-out images are such as were not trained on"),
        ):
            for other in others if role in self.by_role else ():
                first, second = self.by_role[role], self.by_role[other]
                digests = first.listed.image_sha256, second.listed.image_sha256
                check_digests(*digests, (str(first.path), str(second.path)), why)

    def _check_labels(self) -> None:
        names = {role: faces.class_names for role, faces in self.by_role.items()}
        paths = {role: faces.path for role, faces in self.by_role.items()}
        for role, own in names.items():
            if len(set(own.values())) < len(own):
                twins = [name for name in own if list(own.values()).count(own[name]) > 1]
                raise BadInput(
                    f"{paths[role]}: the classes {twins[0]!r} and {twins[1]!r} count as one; rename one of them"
                )
        training = set(names[TRAINING].values())
        if self.labels_related:
            strange = [name for name, canonical in names[RELEASE].items() if canonical not in training]
            if strange:
                raise BadInput(
                    f"{paths[RELEASE]}: {len(strange):,} of its {len(names[RELEASE]):,} classes (such as "
                    f"{strange[0]!r}) are no training identity of {paths[TRAINING]}; give all that the "
                    "generator was trained on, or say --unrelated-labels if labels mean nothing"
                )
            # Where a number is beyond those of places, classes are called as the identities.
            may_be_places = set(names[RELEASE].values()) <= set(map(str, range(len(training))))
            if not self.named and may_be_places and numbers_with_gaps(training):
                raise BadInput(
                    f"{paths[RELEASE]}: its classes are numbers, and the identities of {paths[TRAINING]} too, but "
                    "not those from 0 on: whether class 2 is the identity 2 or the third one is not on record; "
                    "give the data set that `generate` made, or say --unrelated-labels"
                )
        if HELD_OUT in names and not training & set(names[HELD_OUT].values()):
            raise BadInput(
                f"{paths[HELD_OUT]}: none of its classes is a training identity of {paths[TRAINING]}; "
                "held-out images are of the same people under the same names"
            )

    def _copies(
        self, training: EmbeddingSet, embedder: Embedder | None, cache: Path, progress: Progress | None
    ) -> AlteredCopies:
        if self._altered is None or embedder is None:
            return simulated_copies(training, self.seed)
        return AlteredCopies(self._altered.under(embedder, cache, progress), simulated=False)

    @cached_property
    def _altered(self) -> ImageSet | None:
        """Altered training images; None if there are no images."""
        training = self.by_role[TRAINING]
        return ImageSet.of(AlteredSource(training.source, self.seed)) if isinstance(training, ImageSet) else None
