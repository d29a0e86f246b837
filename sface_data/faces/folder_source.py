"""Labelled faces in a folder per identity."""

import os
from collections.abc import Iterator
from pathlib import Path

from sface_data.errors import BadInput
from sface_data.faces.base import Face, Label, Source
from sface_data.io.files import os_errors_as_bad_input, read_bytes
from sface_data.io.images import EXTENSIONS


class FolderSource(Source):
    """A folder per identity: `NAME/any/thing.jpg` is of class NAME. Other files are not looked at."""

    def __init__(self, path: Path) -> None:
        with os_errors_as_bad_input(path):
            children = sorted(child for child in path.iterdir() if not child.name.startswith("."))
        astray = next((child for child in children if _is_image(child.name) and child.is_file()), None)
        if astray is not None:
            raise BadInput(f"{astray}: lies in no identity's folder; images belong into one folder per identity")
        self._files: list[str] = []
        labels: list[Label] = []
        for child in children:
            if child.is_dir():
                images = sorted(_images_below(child))
                if not images:
                    raise BadInput(f"{child}: no image in this identity's folder; fill or delete it")
                self._files += images
                labels += [child.name] * len(images)
        super().__init__(path, labels)

    def _face(self, index: int) -> Face:
        key = self._files[index]
        file = self.path / key
        return Face(key, int(self.class_indices[index]), read_bytes(file), str(file))


def _images_below(folder: Path) -> Iterator[str]:
    """The images in a folder and in those below it, named from the folder above."""

    def refused(error: OSError) -> None:
        raise BadInput(f"{error.filename}: {error.strerror}") from error

    for name, folders, files in os.walk(folder, onerror=refused):
        folders[:] = sorted(below for below in folders if not below.startswith("."))
        linked = next((below for below in folders if (Path(name) / below).is_symlink()), None)
        if linked is not None:
            raise BadInput(f"{Path(name) / linked}: a link to a folder; put the images themselves there")
        below = Path(name).relative_to(folder.parent).as_posix()
        yield from (f"{below}/{file}" for file in files if _is_image(file))


def _is_image(name: str) -> bool:
    return not name.startswith(".") and name.rpartition(".")[2].lower() in EXTENSIONS
