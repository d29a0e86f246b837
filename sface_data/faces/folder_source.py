"""Labelled faces in a folder per identity."""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from sface_data.errors import BadInput
from sface_data.faces.base import Face, Label, Source
from sface_data.io.files import APPLE_DOUBLE, check_utf8, os_errors_as_bad_input, read_bytes, read_json
from sface_data.io.images import EXTENSIONS, UNREAD_EXTENSIONS

STYLEGAN_LABELS = "dataset.json"  # beside the images, as StyleGAN's data set tool writes it
_STYLEGAN_FILE = re.compile(r"\d{5}/img\d{8}\.\w+")
_SPLITS = frozenset(("train", "training", "val", "valid", "validation", "test", "testing", "eval", "dev"))


class FolderSource(Source):
    """A folder per identity: `NAME/any/thing.jpg` is of class NAME. Files that are no images are not looked at.

    Where `dataset.json` says the classes, as in folders by StyleGAN's data set tool, they are read from it.
    """

    def __init__(self, path: Path) -> None:
        _check_hidden(path)
        with os_errors_as_bad_input(path):
            children = sorted(child for child in path.iterdir() if not child.name.startswith("."))
            listed = (path / STYLEGAN_LABELS).is_file()
        astray = [child.name for child in children if is_image(child.name) and child.is_file()]
        if astray and not listed:
            raise BadInput(
                f"{path / astray[0]}: lies in no identity's folder; images belong into one folder per identity"
            )
        self._files: list[str] = astray
        labels: list[Label] = []
        for child in children:
            if child.is_dir():
                images = sorted(_images_below(child))
                if not images:
                    raise BadInput(f"{child}: no image in this identity's folder; fill or delete it")
                self._files += images
                labels += [child.name] * len(images)
        for file in self._files:
            check_utf8(path, file)
        if listed:
            labels = _stylegan_labels(path / STYLEGAN_LABELS, self._files)
        else:
            _check_layout(path, self._files)
        super().__init__(path, labels)

    def _face(self, index: int) -> Face:
        key = self._files[index]
        file = self.path / key
        return Face(key, int(self.class_indices[index]), read_bytes(file), str(file))


def _stylegan_labels(path: Path, files: Sequence[str]) -> list[Label]:
    """The classes of files by `dataset.json`: `{"labels": [["00000/img00000000.png", 6], ...]}`."""
    content = read_json(path)
    listed = content.get("labels") if isinstance(content, dict) else None
    if not isinstance(listed, list):
        raise BadInput(f"{path}: has no `labels`; make the data set again from one with labels")
    label_of = {}
    for row in listed:
        match row:
            case [str(name), int(label)] if not isinstance(label, bool) and label >= 0:
                label_of[name] = label
            case _:
                raise BadInput(f"{path}: should list pairs of a file and a class number; it has {str(row)[:80]!r}")
    lost = next((name for name in files if name not in label_of), None)
    if lost is not None:
        raise BadInput(f"{path}: has no label for {lost}")
    if len(label_of) != len(files):
        lost = next(name for name in label_of if name not in set(files))
        raise BadInput(f"{path}: lists {lost}, which is not there; get or make the folder again")
    return [label_of[name] for name in files]


def _check_layout(path: Path, files: Sequence[str]) -> None:
    """Raises BadInput for folders that are no identities: splits, and the numbered ones of StyleGAN's tool."""
    parts = [file.split("/") for file in files]
    splits = sorted({part[0] for part in parts})
    if splits and _SPLITS.issuperset(name.lower() for name in splits) and all(len(part) > 2 for part in parts):
        raise BadInput(f"{path}: holds the splits {', '.join(splits)}; give one, such as {path / splits[0]}")
    if parts and all(_STYLEGAN_FILE.fullmatch(file) for file in files):
        raise BadInput(
            f"{path}: laid out by StyleGAN's data set tool, whose folders are no identities, and its "
            f"{STYLEGAN_LABELS} with the labels is not there"
        )


def _images_below(folder: Path) -> Iterator[str]:
    """The images in a folder and in those below it, named from the folder above."""

    def refused(error: OSError) -> None:
        raise BadInput(f"{error.filename}: {error.strerror}") from error

    for name, folders, files in os.walk(folder, onerror=refused):
        folders[:] = sorted(below for below in folders if not below.startswith("."))
        linked = next((below for below in folders if (Path(name) / below).is_symlink()), None)
        if linked is not None:
            raise BadInput(f"{Path(name) / linked}: a link to a folder; put the images themselves there")
        unread = next((file for file in files if _is_unread(file)), None)
        if unread is not None:
            raise BadInput(f"{Path(name) / unread}: an image of a kind that is not read; convert or remove it")
        below = Path(name).relative_to(folder.parent).as_posix()
        yield from (f"{below}/{file}" for file in files if is_image(file))


def _check_hidden(path: Path) -> None:
    """Raises BadInput for an image that is hidden, or lies in a hidden folder."""
    for name, _, files in os.walk(path):
        below = os.sep + "." in name[len(str(path)) :]
        for file in files:
            if (below or file.startswith(".")) and _suffix(file) in EXTENSIONS | UNREAD_EXTENSIONS:
                hidden = Path(name) / file
                if not file.startswith("._") or not read_bytes(hidden).startswith(APPLE_DOUBLE):
                    raise BadInput(f"{hidden}: is hidden, and only some readers read it; rename or remove it")


def is_image(name: str) -> bool:
    """Whether a file of this name is taken for the image of a face."""
    return not name.startswith(".") and _suffix(name) in EXTENSIONS


def _is_unread(name: str) -> bool:
    return not name.startswith(".") and _suffix(name) in UNREAD_EXTENSIONS


def _suffix(name: str) -> str:
    return name.rpartition(".")[2].lower()
