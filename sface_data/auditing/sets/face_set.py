"""One set of faces of an audit: images that are embedded when they are needed, or embeddings made before."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sface_data.dataset.manifest import Manifest
from sface_data.dataset.plan import SamplePlan
from sface_data.embedding.embed import BATCH, Embedding
from sface_data.embedding.embedder import Embedder, resized
from sface_data.embedding.embeddings import EmbeddingSet
from sface_data.embedding.embeddings_folder import INDEX as EMBEDDINGS
from sface_data.embedding.embeddings_folder import cached_under, embed_into, is_embeddings, open_embeddings
from sface_data.errors import BadInput
from sface_data.faces.base import Source, canonical_class, identity_mark
from sface_data.faces.face_list import FaceList
from sface_data.faces.shard_source import ShardSource
from sface_data.faces.sources import open_source
from sface_data.io.files import is_dir
from sface_data.runtime.progress import Progress

_LOOKED_AT_AGAIN = 300  # faces of a set that are embedded anew: in 95 of 100 runs one of 1 % that were changed
_SAME_VECTOR = 0.98  # machines and libraries differ by less
_MEASURED = 100  # images that tell of which sizes those of a set are


class FaceSet(ABC):
    """What an audit asks of a set of faces, whatever form it comes in."""

    path: Path
    listed: FaceList | EmbeddingSet  # keys, classes and digests of the faces

    @property
    @abstractmethod
    def sha256(self) -> str:
        """The identity of the set, see `faces_sha256`."""

    @abstractmethod
    def under(self, embedder: Embedder | None, cache: Path, progress: Progress | None = None) -> EmbeddingSet:
        """The faces under one judge; None is the one that embeddings made before are of.

        Raises:
            BadInput: if there is no judge, or embeddings are of another.
        """

    @abstractmethod
    def described(self) -> dict[str, Any]:
        """What a certificate says of it."""

    def __len__(self) -> int:
        return len(self.listed)

    @property
    def class_names(self) -> dict[str, str]:
        """Canonical name of each class that has faces, by its name."""
        names, present = self.listed.class_names, np.unique(self.listed.class_index)
        return {names[c]: canonical_class(names[c]) for c in present}


@dataclass(frozen=True)
class ImageSet(FaceSet):
    """Images, with the list of them."""

    path: Path
    source: Source
    listed: FaceList

    @classmethod
    def of(cls, source: Source, progress: Progress | None = None) -> "ImageSet":
        """Reads every face of a source once for its digest. Raises BadInput if one cannot be read."""
        return cls(source.path, source, FaceList.of(source, progress))

    @property
    def sha256(self) -> str:
        return self.listed.sha256

    def under(self, embedder: Embedder | None, cache: Path, progress: Progress | None = None) -> EmbeddingSet:
        if embedder is None:
            raise BadInput(f"{self.path}: holds images; name an embedder that judges them with --embedder FILE")
        embedding = Embedding(embedder)
        kept = cached_under(cache, self.listed, embedding)
        others = is_dir(kept)
        found = embed_into(kept, self.source, self.listed, embedding, progress).load()
        if others:  # what lies there may have been put there
            self._look_again(found, embedder, cache)
        return found

    def _look_again(self, found: EmbeddingSet, embedder: Embedder, cache: Path) -> None:
        """Embeds some faces anew. Nobody can foresee which."""
        at = {key: index for index, key in enumerate(self.listed.keys)}
        rows = np.random.default_rng().choice(len(found), min(len(found), _LOOKED_AT_AGAIN), replace=False)
        faces = [self.source[at[found.keys[row]]] for row in rows]
        images = [resized(face.decode(), embedder.size, face.where) for face in faces]
        blocks = [np.stack(images[first : first + BATCH]) for first in range(0, len(images), BATCH)]
        anew = np.concatenate([embedder.embed(block) for block in blocks])
        likeness = np.einsum("nd,nd->n", anew, found.vectors[rows])
        if (likeness < _SAME_VECTOR).any():
            face = faces[int(likeness.argmin())]
            raise BadInput(
                f"{cache}: its embedding of {face.where} is not what {embedder.name} gives; delete the folder and "
                "run the command again"
            )

    def described(self) -> dict[str, Any]:
        return {
            "sha256": self.sha256,
            "faces": len(self),
            "classes": len(self.class_names),
            "form": "images",
            "left_out": 0,
            "detector_sha256": None,
            "image_sizes": self._image_sizes(),
        }

    def _image_sizes(self) -> dict[str, int]:
        """Of up to 100 images spread over the set: how many have which width and height."""
        indices = np.unique(np.linspace(0, len(self) - 1, min(len(self), _MEASURED)).astype(np.int64))
        shapes = [self.source[int(index)].decode().shape for index in indices]
        return dict(sorted(Counter(f"{width}x{height}" for height, width, _ in shapes).items()))


@dataclass(frozen=True)
class EmbeddedSet(FaceSet):
    """Embeddings made before."""

    path: Path
    listed: EmbeddingSet

    @property
    def sha256(self) -> str:
        return self.listed.source_sha256

    def under(self, embedder: Embedder | None, cache: Path, progress: Progress | None = None) -> EmbeddingSet:
        if embedder is not None and embedder.sha256 != self.listed.embedder_sha256:
            raise BadInput(
                f"{self.path}: holds embeddings of another embedder ({self.listed.embedder_sha256[:12]}); make "
                f"them with {embedder.name} ({embedder.sha256[:12]}), or give the images"
            )
        return self.listed

    def described(self) -> dict[str, Any]:
        return {
            "sha256": self.sha256,
            "faces": len(self),
            "classes": len(self.class_names),
            "form": "embeddings",
            "left_out": len(self.listed.left_out),
            "detector_sha256": self.listed.detector_sha256,
            "image_sizes": {},
        }


def open_face_set(
    path: Path,
    progress: Progress | None = None,
    manifest: Manifest | None = None,
    trained: Sequence[str] | None = None,
) -> FaceSet:
    """Opens a SOURCE, and reads every face of it once for its digest.

    Args:
        manifest: of a finished data set, whose shards are read then and nothing else that lies in its folder.
        trained: what the classes of such a set are called, see `names_of_classes`; by default by their numbers.

    Raises:
        BadInput: if it cannot be read or has fewer than two classes, or if a finished data set holds embeddings
            or other faces than its manifest counts.
    """
    found: FaceSet
    if manifest is not None:
        found = ImageSet.of(_shards_of(path, manifest, trained), progress)
    elif is_embeddings(path):
        found = EmbeddedSet(path, open_embeddings(path))
    else:
        found = ImageSet.of(open_source(path), progress)
    if len(found.class_names) < 2:
        raise BadInput(
            f"{path}: its {len(found)} faces are of {len(found.class_names)} class; at least 2 are needed"
        )
    return found


def names_of_classes(plan: SamplePlan, training: FaceSet) -> tuple[str, ...]:
    """By class of the generator, what the training faces call the identity that it was trained on.

    Where the plan does not say whose class it is, identities are called by the numbers of classes.
    """
    if plan.training_identities is None:
        return tuple(str(number) for number in range(max(plan.generator_classes, 1)))
    names = {identity_mark(canonical): name for name, canonical in training.class_names.items()}
    return tuple(names.get(mark, mark) for mark in plan.training_identities)


def _shards_of(path: Path, manifest: Manifest, trained: Sequence[str] | None) -> Source:
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
    plan, known = manifest.plan, {str(index): index for index in manifest.plan.classes}
    strange = next((name for name in source.class_names if name not in known), None)
    if strange is not None:
        raise BadInput(
            f"{path}: has faces labelled {strange!r}, which is no class of its manifest; `sface-data validate "
            f"{path}` names all that is wrong"
        )
    classes = [known[name] for name in source.class_names]
    if plan.identities is not None:  # their numbers are none of training classes
        source.class_names = tuple(plan.class_name(index) for index in classes)
    elif trained is not None:
        source.class_names = tuple(trained[index] for index in classes)
    return source
