"""From labelled faces to embeddings, in memory or in a folder that can be filled in steps."""

import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sface_data.ahead import ahead
from sface_data.errors import BadInput
from sface_data.faces.embedders import Embedder, NoVector, Pixels, resized
from sface_data.faces.embeddings import EmbeddingSet, LeftOut, joined
from sface_data.faces.images import BrokenImage
from sface_data.faces.source import Source
from sface_data.files import canonical_json, explained, pretty_json, read_json, sha256_of_file, write_text
from sface_data.locks import locked
from sface_data.progress import Progress

NO_FACE = "no face found"
INDEX, LOCK = "embeddings.json", ".lock"
FACES_PER_PART = 10_000
BATCH = 64
_FORMAT = "sface-data embeddings folder 1"
_BATCHES_AHEAD = 3  # decoded and waiting; bounds the memory


class Aligner(Protocol):
    """Finds faces and puts them where an embedder expects them: `align.Detector` is one."""

    @property
    def sha256(self) -> str:
        """Identity of what finds the faces."""

    def aligned(self, image: Pixels, size: int) -> Pixels | None:
        """The face of an image [H,W,3] as [size,size,3]; None if there is none."""


@dataclass(frozen=True)
class FaceList:
    """What there is in a source, by digests: everything that embeddings of it depend on.

    Attributes:
        keys: [N].
        class_names: by class index.
        class_index: int64 [N].
        image_sha256: [N] hex digest of each encoded image.
    """

    keys: tuple[str, ...]
    class_names: tuple[str, ...]
    class_index: NDArray[np.int64]
    image_sha256: tuple[str, ...]

    @classmethod
    def of(cls, source: Source, progress: Progress | None = None) -> "FaceList":
        """Reads every face of a source once, without decoding it.

        Raises:
            BadInput: if one cannot be read, or two have the same key.
        """
        keys, digests = [], []
        for face in source:
            keys.append(face.key)
            digests.append(hashlib.sha256(face.data).hexdigest())
            if progress is not None:
                progress(1)
        if len(set(keys)) != len(keys):
            raise BadInput(f"{source.path}: two faces have the same key; give each its own")
        return cls(tuple(keys), source.class_names, source.class_indices, tuple(digests))

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def sha256(self) -> str:
        """Over key, name of the class and digest of the image of every face, whatever their order."""
        names = (self.class_names[index] for index in self.class_index.tolist())
        digest = hashlib.sha256()
        for row in sorted(zip(self.keys, names, self.image_sha256, strict=True)):
            digest.update(canonical_json(row).encode() + b"\n")
        return digest.hexdigest()

    def part(self, first: int, count: int) -> "FaceList":
        """Some of the faces."""
        last = first + count
        return FaceList(
            self.keys[first:last], self.class_names, self.class_index[first:last], self.image_sha256[first:last]
        )


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
    return _embed(source, 0, FaceList.of(source) if faces is None else faces, embedding, progress)


def embed_into(
    folder: Path, source: Source, faces: FaceList, embedding: Embedding, progress: Progress | None = None
) -> EmbeddingSet:
    """Fills a folder with the embeddings of a source: Parquet files of 10,000 faces each, and their list.

    It can be stopped at any moment, and goes on where it was when it is called again. A file that is there is
    taken as it is only if it is of exactly these faces, this embedder and this detector.

    Args:
        folder: new, empty, or one that was filled so before, with the same embedder.
        progress: also told of faces that were there before.

    Raises:
        BadInput: as `embed_source`, and if the folder holds something else (which stays as it is), or another
            process is filling it.
    """
    asked = _request(embedding, faces)
    check_folder(folder, embedding)
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / LOCK, f"{folder}: another process is filling this folder; wait for it"):
        held = check_folder(folder, embedding)  # another process may have filled it since
        if held is not None and held["parts"] and held["source_sha256"] != asked["source_sha256"]:
            raise BadInput(f"{folder}: holds embeddings of other faces; choose another folder")
        if held is None or not held["parts"]:
            write_text(folder / INDEX, pretty_json({**asked, "parts": [], "left_out": []}))
        parts = []
        for number, first in enumerate(range(0, len(faces), FACES_PER_PART)):
            wanted = faces.part(first, FACES_PER_PART)
            path = folder / f"part-{number:06d}.parquet"
            part = _trusted(path, wanted, embedding)
            if part is None:
                part = _embed(source, first, wanted, embedding, progress)
                part.save(path)
            elif progress is not None:
                progress(len(wanted))
            parts.append((path, part))
        whole = joined([part for _, part in parts], asked["source_sha256"])
        found = {
            "parts": [
                {"file": path.name, "sha256": sha256_of_file(path), "faces": len(part)} for path, part in parts
            ],
            "left_out": [asdict(face) for face in whole.left_out],
        }
        write_text(folder / INDEX, pretty_json({**asked, **found}))
    return whole


