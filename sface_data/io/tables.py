"""What files of tables come to once they are unpacked, before they are."""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

from sface_data.errors import BadInput
from sface_data.io.thrift import Fields, Reader

if TYPE_CHECKING:
    import pyarrow.parquet as pq

_LARGE = 1 << 30  # bytes; less is unpacked whatever it is
_TIMES = 8  # the size of the file: images and vectors hardly become smaller by being packed
_AT_ONCE = 1 << 26  # bytes of a batch that may unpack
_ROWS = 1 << 16  # of a batch that cannot
_WIDTHS = {"BOOLEAN": 1 / 8, "INT32": 4, "INT64": 8, "INT96": 12, "FLOAT": 4, "DOUBLE": 8}  # bytes
_OFFSET = 4  # of others at least
_TEXT = "BYTE_ARRAY"
_REPEATING = {2, 7, 8}  # PLAIN_DICTIONARY, DELTA_BYTE_ARRAY, RLE_DICTIONARY
_HEADER = 4096  # bytes that hold most headers of pages
_OF_A_ROW = 8  # bytes that a row takes at least, once it is read


def check_unpacked(
    where: str, file: BinaryIO, table: "pq.ParquetFile", size: int, columns: Sequence[str] | None = None
) -> None:
    """Looks at what a Parquet file comes to: by the headers of its pages, then by the lengths of what rows repeat.

    The footer may say anything of sizes; the header of a page cannot, or the page is not unpacked.

    Args:
        where: names it in errors.
        file, table: it, and what is in it.
        size: of it, in bytes.
        columns: that are to be read; None for all.

    Raises:
        BadInput: if that is far more than can be in a file of this size with images or vectors.
        ValueError, pyarrow.ArrowException: if it is broken.
    """
    rows = table.metadata.num_rows
    most = max(_LARGE, _TIMES * size)

    def check(unpacked: float) -> None:
        if unpacked > most:
            raise BadInput(
                f"{where} has {rows:,} rows that unpack to {unpacked / 1e9:,.1f} GB or more from "
                f"{size / 1e6:,.1f} MB, as no images or vectors do; get it again"
            )

    check(rows * _OF_A_ROW)
    try:
        chunks = list(_chunks(file, table, size))
        wanted = [chunk for chunk in chunks if columns is None or chunk.path.split(".")[0] in columns]
        pages = [(chunk, _pages(file, chunk)) for chunk in wanted]
    except (LookupError, TypeError, AttributeError, EOFError) as error:
        raise ValueError("its footer or the header of a page is broken") from error
    check(sum(chunk.declared for chunk in chunks))
    check(sum(found.unpacked for _, found in pages))
    check(sum(found.values * _WIDTHS.get(chunk.kind, _OFFSET) for chunk, found in pages))
    repeating = [(chunk, found) for chunk, found in pages if chunk.kind == _TEXT and found.repeat]
    if sum(found.values * found.unpacked for _, found in repeating) <= most:
        return
    once, texts = with_dictionaries(file, table), 0
    for chunk, found in repeating:
        for part in _texts(once, table, chunk, max(1, _AT_ONCE // max(1, found.unpacked))):
            texts += part
            check(texts)


@dataclass(frozen=True)
class _Chunk:
    """A column of a row group: what the schema says of it, and where the footer says that its pages are."""

    group: int
    path: str
    kind: str
    start: int
    size: int
    declared: int  # bytes that it unpacks to, as the footer has it


@dataclass(frozen=True)
class _Pages:
    """What the pages of a column unpack to, in bytes, how many values they have, and whether these may repeat."""

    unpacked: int
    values: int
    repeat: bool


def _chunks(file: BinaryIO, table: "pq.ParquetFile", size: int) -> Iterator[_Chunk]:
    """The numbers are those of parquet.thrift. pyarrow's own account ends the process where a footer is broken."""
    file.seek(-8, 2)
    length = int.from_bytes(file.read(4), "little")
    file.seek(-8 - length, 2)
    left = size
    for group, row_group in enumerate(Reader(file.read(length)).struct()[4]):
        for number, column in enumerate(row_group[1]):
            leaf, facts = table.schema.column(number), column[3]
            offsets = [offset for offset in (facts[9], facts.get(11)) if offset]  # of data, of the dictionary
            start = min(offsets, default=0)
            left -= facts[7]
            if not 0 <= start <= start + facts[7] <= size or left < 0:
                raise ValueError("columns lie outside the file, or over one another")
            yield _Chunk(group, leaf.path, leaf.physical_type, start, facts[7], facts[6])


def _pages(file: BinaryIO, chunk: _Chunk) -> _Pages:
    """By their own headers."""
    unpacked = values = 0
    repeat, at = False, chunk.start
    while at < chunk.start + chunk.size:
        header, length = _header(file, at)
        if header[2] < 0 or header[3] < 0:
            raise ValueError("a page of less than nothing")
        unpacked += header[2]
        if 5 in header or 8 in header:  # of data, of either version
            data, encoding = (header[5], 2) if 5 in header else (header[8], 4)
            values += data[1]
            repeat |= data[encoding] in _REPEATING
        at += length + header[3]
    return _Pages(unpacked, values, repeat)


def _header(file: BinaryIO, at: int) -> tuple[Fields, int]:
    """The header of the page that begins there, and its length."""
    window = _HEADER
    while True:
        file.seek(at)
        data = file.read(window)
        reader = Reader(data)
        try:
            return reader.struct(), reader.at
        except EOFError:
            if len(data) < window:
                raise
            window *= 16


def with_dictionaries(file: BinaryIO, table: "pq.ParquetFile") -> "pq.ParquetFile":
    """The same table, to be read so that texts which rows repeat are there once and not in each of them."""
    import pyarrow.parquet as pq

    leaves = map(table.schema.column, range(len(table.schema)))
    texts = [leaf.path for leaf in leaves if leaf.physical_type == _TEXT]
    return pq.ParquetFile(file, metadata=table.metadata, read_dictionary=texts)


def _texts(once: "pq.ParquetFile", table: "pq.ParquetFile", chunk: _Chunk, rows: int) -> Iterator[int]:
    """What the texts of a column come to, in parts."""
    place = {"row_groups": [chunk.group], "columns": [chunk.path]}
    try:
        next(once.iter_batches(1, **place), None)
        table, rows = once, _ROWS
    except OSError:  # packed as so much of the value before and some more, which arrow reads as it is only
        pass
    yield from (_bytes_in(batch.column(0)) for batch in table.iter_batches(rows, **place))


def _bytes_in(array: Any) -> int:
    """What the texts of a column of one leaf come to, each as often as rows have it."""
    import pyarrow as pa
    import pyarrow.compute as pc

    while pa.types.is_nested(array.type):
        array = array.field(0) if pa.types.is_struct(array.type) else array.flatten()
    if not pa.types.is_dictionary(array.type):
        return pc.sum(pc.binary_length(array)).as_py() or 0
    return pc.sum(pc.binary_length(array.dictionary).take(array.indices)).as_py() or 0


def check_stream(where: str, file: BinaryIO) -> None:
    """Looks through an Arrow stream as far as who maps it and reads its rows relies on it.

    Args:
        where: names it in errors.
        file: of it; it should be a memory map.

    Raises:
        BadInput: if a batch is packed, of which nobody knows what it unpacks to; `datasets` packs none.
        pyarrow.ArrowException: if it is broken, or rows lie elsewhere than in it.
    """
    import pyarrow as pa

    for message in pa.ipc.MessageReader.open_stream(file):
        if message.type != "schema" and _is_packed(message.metadata.to_pybytes()):
            raise BadInput(f"{where} is packed, as `datasets` packs nothing; save it again with `save_to_disk`")
    file.seek(0)
    for batch in pa.ipc.open_stream(file):
        batch.validate(full=True)


def _is_packed(message: bytes) -> bool:
    """Whether a record batch has a `BodyCompression` (Message.fbs of Arrow; flatbuffers: tables of offsets)."""

    def field(table: int, number: int) -> int | None:
        entries = table - struct.unpack_from("<i", message, table)[0]
        if 4 + 2 * number >= struct.unpack_from("<H", message, entries)[0]:
            return None
        offset = struct.unpack_from("<H", message, entries + 4 + 2 * number)[0]
        return table + offset if offset else None

    def target(place: int) -> int:
        return place + int(struct.unpack_from("<I", message, place)[0])

    header = field(target(0), 2)
    return header is not None and field(target(header), 3) is not None
