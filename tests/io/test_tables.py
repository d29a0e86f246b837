"""Tables that would unpack to far more than their files hold are not unpacked, whoever reads them."""

from collections.abc import Callable
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sface_data.embedding.embeddings import EmbeddingSet
from sface_data.errors import BadInput
from sface_data.faces.datasets_source import DatasetsSource
from sface_data.io import tables
from sface_data.io.tables import check_unpacked
from sface_data.recognition.pairs_table import read_table


@pytest.mark.parametrize("read", [DatasetsSource, EmbeddingSet.load, read_table])
def test_zeros_packed_tightly_are_not_unpacked(
    read: Callable[[Path], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"image": [bytes(4 << 20)], "label": [0]}), path, compression="zstd")
    monkeypatch.setattr(tables, "_LARGE", 1 << 20)
    with pytest.raises(
        BadInput, match=r"a\.parquet:?( it)? has 1 rows that unpack to 0\.0 GB or more from 0\.0 MB"
    ):
        read(path)
    monkeypatch.setattr(tables, "_LARGE", 8 << 20)
    try:
        read(path)
    except BadInput as other:  # it is neither embeddings nor pairs
        assert "unpack" not in str(other)


def check(path: Path) -> None:
    with path.open("rb") as file:
        check_unpacked("it", file, pq.ParquetFile(file), path.stat().st_size)


def repeated(value: bytes, times: int) -> pa.DictionaryArray:
    """The column that has a value in every row and once in its file."""
    return pa.DictionaryArray.from_arrays(pa.array([0] * times, pa.int32()), pa.array([value], pa.binary()))


@pytest.mark.parametrize("read", [DatasetsSource, EmbeddingSet.load, read_table])
def test_a_value_that_rows_repeat_is_counted_in_each(read: Callable[[Path], object], tmp_path: Path) -> None:
    path, image = tmp_path / "a.parquet", repeated(bytes(1 << 20), 2000)
    table = pa.table({"image": pa.StructArray.from_arrays([image], ["bytes"]), "label": [1] * 2000})
    pq.write_table(table, path, store_schema=False)
    assert path.stat().st_size < 1 << 18
    with pytest.raises(BadInput, match=r"2,000 rows that unpack to 2\.1 GB or more from 0\.[01] MB"):
        read(path)


def test_it_is_counted_in_lists_and_as_the_beginning_of_others_too(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    names = pa.ListArray.from_arrays(pa.array([0, 2000], pa.int32()), repeated(bytes(1 << 20), 2000))
    pq.write_table(pa.table({"a": names}), path, store_schema=False)
    with pytest.raises(BadInput, match=r"1 rows that unpack to 2\.1 GB"):
        check(path)
    encoding = {"a": "DELTA_BYTE_ARRAY"}
    table = pa.table({"a": pa.array([bytes(1 << 20)] * 1200)})
    pq.write_table(table, path, use_dictionary=False, column_encoding=encoding, compression="zstd")
    assert path.stat().st_size < 1 << 18
    with pytest.raises(BadInput, match=r"1,200 rows that unpack to 1\.1 GB"):
        check(path)


def as_number(value: int) -> bytes:
    """In thrift's compact protocol."""
    value, made = value << 1, b""
    while value > 127:
        made, value = made + bytes([value & 127 | 128]), value >> 7
    return made + bytes([value])


@pytest.mark.parametrize("read", [DatasetsSource, EmbeddingSet.load, read_table])
def test_a_footer_that_lies_about_sizes(
    read: Callable[[Path], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "_LARGE", 1 << 20)
    path = tmp_path / "a.parquet"
    table = pa.table({"image": [bytes(20_000_000)] * 2, "label": [0, 1]})
    pq.write_table(table, path, compression="zstd", use_dictionary=False, write_statistics=False)
    data, group = path.read_bytes(), pq.read_metadata(path).row_group(0)
    for size in {group.total_byte_size, group.column(0).total_uncompressed_size}:
        truth = as_number(size)
        assert truth in data
        data = data.replace(truth, b"\xe4" + b"\x80" * (len(truth) - 2) + b"\0")
    path.write_bytes(data)
    assert pq.read_metadata(path).row_group(0).total_byte_size == 50
    with pytest.raises(BadInput, match=r"2 rows that unpack to 0\.0 GB or more from 0\.0 MB"):
        read(path)


def test_a_footer_that_lies_about_what_repeats(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"image": repeated(bytes(1 << 20), 2000)}), path, store_schema=False)
    data = path.read_bytes()
    encodings = b"\x35\x00\x06\x10"  # PLAIN, RLE, RLE_DICTIONARY
    assert data.count(encodings) == 1
    path.write_bytes(data.replace(encodings, b"\x35\x00\x06\x00"))
    assert "RLE_DICTIONARY" not in pq.read_metadata(path).row_group(0).column(0).encodings
    with pytest.raises(BadInput, match=r"2,000 rows that unpack to 2\.1 GB"):
        check(path)


