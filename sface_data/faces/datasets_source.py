"""Labelled faces in a folder written by the library `datasets`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sface_data.errors import BadInput
from sface_data.faces.base import Face, Source
from sface_data.faces.columns import class_names, image_column, label_column, labels_in
from sface_data.io.files import os_errors_as_bad_input, read_bytes


class DatasetsSource(Source):
    """A folder written by `datasets`: with `save_to_disk`, or as Parquet files; or one Parquet file of anybody.

    It needs one column of images and one of class labels. Images may be plain bytes, labels plain numbers or
    names, if the columns are called as usual (`columns.IMAGE_FIELDS`, `shard_labels.LABEL_FIELDS`).
    """

    def __init__(self, path: Path) -> None:
        import datasets

        rows = _load(path)
        where = str(path)
        self._image, label = image_column(rows.features, where), label_column(rows.features, where)
        self._rows = rows.cast_column(self._image, datasets.Image(decode=False))
        labels = labels_in(rows.features, label, rows.with_format(None)[label][:], where)
        super().__init__(path, labels, class_names(rows.features, label))

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


@contextmanager
def _without_bars() -> Iterator[None]:
    """Keeps `datasets` from drawing bars of its own between ours."""
    import datasets

    disabled = datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        if not disabled:
            datasets.enable_progress_bars()


def _load(path: Path) -> Any:
    import datasets

    with os_errors_as_bad_input(path):
        parquet = [str(path)] if path.is_file() else sorted(str(file) for file in path.rglob("*.parquet"))
    splits = sorted({Path(file).name.split("-")[0] for file in parquet if "-" in Path(file).name})
    if len(splits) > 1:
        raise BadInput(f"{path}: holds the splits {', '.join(splits)}; give a folder with the files of one")
    try:
        if parquet:
            with _without_bars():
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
