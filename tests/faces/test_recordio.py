import itertools
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sface_data.errors import BadInput
from sface_data.faces.recordio import open_labelled, open_records
from sface_data.faces.sources import open_source
from tests.forms import MAGIC, packed, record, write_listed_records, write_records

FACES = [(0, b"one"), (1, b"two!"), (0, b"three"), (2, b"")]


def split_record(data: bytes) -> bytes:
    """A record as the format wants it: taken apart where the magic number stands at a multiple of 4."""
    cuts = [at for at in range(0, len(data) - 3, 4) if data[at : at + 4] == MAGIC]
    edges = [-4, *cuts, len(data)]
    parts = [data[start + 4 : end] for start, end in itertools.pairwise(edges)]
    if len(parts) == 1:
        return record(parts[0])
    flags = [1, *[2] * (len(parts) - 2), 3]
    return b"".join(record(part, flag) for part, flag in zip(parts, flags, strict=True))


@given(st.lists(st.sampled_from([MAGIC, b"abcd", b"\0\0\0\0", b"x"]), max_size=12))
def test_data_with_the_magic_number_in_it_comes_back_whole(tmp_path_factory: object, pieces: list[bytes]) -> None:
    path = tmp_path_factory.getbasetemp() / "parts.rec"  # type: ignore[attr-defined]
    image = b"".join(pieces)
    path.write_bytes(split_record(packed(b"before", 3)) + split_record(packed(image, 5)) + record(packed(b"", 6)))
    records = open_records(path)
    assert [records.read(i).labels for i in range(3)] == [(3,), (5,), (6,)]
    assert [records.label(i) for i in range(3)] == [3, 5, 6]
    assert records.read(1).image == image


@pytest.mark.parametrize("index", [True, False])
def test_only_the_images_of_insightfaces_file_are_listed(tmp_path: Path, index: bool) -> None:
    write_records(tmp_path / "train.rec", FACES, index)
    images = open_labelled(tmp_path / "train.rec")
    assert images.labels.tolist() == [0, 1, 0, 2]
    assert [images.records.read(i).image for i in images.indices] == [image for _, image in FACES]


@pytest.mark.parametrize(
    ("listing", "sentence"),
    [
        ("0\ta/0.jpg\n1\ta/1.jpg\n", r"file\.rec: has the record 2, which .*list\.txt has not"),
        ("0\ta/0.jpg\n1\ta/1.jpg\n2\tb/2.jpg\n3\tb/3.jpg\n", r"list\.txt: has the record 3, which"),
        ("0 a/0.jpg\n", r"list\.txt: should have lines of a number, a tab and FOLDER/IMAGE; it has '0 a/0.jpg'"),
        ("0\t0.jpg\n", r"list\.txt: should have lines"),
    ],
)
def test_a_list_that_does_not_fit_its_records(tmp_path: Path, listing: str, sentence: str) -> None:
    write_listed_records(tmp_path, [(0, b"a"), (0, b"b"), (1, b"c")])
    (tmp_path / "list.txt").write_text(listing)
    with pytest.raises(BadInput, match=sentence):
        open_source(tmp_path)


def test_a_plain_file_without_insightfaces_header_is_all_images(tmp_path: Path) -> None:
    path = tmp_path / "plain.rec"
    path.write_bytes(record(packed(b"a", 4)) + record(packed(b"b", 2, 0.5, 0.25)))
    images = open_labelled(path)
    assert images.labels.tolist() == [4, 2]
    assert images.records.read(1).labels == (2, 0.5, 0.25)