def check_folder(folder: Path, embedding: Embedding) -> dict[str, Any] | None:
    """What a folder says it holds; None if it is empty.

    Raises:
        BadInput: if that was not made by this embedder and detector.
    """
    if folder.exists() and not folder.is_dir():
        raise BadInput(f"{folder}: a file; give a folder")
    if not folder.exists():
        return None
    with explained(folder):
        there = sorted(path.name for path in folder.iterdir() if path.name not in (LOCK, f".{INDEX}.part"))
    if not there:
        return None
    if INDEX not in there:
        raise BadInput(f"{folder}: holds {there[0]!r} and is no folder of embeddings; choose an empty one")
    held = _read_index(folder)
    if held["embedder"]["sha256"] != embedding.embedder.sha256:
        name, sha256 = held["embedder"]["name"], held["embedder"]["sha256"]
        raise BadInput(
            f"{folder}: holds embeddings of another embedder ({name}, {sha256[:12]}); choose another folder"
        )
    if held["detector_sha256"] != embedding.detector_sha256:
        raise BadInput(f"{folder}: holds embeddings of faces aligned in another way; choose another folder")
    return held


def cached_embeddings(
    source: Source,
    embedding: Embedding,
    cache: Path,
    faces: FaceList | None = None,
    progress: Progress | None = None,
) -> EmbeddingSet:
    """The embeddings of a source, kept below `cache` under the digests of faces, embedder and detector."""
    faces = FaceList.of(source) if faces is None else faces
    digests = [faces.sha256, embedding.embedder.sha256, embedding.detector_sha256]
    name = "-".join(digest[:16] for digest in digests if digest is not None)
    return embed_into(cache / name, source, faces, embedding, progress)


def is_embeddings(path: Path) -> bool:
    """Whether a path is a folder that `embed_into` fills."""
    return (path / INDEX).is_file()


def open_embeddings(folder: Path, embedder_sha256: str | None = None) -> EmbeddingSet:
    """Reads a folder that `embed_into` has filled.

    Args:
        embedder_sha256: identity of the embedder that they must be of.

    Raises:
        BadInput: if it is none, is not finished, was changed since, or is of another embedder.
    """
    if not is_embeddings(folder):
        raise BadInput(f"{folder}: no folder of embeddings; `sface-data embed` makes one")
    index = _read_index(folder)
    if embedder_sha256 is not None and index["embedder"]["sha256"] != embedder_sha256:
        raise BadInput(
            f"{folder}: holds embeddings of another embedder ({index['embedder']['name']}, "
            f"{index['embedder']['sha256'][:12]}); make them with {embedder_sha256[:12]}"
        )
    if not index["parts"]:
        raise BadInput(f"{folder}: unfinished; run its `sface-data embed` again")
    parts = []
    for part in index["parts"]:
        path = folder / part["file"]
        if sha256_of_file(path) != part["sha256"]:
            raise BadInput(f"{path}: not the file that {INDEX} lists; run its `sface-data embed` again")
        parts.append(EmbeddingSet.load(path))
    try:
        return joined(parts, index["source_sha256"])
    except BadInput as error:
        raise BadInput(f"{folder}: {error}") from error


def _request(embedding: Embedding, faces: FaceList) -> dict[str, Any]:
    embedder = embedding.embedder
    return {
        "format": _FORMAT,
        "embedder": {"name": embedder.name, "sha256": embedder.sha256, "dimensions": embedder.dimensions},
        "detector_sha256": embedding.detector_sha256,
        "source_sha256": faces.sha256,
        "faces": len(faces),
        "classes": len(faces.class_names),
    }


