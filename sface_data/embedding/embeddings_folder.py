"""A folder of embeddings, filled in steps."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from sface_data.embedding.embed import NO_FACE, Embedding, embed_part, listed_sha256
from sface_data.embedding.embeddings import EmbeddingSet, joined
from sface_data.errors import BadInput
from sface_data.faces.base import Source
from sface_data.faces.face_list import FaceList
from sface_data.faces.sources import EMBEDDINGS_INDEX
from sface_data.io.files import os_errors_as_bad_input, pretty_json, read_json, sha256_of_file, write_text
from sface_data.io.locks import locked
from sface_data.runtime.progress import Progress

INDEX, LOCK = EMBEDDINGS_INDEX, ".lock"
FACES_PER_PART = 10_000
_FORMAT = "sface-data embeddings folder 1"

Row = tuple[str, str, str]  # key, name of the class and digest of the image of a face


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
    with os_errors_as_bad_input(folder):
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
                part = embed_part(source, first, wanted, embedding, progress)
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
    with os_errors_as_bad_input(folder):
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
        whole = joined(parts, index["source_sha256"])
    except BadInput as error:
        raise BadInput(f"{folder}: {error}") from error
    if listed_sha256(whole) != whole.source_sha256:
        raise BadInput(f"{folder / INDEX}: names other faces than its parts hold; make the embeddings again")
    return whole


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
    if part.class_names != wanted.class_names or _rows_of(part) != _rows(wanted):
        return None
    if part.left_out and not _still_left_out(part, embedding):
        return None
    return part


def _rows_of(part: EmbeddingSet) -> set[Row]:
    names = (part.class_names[index] for index in part.class_index.tolist())
    left_out = {(face.key, face.class_name, face.image_sha256) for face in part.left_out}
    return left_out | set(zip(part.keys, names, part.image_sha256, strict=True))


def _rows(faces: FaceList) -> set[Row]:
    names = (faces.class_names[index] for index in faces.class_index.tolist())
    return set(zip(faces.keys, names, faces.image_sha256, strict=True))


def _still_left_out(part: EmbeddingSet, embedding: Embedding) -> bool:
    return embedding.skip_broken or not any(face.reason != NO_FACE for face in part.left_out)
