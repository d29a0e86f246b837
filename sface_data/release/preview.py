"""A contact sheet: rows are classes, columns are images of the class."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from sface_data.dataset.found_faces import found_faces
from sface_data.dataset.manifest import Manifest
from sface_data.dataset.plan import SamplePlan, key_of
from sface_data.dataset.shard_reader import read_member, scan_shard
from sface_data.errors import BadInput
from sface_data.io.files import atomic_write, open_regular, os_errors_as_bad_input
from sface_data.io.images import decode_image
from sface_data.runtime.arguments import StrPath, checks_arguments

PREVIEW = "preview.png"
_ROWS, _COLUMNS = 8, 8
_CELL = 112  # pixels
_GAP = 3  # between images of a class
_ROW_GAP = 12  # between classes
_MARGIN = 32
_LABEL = 76  # width of the numbers of the classes
_INK, _PALE, _PAPER = (24, 24, 27), (82, 82, 91), (255, 255, 255)
_TITLE, _TEXT, _NUMBER = 34, 19, 22  # sizes of type: the smallest can be read at half the size


@checks_arguments
def preview(directory: StrPath, out: StrPath) -> None:
    """Draws a contact sheet of a data set: rows are classes, columns are images of the class, at most 8 x 8.

    Args:
        directory: a finished data set.
        out: the PNG to write.

    Raises:
        BadInput: if it is no data set, an image is missing or broken, or the name does not end in `.png`.

    Example:
        >>> sface_data.preview("faces", "grid.png")
    """
    path, folder = Path(out), Path(directory)
    if path.suffix.lower() != ".png":
        raise BadInput(f"{path}: the name of the picture must end in .png")
    write_preview(folder, Manifest.load(folder), path)


def write_preview(directory: Path, manifest: Manifest, path: Path) -> None:
    """Draws the contact sheet of the data set in `directory` into a PNG."""
    image = draw_preview(directory, manifest)
    with atomic_write(path) as file:
        image.save(file, "png")


def draw_preview(directory: Path, manifest: Manifest) -> Image.Image:
    """The contact sheet as an RGB picture."""
    plan = manifest.plan
    rows = min(_ROWS, len(plan.classes))
    columns = min(_COLUMNS, plan.samples_per_class)
    # Spread over all classes, the first one included.
    classes = [plan.classes[i * len(plan.classes) // rows] for i in range(rows)]
    images = read_images(directory, plan, classes, columns)
    title, lines = _caption(manifest)
    wide = max(_font(_TITLE).getlength(title), *(_font(_TEXT).getlength(line) for line in lines))
    width = 2 * _MARGIN + max(_LABEL + columns * (_CELL + _GAP) - _GAP, int(wide) + 1)
    top = _MARGIN + int(1.3 * _TITLE) + len(lines) * int(1.5 * _TEXT) + 18
    height = top + rows * (_CELL + _ROW_GAP) - _ROW_GAP + _MARGIN
    sheet = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((_MARGIN, _MARGIN), title, font=_font(_TITLE), fill=_INK, anchor="lt")
    for row, line in enumerate(lines):
        y = _MARGIN + int(1.3 * _TITLE) + row * int(1.5 * _TEXT)
        draw.text((_MARGIN, y), line, font=_font(_TEXT), fill=_PALE, anchor="lt")
    for row, c in enumerate(classes):
        y = top + row * (_CELL + _ROW_GAP)
        number = str(c)
        draw.text((_MARGIN, y + _CELL // 2), number, font=_font(_NUMBER), fill=_PALE, anchor="lm")
        for column in range(columns):
            cell = Image.fromarray(images[c, column])
            cell = cell.resize((_CELL, _CELL), Image.Resampling.LANCZOS) if cell.width != _CELL else cell
            sheet.paste(cell, (_MARGIN + _LABEL + column * (_CELL + _GAP), y))
    return sheet


def read_images(
    directory: Path, plan: SamplePlan, classes: list[int], images_per_class: int
) -> dict[tuple[int, int], np.ndarray]:
    """The first images of some classes by class and number, uint8 [H,W,3], reading no more than they take.

    Raises:
        BadInput: if one is missing or broken.
    """
    faces = found_faces(directory, plan)
    rows = {c: row for row, c in enumerate(plan.classes)}
    by_shard: dict[int, dict[str, tuple[int, int]]] = {}
    for number in range(images_per_class):
        for c in classes:
            shard = (number * len(plan.classes) + rows[c]) // plan.samples_per_shard
            index = number if faces is None else int(faces.indices[rows[c], number])
            by_shard.setdefault(shard, {})[key_of(c, index)] = (c, number)
    images = {}
    for shard, wanted in sorted(by_shard.items()):
        keys = set(wanted)
        path = directory / plan.shard_filename(shard)
        with os_errors_as_bad_input(path), open_regular(path) as file:
            for entry in scan_shard(path):
                if entry.key in keys and plan.image.format in entry.members:
                    data = read_member(file, entry.members[plan.image.format])
                    images[wanted[entry.key]] = decode_image(data, f"{path}: {entry.key}", plan.image.format)
                    if len(keys := keys - {entry.key}) == 0:
                        break
        if keys:
            raise BadInput(f"{path}: {min(keys)}.{plan.image.format} is missing; make the data set again")
    return images


def _caption(manifest: Manifest) -> tuple[str, list[str]]:
    """What stands above the images: a title, and lines of smaller type."""
    plan = manifest.plan
    truncation = plan.truncation
    towards = " towards the class" if truncation.psi != 1 and truncation.center == "class" else ""
    made = f"data set {plan.fingerprint[:12]}, psi {truncation.psi:g}{towards}, seed {plan.base_seed}"
    kind = "classes"
    if plan.identities is not None:
        kind = f"mixtures of {plan.identities.mix} people" if plan.identities.mix else "new identities"
    return f"{manifest.num_samples:,} synthetic faces, {len(plan.classes):,} {kind}", [
        made,
        f"generator {plan.generator_sha256[:12]}; each row is one class",
    ]


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
