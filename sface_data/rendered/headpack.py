"""The head mesh and its shape targets (`headpack.npz`, see `NOTICE` beside it)."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sface_data.rendered.geometry import Floats, Ints

BODY, LEFT_EYE, RIGHT_EYE, LASHES, TEETH = range(5)
PATH = Path(__file__).with_name("headpack.npz")


@dataclass(frozen=True)
class HeadPack:
    """A head with V vertices, F triangles and T shape targets.

    Lengths are in decimetres; the origin lies between the eyes of `rest`, x points to the head's own left, y
    up, z out of the face. Left and right are the head's own.
    """

    base: Floats  # [V,3] what targets are added to
    rest: Floats  # [V,3] an average young face: the coordinates in which skin and hair are painted
    texcoords: Floats  # [V,2] u, v in 0..1; v points up
    weld: Ints  # [V] first vertex at the same place (others along the texture's seams)
    triangles: Ints  # [F,3]
    part: NDArray[np.int8]  # [F] BODY, LEFT_EYE, ...
    occlusion: Floats  # [V] share of the sky that the vertex sees, 0..1
    lips: NDArray[np.uint8]  # [R,R] mask over the texture, first row at v = 1
    landmarks: Ints  # [3] vertices: tip of the nose, right and left corner of the mouth
    names: tuple[str, ...]  # [T] of the targets, such as `id:nose:nose-hump-incr`
    targets: NDArray[np.int16]  # [T,V,3] in units of `unit`
    unit: float  # decimetres per step of `targets`

    def vertices_of(self, *parts: int) -> NDArray[np.int64]:
        """The vertices of some parts, ascending."""
        return np.unique(self.triangles[np.isin(self.part, parts)])

    def index(self, name: str) -> int:
        """The row of a target. Raises ValueError for a name that is not there."""
        return self.names.index(name)

    def displacement(self, weights: Floats) -> Floats:
        """The sum of the targets under `weights` [T]: how far each vertex moves, [V,3]."""
        moved = np.zeros(self.base.shape, np.float32)
        for row in np.nonzero(weights)[0]:
            moved += weights[row] * self.targets[row]
        return moved * np.float32(self.unit)


@cache
def load() -> HeadPack:
    """The head pack of the package, read once per process."""
    with np.load(PATH, allow_pickle=False) as arrays:
        values = {name: arrays[name] for name in arrays.files}
    names = tuple(str(name) for name in values.pop("names"))
    return HeadPack(names=names, unit=float(values.pop("unit")), **values)


@cache
def expression(name: str) -> Floats:
    """The displacement [V,3] of one facial action at full strength, such as `jawOpen`."""
    pack = load()
    return pack.targets[pack.index(f"ex:{name}")] * np.float32(pack.unit)
