"""Faces as training of recognition takes them: decoded ahead of the step that needs them."""

import hashlib
from collections import deque
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sface_data.embedding.backbones import INPUT_SIZE
from sface_data.embedding.embedder import resized
from sface_data.errors import BadInput
from sface_data.faces.base import Source
from sface_data.training.distributed import ProcessGroup
from sface_data.training.shuffle import ShuffledIndices

_AHEAD = 3  # batches that are read while one is trained on
_PROBES = 64  # faces of which the digest of a set is taken


class FaceBatches:
    """The batches of a run: pass after pass over all faces, each in an order of its own.

    The order is a permutation of all faces, a function of seed and pass: any face can be read at any moment
    from a mapped file, so that no buffer has to stand in for a shuffle. A batch at the seam of two passes has
    faces of both: every face is shown once a pass, and every batch is full. Whether a face is mirrored is a
    function of seed, pass and place. So a batch does not depend on the number of threads or processes; each
    process reads its own rows only: of the batch, process r of n has rows r, r + n, ...

    Args:
        batch: over all processes.
        mirror: probability that a face is shown mirrored.
        threads: that read and decode.
    """

    def __init__(
        self, source: Source, batch: int, mirror: float, seed: int, team: ProcessGroup, threads: int = 2
    ) -> None:
        self.source, self.batch, self.team, self.threads = source, batch, team, threads
        self._mirror, self._seed = mirror, seed
        self._order = ShuffledIndices(len(source), mirror=False, seed=seed)
        self._flips: tuple[int, NDArray[np.bool_]] = (-1, np.empty(0, np.bool_))

    def from_image(self, first: int) -> Generator[tuple[Tensor, Tensor], None, None]:
        """The batches from face number `first` of the run on, without end.

        Yields:
            Pixels uint8 [n,112,112,3], RGB, and labels int64 [n] of this process.

        Raises:
            BadInput: for a face that cannot be read or is not square.
        """
        with ThreadPoolExecutor(self.threads) as pool:
            ahead: deque[_Pending] = deque()
            try:
                while True:
                    while len(ahead) < _AHEAD:
                        ahead.append(self._start(pool, first))
                        first += self.batch
                    yield ahead.popleft().result()
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def _start(self, pool: ThreadPoolExecutor, first: int) -> "_Pending":
        rows = slice(self.team.rank, None, self.team.size)
        places, _ = self._order.indices(first, self.batch)
        mirrored = self._mirrored(first)[rows]
        places = places[rows]
        pixels = np.empty((len(places), INPUT_SIZE, INPUT_SIZE, 3), np.uint8)
        parts = np.array_split(np.arange(len(places)), self.threads)
        tasks = [pool.submit(self._read, pixels, part, places, mirrored) for part in parts if len(part)]
        return _Pending(pixels, self.source.class_indices[places], tasks)

    def _read(
        self,
        pixels: NDArray[np.uint8],
        part: NDArray[np.int64],
        places: NDArray[np.int64],
        mirrored: NDArray[np.bool_],
    ) -> None:
        for row in part:
            face = face_pixels(self.source, int(places[row]))
            pixels[row] = face[:, ::-1] if mirrored[row] else face

    def _mirrored(self, first: int) -> NDArray[np.bool_]:
        """Which faces of the batch that begins with face number `first` are mirrored [batch]."""
        faces = len(self.source)
        found = np.empty(self.batch, np.bool_)
        for row, position in enumerate(range(first, first + self.batch)):
            number, offset = divmod(position, faces)
            if number != self._flips[0]:
                rng = np.random.Generator(np.random.Philox(key=self._seed, counter=[0, 0, 1, number]))
                self._flips = number, rng.random(faces) < self._mirror
            found[row] = self._flips[1][offset]
        return found


class _Pending:
    """A batch that threads are filling."""

    def __init__(self, pixels: NDArray[np.uint8], labels: NDArray[np.int64], tasks: list[Future[None]]) -> None:
        self._pixels, self._labels, self._tasks = pixels, labels, tasks

    def result(self) -> tuple[Tensor, Tensor]:
        for task in self._tasks:
            task.result()
        return torch.from_numpy(self._pixels), torch.from_numpy(self._labels)


def face_pixels(source: Source, place: int) -> NDArray[np.uint8]:
    """One face [112,112,3], RGB; others than of 112 pixels are resized (bicubic, without aliasing).

    Raises:
        BadInput: if it cannot be read or is not square.
    """
    face = source[place]
    pixels = face.decode()
    height, width, _ = pixels.shape
    if height != width:
        raise BadInput(f"{face.where}: {width} x {height} pixels; recognition is trained on square, aligned faces")
    return resized(pixels, INPUT_SIZE)


def faces_sha256(source: Source) -> str:
    """Tells sets of faces apart: digest of class names, labels, and some faces, spread over all."""
    digest = hashlib.sha256("\n".join(source.class_names).encode() + source.class_indices.tobytes())
    for place in np.linspace(0, len(source) - 1, min(len(source), _PROBES)).astype(int):
        face = source[int(place)]
        digest.update(f"\n{face.key}\n".encode() + hashlib.sha256(face.data).digest())
    return digest.hexdigest()
