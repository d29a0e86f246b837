"""Labelled faces in a folder written by the library `datasets`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from sface_data.errors import BadInput
from sface_data.faces.base import Face, Source
from sface_data.faces.shard_labels import LABEL_FIELDS
from sface_data.io.files import os_errors_as_bad_input, read_bytes

IMAGE_FIELDS = ("image", "img", "image_bytes", "bytes", "jpg", "jpeg", "png", "webp")


class DatasetsSource(Source):
    """A folder written by `datasets`: with `save_to_disk`, or as Parquet files; or one Parquet file of anybody.

    It needs one column of images and one of class labels. Images may be plain bytes if the column is called as one
    of `IMAGE_FIELDS`; labels may be plain numbers or names if theirs is called as one of `LABEL_FIELDS`.
    """

    def __init__(self, path: Path) -> None:
        import datasets

        rows = _load(path)
        self._image = _image_column(rows, path)
        self._rows = rows.cast_column(self._image, datasets.Image(decode=False))
        label = _label_column(rows, path)
        values = [_whole(value) for value in rows.with_format(None)[label][:]]
        unlabelled = next((row for row, value in enumerate(values) if not _is_label(value)), None)
        if unlabelled is not None:
            raise BadInput(f"{path}: row {unlabelled} has no {label!r}; label or remove it")
        names = getattr(rows.features[label], "names", None)  # of a ClassLabel
        super().__init__(path, [names[value] for value in values] if names else values, names)

    def _face(self, index: int) -> Face:
        value = self._rows[index][self._image]
        where = f"{self.path}: row {index}"
        if value is None:
            raise BadInput(f"{where} has no image")
        data = value["bytes"]
        if data is None:
            data = read_bytes(self._file(value["path"], where))
        return Face(f"{index:08d}", int(self.class_indices[index]), data, where)

    def _file(self, name: object, where: str) -> Path:
        """The file that a row names. Raises BadInput if it lies outside the folder: others wrote its name."""
        if not isinstance(name, str):
            raise BadInput(f"{where} has no image")
        file = self.path / name
        with os_errors_as_bad_input(file):
            inside = file.resolve().is_relative_to(self.path.resolve())
        if "://" in name or "\0" in name or not inside:
            raise BadInput(f"{where} names the file {name!r}, which is not in this folder; put the images there")
        return file


def _load(path: Path) -> Any:
    import datasets

    with os_errors_as_bad_input(path):
        parquet = [str(path)] if path.is_file() else sorted(str(file) for file in path.rglob("*.parquet"))
    splits = sorted({Path(file).name.split("-")[0] for file in parquet if "-" in Path(file).name})
    if len(splits) > 1:
        raise BadInput(f"{path}: holds the splits {', '.join(splits)}; give a folder with the files of one")
    try:
        if parquet:
            return datasets.load_dataset("parquet", data_files=parquet, split="train")
        loaded = datasets.load_from_disk(str(path))
    except MemoryError:
        raise
    except Exception as error:  # `datasets` raises whatever a broken folder comes to
        raise BadInput(f"{path}: `datasets` cannot load it ({' '.join(str(error).split())[:200]})") from error
    if not isinstance(loaded, datasets.DatasetDict):
        return loaded
    if len(loaded) != 1:
        first = path / next(iter(loaded))
        raise BadInput(f"{path}: holds the splits {', '.join(loaded)}; name one, such as {first}")
    return next(iter(loaded.values()))


def _is_label(value: Any) -> bool:
    return isinstance(value, (int, str)) and not isinstance(value, bool) and value != -1


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _image_column(rows: Any, path: Path) -> str:
    """The Image column, or, if none is declared, one of bytes with a usual name."""
    import datasets

    declared = any(isinstance(kind, datasets.Image) for kind in rows.features.values())

    def fits(name: str, kind: Any) -> bool:
        if declared:
            return isinstance(kind, datasets.Image)
        as_bytes = kind["bytes"] if isinstance(kind, dict) and kind.keys() == {"bytes", "path"} else kind
        return name in IMAGE_FIELDS and getattr(as_bytes, "dtype", None) in ("binary", "large_binary")

    return _only(rows, path, "images", fits)


def _label_column(rows: Any, path: Path) -> str:
    """The ClassLabel column, or, if none is declared, one with a usual name."""
    import datasets

    declared = any(isinstance(kind, datasets.ClassLabel) for kind in rows.features.values())

    def fits(name: str, kind: Any) -> bool:
        if declared:
            return isinstance(kind, datasets.ClassLabel)
        return name in LABEL_FIELDS and isinstance(kind, datasets.Value)

    return _only(rows, path, "class labels", fits)


def _only(rows: Any, path: Path, what: str, fits: Callable[[str, Any], bool]) -> str:
    found = [name for name, kind in rows.features.items() if fits(name, kind)]
    if len(found) != 1:
        columns = ", ".join(rows.features)
        raise BadInput(f"{path}: should have one column of {what} and has {len(found)}; its columns: {columns}")
    return found[0]
