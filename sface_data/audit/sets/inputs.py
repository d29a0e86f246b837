"""The faces of an audit: images or embeddings, under every judge, checked against each other."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from sface_data.audit.evidence import Copies, Sets
from sface_data.audit.sets.altered_copies import AlteredSource, simulated_copies
from sface_data.audit.sets.contamination import check_digests
from sface_data.audit.sets.pixel_embedder import PixelEmbedder
from sface_data.dataset.manifest import Manifest
from sface_data.embedding.embed import Embedding
from sface_data.embedding.embedder import Embedder
from sface_data.embedding.embeddings import EmbeddingSet, check_alike
from sface_data.embedding.embeddings_folder import INDEX as EMBEDDINGS
from sface_data.embedding.embeddings_folder import cached_embeddings, is_embeddings, open_embeddings
from sface_data.errors import BadInput
from sface_data.faces.base import Source, canonical_class
from sface_data.faces.face_list import FaceList
from sface_data.faces.shard_source import ShardSource
from sface_data.faces.sources import open_source
from sface_data.runtime.progress import Progress

ROLES = ("synthetic", "training", "control", "held-out")
_MEASURED = 100  # images that tell of which sizes those of a set are


@dataclass(frozen=True)
class Faces:
    """One set of faces: images that are embedded when they are needed, or embeddings made before."""

    path: Path
    source: Source | None
    listed: FaceList | None
    embeddings: EmbeddingSet | None

    @classmethod
    def open(cls, path: Path, progress: Progress | None = None, manifest: Manifest | None = None) -> "Faces":
        """Opens a SOURCE, and reads every face of it once for its digest.

        Args:
            manifest: of a finished data set, whose shards are read then and nothing else that lies in its folder.

        Raises:
            BadInput: if it cannot be read or has fewer than two classes, or if a finished data set holds
                embeddings or other faces than its manifest counts.
        """
        if manifest is not None:
            return cls._of_dataset(path, manifest, progress)
        if is_embeddings(path):
            found = open_embeddings(path)
            _check_classes(path, len(found), len(np.unique(found.class_index)))
            return cls(path, None, None, found)
        source = open_source(path)
        return cls(path, source, FaceList.of(source, progress), None)

    @classmethod
    def _of_dataset(cls, path: Path, manifest: Manifest, progress: Progress | None) -> "Faces":
        if is_embeddings(path):
            raise BadInput(
                f"{path}: holds embeddings beside its images, and they could be of anything; move "
                f"{EMBEDDINGS} and its parts out of the folder"
            )
        source = ShardSource(path, [path / shard.filename for shard in manifest.shards])
        if len(source) != manifest.num_samples:
            raise BadInput(
                f"{path}: its shards hold {len(source):,} faces, not {manifest.num_samples:,} as its manifest says"
            )
        _check_classes(path, len(source), len(source.class_names))
        return cls(path, source, FaceList.of(source, progress), None)

    def __len__(self) -> int:
        return len(self.embeddings) if self.listed is None and self.embeddings else len(self.listed or ())

    @property
    def sha256(self) -> str:
        """Digest over key, class and image of every face, whatever form they came in."""
        if self.listed is not None:
            return self.listed.sha256
        assert self.embeddings is not None
        return self.embeddings.source_sha256

    def image_sizes(self) -> dict[str, int]:
        """Of up to 100 images spread over the set: how many have which width and height; empty for embeddings."""
        if self.source is None:
            return {}
        places = np.unique(np.linspace(0, len(self) - 1, min(len(self), _MEASURED)).astype(np.int64))
        shapes = [self.source[int(place)].decode().shape for place in places]
        return dict(sorted(Counter(f"{width}x{height}" for height, width, _ in shapes).items()))

    def under(self, embedder: Embedder | None, cache: Path, progress: Progress | None = None) -> EmbeddingSet:
        """The faces under one judge; None is the one that the embeddings are of."""
        if self.embeddings is not None:
            if embedder is not None and embedder.sha256 != self.embeddings.embedder_sha256:
                raise BadInput(
                    f"{self.path}: holds embeddings of another embedder "
                    f"({self.embeddings.embedder_sha256[:12]}); make them with {embedder.name} "
                    f"({embedder.sha256[:12]}), or give the images"
                )
            return self.embeddings
        if embedder is None:
            raise BadInput(f"{self.path}: holds images; name an embedder with --model")
        assert self.source is not None and self.listed is not None
        return cached_embeddings(self.source, Embedding(embedder), cache, self.listed, progress)


@dataclass(frozen=True)
class Inputs:
    """All faces of an audit.

    Attributes:
        labels_related: whether classes of the release are meant to be the training classes of the same names.
    """

    synthetic: Faces
    training: Faces
    control: Faces | None
    held_out: Faces | None
    labels_related: bool
    seed: int

    @property
    def by_role(self) -> dict[str, Faces]:
        """Those that were given."""
        every = dict(zip(ROLES, (self.synthetic, self.training, self.control, self.held_out), strict=True))
        return {role: faces for role, faces in every.items() if faces is not None}

    def under(self, embedder: Embedder | None, name: str, cache: Path, progress: Progress | None = None) -> Sets:
        """Everything under one judge.

        Raises:
            BadInput: for sets that cannot be compared, or must not be.
        """
        found = {role: faces.under(embedder, cache, progress) for role, faces in self.by_role.items()}
        if found["synthetic"].left_out:
            raise BadInput(
                f"{self.synthetic.path}: {len(found['synthetic'].left_out):,} of its faces have no embedding, so "
                "that nothing could be said of them; embed all, or leave them out of the release"
            )
        for role in found:
            try:
                check_alike(found[role], found["training"])
            except BadInput as error:
                raise BadInput(f"{self.by_role[role].path} and {self.training.path}: {error}") from error
        return Sets(
            judge=name,
            synthetic=found["synthetic"],
            training=found["training"],
            control=found.get("control"),
            held_out=found.get("held-out"),
            copies=self._copies(found["training"], embedder, cache, progress),
            labels_related=self.labels_related,
            control_name="" if self.control is None else str(self.control.path),
            training_name=str(self.training.path),
            release_name=str(self.synthetic.path),
        )

    def pixels(self, cache: Path, progress: Progress | None = None) -> tuple[Sets, Sets] | None:
        """Everything as pixels, straight and mirrored; None if something has no images."""
        if any(faces.source is None for faces in self.by_role.values()):
            return None
        straight, mirrored = (
            self.under(PixelEmbedder(turned), "pixels", cache / ("mirrored" if turned else "straight"), progress)
            for turned in (False, True)
        )
        return straight, mirrored

    def check(self) -> None:
        """Looks for what would make the audit meaningless, by names and digests.

        Raises:
            BadInput: if labels do not match, or sets overlap that must not.
        """
        self._check_labels()
        digests = {role: _digests(faces) for role, faces in self.by_role.items()}
        paths = {role: str(faces.path) for role, faces in self.by_role.items()}
        if "control" in digests:
            why = "a control group has people and images of its own"
            for role in ("training", "synthetic"):
                check_digests(digests["control"], digests[role], (paths["control"], paths[role]), why)
        if "held-out" in digests:
            why = "held-out images are such as were not trained on"
            names = (paths["held-out"], paths["training"])
            check_digests(digests["held-out"], digests["training"], names, why)

    def _check_labels(self) -> None:
        names = {role: _canonical(faces) for role, faces in self.by_role.items()}
        for role, own in names.items():
            if len(set(own.values())) < len(own):
                twins = [name for name in own if list(own.values()).count(own[name]) > 1]
                raise BadInput(
                    f"{self.by_role[role].path}: the classes {twins[0]!r} and {twins[1]!r} count as one; "
                    "rename one of them"
                )
        training = set(names["training"].values())
        if self.labels_related:
            strange = [name for name, canonical in names["synthetic"].items() if canonical not in training]
            if strange:
                raise BadInput(
                    f"{self.synthetic.path}: {len(strange):,} of its {len(names['synthetic']):,} classes (such as "
                    f"{strange[0]!r}) are no training identity of {self.training.path}; give all that the "
                    "generator was trained on, or say --unrelated-labels if labels mean nothing"
                )
        if self.held_out is not None and not training & set(names["held-out"].values()):
            raise BadInput(
                f"{self.held_out.path}: none of its classes is a training identity of {self.training.path}; "
                "held-out images are of the same people under the same names"
            )

    def _copies(
        self, training: EmbeddingSet, embedder: Embedder | None, cache: Path, progress: Progress | None
    ) -> Copies:
        if self._altered is None or embedder is None:
            return simulated_copies(training, self.seed)
        altered, listed = self._altered
        faces = cached_embeddings(altered, Embedding(embedder), cache, listed, progress)
        return Copies(faces, altered.places, simulated=False)

    @cached_property
    def _altered(self) -> tuple[AlteredSource, FaceList] | None:
        """Altered training images; None if there are no images."""
        if self.training.source is None:
            return None
        altered = AlteredSource(self.training.source, self.seed)
        return altered, FaceList.of(altered)


def _check_classes(path: Path, faces: int, classes: int) -> None:
    if classes < 2:
        raise BadInput(f"{path}: its {faces} faces are of {classes} class; at least 2 are needed")


def _digests(faces: Faces) -> Sequence[str]:
    if faces.listed is not None:
        return faces.listed.image_sha256
    assert faces.embeddings is not None
    return faces.embeddings.image_sha256


def _canonical(faces: Faces) -> dict[str, str]:
    """Canonical names by name, of the classes that have faces."""
    held = faces.listed or faces.embeddings
    assert held is not None
    return {held.class_names[c]: canonical_class(held.class_names[c]) for c in np.unique(held.class_index)}
