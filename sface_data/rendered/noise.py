"""Value noise and the smooth step: what skin, hair and brows are textured with."""

import numpy as np
from scipy.ndimage import map_coordinates

from sface_data.rendered.geometry import Floats

_LATTICE = 24


class ValueNoise:
    """Smooth random values at every point of space, repeating every 24 cells of a random lattice."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._lattice = rng.random((_LATTICE, _LATTICE, _LATTICE), np.float32) - np.float32(0.5)

    def at(self, points: Floats, cells_per_unit: float | tuple[float, float, float]) -> Floats:
        """Values [N] in -0.5..0.5 at `points` [N,3]; the lattice has that many cells per unit of length."""
        positions = (points * np.asarray(cells_per_unit, np.float32)).T % _LATTICE
        return map_coordinates(self._lattice, positions, np.float32, order=1, mode="grid-wrap")


def smoothstep(start: float, end: float, values: Floats) -> Floats:
    """0 up to `start`, 1 from `end` on, a smooth ramp between; falls where `end` is below `start`."""
    ramp = ((values - start) / (end - start)).clip(0, 1)
    return ramp * ramp * (3 - 2 * ramp)


def bump(values: Floats, centre: float, width: float) -> Floats:
    """A bell: 1 at `centre`, 1/e at `width` from it."""
    return np.exp(-(((values - centre) / width) ** 2))
