"""Structures in thrift's compact protocol: by hand, cut short, and as pyarrow writes them."""

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sface_data.io.thrift import Reader

# 1: true; 2: -3; 3: text; 4: numbers 1 and 300; 5: {1: 7}; 25: a map of 1 to 2; 26: eight bytes; 1: false
BY_HAND = (
    b"\x11" b"\x15\x05" b"\x18\x02ab" b"\x19\x25\x02\xd8\x04" b"\x1c\x15\x0e\x00"
    b"\x0b\x32\x01\x55\x02\x04" b"\x1712345678" b"\x02\x02" b"\x00"
)  # fmt: skip


def test_by_hand() -> None:
    reader = Reader(BY_HAND + b"more")
    found = {1: False, 2: -3, 3: b"ab", 4: [1, 300], 5: {1: 7}, 25: None, 26: b"12345678"}
    assert reader.struct() == found and reader.at == len(BY_HAND)


@pytest.mark.parametrize("length", range(len(BY_HAND)))
def test_cut_short(length: int) -> None:
    with pytest.raises(EOFError):
        Reader(BY_HAND[:length]).struct()


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        reader = Reader(data)
        reader.struct()
        assert 0 < reader.at <= len(data)
    except (ValueError, EOFError):
        pass


@pytest.mark.parametrize("data", [b"\x1c" * 10_000, b"\x19" * 10_000, b"\x1b" + b"\x01\xbb" * 10_000])
def test_structures_lists_and_maps_without_an_end(data: bytes) -> None:
    with pytest.raises(ValueError, match="without an end"):
        Reader(data).struct()


def test_the_footer_of_a_parquet_file() -> None:
    file = io.BytesIO()
    pq.write_table(pa.table({"a": range(5), "b": ["x"] * 5}), file, row_group_size=3)
    data = file.getvalue()
    length = int.from_bytes(data[-8:-4], "little")
    footer, facts = Reader(data[-8 - length : -8]).struct(), pq.read_metadata(file)
    assert footer[3] == facts.num_rows and [group[3] for group in footer[4]] == [3, 2]
    for number, group in enumerate(footer[4]):
        for place, column in enumerate(group[1]):
            theirs = facts.row_group(number).column(place)
            ours = column[3]
            assert b".".join(ours[3]).decode() == theirs.path_in_schema and ours[5] == theirs.num_values
            assert (ours[6], ours[7]) == (theirs.total_uncompressed_size, theirs.total_compressed_size)
            assert (ours[9], ours.get(11)) == (theirs.data_page_offset, theirs.dictionary_page_offset)
