"""What files of tables come to once they are unpacked, before they are."""

import struct
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO

from sface_data.errors import BadInput

if TYPE_CHECKING:
    import pyarrow.parquet as pq

_LARGE = 1 << 30  # bytes; less is unpacked whatever it is
_TIMES = 8  # the size of the file: images and vectors hardly become smaller by being packed
_AT_ONCE = 1 << 26  # bytes of a batch that may unpack
_ROWS = 1 << 16  # of a batch that cannot
_WIDTHS = {
    "BOOLEAN": 1 / 8,
    "INT32": 4,
    "INT64": 8,
    "INT96": 12,
    "FLOAT": 4,
    "DOUBLE": 8,
}  # bytes; others: an offset
_OF_A_ROW = 8  # bytes that a row takes at least, once it is read


def check_unpacked(
    where: str, file: BinaryIO, table: "pq.ParquetFile", size: int, columns: Sequence[str] | None = None
) -> None:
    """Looks at what a Parquet file comes to: by what it says of itself, then by the lengths of what rows repeat.

    Args:
        where: names it in errors.
        file, table: it, and what is in it.
        size: of it, in bytes.
        columns: that are to be read; None for all.

    Raises:
        BadInput: if that is far more than can be in a file of this size with images or vectors.
        pyarrow.ArrowException: if it is broken.
    """
    facts = table.metadata
    groups = [facts.row_group(number) for number in range(facts.num_row_groups)]
    most = max(_LARGE, _TIMES * size)

    def check(unpacked: float) -> None:
        if unpacked > most:
            raise BadInput(
                f"{where} has {facts.num_rows:,} rows that unpack to {unpacked / 1e9:,.1f} GB or more from "
                f"{size / 1e6:,.1f} MB, as no images or vectors do; get it again"
            )

    check(max(sum(group.total_byte_size for group in groups), facts.num_rows * _OF_A_ROW))
    texts = 0
    once = with_dictionaries(file, table)
    for number in range(len(table.schema)):
        leaf = table.schema.column(number)
        if columns is not None and leaf.path.split(".")[0] not in columns:
            continue
        values = [group.num_rows for group in groups]
        if leaf.max_repetition_level:
            table.scan_contents(
                [leaf.path]
            )  # raises where what is asked next is broken, which would end the process
            values = [group.column(number).num_values for group in groups]
            check(sum(values) * _WIDTHS.get(leaf.physical_type, 4))
        if leaf.physical_type != "BYTE_ARRAY":
            continue
        if sum(many * group.total_byte_size for many, group in zip(values, groups, strict=True)) <= most:
            continue
        for place, group in enumerate(groups):
            for found in _texts(once, table, place, leaf.path, max(1, _AT_ONCE // max(1, group.total_byte_size))):
                texts += found
                check(texts)


def with_dictionaries(file: BinaryIO, table: "pq.ParquetFile") -> "pq.ParquetFile":
    """The same table, to be read so that texts which rows repeat are there once and not in each of them."""
    import pyarrow.parquet as pq

    leaves = map(table.schema.column, range(len(table.schema)))
    texts = [leaf.path for leaf in leaves if leaf.physical_type == "BYTE_ARRAY"]
    return pq.ParquetFile(file, metadata=table.metadata, read_dictionary=texts)


def _texts(once: "pq.ParquetFile", table: "pq.ParquetFile", group: int, path: str, rows: int) -> Iterator[int]:
    """What the texts of a column come to, in parts."""
    try:
        next(once.iter_batches(1, [group], [path]), None)
        table, rows = once, _ROWS
    except OSError:  # packed as so much of the value before and some more, which arrow reads as it is only
        pass
    yield from (_bytes_in(batch.column(0)) for batch in table.iter_batches(rows, [group], [path]))


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
