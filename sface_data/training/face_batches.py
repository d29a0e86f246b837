"""Batches of faces for training: shuffled, and decoded before the step that needs them."""

import itertools
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sface_data.runtime.prefetch import prefetch
from sface_data.training.distributed import ProcessGroup
from sface_data.training.shuffle import ShuffledIndices


class FaceBatches:
    """The batches of a run: pass after pass over all faces, each in an order of its own.

    A batch at the seam of two passes has faces of both: every face is shown once a pass, and every batch is
    full. A batch depends on neither the number of threads nor that of processes; each process reads its own
    rows only: of the batch, process r of n has rows r, r + n, ... Memory holds `threads + 2` batches, whatever
    the number of faces.

    Args:
        read: gives the pixels of the face with an index, uint8 [R,R,3]; several threads call it.
        class_indices: class of each face, int64 [N].
        shuffled: the order of the faces.
        batch: faces a step, over all processes.
        threads: threads that read and decode.
    """

    def __init__(
        self,
        read: Callable[[int], NDArray[np.uint8]],
        class_indices: NDArray[np.int64],
        shuffled: ShuffledIndices,
        batch: int,
        group: ProcessGroup,
        threads: int = 2,
    ) -> None:
        self._read, self._class_indices, self._shuffled = read, class_indices, shuffled
        self._batch, self._threads = batch, threads
        self._rows = slice(group.rank, None, group.size)

    def from_image(self, first: int) -> Generator[tuple[Tensor, Tensor], None, None]:
        """The batches from face number `first` of the run on, without end.

        Yields:
            Pixels uint8 [n,R,R,3], RGB, and classes int64 [n] of this process.

        Raises:
            BadInput: for a face that cannot be read.
        """
        batches = (self._shuffled.indices(start, self._batch) for start in itertools.count(first, self._batch))
        shares = ((indices[self._rows], mirrored[self._rows]) for indices, mirrored in batches)
        with ThreadPoolExecutor(self._threads) as pool:
            yield from prefetch(pool, self._decode, shares, depth=self._threads + 1)

    def _decode(self, share: tuple[NDArray[np.int64], NDArray[np.bool_]]) -> tuple[Tensor, Tensor]:
        indices, mirrored = share
        faces = [self._read(index) for index in indices.tolist()]
        pixels = np.stack([face[:, ::-1] if flip else face for face, flip in zip(faces, mirrored, strict=True)])
        return torch.from_numpy(pixels), torch.from_numpy(self._class_indices[indices])