def replace_word(at: int, word: bytes) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        data = bytearray(path.read_bytes())
        data[at : at + 4] = word
        path.write_bytes(data)

    return damage


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-6])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def lose_a_part(path: Path) -> None:
    path.with_suffix(".idx").unlink(missing_ok=True)
    path.write_bytes(record(packed(b"a", 1)) + record(packed(b"", 1), 1) + record(packed(b"b", 1)))


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (replace_word(0, b"TAR!"), "record 0: wrong magic number at byte 0"),
        (replace_word(4, struct.pack("<I", (1 << 29) - 1)), "record 0: the file ends in the middle"),
        (replace_word(4, struct.pack("<I", 8)), "(wrong magic number|too short for a header)"),
        (replace_word(8, struct.pack("<I", 1000)), "record 0 is too short for its 1000 labels"),
        (replace_word(52, struct.pack("<f", 0.5)), "record 1 has label 0.5, not a class number"),
        (replace_word(52, struct.pack("<f", float("nan"))), "record 1 has label nan, not a class number"),
        (replace_word(52, struct.pack("<f", 1e30)), "record 1 has label 1.*, not a class number"),
        (cut, "ends in the middle"),
        (empty, "is empty"),
        (lose_a_part, "has lost one"),
    ],
)
@pytest.mark.parametrize("index", [True, False])
def test_a_damaged_file_is_one_sentence(
    tmp_path: Path, damage: Callable[[Path], None], sentence: str, index: bool
) -> None:
    path = tmp_path / "train.rec"
    write_records(path, FACES, index)
    damage(path)
    with pytest.raises(BadInput, match=rf"train\.rec.*{sentence}"):
        images = open_labelled(path)
        for i in range(len(images.records.offsets)):
            images.records.read(i)


@pytest.mark.parametrize(
    ("index", "sentence"),
    [
        ("0\t0\n1\t99999\n", "record 1 begins at byte 99999, beyond the end"),
        ("0\t0\n1\t-4\n", "record 1 begins at byte -4"),
        ("0\t0\n1\t6\n", "record 1: wrong magic number at byte 6"),
        ("0\t0\n0\t40\n", "a record number comes twice"),
        ("0\t0\n1\n", "not a list of record numbers"),
        ("zero\tnull\n", "not a list of record numbers"),
        ("0\t99999999999999999999\n", "not a list of record numbers"),
        ("", "lists no records"),
    ],
)
def test_an_index_of_another_file_is_one_sentence(tmp_path: Path, index: str, sentence: str) -> None:
    write_records(tmp_path / "train.rec", FACES)
    (tmp_path / "train.idx").write_text(index)
    with pytest.raises(BadInput, match=sentence):
        open_labelled(tmp_path / "train.rec")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("2,112,112", "label 2, but `property` says there are 2 classes"),
        ("x", "should hold"),
        ("9" * 5000, "should hold"),
    ],
)
def test_a_property_that_does_not_fit_is_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    write_records(tmp_path / "train.rec", FACES)
    (tmp_path / "property").write_text(text)
    with pytest.raises(BadInput, match=sentence):
        open_labelled(tmp_path / "train.rec")


def test_fewer_images_than_the_file_says_are_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "train.rec"
    write_records(path, FACES)
    lines = path.with_suffix(".idx").read_text().splitlines(keepends=True)
    for kept in (lines[:3], lines[:2] + lines[3:]):  # cut, and with a hole
        path.with_suffix(".idx").write_text("".join(kept))
        with pytest.raises(
            BadInput, match=r"train\.rec: its first record says that there are 4 images, and [23] are"
        ):
            open_labelled(path)
    path.with_suffix(".idx").unlink()
    path.write_bytes(path.read_bytes()[: int(lines[3].split()[1])])  # cut between two records
    with pytest.raises(BadInput, match=r"there are 4 images, and 2 are there; get or make"):
        open_labelled(path)


@pytest.mark.parametrize("listed", [[0, 1], [0, 2], [1, 2]], ids=["cut", "hole", "no first"])
def test_records_that_the_index_does_not_list_are_one_sentence(tmp_path: Path, listed: list[int]) -> None:
    path = tmp_path / "plain.rec"
    parts = [record(packed(b"a", 4)), split_record(packed(b"b" * 4 + MAGIC, 2)), record(packed(b"c", 1))]
    path.write_bytes(b"".join(parts))
    starts = [0, *itertools.accumulate(map(len, parts))]
    path.with_suffix(".idx").write_text("".join(f"{number}\t{starts[number]}\n" for number in listed))
    with pytest.raises(BadInput, match=r"plain\.rec: at byte \d+ is something that its \.idx does not list"):
        open_labelled(path)
    path.with_suffix(".idx").write_text("".join(f"{number}\t{starts[number]}\n" for number in range(3)))
    assert open_labelled(path).labels.tolist() == [4, 2, 1]
