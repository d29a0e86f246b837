"""A folder of rendered faces: one sub-folder per identity, the landmarks of all, and what was asked for."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from pathlib import Path

import simplejpeg

from sface_data.errors import BadInput
from sface_data.io.files import (
    atomic_write,
    exists,
    os_errors_as_bad_input,
    pretty_json,
    read_bytes,
    read_json,
    write_text,
)
from sface_data.io.folders import check_folder, claim_folder, differences
from sface_data.rendered.head import Head, bake
from sface_data.rendered.identity import draw_identity
from sface_data.rendered.render import landmarks_of, render
from sface_data.rendered.variation import draw_variation
from sface_data.runtime.pool import process_pool

RENDERER = 1  # goes up when the same request gives other images
REQUEST, LANDMARKS, README = "request.json", "landmarks.csv", "README.md"
_KIND = "rendered faces"
QUALITY = 95  # of the JPEG files, with colour at full resolution
POINTS = ("right_eye", "left_eye", "nose", "mouth_right", "mouth_left")
_JPEG_END = b"\xff\xd9"
_BLOCK = 32  # images of one identity that a worker makes at a time


@dataclass(frozen=True)
class RenderRequest:
    """A set of rendered faces before it exists. Image (identity, index) depends on the last three only."""

    identities: int
    images_per_identity: int
    size: int = 112  # pixels
    seed: int = 0
    strength: float = 0.8  # of the variation

    def __post_init__(self) -> None:
        if not (1 <= self.identities <= 999_999 and 1 <= self.images_per_identity <= 999_999):
            raise BadInput("the numbers of identities and of images per identity must be from 1 to 999,999")
        if not (16 <= self.size <= 1024 and self.seed >= 0 and 0 <= self.strength <= 1.5):
            raise BadInput("size must be from 16 to 1024 pixels, seed at least 0, strength from 0 to 1.5")

    def __len__(self) -> int:
        return self.identities * self.images_per_identity


@dataclass(frozen=True)
class Block:
    """Some images of one identity, the unit of work."""

    identity: int
    first: int
    count: int


@dataclass(frozen=True)
class BlockResult:
    """A finished block."""

    new: int  # images that were not there before
    found: int  # images that were


def image_name(identity: int, index: int) -> str:
    """The path of an image in its folder."""
    return f"{identity:06d}/{index:06d}.jpg"


def fill_folder(outdir: Path, request: RenderRequest, workers: int) -> Iterator[BlockResult]:
    """Makes the images that are missing in `outdir`, in `workers` processes; yields after each block.

    Image by image the folder is the same however often the work was interrupted and whatever `workers` is.

    Raises:
        BadInput: if the folder holds anything else, or faces of another request, or is being filled by
            another process, or cannot be written.
    """
    check_folder(outdir, _KIND, partial(_held, outdir, request))
    return _fill(outdir, request, workers)


def _fill(outdir: Path, request: RenderRequest, workers: int) -> Iterator[BlockResult]:
    with claim_folder(outdir, _KIND, partial(_held, outdir, request)):
        write_text(outdir / REQUEST, pretty_json(_record(request)))
        if not exists(outdir / README):  # somebody may have written more into it
            write_text(outdir / README, _readme(request))
        blocks = -(-request.images_per_identity // _BLOCK) * request.identities
        with (
            process_pool(min(workers, blocks), partial(_Folder, outdir, request), "rendered faces") as pool,
            atomic_write(outdir / LANDMARKS) as table,
        ):
            table.write(_row("file", *(f"{point}_{axis}" for point in POINTS for axis in "xy")))
            for rows, progress in pool.map(_Folder.make, _blocks(request)):
                table.write(rows)
                yield progress


def _held(outdir: Path, request: RenderRequest) -> RenderRequest | None:
    if not exists(outdir / REQUEST):
        return None
    there, asked = read_json(outdir / REQUEST), _record(request)
    if there != asked:
        raise BadInput(
            f"{outdir}: holds faces of another request; choose another folder or ask for the same. "
            "Asked for, and held:",
            *differences(asked, there),
        )
    return request


def _record(request: RenderRequest) -> dict[str, int | float]:
    return {"renderer": RENDERER, **asdict(request)}


def _blocks(request: RenderRequest) -> Iterator[Block]:
    for identity in range(request.identities):
        for first in range(0, request.images_per_identity, _BLOCK):
            yield Block(identity, first, min(_BLOCK, request.images_per_identity - first))


@dataclass(frozen=True)
class _Folder:
    """What a worker fills."""

    path: Path
    request: RenderRequest

    def make(self, block: Block) -> tuple[bytes, BlockResult]:
        """Makes what is missing of a block; gives the rows of landmarks of all its images."""
        request, head = self.request, _head(self.request.seed, block.identity)
        with os_errors_as_bad_input(self.path):
            (self.path / f"{block.identity:06d}").mkdir(exist_ok=True)
        rows, new = b"", 0
        for index in range(block.first, block.first + block.count):
            variation = draw_variation(request.seed, block.identity, index, request.strength)
            name = image_name(block.identity, index)
            if _is_whole(self.path / name):
                points = landmarks_of(head, variation, request.size)
            else:
                picture = render(head, variation, request.size)
                with atomic_write(self.path / name) as file:
                    file.write(simplejpeg.encode_jpeg(picture.image, QUALITY, "RGB", "444"))
                points = picture.landmarks
                new += 1
            rows += _row(name, *(f"{value:.3f}" for value in points.ravel()))
        return rows, BlockResult(new, block.count - new)


def _is_whole(path: Path) -> bool:
    """Whether an image is there and ends as a JPEG file does."""
    if not exists(path):
        return False
    return read_bytes(path).endswith(_JPEG_END)


@lru_cache(maxsize=1)
def _head(seed: int, identity: int) -> Head:
    return bake(draw_identity(seed, identity))


def _row(*values: str) -> bytes:
    """A line of a CSV file, of values without commas and quotes."""
    return (",".join(values) + "\n").encode()


def _readme(request: RenderRequest) -> str:
    return f"""# Rendered faces of nobody

{len(request)} images of {request.identities} identities, {request.size} x {request.size} pixels, drawn by a
computer from a mesh and random numbers. No photograph, scan or other data of a person went into them; a
likeness to anyone is chance.

- `000000/000000.jpg`: identity / image, JPEG of quality {QUALITY}, aligned to the ArcFace template.
- `{LANDMARKS}`: for each image x and y in pixels of the head's own right eye, left eye, tip of the nose,
  right and left corner of the mouth, known exactly; the centre of the first pixel is (0, 0).
- `{REQUEST}`: what was asked for.

Made by the following command; the same versions of sface-data and its libraries on the same kind of machine
make the same bytes:

    sface-data render --outdir DIR --identities {request.identities} \\
        --images-per-identity {request.images_per_identity} --size {request.size} \\
        --seed {request.seed} --strength {request.strength!r}

To the extent possible under law, all rights are waived: CC0 1.0 Universal
(https://creativecommons.org/publicdomain/zero/1.0/). The mesh is MakeHuman's, also CC0.
"""
