"""Checks that manifest and card of a data set agree with its shards."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sface_data.dataset.card import CARD, read_front_matter
from sface_data.dataset.manifest import MANIFEST, Manifest
from sface_data.errors import BadInput
from sface_data.faces.base import Source
from sface_data.io.files import is_file


def check_counts_and_labels(path: Path, source: Source) -> None:
    """Compares the faces in a folder with the manifest and the card beside them, where there are any.

    Raises:
        BadInput: if they name fewer classes than the labels go up to, or other numbers of faces.
    """
    if is_file(path / MANIFEST):
        manifest = Manifest.load(path)
        _check_labels(path / MANIFEST, source, (str(c) for c in manifest.plan.classes))
        _check_count(path / MANIFEST, source, manifest.num_samples)
    if is_file(path / CARD):
        info = read_front_matter(path).get("dataset_info")
        info = info if isinstance(info, dict) else {}
        names = _class_names(info)
        if names is not None:
            numbers = (str(number) for number in range(len(names)))
            _check_labels(path / CARD, source, numbers if source.class_names[0].isdecimal() else names)
        counts = [split.get("num_examples") for split in _list_of_dicts(info.get("splits"))]
        if len(counts) == 1 and isinstance(counts[0], int):
            _check_count(path / CARD, source, counts[0])


def _check_labels(file: Path, source: Source, names: Iterable[str]) -> None:
    known = set(names)
    strange = [name for name in source.class_names if name not in known]
    if strange:
        raise BadInput(
            f"{file}: names {len(known)} classes, and the class {strange[0]!r} of the shards is none of them; "
            "get or make the data set again"
        )


def _check_count(file: Path, source: Source, count: int) -> None:
    if count != len(source):
        raise BadInput(
            f"{file}: says {count:,} faces, and the shards hold {len(source):,}; get or make the data set again"
        )


def _class_names(info: dict[str, Any]) -> list[str] | None:
    """The names of the only column of class labels, in their order."""
    for feature in _list_of_dicts(info.get("features")):
        kind = feature.get("dtype")
        label = kind.get("class_label") if isinstance(kind, dict) else None
        names = label.get("names") if isinstance(label, dict) else None
        if isinstance(names, dict):
            return [str(name) for name in names.values()]
        if isinstance(names, list):
            return [str(name) for name in names]
    return None


def _list_of_dicts(value: object) -> list[dict[str, Any]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []
