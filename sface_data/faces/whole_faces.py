"""The faces of a source that can be decoded, where the others are to be left out."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from sface_data.errors import BadInput
from sface_data.faces.base import Face, Source
from sface_data.io.images import BrokenImage
from sface_data.runtime.pool import cores
from sface_data.runtime.prefetch import prefetch
from sface_data.runtime.progress import progress_bar

_AT_ONCE = 256  # faces that a thread decodes in one go


class WholeFaces(Source):
    """A source without the images that cannot be decoded; classes keep their names and numbers.

    Every image is decoded once to see which those are.

    Attributes:
        left_out: how many images are missing.

    Raises:
        BadInput: if a file cannot be read at all, or no image of a class can be decoded.
    """

    def __init__(self, source: Source) -> None:
        self.path, self._source = source.path, source
        kept = np.fromiter(_decodable(source), bool, len(source))
        self.class_names, self.class_indices = source.class_names, source.class_indices[kept]
        empty = np.flatnonzero(np.bincount(self.class_indices, minlength=len(self.class_names)) == 0)
        if len(empty):
            raise BadInput(
                f"{source.path}: no image of the class {self.class_names[empty[0]]!r} can be decoded; take the "
                "class out, or get its images again"
            )
        self._places = np.flatnonzero(kept)
        self.left_out = len(source) - len(self)

    def _face(self, index: int) -> Face:
        return self._source[int(self._places[index])]


def _decodable(source: Source) -> Iterable[bool]:
    """Of each face in order, whether it can be decoded."""

    def tried(start: int) -> list[bool]:
        return [_is_whole(source[index]) for index in range(start, min(start + _AT_ONCE, len(source)))]

    threads = min(cores(), 8)
    with (
        progress_bar(len(source), "faces", desc="decoding", delay=1) as bar,
        ThreadPoolExecutor(threads) as pool,
    ):
        for found in prefetch(pool, tried, range(0, len(source), _AT_ONCE), threads + 1):
            bar.update(len(found))
            yield from found


def _is_whole(face: Face) -> bool:
    try:
        face.decode()
    except BrokenImage:
        return False
    return True
