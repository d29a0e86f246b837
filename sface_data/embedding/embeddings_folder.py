"""A folder of embeddings, filled in steps."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

from sface_data.embedding.embed import NO_FACE, Embedding, embed_part, listed_sha256
from sface_data.embedding.embeddings import ClassSums, EmbeddingSet, LeftOut, joined
from sface_data.errors import BadInput
from sface_data.faces.base import Source
from sface_data.faces.face_list import FaceList
from sface_data.faces.sources import EMBEDDINGS_INDEX
from sface_data.io.files import is_file, pretty_json, read_json, sha256_of_file, write_text
from sface_data.io.folders import check_folder, claim_folder
from sface_data.io.typed_json import Sha256, decode
from sface_data.runtime.progress import Progress

INDEX = EMBEDDINGS_INDEX
_KIND = "embeddings"
FACES_PER_PART = 10_000
_FORMAT = "sface-data embeddings folder 1"

Row = tuple[str, str, str]  # key, name of the class and digest of the image of a face


@dataclass(frozen=True)
class UsedEmbedder:
    """The embedder of a folder, by name and digest of its file, and D of its vectors."""

    name: str
    sha256: Sha256
    dimensions: int


@dataclass(frozen=True)
class Part:
    """One file of embeddings: its name in the folder, digest and number of faces."""

    file: str
    sha256: Sha256
    faces: int

    def __post_init__(self) -> None:
        if Path(self.file).name != self.file:
            raise BadInput(f"the file {self.file!r} lies elsewhere")


@dataclass(frozen=True)
class Index:
    """What a folder of embeddings says it holds; without parts it is unfinished.

    Attributes:
        detector_sha256: of the detector that aligned the faces; None without.
        source_sha256: digest of all faces, see `faces_sha256`.
        faces, classes: how many there are.
        left_out: faces without a vector.
    """

    format: str
    embedder: UsedEmbedder
    detector_sha256: Sha256 | None
    source_sha256: Sha256
    faces: int
    classes: int
    parts: tuple[Part, ...] = ()
    left_out: tuple[LeftOut, ...] = ()

    @classmethod
    def load(cls, folder: Path) -> "Index":
        """Raises BadInput if there is none, or none of this version."""
        path = folder / INDEX
        try:
            found = decode(cls, read_json(path))
        except BadInput as error:
            raise BadInput(f"{path}: not a list of embeddings made by sface-data ({error})") from error
        if found.format != _FORMAT:
            raise BadInput(f"{path}: its format is {found.format!r}; this version reads {_FORMAT!r}")
        return found

    def save(self, folder: Path) -> None:
        """Writes it, atomically."""
        write_text(folder / INDEX, pretty_json(asdict(self)))


@dataclass(frozen=True)
class EmbeddingFolder:
    """A folder of embeddings that is whole. The vectors are in its files, and in no memory.

    Attributes:
        path: the folder.
        classes: how many the faces are of.
        dimensions: D, the length of a vector.
        embeddings: how many vectors there are.
        left_out: faces that have none, and why.
        cosine_of_strangers: mean of two faces of different classes; NaN if there are no two.
    """

    path: Path
    classes: int
    dimensions: int
    embeddings: int
    left_out: tuple[LeftOut, ...]
    cosine_of_strangers: float

    def load(self) -> EmbeddingSet:
        """Reads all vectors into memory, see `open_embeddings`."""
        return open_embeddings(self.path)


# Makes the embeddings of faces that stand in the source from an index on, one after the other.
EmbedParts = Callable[[list[tuple[int, FaceList]]], Iterable[EmbeddingSet]]


def embed_into(
    folder: Path,
    source: Source,
    faces: FaceList,
    embedding: Embedding,
    progress: Progress | None = None,
    embed_parts: EmbedParts | None = None,
) -> EmbeddingFolder:
    """Fills a folder with the embeddings of a source: Parquet files of 10,000 faces each, and their list.

    In memory are the vectors of one part, and the sums of each class.

    It can be stopped at any moment, and goes on where it was when it is called again. A file that is there is
    taken as it is only if it is of exactly these faces, this embedder and this detector.

    Args:
        folder: new, empty, or one that was filled so before, with the same embedder.
        progress: also told of faces that were there before.
        embed_parts: makes what is missing; by default this process does, in turn.

    Raises:
        BadInput: as `embed_source`, and if the folder holds something else (which stays as it is), or another
            process is filling it.
    """
    asked = _request(embedding, faces)
    with claim_folder(folder, _KIND, partial(_held, folder, embedding)) as held:
        if held is not None and held.parts and held.source_sha256 != asked.source_sha256:
            raise BadInput(f"{folder}: holds embeddings of other faces; choose another folder")
        if held is None or not held.parts:
            asked.save(folder)
        starts = range(0, len(faces), FACES_PER_PART)
        paths = {first: folder / f"part-{number:06d}.parquet" for number, first in enumerate(starts)}
        wanted = {first: faces.part(first, FACES_PER_PART) for first in starts}
        sums = ClassSums(asked.classes, asked.embedder.dimensions)
        done: dict[int, tuple[Part, tuple[LeftOut, ...]]] = {}

        def account(first: int, part: EmbeddingSet) -> None:
            sums.add(part)
            path = paths[first]
            done[first] = Part(path.name, sha256_of_file(path), len(part)), part.left_out

        for first, faces_of_part in wanted.items():
            part = _trusted(paths[first], faces_of_part, embedding)
            if part is not None:
                account(first, part)
                if progress is not None:
                    progress(len(faces_of_part))
        missing = [(first, faces_of_part) for first, faces_of_part in wanted.items() if first not in done]
        embed_parts = embed_parts or partial(_in_turn, source, embedding, progress)
        for (first, _), part in zip(missing, embed_parts(missing) if missing else (), strict=True):
            part.save(paths[first])
            account(first, part)
        parts = tuple(done[first][0] for first in starts)
        left_out = tuple(face for first in starts for face in done[first][1])
        replace(asked, parts=parts, left_out=left_out).save(folder)
    number = sum(part.faces for part in parts)
    used = asked.embedder.dimensions
    return EmbeddingFolder(folder, asked.classes, used, number, left_out, sums.cosine_of_strangers)


def _in_turn(
    source: Source, embedding: Embedding, progress: Progress | None, missing: list[tuple[int, FaceList]]
) -> Iterator[EmbeddingSet]:
    return (embed_part(source, first, faces, embedding, progress) for first, faces in missing)


def check_unclaimed(folder: Path, embedding: Embedding) -> None:
    """Raises BadInput if a folder holds anything else than embeddings by this embedder and detector."""
    check_folder(folder, _KIND, partial(_held, folder, embedding))


def _held(folder: Path, embedding: Embedding) -> Index | None:
    if not is_embeddings(folder):
        return None
    held = Index.load(folder)
    if held.embedder.sha256 != embedding.embedder.sha256:
        raise BadInput(
            f"{folder}: holds embeddings of another embedder ({held.embedder.name}, {held.embedder.sha256[:12]}); "
            "choose another folder"
        )
    if held.detector_sha256 != embedding.detector_sha256:
        raise BadInput(f"{folder}: holds embeddings of faces aligned in another way; choose another folder")
    return held


def cached_under(cache: Path, faces: FaceList, embedding: Embedding) -> Path:
    """The folder below `cache` in which embeddings of some faces are kept: by the digests of what they are of."""
    digests = [faces.sha256, embedding.embedder.sha256, embedding.detector_sha256]
    return cache / "-".join(digest[:16] for digest in digests if digest is not None)


def is_embeddings(path: Path) -> bool:
    """Whether a path is a folder that `embed_into` fills."""
    return is_file(path / INDEX)


def open_embeddings(folder: Path, embedder_sha256: str | None = None) -> EmbeddingSet:
    """Reads a folder that `embed_into` has filled.

    Args:
        embedder_sha256: identity of the embedder that they must be of.

    Raises:
        BadInput: if it is none, is not finished, was changed since, or is of another embedder.
    """
    if not is_embeddings(folder):
        raise BadInput(f"{folder}: no folder of embeddings; `sface-data embed` makes one")
    index = Index.load(folder)
    if embedder_sha256 not in (None, index.embedder.sha256):
        raise BadInput(
            f"{folder}: holds embeddings of another embedder ({index.embedder.name}, "
            f"{index.embedder.sha256[:12]}); make them with {embedder_sha256[:12]}"
        )
    if not index.parts:
        raise BadInput(f"{folder}: unfinished; run its `sface-data embed` again")
    parts = []
    for part in index.parts:
        path = folder / part.file
        if sha256_of_file(path) != part.sha256:
            raise BadInput(f"{path}: not the file that {INDEX} lists; run its `sface-data embed` again")
        parts.append(EmbeddingSet.load(path))
    try:
        whole = joined(parts, index.source_sha256)
    except BadInput as error:
        raise BadInput(f"{folder}: {error}") from error
    if listed_sha256(whole) != whole.source_sha256:
        raise BadInput(f"{folder / INDEX}: names other faces than its parts hold; make the embeddings again")
    return whole


def _request(embedding: Embedding, faces: FaceList) -> Index:
    embedder = embedding.embedder
    return Index(
        _FORMAT,
        UsedEmbedder(embedder.name, embedder.sha256, embedder.dimensions),
        embedding.detector_sha256,
        faces.sha256,
        len(faces),
        len(faces.class_names),
    )


def _trusted(path: Path, wanted: FaceList, embedding: Embedding) -> EmbeddingSet | None:
    """The embeddings in a file, if it is whole and of exactly what is wanted."""
    if not is_file(path):
        return None
    try:
        part = EmbeddingSet.load(path)
    except BadInput:
        return None  # what cannot be read vouches for nothing: it is made again
    if (part.embedder_sha256, part.detector_sha256) != (embedding.embedder.sha256, embedding.detector_sha256):
        return None
    if part.dimensions != embedding.embedder.dimensions:
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
