"""The order in which faces are shown."""

import numpy as np


class ShuffledIndices:
    """The order in which faces are shown: pass after pass, each shuffled anew; a function of the seed.

    Args:
        faces: how many there are.
        mirror: each is also shown mirrored, as if it were another.
    """

    def __init__(self, faces: int, mirror: bool, seed: int) -> None:
        self._faces = faces
        self._length = faces * (2 if mirror else 1)
        self._seed = seed
        self._pass = -1
        self._shuffled = np.empty(0, np.int64)

    def indices(self, first: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Faces number `first` and on of the run: indices int64 [count], and which are mirrored, bool [count]."""
        found = np.array([self._at(position) for position in range(first, first + count)])
        return found % self._faces, found >= self._faces

    def _at(self, position: int) -> int:
        number, offset = divmod(position, self._length)
        if number != self._pass:
            rng = np.random.Generator(np.random.Philox(key=self._seed, counter=[0, 0, 0, number]))
            self._pass, self._shuffled = number, rng.permutation(self._length)
        return int(self._shuffled[offset])
