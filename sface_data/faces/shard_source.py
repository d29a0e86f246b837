"""Labelled faces in WebDataset shards, ours and others'."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sface_data.dataset.shard_reader import Entry, Member, scan_shard
from sface_data.errors import BadInput
from sface_data.faces.base import Face, Label, Source
from sface_data.faces.shard_labels import Labels, check_labels, check_not_shards, find_labels
from sface_data.io.files import PiecedFile
from sface_data.io.images import EXTENSIONS, UNREAD_EXTENSIONS


class ShardSource(Source):
    """WebDataset shards.

    The first sample decides how all tell their class, see `shard_labels.find_labels`. Samples without an image
    that are called as files beside data are (`README`, `LICENSE`) are passed over. A key that an earlier shard has
    too gets the name of its shard before it.
    """

    def __init__(self, path: Path, shards: Sequence[Path]) -> None:
        self._files = [PiecedFile.at(shard) for shard in shards]
        self._keys: list[str] = []
        locations: list[tuple[int, int, int]] = []
        labels: list[Label] = []
        labels_of_shard: list[tuple[Path, set[Label]]] = []
        found: Labels | None = None
        keys: set[str] = set()
        for number, (shard, file) in enumerate(zip(shards, self._files, strict=True)):
            first = len(labels)
            for entry in scan_shard(shard):
                if _is_beside(entry):
                    continue
                found = found or find_labels(entry, file)
                labels.append(found.of(entry, file))
                image = _image_member(entry, file)
                self._keys.append(_unique(entry.key, keys, shard))
                locations.append((number, image.offset, image.size))
            labels_of_shard.append((shard, set(labels[first:])))
        self._locations = np.array(locations, np.int64).reshape(-1, 3)  # number of the shard, offset, size
        super().__init__(path, labels)
        if found is not None:
            check_labels(path, found, labels, self._keys)
            check_not_shards(path, found, labels_of_shard)

    def _face(self, index: int) -> Face:
        number, offset, size = self._locations[index].tolist()
        key, file = self._keys[index], self._files[number]
        return Face(key, int(self.class_indices[index]), file.read(offset, size), f"{file.path}: {key}")


def _unique(key: str, keys: set[str], shard: Path) -> str:
    """The key, with the shard before it if an earlier shard has it. Raises BadInput if that does not help."""
    if key in keys:
        key = f"{shard.stem}:{key}"
    if key in keys:
        raise BadInput(f"{shard}: the key {key!r} is also in another shard; give each shard once")
    keys.add(key)
    return key


def _is_beside(entry: Entry) -> bool:
    name = entry.key.rpartition("/")[2].upper()
    return name.startswith(("README", "LICENSE", "LICENCE")) and not _images(entry)


def _images(entry: Entry) -> list[str]:
    """Those that are not read count: other readers may read them."""
    return [name for name in entry.members if name.rpartition(".")[2] in EXTENSIONS | UNREAD_EXTENSIONS]


def _image_member(entry: Entry, file: PiecedFile) -> Member:
    images = _images(entry)
    if len(images) != 1:
        found = f"{len(images)} images" if images else "no image"
        raise BadInput(f"{file.path}: the sample {entry.key!r} has {found}; it should have one")
    return entry.members[images[0]]
