"""From labelled faces to embeddings."""

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sface_data.embedding.embedder import Embedder, NoVector, Pixels, resized
from sface_data.embedding.embeddings import EmbeddingSet, LeftOut
from sface_data.errors import BadInput
from sface_data.faces.base import Source
from sface_data.faces.face_list import FaceList, faces_sha256
from sface_data.io.images import BrokenImage
from sface_data.runtime.pool import cores
from sface_data.runtime.prefetch import prefetch
from sface_data.runtime.progress import Progress

NO_FACE = "no face found"
BATCH = 64
_BATCHES_AHEAD = 3  # decoded and waiting; bounds the memory


class Aligner(Protocol):
    """Finds faces and puts them where an embedder expects them: `Detector` is one."""

    @property
    def sha256(self) -> str:
        """Identity of what finds the faces."""

    def aligned(self, image: Pixels, size: int) -> Pixels | None:
        """The face of an image [H,W,3] as [size,size,3]; None if there is none."""


def listed_sha256(embeddings: EmbeddingSet) -> str:
    """What `source_sha256` should be by the faces that are listed, with those left out."""
    names = (embeddings.class_names[index] for index in embeddings.class_index.tolist())
    left_out = ((face.class_name, face.image_sha256) for face in embeddings.left_out)
    return faces_sha256([*zip(names, embeddings.image_sha256, strict=True), *left_out])


@dataclass(frozen=True)
class Embedding:
    """How faces become vectors.

    Attributes:
        embedder: what makes them.
        aligner: finds the face in each image first; None for faces that are aligned.
        skip_broken: leave out images that cannot be decoded, instead of ending there.
        batch: images at a time.
    """

    embedder: Embedder
    aligner: Aligner | None = None
    skip_broken: bool = False
    batch: int = BATCH

    @property
    def detector_sha256(self) -> str | None:
        """Identity of the detector, None without."""
        return None if self.aligner is None else self.aligner.sha256


def embed_source(
    source: Source, embedding: Embedding, faces: FaceList | None = None, progress: Progress | None = None
) -> EmbeddingSet:
    """The embeddings of a source, in memory.

    Faces that have none (no face found, broken image) are in `left_out`.

    Raises:
        BadInput: for an image that is broken or not square, and for vectors that are not finite.
    """
    return embed_part(source, 0, FaceList.of(source) if faces is None else faces, embedding, progress)


def embed_part(
    source: Source, first: int, faces: FaceList, embedding: Embedding, progress: Progress | None
) -> EmbeddingSet:
    """The embeddings of `faces`, which stand in the source from `first` on; see `embed_source`."""
    embedder = embedding.embedder
    vectors: list[NDArray[np.float32]] = []
    kept: list[int] = []
    left_out: list[LeftOut] = []
    for batch in _prepared(source, first, faces, embedding):
        if batch.indices:
            try:
                vectors.append(embedder.embed(np.stack(batch.images)))
            except NoVector as error:
                names = [source[first + batch.indices[row]].where for row in error.indices]
                raise NoVector(error.name, error.indices, names) from error
        kept += batch.indices
        left_out += batch.left_out
        if progress is not None:
            progress(len(batch.indices) + len(batch.left_out))
    return EmbeddingSet(
        keys=tuple(faces.keys[index] for index in kept),
        class_names=faces.class_names,
        class_index=faces.class_index[kept],
        vectors=np.concatenate(vectors) if vectors else np.zeros((0, embedder.dimensions), np.float32),
        embedder_sha256=embedder.sha256,
        source_sha256=faces.sha256,
        image_sha256=tuple(faces.image_sha256[index] for index in kept),
        detector_sha256=embedding.detector_sha256,
        left_out=tuple(left_out),
    )


@dataclass(frozen=True)
class _Batch:
    indices: list[int]  # in the list of faces
    images: list[Pixels]  # [R,R,3] each
    left_out: list[LeftOut]


def _prepared(source: Source, first: int, faces: FaceList, embedding: Embedding) -> Iterator[_Batch]:
    """Batches of decoded images in order, made in threads ahead of their use."""

    def prepare(start: int) -> _Batch:
        indices = range(start, min(start + embedding.batch, len(faces)))
        return _prepare(source, first, indices, faces, embedding)

    threads = max(cores() // 2, 1) if embedding.aligner is None else cores()  # a detector is work
    with ThreadPoolExecutor(min(threads, 8)) as pool:
        yield from prefetch(pool, prepare, range(0, len(faces), embedding.batch), _BATCHES_AHEAD)


def _prepare(source: Source, first: int, indices: range, faces: FaceList, embedding: Embedding) -> _Batch:
    batch = _Batch([], [], [])
    for index in indices:
        face = source[first + index]
        if hashlib.sha256(face.data).hexdigest() != faces.image_sha256[index]:
            raise BadInput(f"{face.where}: was changed while it was read; run the command again")
        found: Pixels | str | None
        try:
            found = face.decode()
            if embedding.aligner is None:
                found = resized(found, embedding.embedder.size, face.where)
            else:
                found = embedding.aligner.aligned(found, embedding.embedder.size)
        except BrokenImage as error:
            if not embedding.skip_broken:
                raise
            found = str(error).removeprefix(f"{face.where}: ")
        if found is None or isinstance(found, str):
            name = faces.class_names[int(faces.class_index[index])]
            batch.left_out.append(LeftOut(face.key, name, faces.image_sha256[index], found or NO_FACE))
        else:
            batch.indices.append(index)
            batch.images.append(found)
    return batch
