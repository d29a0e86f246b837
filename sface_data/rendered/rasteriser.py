"""Which triangle each pixel sees: a z-buffer in numpy."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sface_data.rendered.geometry import Floats, Ints

_EDGE = -1e-4  # a pixel on the edge of two triangles is seen by at least one of them


@dataclass(frozen=True)
class Fragments:
    """The pixels that a mesh covers, and the point of the mesh that each of them sees."""

    pixel: NDArray[np.int64]  # [P] row * size + column, ascending
    triangle: Ints  # [P] index into the triangles
    weights: Floats  # [P,3] barycentric, of the triangle's corners
    depth: Floats  # [P] distance from the camera

    def interpolate(self, triangles: Ints, values: Floats) -> Floats:
        """The values [V,C] of the vertices, at the points seen: [P,C]."""
        count = len(self.pixel)
        corners = triangles[self.triangle].ravel()
        starts = np.arange(0, 3 * count + 1, 3)
        matrix = sparse.csr_matrix((self.weights.ravel(), corners, starts), (count, len(values)))
        return matrix @ values


def rasterise(points: Floats, depth: Floats, triangles: Ints, size: int) -> Fragments:
    """Draws triangles into a square of `size` x `size` pixels; the nearest wins, back faces are not drawn.

    Args:
        points: [V,2] x to the right and y down, in pixels; the first pixel's centre is at (0.5, 0.5).
        depth: [V] distance from the camera, interpolated linearly on the screen.
        triangles: [F,3]; the front is where the corners run anticlockwise to the eye.
    """
    x, y, z = points[:, 0][triangles], points[:, 1][triangles], depth[triangles]  # [F,3]
    x1, x2 = x[:, 1] - x[:, 0], x[:, 2] - x[:, 0]
    y1, y2 = y[:, 1] - y[:, 0], y[:, 2] - y[:, 0]
    area = x1 * y2 - x2 * y1  # negative for front faces, as y points down
    x0, width = _span(x, size)
    y0, height = _span(y, size)
    count = np.where(area < -1e-7, width * height, 0)
    drawn = np.nonzero(count)[0]
    owner, column, row = _boxes(drawn, count, x0, y0, width)

    scale = 1 / area[owner]
    dx = column.astype(np.float32) + np.float32(0.5) - x[owner, 0]
    dy = row.astype(np.float32) + np.float32(0.5) - y[owner, 0]
    w1 = (dx * y2[owner] - dy * x2[owner]) * scale
    w2 = (dy * x1[owner] - dx * y1[owner]) * scale
    inside = np.nonzero(np.minimum(np.minimum(w1, w2), 1 - w1 - w2) >= _EDGE)[0]
    owner, w1, w2 = owner[inside], w1[inside], w2[inside]
    pixel = row[inside] * size + column[inside]
    corner = z[owner]
    distance = corner[:, 0] + w1 * (corner[:, 1] - corner[:, 0]) + w2 * (corner[:, 2] - corner[:, 0])

    nearest = np.full(size * size, np.inf, np.float32)
    np.minimum.at(nearest, pixel, distance)
    first = np.nonzero(distance == nearest[pixel])[0]
    winner = np.full(size * size, -1)
    winner[pixel[first]] = first  # of two at the same distance, the later triangle
    covered = np.nonzero(winner >= 0)[0]
    seen = winner[covered]
    w1, w2 = w1[seen], w2[seen]
    weights = np.stack([1 - w1 - w2, w1, w2], axis=1)
    return Fragments(covered, owner[seen].astype(np.int32), weights, distance[seen])


def _span(coordinates: Floats, size: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First pixel and number of pixels whose centres lie between the corners' extremes: each [F]."""
    first = np.ceil(coordinates.min(1) - 0.5).clip(0, size)
    last = np.floor(coordinates.max(1) - 0.5).clip(-1, size - 1)
    return first.astype(np.int64), (last - first + 1).clip(0).astype(np.int64)


def _boxes(
    drawn: NDArray[np.int64],
    count: NDArray[np.int64],
    x0: NDArray[np.int64],
    y0: NDArray[np.int64],
    width: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Every pixel of the boxes around the triangles `drawn`: triangle, column and row, each [total]."""
    sizes = count[drawn]
    owner = np.repeat(drawn, sizes)
    offset = np.arange(len(owner)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    down = offset // width[owner]
    return owner, x0[owner] + offset - down * width[owner], y0[owner] + down
