"""InsightFace's RecordIO (`train.rec`, `train.idx`, `property`), read by the rules of the format.

A `.rec` file is a sequence of records, each at a multiple of 4 bytes: the magic number, a word with a
continuation flag in its upper 3 bits and a length in its lower 29, that many bytes, padding to 4 bytes. Where
the magic number occurs in the data at a multiple of 4, it is taken out and the data goes on in another record
(flags 1 first, 2 middle, 3 last; 0 whole). The data begins with a header: flag, label, two identifiers; with
a flag above 0 as many labels follow, then the encoded image. The `.idx` file lists number and offset of each
record. In InsightFace's files record 0 has no image but two labels, a and b: records 1 to a - 1 are images,
records a to b - 1 name the images of one identity each, and are not needed.
"""

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sface_data.errors import BadInput
from sface_data.io.files import MAX_ARRAYS, PiecedFile, exists, read_bytes

MAGIC = 0xCED7230A
_WORDS = struct.Struct("<II")  # magic number; flag and length
HEADER = struct.Struct("<IfQQ")  # flag, label, id, id2
MAGIC_BYTES = struct.pack("<I", MAGIC)
_MOST_CLASSES = 1 << 24  # labels are 32-bit floats, which count no further
_LENGTH_MASK = (1 << 29) - 1


@dataclass(frozen=True)
class RecordIORecord:
    """The data of one record."""

    labels: tuple[float, ...]
    image: bytes


@dataclass(frozen=True)
class RecordFile:
    """A `.rec` file and where its records begin."""

    file: PiecedFile
    numbers: NDArray[np.int64]  # [N] as the `.idx` calls the records
    offsets: NDArray[np.int64]  # [N] bytes

    def read(self, index: int) -> RecordIORecord:
        """The record at `index` of the list.

        Raises:
            BadInput: if there is none at its offset, or it is cut off.
        """
        where = f"{self.file.path}: record {self.numbers[index]}"
        data = self._join(int(self.offsets[index]), where)
        if len(data) < HEADER.size:
            raise BadInput(f"{where} is too short for a header; get or make the file again")
        flag, label, _, _ = HEADER.unpack_from(data)
        if not flag:
            return RecordIORecord((label,), data[HEADER.size :])
        end = HEADER.size + 4 * flag
        if len(data) < end:
            raise BadInput(f"{where} is too short for its {flag} labels; get or make the file again")
        return RecordIORecord(struct.unpack_from(f"<{flag}f", data, HEADER.size), data[end:])

    def label(self, index: int) -> float:
        """The first label of the record at `index`, without reading its image. Raises as `read` does."""
        offset = int(self.offsets[index])
        _, length = self._words(offset, f"{self.file.path}: record {self.numbers[index]}")
        if length < HEADER.size + 4:  # no room for a label after the header: odd, or in parts
            return self.read(index).labels[0]
        start = self.file.read(offset + _WORDS.size, HEADER.size + 4)
        flag, label, _, _ = HEADER.unpack_from(start)
        return struct.unpack_from("<f", start, HEADER.size)[0] if flag else label

    def end(self, index: int) -> int:
        """Where the record at `index` ends, padded. Raises as `read` does."""
        offset = int(self.offsets[index])
        where = f"{self.file.path}: record {self.numbers[index]}"
        while True:
            flag, length = self._words(offset, where)
            offset += _WORDS.size + length + -length % 4
            if flag in (0, 3):
                return offset

    def _join(self, offset: int, where: str) -> bytes:
        parts = []
        while True:
            flag, length = self._words(offset, where)
            parts.append(self.file.read(offset + _WORDS.size, length))
            offset += _WORDS.size + length + -length % 4
            if (flag in (0, 1)) != (len(parts) == 1):
                raise BadInput(f"{where}: a record in parts has lost one; get or make the file again")
            if flag in (0, 3):
                return MAGIC_BYTES.join(parts)

    def _words(self, offset: int, where: str) -> tuple[int, int]:
        """Continuation flag and length at an offset."""
        if offset < 0 or offset + _WORDS.size > self.file.size:
            raise BadInput(f"{where} begins at byte {offset}, beyond the end; its .idx belongs to another file")
        magic, word = _WORDS.unpack(self.file.read(offset, _WORDS.size))
        if magic != MAGIC:
            raise BadInput(
                f"{where}: wrong magic number at byte {offset}; not a RecordIO file, or damaged, or the .idx "
                "belongs to another file"
            )
        length = word & _LENGTH_MASK
        if offset + _WORDS.size + length > self.file.size:
            raise BadInput(f"{where}: the file ends in the middle of it; get or make the file again")
        return word >> 29, length


