"""One way to read labelled faces in any of the forms in which they circulate.

    source = open_source(path)
    for face in source:             # or source[i]
        face.key, source.class_names[face.class_index], face.decode()

A path is a folder per identity, WebDataset shards (a folder of them, a pattern, or one `.tar`), InsightFace's
RecordIO (`train.rec` or its folder; DCFace's `file.rec` with its `list.txt`), LMDB as Vec2Face hands it out, or a
folder written by `datasets`. Classes are numbered in the order of their names, numbers by value, or as a
`datasets` column of class labels numbers them; the names are what links classes of different sources.
"""

import glob
import re
import tarfile
from pathlib import Path

from sface_data.errors import BadInput
from sface_data.faces.base import Source
from sface_data.faces.datasets_source import DatasetsSource
from sface_data.faces.folder_source import FolderSource, is_image
from sface_data.faces.hub_source import HubSource, check_not_on_hub, is_on_hub
from sface_data.faces.lmdb_source import LmdbSource
from sface_data.faces.record_source import open_record
from sface_data.faces.shard_source import ShardSource
from sface_data.io.files import is_dir, is_file, open_regular, os_errors_as_bad_input

EMBEDDINGS_INDEX = "embeddings.json"  # lists what a folder of embeddings holds
_PACKED = (".tar.gz", ".tgz", ".tar.zst", ".tar.xz", ".tar.bz2")
_ARCHIVES = (*_PACKED, ".zip", ".7z", ".rar")
_BRACES = re.compile(r"\{(?:(\d+)\.\.(\d+)|([^{}]*,[^{}]*))\}")
_MOST_SHARDS = 1_000_000
_DATASETS_FILES = ("dataset_info.json", "dataset_dict.json")


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


def open_for_training(path: Path | str) -> Source:
    """The labelled faces at `path`, to be read in any order and many times.

    Raises:
        BadInput: as `open_source`, and if they are on the hub.
    """
    check_not_on_hub(Path(path))
    return open_source(path)


def _open(path: Path) -> Source:
    if is_on_hub(path):
        return HubSource(path)
    if is_dir(path) and path.suffix != ".lmdb":
        return _open_folder(path)
    if path.suffix == ".rec":
        return open_record(path)
    if path.suffix == ".lmdb":
        return LmdbSource(path)
    if is_file(path):
        _check_unpacked(path)
        if path.suffix == ".parquet":
            return DatasetsSource(path)
        _check_tar(path)
        return ShardSource(path, [path])
    if _BRACES.search(str(path)):
        return ShardSource(path, [Path(name) for name in _expanded(str(path))])
    if glob.has_magic(str(path)):
        shards = sorted(Path(path.anchor).glob(str(path.relative_to(path.anchor))))
        if not shards:
            raise BadInput(f"{path}: no file matches this pattern")
        return ShardSource(path, shards)
    raise BadInput(f"{path}: does not exist")


def _check_unpacked(path: Path) -> None:
    """Raises BadInput for an archive."""
    if path.name.lower().endswith(_ARCHIVES):
        raise BadInput(f"{path}: a packed archive, of which no part can be read alone; unpack it, and give that")


def _check_tar(path: Path) -> None:
    """Raises BadInput for a file of another form; of a broken tar the reader says what is wrong."""
    with os_errors_as_bad_input(path), open_regular(path) as file:
        if path.suffix != ".tar" and not tarfile.is_tarfile(file):
            raise BadInput(
                f"{path}: in no known form of labelled faces; give a folder per identity, .tar shards, .rec, "
                ".lmdb or Parquet"
            )


def _expanded(pattern: str) -> list[str]:
    """The names that a pattern with braces stands for, as a shell has them: `{000..012}`, `{a,b}`."""
    found = _BRACES.search(pattern)
    if found is None:
        return [pattern]
    first, last, listed = found.groups()
    if listed is None:
        if not 0 <= int(last) - int(first) < _MOST_SHARDS:
            raise BadInput(f"{pattern}: {first}..{last} is no range of shards")
        parts = [f"{number:0{len(first)}d}" for number in range(int(first), int(last) + 1)]
    else:
        parts = listed.split(",")
    names = [pattern[: found.start()] + part + pattern[found.end() :] for part in parts]
    return [each for name in names for each in _expanded(name)]


def _check_one_form(path: Path, *forms: list[Path]) -> None:
    """Raises BadInput where a folder holds faces in several forms: other readers may take another of them."""
    names = [files[0].relative_to(path).as_posix() for files in forms if files]
    tables = any(name.endswith(".parquet") for name in names)  # which may name images in folders
    if names and not tables and any(is_image(file.name) for file in path.rglob("*/*")):
        names.append("folders of images")
    if len(names) > 1:
        raise BadInput(f"{path}: holds {' and '.join(names)}; put one form of the faces into a folder of its own")


def _open_folder(path: Path) -> Source:
    if is_file(path / EMBEDDINGS_INDEX):
        raise BadInput(f"{path}: holds embeddings; give the images that they were made of")
    with os_errors_as_bad_input(path):
        records = sorted(path.glob("*.rec"))
        databases = sorted((*path.glob("*.lmdb"), *path.glob("data.mdb")))
        shards, below = sorted(path.glob("*.tar")), sorted(path.glob("data/*.tar"))
        packed = [file for end in _PACKED for file in sorted(path.glob(f"*{end}"))]
        tables = sorted(path.glob("*.parquet")) or sorted(path.glob("data/*.parquet"))
    for found in (records, databases):
        if len(found) > 1:
            raise BadInput(f"{path}: holds {len(found)} {found[0].suffix} files; name one, such as {found[0]}")
    _check_one_form(path, records, databases, shards, below, packed, tables)
    if records:
        return open_record(records[0])
    if databases:
        return LmdbSource(databases[0] if databases[0].suffix == ".lmdb" else path)
    if packed:
        _check_unpacked(packed[0])
    if shards or below:
        return ShardSource(path, shards or below)
    if tables or any(is_file(path / name) for name in _DATASETS_FILES):
        return DatasetsSource(path)
    return FolderSource(path)
