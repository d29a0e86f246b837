"""Sets of faces as vectors, and the Parquet files that hold them."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sface_data.errors import BadInput
from sface_data.io.files import atomic_write, canonical_json, open_regular, os_errors_as_bad_input, parse_json
from sface_data.io.tables import check_unpacked

_FORMAT = "sface-data embeddings 1"
_METADATA = b"sface_data"
_COLUMNS = ("key", "class_name", "image_sha256", "vector")
_UNIT = 1e-3  # how far the length of a vector may be from 1
_COINCIDE = 0.9  # mean cosine of strangers; networks of faces have 0 to 0.4


def warning_of_strangers(embedder: str, cosine: float) -> str:
    """A sentence where the vectors of strangers nearly coincide; empty where they do not, or nobody knows.

    Args:
        embedder: names it.
        cosine: mean of two faces of different people; NaN if there are none.
    """
    if not cosine > _COINCIDE:
        return ""
    return (
        f"{embedder}: different people have nearly the same vector (cosine {cosine:.2f} on average); the network "
        "may want its images prepared in another way, or cannot tell people apart"
    )


@dataclass(frozen=True)
class LeftOut:
    """A face that has no vector, and why."""

    key: str
    class_name: str
    image_sha256: str
    reason: str


@dataclass(frozen=True, eq=False)
class EmbeddingSet:
    """One set of faces under one embedder.

    Attributes:
        keys: [N] names of the faces, different from one another.
        class_names: by class index, as the source calls them.
        class_index: int64 [N].
        vectors: float32 [N,D], of length 1.
        embedder_sha256: identity of the embedder.
        source_sha256: digest of the faces, with those left out; see `faces.face_list.FaceList`.
        image_sha256: [N] hex digest of each encoded image.
        detector_sha256: identity of the detector that the faces were aligned by; None if they were not.
        left_out: faces of the source that have no vector.

    Raises:
        BadInput: for vectors that are not finite, zero or not of length 1, a key that comes twice, and parts
            that do not fit together.
    """

    keys: tuple[str, ...]
    class_names: tuple[str, ...]
    class_index: NDArray[np.int64]
    vectors: NDArray[np.float32]
    embedder_sha256: str
    source_sha256: str
    image_sha256: tuple[str, ...]
    detector_sha256: str | None = None
    left_out: tuple[LeftOut, ...] = ()

    def __post_init__(self) -> None:
        count = len(self.keys)
        if self.vectors.ndim != 2 or self.vectors.dtype != np.float32 or self.vectors.shape[1] == 0:
            shape, kind = list(self.vectors.shape), self.vectors.dtype
            raise BadInput(f"embeddings are float32 [faces,dimensions], not {kind} {shape}; make them again")
        if not count == len(self.vectors) == len(self.class_index) == len(self.image_sha256):
            raise BadInput(
                f"{count} keys, {len(self.vectors)} vectors, {len(self.class_index)} classes and "
                f"{len(self.image_sha256)} digests of images do not fit together; make the embeddings again"
            )
        if len(set(self.keys)) != count:
            raise BadInput(f"the key {_first_double(self.keys)!r} comes twice; each face needs a key of its own")
        if count and not 0 <= self.class_index.min() <= self.class_index.max() < len(self.class_names):
            raise BadInput(f"a class is beyond the {len(self.class_names)} names; make the embeddings again")
        lengths = np.sqrt(np.einsum("nd,nd->n", self.vectors, self.vectors, dtype=np.float64))
        for wrong, word in (
            (~np.isfinite(lengths), "with values that are not finite"),
            (lengths == 0, "that is zero"),
            (np.abs(lengths - 1) > _UNIT, "that is not of length 1"),
        ):
            if wrong.any():
                key = self.keys[int(wrong.argmax())]
                raise BadInput(f"the face {key!r} has a vector {word} ({wrong.sum()} such); make it again")

    def __len__(self) -> int:
        """N, the number of faces that have a vector."""
        return len(self.keys)

    @property
    def dimensions(self) -> int:
        """D, the length of a vector."""
        return self.vectors.shape[1]

    @property
    def cosine_of_strangers(self) -> float:
        """The mean cosine of two faces of different classes; NaN if there are no two."""
        sums = ClassSums(len(self.class_names), self.dimensions)
        sums.add(self)
        return sums.cosine_of_strangers

    def save(self, path: Path) -> None:
        """Writes one Parquet file, atomically: columns `key`, `class_name`, `image_sha256`, `vector`.

        Digests and names of the classes are JSON in the metadata of the schema, under `sface_data`, with a digest
        of all that is in the file.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        names = pa.DictionaryArray.from_arrays(
            pa.array(self.class_index.astype(np.int32)), pa.array(list(self.class_names), pa.string())
        )
        flat = pa.array(np.ascontiguousarray(self.vectors).ravel())
        columns = [
            pa.array(list(self.keys), pa.string()),
            names,
            pa.array(list(self.image_sha256), pa.string()),
            pa.FixedSizeListArray.from_arrays(flat, self.dimensions),
        ]
        facts = {
            "format": _FORMAT,
            "class_names": list(self.class_names),
            "embedder_sha256": self.embedder_sha256,
            "source_sha256": self.source_sha256,
            "detector_sha256": self.detector_sha256,
            "left_out": [asdict(face) for face in self.left_out],
        }
        facts["content_sha256"] = self._content_sha256(facts)
        table = pa.table(columns, names=list(_COLUMNS))
        table = table.replace_schema_metadata({_METADATA: canonical_json(facts).encode()})
        with atomic_write(path) as file:
            pq.write_table(
                table, file, use_dictionary=["class_name"], compression="none", write_page_checksum=True
            )

    def _content_sha256(self, facts: Mapping[str, Any]) -> str:
        """Digest of every value in a file of this set: pages have checksums, what is around them has none."""
        digest = hashlib.sha256(canonical_json({**facts, "content_sha256": None}).encode())
        digest.update(canonical_json([self.keys, self.image_sha256, self.vectors.shape]).encode())
        digest.update(np.ascontiguousarray(self.class_index, "<i8").data)
        digest.update(np.ascontiguousarray(self.vectors, "<f4").data)
        return digest.hexdigest()

    @classmethod
    def load(cls, path: Path) -> "EmbeddingSet":
        """Reads what `save` wrote.

        Raises:
            BadInput: if it cannot be read, or is no such file, or holds what a set must not.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        with os_errors_as_bad_input(path), open_regular(path) as file:
            try:
                opened = pq.ParquetFile(file, page_checksum_verification=True)
                check_unpacked("it", file, opened, path.stat().st_size)
                table = opened.read()
                facts = parse_json((table.schema.metadata or {})[_METADATA])
                if facts["format"] != _FORMAT:
                    raise BadInput(f"its format is {facts['format']!r}; this version reads {_FORMAT!r}")
                found = _from_table(table, facts)
                if found._content_sha256(facts) != facts["content_sha256"]:
                    raise BadInput("it was changed since it was written; make it again")
                return found
            except BadInput as error:
                raise BadInput(f"{path}: {error}") from error
            except (
                pa.ArrowException,
                OSError,
                ValueError,
                LookupError,
                TypeError,
                AttributeError,
            ) as error:
                reason = " ".join(str(error).split())[:200]
                raise BadInput(
                    f"{path}: not a file of embeddings made by sface-data ({reason}); make it again"
                ) from error


class ClassSums:
    """The sums of the vectors of each class: what is left of any number of sets of the same classes.

    Args:
        classes, dimensions: of the sets.
    """

    def __init__(self, classes: int, dimensions: int) -> None:
        self._sums = np.zeros((classes, dimensions))
        self._counts = np.zeros(classes, np.int64)

    def add(self, some: EmbeddingSet) -> None:
        """Adds the vectors of a set."""
        np.add.at(self._sums, some.class_index, some.vectors)
        self._counts += np.bincount(some.class_index, minlength=len(self._counts))

    @property
    def cosine_of_strangers(self) -> float:
        """The mean cosine of two faces of different classes; NaN if there are no two."""
        pairs = int(self._counts.sum()) ** 2 - int((self._counts**2).sum())
        within = np.einsum("cd,cd->", self._sums, self._sums)
        return float((np.square(self._sums.sum(axis=0)).sum() - within) / pairs) if pairs else float("nan")


def joined(parts: Sequence[EmbeddingSet], source_sha256: str) -> EmbeddingSet:
    """Parts of one source in order, as one set.

    Raises:
        BadInput: if they are of different embedders, dimensions or classes.
    """
    first = parts[0]
    for part in parts[1:]:
        check_alike(first, part)
        if part.class_names != first.class_names:
            raise BadInput("parts of one set of embeddings name their classes differently; make them again")
    return EmbeddingSet(
        keys=tuple(key for part in parts for key in part.keys),
        class_names=first.class_names,
        class_index=np.concatenate([part.class_index for part in parts]),
        vectors=np.concatenate([part.vectors for part in parts]),
        embedder_sha256=first.embedder_sha256,
        source_sha256=source_sha256,
        image_sha256=tuple(sha256 for part in parts for sha256 in part.image_sha256),
        detector_sha256=first.detector_sha256,
        left_out=tuple(face for part in parts for face in part.left_out),
    )


def check_alike(a: EmbeddingSet, b: EmbeddingSet) -> None:
    """Refuses to compare what cannot be compared.

    Raises:
        BadInput: if two sets are of different embedders, dimensions or alignment.
    """
    if a.embedder_sha256 != b.embedder_sha256:
        raise BadInput(
            f"embeddings of two embedders ({a.embedder_sha256[:12]}, {b.embedder_sha256[:12]}) cannot be "
            "compared; make them with one"
        )
    if a.dimensions != b.dimensions:
        raise BadInput(f"embeddings of {a.dimensions} and of {b.dimensions} dimensions cannot be compared")
    if a.detector_sha256 != b.detector_sha256:
        names = [each.detector_sha256[:12] if each.detector_sha256 else "none" for each in (a, b)]
        raise BadInput(f"the faces are aligned in two ways (detectors: {', '.join(names)}); align both alike")


def _from_table(table: Any, facts: dict[str, Any]) -> EmbeddingSet:
    import pyarrow as pa

    if table.column_names != list(_COLUMNS):
        raise BadInput(f"its columns are {', '.join(table.column_names)}, not {', '.join(_COLUMNS)}")
    if not pa.types.is_fixed_size_list(table.schema.field("vector").type):
        raise BadInput("its vectors are not all of one length; make it again")
    if any(column.null_count for column in table.columns):
        raise BadInput("it has gaps; make it again")
    vectors = table["vector"].combine_chunks()
    names = tuple(facts["class_names"])
    index_of = {name: index for index, name in enumerate(names)}
    labels = table["class_name"].combine_chunks().dictionary_encode()
    indices = np.array([index_of[name] for name in labels.dictionary.to_pylist()], np.int64)
    detector = facts["detector_sha256"]
    return EmbeddingSet(
        keys=tuple(table["key"].to_pylist()),
        class_names=names,
        class_index=indices[labels.indices.to_numpy()] if len(table) else np.zeros(0, np.int64),
        vectors=vectors.flatten().to_numpy().reshape(len(table), vectors.type.list_size),
        embedder_sha256=str(facts["embedder_sha256"]),
        source_sha256=str(facts["source_sha256"]),
        image_sha256=tuple(table["image_sha256"].to_pylist()),
        detector_sha256=None if detector is None else str(detector),
        left_out=tuple(LeftOut(**face) for face in facts["left_out"]),
    )


def _first_double(keys: Sequence[str]) -> str:
    seen: set[str] = set()
    return next(key for key in keys if key in seen or seen.add(key))  # type: ignore[func-returns-value]
