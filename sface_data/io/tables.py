"""What a Parquet file says of its size before it is unpacked."""

from typing import TYPE_CHECKING

from sface_data.errors import BadInput

if TYPE_CHECKING:
    import pyarrow.parquet as pq

_LARGE = 1 << 30  # bytes; less is unpacked whatever it is
_TIMES = 8  # the size of the file: images and vectors hardly become smaller by being packed
_OF_A_ROW = 8  # bytes that a row takes at least, once it is read


def check_unpacked(where: str, table: "pq.ParquetFile", size: int) -> None:
    """Looks at what a table comes to, by what it says of itself; nothing of it is unpacked.

    Args:
        where: names it in errors.
        size: of the file, in bytes.

    Raises:
        BadInput: if that is far more than can be in a file of this size with images or vectors.
    """
    facts = table.metadata
    groups = sum(facts.row_group(number).total_byte_size for number in range(facts.num_row_groups))
    unpacked = max(groups, facts.num_rows * _OF_A_ROW)
    if unpacked > max(_LARGE, _TIMES * size):
        raise BadInput(
            f"{where} has {facts.num_rows:,} rows that unpack to {unpacked / 1e9:,.1f} GB from {size / 1e6:,.1f} "
            "MB, as no images or vectors do; get it again"
        )
