"""Which columns of a table of `datasets` are images and classes."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sface_data.errors import BadInput
from sface_data.faces.base import Label
from sface_data.faces.shard_labels import LABEL_FIELDS

IMAGE_FIELDS = ("image", "img", "image_bytes", "bytes", "jpg", "jpeg", "png", "webp")


def image_column(features: Mapping[str, Any], where: str) -> str:
    """The Image column, or, if none is declared, one of bytes called as one of `IMAGE_FIELDS`.

    Args:
        features: `datasets.Features`.
        where: names the table in errors.

    Raises:
        BadInput: if there is not exactly one.
    """
    import datasets

    declared = any(isinstance(kind, datasets.Image) for kind in features.values())

    def fits(name: str, kind: Any) -> bool:
        if declared:
            return isinstance(kind, datasets.Image)
        as_bytes = kind["bytes"] if isinstance(kind, dict) and kind.keys() == {"bytes", "path"} else kind
        return name in IMAGE_FIELDS and getattr(as_bytes, "dtype", None) in ("binary", "large_binary")

    return _only(features, where, "images", fits)


def label_column(features: Mapping[str, Any], where: str) -> str:
    """The ClassLabel column, or, if none is declared, one called as one of `LABEL_FIELDS`. As `image_column`."""
    import datasets

    declared = any(isinstance(kind, datasets.ClassLabel) for kind in features.values())

    def fits(name: str, kind: Any) -> bool:
        if declared:
            return isinstance(kind, datasets.ClassLabel)
        return name in LABEL_FIELDS and isinstance(kind, datasets.Value)

    return _only(features, where, "class labels", fits)


def labels_in(features: Mapping[str, Any], column: str, values: Sequence[Any], where: str) -> list[Label]:
    """The classes of all rows: the names of a ClassLabel, else the values.

    Raises:
        BadInput: if a row has none, or one without a name.
    """
    values = [int(value) if isinstance(value, float) and value.is_integer() else value for value in values]
    unlabelled = next((row for row, value in enumerate(values) if not _is_label(value)), None)
    if unlabelled is not None:
        raise BadInput(f"{where}: row {unlabelled} has no {column!r}; label or remove it")
    names = class_names(features, column)
    if names is None:
        return values
    if not all(isinstance(name, str) for name in names):
        raise BadInput(f"{where}: {column!r} names classes by something else than text; get the table again")
    nameless = next((value for value in values if not 0 <= value < len(names)), None)
    if nameless is not None:
        raise BadInput(
            f"{where}: a row is of class {nameless}, and {column!r} names {len(names)}; get the table again"
        )
    return [names[value] for value in values]


def class_names(features: Mapping[str, Any], column: str) -> list[str] | None:
    """The names of a ClassLabel in order, None for another column."""
    return getattr(features[column], "names", None)


def _is_label(value: Any) -> bool:
    return isinstance(value, (int, str)) and not isinstance(value, bool) and value != -1


def _only(features: Mapping[str, Any], where: str, what: str, fits: Callable[[str, Any], bool]) -> str:
    found = [name for name, kind in features.items() if fits(name, kind)]
    if len(found) != 1:
        columns = ", ".join(features)
        raise BadInput(f"{where}: should have one column of {what} and has {len(found)}; its columns: {columns}")
    return found[0]
