"""Labelled faces in WebDataset shards, ours and others'."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sface_data.dataset.shard_reader import Entry, Member, scan_shard
from sface_data.errors import BadInput
from sface_data.faces.base import Face, Label, Source
from sface_data.io.files import MappedFile
from sface_data.io.images import EXTENSIONS

LABEL_FIELDS = ("label", "class_name", "class", "class_index", "identity", "cls")


class ShardSource(Source):
    """WebDataset shards.

    The class of a sample is its member `cls`; else a field of its `json` (`label`, `class_name`, `class`,
    `class_index`, `identity`, `cls`, the first that is there); else its `txt`; else the folder in its key
    (`NAME/0001`); else its key up to the last `_` (`NAME_0001`). The first sample decides for all.
    """

    def __init__(self, path: Path, shards: Sequence[Path]) -> None:
        self._files = [MappedFile.at(shard) for shard in shards]
        self._keys: list[str] = []
        locations: list[tuple[int, int, int]] = []
        labels: list[Label] = []
        shard_of: dict[str, Path] = {}
        label_of: Callable[[Entry, MappedFile], Label] | None = None
        for number, (shard, file) in enumerate(zip(shards, self._files, strict=True)):
            for entry in scan_shard(shard):
                if entry.key in shard_of:
                    raise BadInput(f"{shard}: the key {entry.key!r} is also in {shard_of[entry.key]}")
                shard_of[entry.key] = shard
                label_of = label_of or _way_to_label(entry, file)
                labels.append(label_of(entry, file))
                image = _image_member(entry, file)
                self._keys.append(entry.key)
                locations.append((number, image.offset, image.size))
        self._locations = np.array(locations, np.int64).reshape(-1, 3)  # number of the shard, offset, size
        super().__init__(path, labels)

    def _face(self, index: int) -> Face:
        number, offset, size = self._locations[index].tolist()
        key, file = self._keys[index], self._files[number]
        return Face(key, int(self.class_indices[index]), file.read(offset, size), f"{file.path}: {key}")


def _image_member(entry: Entry, file: MappedFile) -> Member:
    images = [name for name in entry.members if name.rpartition(".")[2] in EXTENSIONS]
    if len(images) != 1:
        found = f"{len(images)} images" if images else "no image"
        raise BadInput(f"{file.path}: the sample {entry.key!r} has {found}; it should have one")
    return entry.members[images[0]]


def _way_to_label(entry: Entry, file: MappedFile) -> Callable[[Entry, MappedFile], Label]:
    """How the samples of a set tell their class, going by its first one."""
    if "cls" in entry.members:
        return _label_in_cls
    if "json" in entry.members:
        fields = _json_fields(entry, file)
        name = next((name for name in LABEL_FIELDS if _is_label(fields.get(name))), None)
        if name is not None:
            return lambda entry, file: _label_in_json(entry, file, name)
    if "txt" in entry.members:
        return _label_in_txt
    if "/" in entry.key:
        return lambda entry, file: _label_in_key(entry, file, "/")
    return lambda entry, file: _label_in_key(entry, file, "_")


def _text(entry: Entry, file: MappedFile, extension: str) -> str:
    member = entry.members.get(extension)
    if member is None:
        raise BadInput(f"{file.path}: the sample {entry.key!r} has no member {extension!r}, as the first one has")
    return file.read(member.offset, member.size).decode(errors="replace").strip()


def _label_in_cls(entry: Entry, file: MappedFile) -> Label:
    text = _text(entry, file, "cls")
    if not text.isdecimal() or len(text) > 18:
        raise BadInput(f"{file.path}: the cls of the sample {entry.key!r} is {text[:40]!r}, not a class number")
    return int(text)


def _label_in_txt(entry: Entry, file: MappedFile) -> Label:
    text = _text(entry, file, "txt")
    if not text:
        raise BadInput(f"{file.path}: the txt of the sample {entry.key!r} is empty; it should name its class")
    return text


def _json_fields(entry: Entry, file: MappedFile) -> dict[str, Any]:
    try:
        fields = json.loads(_text(entry, file, "json"))
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{file.path}: the json of the sample {entry.key!r} is broken ({error})") from error
    return fields if isinstance(fields, dict) else {}


def _is_label(value: object) -> bool:
    return isinstance(value, (int, str)) and not isinstance(value, bool) and value != ""


def _label_in_json(entry: Entry, file: MappedFile, name: str) -> Label:
    value = _json_fields(entry, file).get(name)
    if not _is_label(value):
        raise BadInput(f"{file.path}: the json of the sample {entry.key!r} has no number or name as {name!r}")
    return value  # type: ignore[return-value]


def _label_in_key(entry: Entry, file: MappedFile, separator: str) -> Label:
    name, found, _ = entry.key.rpartition(separator)
    if not found:
        raise BadInput(
            f"{file.path}: the sample {entry.key!r} does not tell its class: no cls, json or txt, and no "
            "folder or `_` in its key"
        )
    return name
