"""Tables that would unpack to far more than their files hold are not unpacked, whoever reads them."""

from collections.abc import Callable
from pathlib import Path

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
    with pytest.raises(BadInput, match=r"a\.parquet:?( it)? has 1 rows that unpack to 0\.0 GB from 0\.0 MB"):
        read(path)
    monkeypatch.setattr(tables, "_LARGE", 8 << 20)
    try:
        read(path)
    except BadInput as other:  # it is neither embeddings nor pairs
        assert "unpack" not in str(other)


def test_rows_without_bytes_are_not_made(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"image": pa.nulls(140_000_000)}), path)
    assert path.stat().st_size < 1 << 20
    with pq.ParquetFile(path) as table, pytest.raises(BadInput, match=r"140,000,000 rows that unpack to 1\.1 GB"):
        check_unpacked("it", table, path.stat().st_size)


def test_large_tables_of_what_does_not_pack_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"image": [b"x" * 1000] * 1000}), path, compression="none", use_dictionary=False)
    monkeypatch.setattr(tables, "_LARGE", 1 << 10)
    with pq.ParquetFile(path) as table:
        check_unpacked("it", table, path.stat().st_size)
