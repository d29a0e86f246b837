"""Labelled faces in a folder written by the library `datasets`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sface_data.errors import BadInput, brief
from sface_data.faces.base import Face, Source
from sface_data.faces.columns import class_names, image_column, label_column, labels_in
from sface_data.io.files import open_regular, os_errors_as_bad_input, parse_json, read_bytes
from sface_data.io.tables import check_stream, check_unpacked


class DatasetsSource(Source):
    """A folder written by `datasets`: with `save_to_disk`, or as Parquet files; or one Parquet file of anybody.

    It needs one column of images and one of class labels. Images may be plain bytes, labels plain numbers or
    names, if the columns are called as usual (`columns.IMAGE_FIELDS`, `shard_labels.LABEL_FIELDS`).
    """

    def __init__(self, path: Path) -> None:
        import datasets

        where = str(path)
        with _explained(where):
            rows = _load(path).with_format(None)  # a folder may say that columns are hidden, or become tensors
            self._image, label = image_column(rows.features, where), label_column(rows.features, where)
            self._rows = rows.cast_column(self._image, datasets.Image(decode=False))
            labels = labels_in(rows.features, label, rows[label][:], where)
        super().__init__(path, labels, class_names(rows.features, label))

    def _face(self, index: int) -> Face:
        where = f"{self.path}: row {index}"
        with _explained(where):
            value = self._rows[index][self._image]
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
        if "://" in name or not inside:
            raise BadInput(f"{where} names the file {name!r}, which is not in this folder; put the images there")
        return file


@contextmanager
def _explained(where: str) -> Iterator[None]:
    """Turns whatever `datasets` makes of a broken folder into one sentence."""
    try:
        yield
    except (BadInput, MemoryError):
        raise
    except Exception as error:
        raise BadInput(f"{where}: `datasets` cannot load it ({brief(error)})") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps `datasets` from drawing bars of its own between ours, and from saying what it raises anyway."""
    import datasets

    disabled, verbosity = datasets.are_progress_bars_disabled(), datasets.logging.get_verbosity()
    datasets.disable_progress_bars()
    datasets.logging.set_verbosity(datasets.logging.CRITICAL)
    try:
        yield
    finally:
        datasets.logging.set_verbosity(verbosity)
        if not disabled:
            datasets.enable_progress_bars()


def _load(path: Path) -> Any:
    import datasets
    import pyarrow as pa
    import pyarrow.parquet as pq

    with os_errors_as_bad_input(path):
        tables = [path] if path.is_file() else [*sorted(path.rglob("*.parquet")), *path.rglob("*.arrow")]
        pipe = next((file for file in tables if not file.is_file()), None)
    if pipe is not None:
        raise BadInput(f"{pipe}: not a regular file; put the file itself there")
    parquet = [str(file) for file in tables if file == path or file.suffix == ".parquet"]
    splits = sorted({Path(file).name.split("-")[0] for file in parquet if "-" in Path(file).name})
    if len(splits) > 1:
        raise BadInput(f"{path}: holds the splits {', '.join(splits)}; give a folder with the files of one")
    for file in parquet:
        with os_errors_as_bad_input(Path(file)), open_regular(Path(file)) as opened:
            check_unpacked(file, opened, pq.ParquetFile(opened), Path(file).stat().st_size)
    with _quiet():
        if parquet:
            return datasets.load_dataset("parquet", data_files=parquet, split="train")
        for file in _data_files(path):
            with pa.memory_map(file) as mapped:
                check_stream(file, mapped)
        loaded = datasets.load_from_disk(str(path))
    if not isinstance(loaded, datasets.DatasetDict):
        return loaded
    if len(loaded) != 1:
        first = path / next(iter(loaded))
        raise BadInput(f"{path}: holds the splits {', '.join(loaded)}; name one, such as {first}")
    return next(iter(loaded.values()))


def _data_files(path: Path) -> Iterator[str]:
    """The files that the parts of a folder say that their rows are in, whatever else lies there."""
    for state in sorted(path.rglob("state.json")):
        for each in parse_json(read_bytes(state))["_data_files"]:
            name = Path(each["filename"])
            if name.is_absolute() or ".." in name.parts:
                raise BadInput(f"{state}: names the data file {str(name)!r}, which is not beside it; put it there")
            if not (state.parent / name).is_file():
                raise BadInput(f"{state}: names the data file {str(name)!r}, which is not there; get it again")
            yield str(state.parent / name)
