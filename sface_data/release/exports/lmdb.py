"""LMDB as Vec2Face, HSFace and others hand it out; `faces/lmdb_source.py` has the rules."""

from collections.abc import Iterator
from pathlib import Path

from sface_data.faces.lmdb_source import CLASSES, COUNT, KEYS
from sface_data.io.files import os_errors_as_bad_input, put_in_place
from sface_data.release.exports.faces import ExportedFaces

DATABASE = "train.lmdb"
_UNFINISHED = ".train.lmdb.part"
_PAGE = 4096  # bytes; an image takes whole ones
_AT_ONCE = 1000  # images of one transaction, after which they are safe
_SPARE = 64 << 20


def write_lmdb(faces: ExportedFaces, outdir: Path) -> Iterator[int]:
    """Writes `train.lmdb`; yields after some images how many are there.

    Raises:
        BadInput: if the folder cannot be written.
    """
    import lmdb
    import msgpack

    if (outdir / DATABASE).exists():
        yield len(faces)
        return
    path = outdir / _UNFINISHED
    with os_errors_as_bad_input(path):
        most = faces.num_bytes + 3 * _PAGE * len(faces) + _SPARE
        database = lmdb.open(str(path), map_size=most, subdir=False, lock=False)
        with database:
            done = min(database.stat()["entries"], len(faces))
            yield done
            while done < len(faces):
                last = min(done + _AT_ONCE, len(faces))
                with database.begin(write=True) as transaction:
                    for face in faces.from_place(done, last):
                        transaction.put(b"%d" % face.place, msgpack.packb([face.data, face.label]))
                yield last - done
                done = last
            if database.stat()["entries"] == len(
                faces
            ):  # else it was stopped behind them: once more is other bytes
                keys = [b"%d" % place for place in range(len(faces))]
                facts = {KEYS: keys, COUNT: len(faces), CLASSES: faces.plan.num_class_names}
                with database.begin(write=True) as transaction:
                    for name, value in facts.items():
                        transaction.put(name, msgpack.packb(value))
        put_in_place(path, outdir / DATABASE)
