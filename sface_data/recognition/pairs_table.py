"""Benchmarks as tables: Parquet with two columns of images and one that says whether both show one person."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sface_data.errors import BadInput
from sface_data.io.files import open_regular, os_errors_as_bad_input
from sface_data.io.tables import check_unpacked

SAME = ("same", "issame", "is_same", "label")  # what the column is called that says so


def read_table(path: Path) -> tuple[list[bytes], list[bool]]:
    """The encoded images, two for each row in the order of their columns, and the labels in a Parquet file.

    Raises:
        BadInput: if it cannot be read, or has other columns than these, or rows without an image or a label.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with os_errors_as_bad_input(path), open_regular(path) as file:
        try:
            opened = pq.ParquetFile(file)
            check_unpacked(str(path), file, opened, path.stat().st_size)
            table = opened.read()
        except BadInput:
            raise
        except (pa.ArrowException, ValueError) as error:
            raise BadInput(f"{path}: not a Parquet file; get it again") from error
    images = [name for name in table.column_names if _holds_images(table.schema.field(name).type)]
    same = [name for name in table.column_names if name.lower() in SAME]
    if len(images) != 2 or len(same) != 1:
        raise BadInput(
            f"{path}: should have two columns of images and one called {', '.join(SAME[:-1])} or {SAME[-1]}; its "
            f"columns: {', '.join(table.column_names)}"
        )
    first, second, labels = (table.column(name).to_pylist() for name in (*images, *same))
    pairs = [_pair(path, *row) for row in enumerate(zip(first, second, labels, strict=True), 1)]
    return [image for pair in pairs for image in pair[:2]], [pair[2] for pair in pairs]


def image_columns(path: Path, names: Sequence[str]) -> tuple[int, int, int] | None:
    """Which columns of a list of pairs name the two images and say whether they show one person.

    Args:
        names: in the first line of the list.

    Returns:
        Their places; None if this is no line of names.

    Raises:
        BadInput: if it is, and does not say which.
    """
    lower = [name.lower() for name in names]
    same = [place for place, name in enumerate(lower) if name in SAME]
    if not same:
        return None
    for word in ("path", "image", "img", "file"):
        images = [place for place, name in enumerate(lower) if word in name]
        if len(images) == 2 and len(same) == 1:
            return images[0], images[1], same[0]
    if len(names) == 3 and same == [2]:
        return 0, 1, 2
    raise BadInput(
        f"{path}: its columns {', '.join(names)} do not say which two name images and which one says that both "
        f"show one person; call them path1, path2 and {SAME[0]}"
    )


def _holds_images(kind: Any) -> bool:
    """Bytes, or what `datasets` makes of images: bytes and a path."""
    import pyarrow as pa

    if pa.types.is_struct(kind):
        return {kind.field(i).name for i in range(kind.num_fields)} == {"bytes", "path"}
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _pair(path: Path, row: int, values: tuple[Any, Any, Any]) -> tuple[bytes, bytes, bool]:
    images = [value["bytes"] if isinstance(value, dict) else value for value in values[:2]]
    if not all(isinstance(image, bytes) for image in images):
        raise BadInput(f"{path}: row {row} has no image in it; images have to be in the file, not beside it")
    if values[2] not in (0, 1):
        raise BadInput(f"{path}: row {row} says {values[2]!r}, neither 0 nor 1; get the file again")
    return images[0], images[1], bool(values[2])
