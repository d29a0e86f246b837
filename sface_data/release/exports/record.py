"""InsightFace's RecordIO, as arcface_torch reads it; `faces/recordio.py` has the rules of the format."""

import os
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from sface_data.faces.recordio import HEADER, MAGIC_BYTES
from sface_data.io.files import os_errors_as_bad_input, read_bytes, write_text
from sface_data.release.exports.faces import ExportedFaces

RECORDS, INDEX, PROPERTY = "train.rec", "train.idx", "property"
_UNFINISHED = ".train.rec.part", ".train.idx.part"
_AT_ONCE = 1000  # images between two moments at which what was written is safe


def write_records(faces: ExportedFaces, outdir: Path) -> Iterator[int]:
    """Writes `train.rec`, `train.idx` and `property`; yields after some images how many are there.

    Record 0 says where images end and identities begin, records 1 to N are the images class by class, then one
    record a class says which of them are its own. Labels are the classes of the generator, and `property` has
    their number, also where only some of them were drawn.

    Raises:
        BadInput: if the folder cannot be written.
    """
    if (outdir / INDEX).exists():
        yield len(faces)
        return
    records, index = (outdir / name for name in _UNFINISHED)
    with os_errors_as_bad_input(records):
        offsets = _begun(records, index)
        with records.open("ab") as file, index.open("a") as listing:
            yield max(len(offsets) - 2, 0)
            for number, data in _records(faces, max(len(offsets) - 1, 0)):
                if number >= len(offsets):
                    listing.write(f"{number}\t{file.tell()}\n")
                file.write(_framed(data))
                if number % _AT_ONCE == 0 or number > len(faces):
                    file.flush()
                    listing.flush()
                if 0 < number <= len(faces):
                    yield 1
        write_text(
            outdir / PROPERTY, f"{faces.plan.num_class_names},{faces.plan.image.size},{faces.plan.image.size}"
        )
        records.replace(outdir / RECORDS)
        index.replace(outdir / INDEX)


def _begun(records: Path, index: Path) -> list[int]:
    """Where the records begin that an earlier run wrote; the last of them, maybe not whole, is taken away."""
    if not (records.is_file() and index.is_file()):
        records.unlink(missing_ok=True)
        index.unlink(missing_ok=True)
        return []
    lines = read_bytes(index, 1 << 30).split(b"\n")[:-1]  # the last one may be cut off
    size = records.stat().st_size
    offsets = [int(line.split(b"\t")[1]) for line in lines]
    offsets = offsets[: int(np.searchsorted(offsets, size))]
    os.truncate(records, offsets[-1] if offsets else 0)
    index.write_text("".join(f"{number}\t{offset}\n" for number, offset in enumerate(offsets)))
    return offsets


def _records(faces: ExportedFaces, first: int) -> Iterator[tuple[int, bytes]]:
    """The data of the records from a number on."""
    images = len(faces)
    labels, starts = np.unique(faces.labels, return_index=True)
    ends = [*starts[1:].tolist(), images]
    if first == 0:
        yield 0, _with_labels(images + 1, images + 1 + len(labels))
    for face in faces.from_place(min(max(first - 1, 0), images)):
        yield face.place + 1, HEADER.pack(0, face.label, face.place + 1, 0) + face.data
    for number, (start, end) in enumerate(zip(starts.tolist(), ends, strict=True), images + 1):
        if number >= first:
            yield number, _with_labels(start + 1, end + 1)


def _with_labels(first: int, last: int) -> bytes:
    return HEADER.pack(2, 0, 0, 0) + struct.pack("<2f", first, last)


def _framed(data: bytes) -> bytes:
    """The record of some data: in parts where the magic number stands in it, at a multiple of 4."""
    parts, start = [], 0
    at = data.find(MAGIC_BYTES)
    while at >= 0:
        if at % 4 == 0:
            parts.append(data[start:at])
            start = at + 4
        at = data.find(MAGIC_BYTES, at + (4 if at % 4 == 0 else 1))
    parts.append(data[start:])
    flags = [0] if len(parts) == 1 else [1, *[2] * (len(parts) - 2), 3]
    return b"".join(
        MAGIC_BYTES + struct.pack("<I", flag << 29 | len(part)) + part + b"\0" * (-len(part) % 4)
        for flag, part in zip(flags, parts, strict=True)
    )
