"""Small geometry: rotations, normals of a mesh."""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]


def rotation(yaw: float, pitch: float, roll: float) -> Floats:
    """The rotation [3,3] of a head: first about y (yaw), then x (pitch), then z (roll); angles in degrees."""
    (sy, sp, sr), (cy, cp, cr) = (
        np.sin(np.radians([yaw, pitch, roll])),
        np.cos(np.radians([yaw, pitch, roll])),
    )
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return (about_z @ about_x @ about_y).astype(np.float32)


def unit(vectors: Floats) -> Floats:
    """`vectors` [N,D] at length 1; a zero vector stays zero."""
    length = np.sqrt(np.einsum("nd,nd->n", vectors, vectors))
    return vectors / np.maximum(length, 1e-9)[:, None]


def incidence(triangles: Ints, weld: Ints) -> sparse.csr_matrix:
    """Which triangles touch which vertex: sparse [V,F], 1 where they do.

    Args:
        triangles: [F,3].
        weld: [V], the first vertex at the same place; vertices along a texture's seam share their triangles.
    """
    faces = np.repeat(np.arange(len(triangles)), 3)
    shape = (len(weld), len(triangles))
    touching = sparse.csr_matrix((np.ones(len(faces), np.float32), (weld[triangles.ravel()], faces)), shape)
    return touching[weld]


def vertex_normals(vertices: Floats, triangles: Ints, touching: sparse.csr_matrix) -> Floats:
    """Unit normals [V,3] of `vertices` [V,3]: the mean of the touching triangles' weighted by their area."""
    a, b, c = (vertices[triangles[:, corner]] for corner in range(3))
    (ux, uy, uz), (vx, vy, vz) = (b - a).T, (c - a).T
    normals = np.stack([uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx], axis=1)
    return unit(touching @ normals)
