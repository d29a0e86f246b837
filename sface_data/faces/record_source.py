"""Labelled faces in InsightFace's RecordIO."""

from pathlib import Path

from sface_data.faces.base import Face, Source
from sface_data.faces.recordio import LabelledRecords, open_labelled


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