def test_columns_that_are_not_read_count_as_the_footer_has_them(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    table = pa.table({"image": [bytes(1_100_000_000)], "label": [1]})
    pq.write_table(table, path, compression="zstd", use_dictionary=False, write_statistics=False)
    with path.open("rb") as file, pytest.raises(BadInput, match=r"1 rows that unpack to 1\.1 GB"):
        check_unpacked("it", file, pq.ParquetFile(file), path.stat().st_size, ["label"])


def test_columns_over_one_another_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    plain = {"compression": "none", "use_dictionary": False, "write_statistics": False}
    pq.write_table(pa.table({"a": [b"x" * 5000], "b": [b"y" * 5000]}), path, **plain)
    data, second = path.read_bytes(), pq.read_metadata(path).row_group(0).column(1)
    for truth, lie in ((second.total_compressed_size, as_number(8000)), (second.data_page_offset, b"\x88\0")):
        assert as_number(truth) in data and len(lie) == len(as_number(truth))
        data = data.replace(as_number(truth), lie)
    path.write_bytes(data)  # both columns begin with the file, and are most of it
    with pytest.raises(ValueError, match="over one another"):
        check(path)


def test_numbers_that_rows_repeat_are_counted_too(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"vectors": [np.zeros(140_000_000)]}), path)
    assert path.stat().st_size < 1 << 20
    with pytest.raises(BadInput, match=r"1 rows that unpack to 1\.1 GB"):
        check(path)


def test_names_that_rows_repeat_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.parquet"
    names = [f"person {row % 100}" for row in range(20_000)]
    images = [None, *[row.to_bytes(2, "big") * 500 for row in range(1, 20_000)]]
    pq.write_table(pa.table({"image": images, "label": names}), path, compression="none", row_group_size=7000)
    monkeypatch.setattr(tables, "_LARGE", 1 << 10)
    check(path)
    monkeypatch.setattr(tables, "_TIMES", 1)
    with pytest.raises(BadInput, match="20,000 rows"):  # the names, once again and again
        check(path)


@pytest.mark.parametrize("compression", ["zstd", "lz4"])
def test_packed_arrow_files_are_not_unpacked(compression: str, tmp_path: Path) -> None:
    rows = datasets.Dataset.from_dict({"image": [b"x"] * 4, "label": [0, 0, 1, 1]})
    rows.save_to_disk(tmp_path / "a")
    assert len(DatasetsSource(tmp_path / "a")) == 4
    (file,) = (tmp_path / "a").glob("*.arrow")
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_stream(str(file), rows.data.table.schema, options=options) as packed:
        packed.write_table(rows.data.table)
    with pytest.raises(BadInput, match=rf"{file.name} is packed, as `datasets` packs nothing; save it again"):
        DatasetsSource(tmp_path / "a")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        (
            "../data.arrow",
            r"state.json: names the data file '../data.arrow', which is not beside it; put it there",
        ),
        ("/data.arrow", "which is not beside it"),
        ("gone.bin", "names the data file 'gone.bin', which is not there; get it again"),
    ],
)
def test_arrow_files_elsewhere_are_not_read(name: str, sentence: str, tmp_path: Path) -> None:
    rows = datasets.Dataset.from_dict({"image": [b"x"] * 4, "label": [0, 0, 1, 1]})
    rows.save_to_disk(tmp_path / "a")
    (tmp_path / "a" / "cache-1.arrow").write_bytes(b"left by map, and never read")
    assert len(DatasetsSource(tmp_path / "a")) == 4
    state = tmp_path / "a" / "state.json"
    state.write_text(state.read_text().replace("data-00000-of-00001.arrow", name))
    with pytest.raises(BadInput, match=sentence):
        DatasetsSource(tmp_path / "a")


def test_rows_without_bytes_are_not_made(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"image": pa.nulls(140_000_000)}), path)
    assert path.stat().st_size < 1 << 20
    with pytest.raises(BadInput, match=r"140,000,000 rows that unpack to 1\.1 GB"):
        check(path)


def test_large_tables_of_what_does_not_pack_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"image": [b"x" * 1000] * 1000}), path, compression="none", use_dictionary=False)
    monkeypatch.setattr(tables, "_LARGE", 1 << 10)
    check(path)