def open_records(path: Path) -> RecordFile:
    """A `.rec` file, with the `.idx` beside it if there is one; without, the records are counted from 0.

    Raises:
        BadInput: if it cannot be read, is empty, or its `.idx` is not a list of numbers.
    """
    file = PiecedFile.at(path)
    if file.size == 0:
        raise BadInput(f"{path}: is empty; get or make the file again")
    listing = path.with_suffix(".idx")
    if exists(listing):
        numbers, offsets = _read_index(listing)
        return RecordFile(file, numbers, offsets)
    nothing = np.zeros(0, np.int64)
    offsets = _walk(RecordFile(file, nothing, nothing))
    return RecordFile(file, np.arange(len(offsets)), offsets)


def _read_index(path: Path) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    lines = read_bytes(path, MAX_ARRAYS).split()
    try:
        table = np.array(lines, dtype=np.int64).reshape(-1, 2)
    except (ValueError, OverflowError) as error:
        raise BadInput(f"{path}: not a list of record numbers and offsets, one record a line") from error
    if not len(table):
        raise BadInput(f"{path}: lists no records; make it again, or remove it to read the .rec without it")
    if len(np.unique(table[:, 0])) != len(table):
        raise BadInput(f"{path}: a record number comes twice; make the .idx again")
    table = table[np.argsort(table[:, 0])]
    return table[:, 0], table[:, 1]


def _walk(records: RecordFile) -> NDArray[np.int64]:
    """The offsets of all records, by going from each to the next."""
    offsets: list[int] = []
    offset = 0
    while offset < records.file.size:
        flag, length = records._words(offset, f"{records.file.path}: record {len(offsets)}")
        if flag in (0, 1):
            offsets.append(offset)
        offset += _WORDS.size + length + -length % 4
    return np.array(offsets, np.int64)


@dataclass(frozen=True)
class LabelledRecords:
    """The images of a `.rec` file."""

    records: RecordFile
    labels: NDArray[np.int64]  # [N]
    indices: NDArray[np.int64]  # [N] in `records`


def open_labelled(path: Path) -> LabelledRecords:
    """The images of a `.rec` file with their labels, found without reading the images.

    Raises:
        BadInput: as `open_records` and `RecordFile.read`; for records that the `.idx` does not list, and fewer
            images than record 0 says there are; for labels that are no class numbers, or that go beyond the number
            of classes in the file `property`.
    """
    records = open_records(path)
    first = records.read(0)
    indices = np.arange(len(records.offsets))
    if len(first.labels) == 2 and not first.image:  # where the images end
        indices = indices[(records.numbers > records.numbers[0]) & (records.numbers < first.labels[0])]
    labels = np.array([_label(records, int(index)) for index in indices], np.int64)
    if len(first.labels) == 2 and not first.image:
        _check_count(records, len(labels), first.labels[0])
    _check_listed(records)
    classes = _number_of_classes(path.with_name("property"))
    if classes is not None and len(labels) and labels.max() >= classes:
        number = records.numbers[indices[labels.argmax()]]
        raise BadInput(
            f"{path}: record {number} has label {labels.max()}, but `property` says there are {classes} classes"
        )
    return LabelledRecords(records, labels, indices)


def _check_count(records: RecordFile, count: int, stop: float) -> None:
    """Raises BadInput if there are not as many images as record 0 says: all up to the record `stop`."""
    declared = max(stop - 1 - records.numbers[0], 0)
    if count != declared:
        raise BadInput(
            f"{records.file.path}: its first record says that there are {declared:,.0f} images, and {count:,} are "
            "there; get or make the file and its .idx again"
        )


def _check_listed(records: RecordFile) -> None:
    """Raises BadInput if there are bytes in the file that no record of the `.idx` covers."""
    covered = 0
    for index in np.argsort(records.offsets, kind="stable").tolist():
        if records.offsets[index] != covered:
            break
        covered = records.end(index)
    if covered < records.file.size:
        raise BadInput(
            f"{records.file.path}: at byte {covered} is something that its .idx does not list; make the .idx "
            "again, or remove it to read the .rec without it"
        )


def _label(records: RecordFile, index: int) -> int:
    label = records.label(index)
    if not (0 <= label < _MOST_CLASSES and label.is_integer()):
        raise BadInput(
            f"{records.file.path}: record {records.numbers[index]} has label {label}, not a class number"
        )
    return int(label)


def _number_of_classes(path: Path) -> int | None:
    """The first number of the file `property`: `classes,height,width`. None if there is no such file."""
    if not exists(path):
        return None
    text = read_bytes(path).decode(errors="replace")
    first = text.split(",")[0].strip()
    if not first.isdecimal() or len(first) > 18:
        raise BadInput(f"{path}: should hold `classes,height,width` and holds {text[:40]!r}")
    return int(first)
