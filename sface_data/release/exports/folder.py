"""A folder for each class."""

from collections.abc import Iterator
from pathlib import Path

from sface_data.io.files import os_errors_as_bad_input
from sface_data.release.exports.faces import ExportedFaces


def write_folder(faces: ExportedFaces, outdir: Path) -> Iterator[int]:
    """Writes `class_000005/000005_000012.jpg` and so on, those that are missing; yields after each.

    Raises:
        BadInput: if the folder cannot be written.
    """
    end = faces.plan.image.format
    for face in faces.from_place(0):
        path = outdir / faces.plan.class_name(face.label) / f"{face.key}.{end}"
        with os_errors_as_bad_input(path):
            if not path.is_file() or path.stat().st_size != len(face.data):
                path.parent.mkdir(exist_ok=True)
                unfinished = path.with_name(f".{path.name}.part")
                try:
                    unfinished.write_bytes(face.data)  # not synced, file by file: all are read again in the end
                    unfinished.replace(path)
                except BaseException:
                    unfinished.unlink(missing_ok=True)
                    raise
        yield 1
