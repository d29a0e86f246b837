"""The order in which faces are shown."""

from collections.abc import Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray


class ShuffledIndices:
    """The order in which faces are shown: pass after pass, each shuffled anew.

    A function of the seed: a pass is a permutation of all faces, so that no buffer has to stand in for a
    shuffle, and any moment of a run can be found again.

    Args:
        count: number of faces.
        mirror: `both` shows each face mirrored as well, as if it were another; a number is the probability that
            a face is mirrored, drawn for each face and pass.
    """

    def __init__(self, count: int, mirror: Literal["both"] | float, seed: int) -> None:
        self._count = count
        self._mirror = mirror
        self._length = count * (2 if mirror == "both" else 1)
        self._seed = seed
        self._pass = -1
        self._order = np.empty(0, np.int64), np.empty(0, np.bool_)

    def indices(self, first: int, count: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Faces number `first` and on of the run: indices int64 [count], and which are mirrored, bool [count]."""
        parts = list(self._parts(first, count))
        return np.concatenate([indices for indices, _ in parts]), np.concatenate([flips for _, flips in parts])

    def _parts(self, first: int, count: int) -> Iterator[tuple[NDArray[np.int64], NDArray[np.bool_]]]:
        """The same, pass by pass."""
        while count:
            number, offset = divmod(first, self._length)
            indices, mirrored = self._of_pass(number)
            part = slice(offset, offset + count)
            yield indices[part], mirrored[part]
            shown = len(indices[part])
            first, count = first + shown, count - shown

    def _of_pass(self, number: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        if number != self._pass:
            shuffled = self._numbers(0, number).permutation(self._length)
            if self._mirror == "both":
                mirrored = shuffled >= self._count
            else:
                mirrored = self._numbers(1, number).random(self._count) < self._mirror
            self._pass, self._order = number, (shuffled % self._count, mirrored)
        return self._order

    def _numbers(self, purpose: int, number: int) -> np.random.Generator:
        return np.random.Generator(np.random.Philox(key=self._seed, counter=[0, 0, purpose, number]))