def _read_index(folder: Path) -> dict[str, Any]:
    path = folder / INDEX
    value = read_json(path)
    try:
        if value["format"] != _FORMAT:
            raise BadInput(f"{path}: its format is {value['format']!r}; this version reads {_FORMAT!r}")
        embedder = value["embedder"]
        texts = [embedder["name"], embedder["sha256"], value["source_sha256"]]
        texts += [part[name] for part in value["parts"] for name in ("file", "sha256")]
        if not all(isinstance(text, str) for text in texts):
            raise TypeError("a name or digest is no text")
        if any(Path(part["file"]).name != part["file"] for part in value["parts"]):
            raise TypeError("a file lies elsewhere")
        _ = value["detector_sha256"]
    except (KeyError, TypeError) as error:
        raise BadInput(f"{path}: not a list of embeddings made by sface-data ({error})") from error
    return value


def _trusted(path: Path, wanted: FaceList, embedding: Embedding) -> EmbeddingSet | None:
    """The embeddings in a file, if it is whole and of exactly what is wanted."""
    if not path.is_file():
        return None
    try:
        part = EmbeddingSet.load(path)
    except BadInput:
        return None  # what cannot be read vouches for nothing: it is made again
    if (part.embedder_sha256, part.detector_sha256) != (embedding.embedder.sha256, embedding.detector_sha256):
        return None
    if part.source_sha256 != wanted.sha256 or part.class_names != wanted.class_names:
        return None
    kept = set(part.keys) | {face.key for face in part.left_out}
    if kept != set(wanted.keys) or (part.left_out and not _still_left_out(part, embedding)):
        return None
    return part


def _still_left_out(part: EmbeddingSet, embedding: Embedding) -> bool:
    return embedding.skip_broken or not any(face.reason != NO_FACE for face in part.left_out)


def _embed(
    source: Source, first: int, faces: FaceList, embedding: Embedding, progress: Progress | None
) -> EmbeddingSet:
    """The embeddings of `faces`, which stand in the source from `first` on."""
    embedder = embedding.embedder
    vectors: list[NDArray[np.float32]] = []
    kept: list[int] = []
    left_out: list[LeftOut] = []
    for batch in _prepared(source, first, faces, embedding):
        if batch.places:
            try:
                vectors.append(embedder.embed(np.stack(batch.images)))
            except NoVector as error:
                names = [source[first + batch.places[place]].where for place in error.places]
                raise NoVector(error.name, error.places, names) from error
        kept += batch.places
        left_out += batch.left_out
        if progress is not None:
            progress(len(batch.places) + len(batch.left_out))
    return EmbeddingSet(
        keys=tuple(faces.keys[place] for place in kept),
        class_names=faces.class_names,
        class_index=faces.class_index[kept],
        vectors=np.concatenate(vectors) if vectors else np.zeros((0, embedder.dimensions), np.float32),
        embedder_sha256=embedder.sha256,
        source_sha256=faces.sha256,
        image_sha256=tuple(faces.image_sha256[place] for place in kept),
        detector_sha256=embedding.detector_sha256,
        left_out=tuple(left_out),
    )


@dataclass(frozen=True)
class _Batch:
    places: list[int]  # in the list of faces
    images: list[Pixels]  # [R,R,3] each
    left_out: list[LeftOut]


def _prepared(source: Source, first: int, faces: FaceList, embedding: Embedding) -> Iterator[_Batch]:
    """Batches of decoded images in order, made in threads ahead of their use."""

    def prepare(start: int) -> _Batch:
        places = range(start, min(start + embedding.batch, len(faces)))
        return _prepare(source, first, places, faces, embedding)

    cores = os.cpu_count() or 1
    threads = max(cores // 2, 1) if embedding.aligner is None else cores  # a detector is work
    with ThreadPoolExecutor(min(threads, 8)) as pool:
        yield from ahead(pool, prepare, range(0, len(faces), embedding.batch), _BATCHES_AHEAD)


def _prepare(source: Source, first: int, places: range, faces: FaceList, embedding: Embedding) -> _Batch:
    batch = _Batch([], [], [])
    for place in places:
        face = source[first + place]
        if hashlib.sha256(face.data).hexdigest() != faces.image_sha256[place]:
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
            name = faces.class_names[int(faces.class_index[place])]
            batch.left_out.append(LeftOut(face.key, name, faces.image_sha256[place], found or NO_FACE))
        else:
            batch.places.append(place)
            batch.images.append(found)
    return batch
