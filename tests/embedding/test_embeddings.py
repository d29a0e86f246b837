"""Sets of embeddings and their files: there and back, and nothing in them that cannot be."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from sface_data.embedding.embeddings import EmbeddingSet, LeftOut, check_alike, joined
from sface_data.errors import BadInput
from sface_data.faces.base import canonical_class

A, B, C = "a" * 64, "b" * 64, "c" * 64


def a_set(count: int = 5, dimensions: int = 4, **fields: object) -> EmbeddingSet:
    vectors = np.random.default_rng(0).normal(size=(count, dimensions)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    made = EmbeddingSet(
        keys=tuple(f"k/{i}" for i in range(count)),
        class_names=("2", "10", "é"),
        class_index=np.arange(count) % 3,
        vectors=vectors,
        embedder_sha256=A,
        source_sha256=B,
        image_sha256=tuple(f"{i:064d}" for i in range(count)),
    )
    return replace(made, **fields)  # type: ignore[arg-type]


def same(a: EmbeddingSet, b: EmbeddingSet) -> bool:
    names = (
        "keys",
        "class_names",
        "embedder_sha256",
        "source_sha256",
        "image_sha256",
        "detector_sha256",
        "left_out",
    )
    alike = all(getattr(a, name) == getattr(b, name) for name in names)
    return alike and all(np.array_equal(getattr(a, name), getattr(b, name)) for name in ("class_index", "vectors"))


@pytest.mark.parametrize("count", [0, 1, 5])
def test_there_and_back(tmp_path: Path, count: int) -> None:
    left_out = (LeftOut("k/9", "10", C, "no face found"),)
    made = a_set(count, detector_sha256=C, left_out=left_out)
    made.save(tmp_path / "a.parquet")
    read = EmbeddingSet.load(tmp_path / "a.parquet")
    assert same(read, made)
    assert (len(read), read.dimensions, read.vectors.dtype, read.class_index.dtype) == (
        count,
        4,
        np.float32,
        np.int64,
    )
    made.save(tmp_path / "b.parquet")
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_other_readers_understand_it(tmp_path: Path) -> None:
    made = a_set()
    made.save(tmp_path / "a.parquet")
    rows = pq.read_table(tmp_path / "a.parquet").to_pylist()
    assert [row["class_name"] for row in rows] == ["2", "10", "é", "2", "10"]
    assert rows[3]["key"] == "k/3"
    np.testing.assert_array_equal(rows[3]["vector"], made.vectors[3])


def test_a_damaged_file_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    a_set().save(path)
    whole = path.read_bytes()
    for cut in (*range(0, len(whole), 97), len(whole) - 1):
        path.write_bytes(whole[:cut])
        with pytest.raises(BadInput, match=r"a.parquet: not a file of embeddings"):
            EmbeddingSet.load(path)
    made = a_set().vectors.tobytes()
    at = whole.index(made)
    for byte in range(at, at + len(made), 7):
        path.write_bytes(whole[:byte] + bytes([whole[byte] ^ 1]) + whole[byte + 1 :])
        with pytest.raises(BadInput, match=r"a.parquet: not a file of embeddings"):
            EmbeddingSet.load(path)
    with pytest.raises(BadInput, match=r"b.parquet: No such file"):
        EmbeddingSet.load(tmp_path / "b.parquet")


def test_each_flipped_bit_is_found_or_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    made = a_set(left_out=(LeftOut("k/9", "10", C, "no face found"),))
    made.save(path)
    whole = path.read_bytes()
    found = 0
    for at in range(0, len(whole), 9):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :])
        try:
            assert same(EmbeddingSet.load(path), made), f"byte {at}"
        except BadInput:
            found += 1
    assert found > len(whole) // 36


def test_files_of_other_kinds(tmp_path: Path) -> None:
    table = pq.read_table
    path = tmp_path / "a.parquet"
    a_set().save(path)
    made = table(path)
    pq.write_table(made.replace_schema_metadata({}), path)
    with pytest.raises(BadInput, match="not a file of embeddings"):
        EmbeddingSet.load(path)
    other = made.schema.metadata[b"sface_data"].replace(b"embeddings 1", b"embeddings 9")
    pq.write_table(made.replace_schema_metadata({b"sface_data": other}), path)
    with pytest.raises(BadInput, match=r"a.parquet: its format is .*embeddings 9"):
        EmbeddingSet.load(path)
    pq.write_table(made.drop_columns(["key"]), path)
    with pytest.raises(BadInput, match="its columns are class_name, image_sha256, vector"):
        EmbeddingSet.load(path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"keys": ("k/0", "k/1", "k/2", "k/1", "k/4")}, "'k/1' comes twice"),
        ({"keys": ("k/0",)}, "1 keys, 5 vectors, 5 classes and 5 digests"),
        ({"class_index": np.array([0, 1, 2, 3, 0])}, "beyond the 3 names"),
        ({"class_index": np.array([0, 1, -1, 2, 0])}, "beyond the 3 names"),
        ({"vectors": np.ones((5, 4))}, "float64"),
        ({"vectors": np.ones(5, np.float32)}, r"\[5\]"),
        ({"vectors": np.zeros((5, 0), np.float32)}, r"\[5, 0\]"),
    ],
)
def test_sets_that_cannot_be(change: dict[str, object], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        a_set(**change)


@pytest.mark.parametrize(
    ("value", "words"),
    [(np.nan, "not finite"), (np.inf, "not finite"), (0, "zero"), (0.6, "not of length 1")],
)
def test_vectors_that_cannot_be(value: float, words: str) -> None:
    vectors = a_set().vectors.copy()
    vectors[3] = value
    with pytest.raises(BadInput, match=f"the face 'k/3' has a vector.*{words}"):
        a_set(vectors=vectors)


def test_joining() -> None:
    whole = a_set(6)
    parts = [
        replace(
            whole,
            keys=whole.keys[part],
            class_index=whole.class_index[part],
            vectors=whole.vectors[part],
            image_sha256=whole.image_sha256[part],
            source_sha256=C,
        )
        for part in (slice(0, 4), slice(4, 6))
    ]
    assert same(joined(parts, B), whole)
    with pytest.raises(BadInput, match="name their classes differently"):
        joined([parts[0], replace(parts[1], class_names=("2", "10", "x"))], B)
    with pytest.raises(BadInput, match="comes twice"):
        joined([parts[0], parts[0]], B)


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (a_set(embedder_sha256=C), "two embedders"),
        (a_set(dimensions=5), "of 4 and of 5 dimensions"),
        (a_set(detector_sha256=C), "aligned in two ways .detectors: none, cccccccccccc."),
    ],
)
def test_sets_that_cannot_be_compared(other: EmbeddingSet, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        check_alike(a_set(), other)
    check_alike(a_set(), a_set(3))


@pytest.mark.parametrize(
    ("name", "canonical"),
    [
        ("000005", "5"),
        ("5", "5"),
        ("class_000005", "5"),
        ("000000", "0"),
        ("class_0", "0"),
        ("Jane_Doe", "Jane_Doe"),
        ("class_x", "class_x"),
        ("class_", "class_"),
        ("", ""),
        ("５", "５"),
        ("n00000005", "n00000005"),
    ],
)
def test_canonical_names_of_classes(name: str, canonical: str) -> None:
    assert canonical_class(name) == canonical
    assert canonical_class(canonical) == canonical
