"""A contact sheet: rows are classes, columns are images of the class."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from sface_data.errors import BadInput
from sface_data.files import atomic_write, explained
from sface_data.plan import SamplePlan, class_name, key_of
from sface_data.shards.alignment import found_faces
from sface_data.shards.images import decode
from sface_data.shards.index import DatasetIndex
from sface_data.shards.reader import read_member, scan_shard

PREVIEW = "preview.png"
_ROWS, _COLUMNS = 8, 8
_CELL = 112  # pixels
_GAP = 4
_MARGIN = 24
_LABEL = 112  # width of the class names
_CAPTION = 76  # height of the caption
_INK, _PALE, _PAPER = (24, 24, 27), (113, 113, 122), (255, 255, 255)


def write_preview(directory: Path, index: DatasetIndex, path: Path) -> None:
    """Draws images of the data set in `directory` into a PNG, at most eight classes by eight images."""
    image = draw_preview(directory, index)
    with atomic_write(path) as file:
        image.save(file, "png", optimize=True)


def draw_preview(directory: Path, index: DatasetIndex) -> Image.Image:
    """The contact sheet as an RGB picture."""
    plan = index.plan
    rows = min(_ROWS, len(plan.classes))
    columns = min(_COLUMNS, plan.samples_per_class)
    # Spread over all classes, the first one included.
    classes = [plan.classes[i * len(plan.classes) // rows] for i in range(rows)]
    images = read_images(directory, plan, classes, columns)
    width = 2 * _MARGIN + _LABEL + columns * (_CELL + _GAP) - _GAP
    caption = _caption(index)
    width = max(width, 2 * _MARGIN + int(max(_font(size).getlength(text) for text, size, _ in caption)))
    height = 2 * _MARGIN + _CAPTION + rows * (_CELL + _GAP) - _GAP
    sheet = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(sheet)
    y = _MARGIN
    for text, size, ink in caption:
        draw.text((_MARGIN, y), text, font=_font(size), fill=ink)
        y += size + 8
    for row, c in enumerate(classes):
        y = _MARGIN + _CAPTION + row * (_CELL + _GAP)
        draw.text((_MARGIN, y + _CELL // 2), class_name(c), font=_font(15), fill=_PALE, anchor="lm")
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
    places = {c: place for place, c in enumerate(plan.classes)}
    by_shard: dict[int, dict[str, tuple[int, int]]] = {}
    for number in range(images_per_class):
        for c in classes:
            shard = (number * len(plan.classes) + places[c]) // plan.samples_per_shard
            index = number if faces is None else int(faces.indices[places[c], number])
            by_shard.setdefault(shard, {})[key_of(c, index)] = (c, number)
    images = {}
    for shard, wanted in sorted(by_shard.items()):
        keys = set(wanted)
        path = directory / plan.shard_filename(shard)
        with explained(path), path.open("rb") as file:
            for entry in scan_shard(path):
                if entry.key in keys and plan.image.format in entry.members:
                    try:
                        images[wanted[entry.key]] = decode(read_member(file, entry.members[plan.image.format]))
                    except BadInput as error:
                        raise BadInput(f"{path}: {entry.key}: {error}") from error
                    if len(keys := keys - {entry.key}) == 0:
                        break
        if keys:
            raise BadInput(f"{path}: {min(keys)}.{plan.image.format} is missing; make the data set again")
    return images


def _caption(index: DatasetIndex) -> list[tuple[str, int, tuple[int, int, int]]]:
    plan = index.plan
    counts = f"{index.num_samples:,} synthetic faces, {len(plan.classes):,} classes"
    truncation = plan.truncation
    towards = " towards the class" if truncation.psi != 1 and truncation.center == "class" else ""
    making = f"generator {plan.generator_sha256[:12]}, psi {truncation.psi:g}{towards}, seed {plan.base_seed}"
    return [(counts, 22, _INK), (making, 15, _PALE)]


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
