"""One way to read labelled faces in any of the forms in which they circulate.

    source = open_source(path)
    for face in source:             # or source[i]
        face.key, source.class_names[face.class_index], face.decode()

A path is a folder per identity, WebDataset shards (a folder of them, a pattern, or one `.tar`), InsightFace's
RecordIO (`train.rec` or its folder), or a folder written by `datasets`. Classes are numbered in the order of
their names, numbers by value; the names are what links classes of different sources.
"""

import glob
import os
from collections.abc import Iterator
from pathlib import Path

from sface_data.errors import BadInput
from sface_data.faces.base import Face, Label, Source
from sface_data.faces.datasets_source import DatasetsSource
from sface_data.faces.recordio import LabelledRecords, open_labelled
from sface_data.faces.shard_source import ShardSource
from sface_data.io.files import os_errors_as_bad_input
from sface_data.io.images import EXTENSIONS

EMBEDDINGS_INDEX = "embeddings.json"  # lists what a folder of embeddings holds
_DATASETS_FILES = ("dataset_info.json", "dataset_dict.json")


class FolderSource(Source):
    """A folder per identity: `NAME/any/thing.jpg` is of class NAME. Other files are not looked at."""

    def __init__(self, path: Path) -> None:
        with os_errors_as_bad_input(path):
            children = sorted(child for child in path.iterdir() if not child.name.startswith("."))
        astray = next((child for child in children if _is_image(child.name) and child.is_file()), None)
        if astray is not None:
            raise BadInput(f"{astray}: lies in no identity's folder; images belong into one folder per identity")
        self._files: list[str] = []
        labels: list[Label] = []
        for child in children:
            if child.is_dir():
                images = sorted(_images_below(child))
                if not images:
                    raise BadInput(f"{child}: no image in this identity's folder; fill or delete it")
                self._files += images
                labels += [child.name] * len(images)
        super().__init__(path, labels)

    def _face(self, index: int) -> Face:
        key = self._files[index]
        file = self.path / key
        with os_errors_as_bad_input(file):
            data = file.read_bytes()
        return Face(key, int(self.class_indices[index]), data, str(file))


def _images_below(folder: Path) -> Iterator[str]:
    """The images in a folder and in those below it, named from the folder above."""

    def refused(error: OSError) -> None:
        raise BadInput(f"{error.filename}: {error.strerror}") from error

    for name, folders, files in os.walk(folder, onerror=refused):
        folders[:] = sorted(below for below in folders if not below.startswith("."))
        linked = next((below for below in folders if (Path(name) / below).is_symlink()), None)
        if linked is not None:
            raise BadInput(f"{Path(name) / linked}: a link to a folder; put the images themselves there")
        below = Path(name).relative_to(folder.parent).as_posix()
        yield from (f"{below}/{file}" for file in files if _is_image(file))


def _is_image(name: str) -> bool:
    return not name.startswith(".") and name.rpartition(".")[2].lower() in EXTENSIONS


class RecordSource(Source):
    """InsightFace's RecordIO."""

    def __init__(self, path: Path) -> None:
        self._images: LabelledRecords = open_labelled(path)
        super().__init__(path, self._images.labels.tolist())

    def _face(self, index: int) -> Face:
        records, at = self._images.records, int(self._images.indices[index])
        number = records.numbers[at]
        where = f"{self.path}: record {number}"
        return Face(f"{number:08d}", int(self.class_indices[index]), records.read(at).image, where)


def open_source(path: Path | str, min_classes: int = 2) -> Source:
    """The labelled faces at `path`, in whichever form.

    Args:
        min_classes: with fewer, nothing can be told apart.

    Raises:
        BadInput: if there are none, or they cannot be read, or are of fewer classes.
    """
    source = _open(Path(path))
    if len(source.class_names) < min_classes:
        raise BadInput(
            f"{path}: its {len(source)} faces are all of {len(source.class_names)} class "
            f"({source.class_names[0]}); at least {min_classes} are needed"
        )
    return source


def _open(path: Path) -> Source:
    if path.is_dir():
        return _open_folder(path)
    if path.suffix == ".rec":
        return RecordSource(path)
    if path.is_file():
        return ShardSource(path, [path])  # the reader says so if it is no tar
    if glob.has_magic(str(path)):
        shards = sorted(Path(path.anchor).glob(str(path.relative_to(path.anchor))))
        if not shards:
            raise BadInput(f"{path}: no file matches this pattern")
        return ShardSource(path, shards)
    raise BadInput(f"{path}: does not exist")


def _open_folder(path: Path) -> Source:
    if (path / EMBEDDINGS_INDEX).is_file():
        raise BadInput(f"{path}: holds embeddings; give the images that they were made of")
    with os_errors_as_bad_input(path):
        records = sorted(path.glob("*.rec"))
        shards = sorted(path.glob("*.tar")) or sorted(path.glob("data/*.tar"))
        tables = any(path.glob("*.parquet")) or any(path.glob("data/*.parquet"))
    if len(records) > 1:
        raise BadInput(f"{path}: holds {len(records)} .rec files; name one, such as {records[0]}")
    if records:
        return RecordSource(records[0])
    if shards:
        return ShardSource(path, shards)
    if tables or any((path / name).is_file() for name in _DATASETS_FILES):
        return DatasetsSource(path)
    return FolderSource(path)
