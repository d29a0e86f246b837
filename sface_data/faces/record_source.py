"""Labelled faces in RecordIO: InsightFace's, and DCFace's, which tells classes by a list beside it."""

from pathlib import Path

import numpy as np

from sface_data.errors import BadInput
from sface_data.faces.base import Face, Label, Source
from sface_data.faces.recordio import LabelledRecords, open_labelled, open_records
from sface_data.io.files import MAX_ARRAYS, is_file, read_bytes

LIST = "list.txt"  # number of each record, a tab, and the path that its image had: the folder in it is the class


class RecordSource(Source):
    """Labelled images in a `.rec` file.

    Args:
        labels: the classes of the images where the labels in the file are none.
    """

    def __init__(self, path: Path, images: LabelledRecords, labels: list[Label] | None = None) -> None:
        self._images = images
        super().__init__(path, images.labels.tolist() if labels is None else labels)

    def _face(self, index: int) -> Face:
        records, at = self._images.records, int(self._images.indices[index])
        number = records.numbers[at]
        where = f"{self.path}: record {number}"
        return Face(f"{number:08d}", int(self.class_indices[index]), records.read(at).image, where)


def open_record(path: Path) -> RecordSource:
    """A `.rec` file. With a `list.txt` beside it, as DCFace's code writes it, its classes are those of the list.

    Raises:
        BadInput: as `open_labelled`; if the list is none, or names other records than there are.
    """
    listing = path.with_name(LIST)
    if not is_file(listing):
        return RecordSource(path, open_labelled(path))
    labels = _listed(listing)
    records = open_records(path)
    numbers = records.numbers.tolist()
    if labels.keys() != set(numbers):
        odd = min(labels.keys() ^ set(numbers))
        where, other = (listing, path) if odd in labels else (path, listing)
        raise BadInput(f"{where}: has the record {odd}, which {other} has not; get both again")
    zeros = np.zeros(len(numbers), np.int64)
    return RecordSource(
        path, LabelledRecords(records, zeros, np.arange(len(numbers))), [labels[n] for n in numbers]
    )


def _listed(path: Path) -> dict[int, Label]:
    """The class of each record: the last folder in the path of its image."""
    labels: dict[int, Label] = {}
    for line in read_bytes(path, MAX_ARRAYS).decode("utf-8", "replace").splitlines():
        number, tab, name = line.partition("\t")
        folder = name.replace("\\", "/").rpartition("/")[0].rpartition("/")[2]
        if not tab or not number.isdecimal() or not folder:
            raise BadInput(f"{path}: should have lines of a number, a tab and FOLDER/IMAGE; it has {line[:80]!r}")
        labels[int(number)] = folder
    return labels
