"""Where on the head each texel of an identity's texture lies, and how a texture is sampled."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from sface_data.rendered import headpack
from sface_data.rendered.geometry import Floats
from sface_data.rendered.rasteriser import rasterise

# The mesh's own texture coordinates, and the texel to which each knot goes: the face gets most of the texels,
# the back of the head and the empty parts of the layout few.
_U, _COLUMN = (0, 0.587, 0.770, 0.923, 1), (0, 75, 141, 301, 320)
_V, _ROW = (0, 0.217, 0.392, 0.655, 0.833, 1), (484, 455, 380, 100, 25, 0)
HEAD_ROWS, COLUMNS = 484, 320
CURTAIN_ROWS = 64  # long hair has its own rows below those of the head
ROWS = HEAD_ROWS + CURTAIN_ROWS


@dataclass(frozen=True)
class Atlas:
    """The layout of the head's part of the texture; the same for all identities."""

    uv: Floats  # [V,2] x, y of each vertex in texels, the first texel's centre at (0.5, 0.5)
    rest: Floats  # [N,3] rest coordinates of the N texels that lie on the head, in decimetres
    teeth: NDArray[np.bool_]  # [N] whether the texel lies on a tooth
    lips: Floats  # [N] 0..1
    nearest: NDArray[np.int64]  # [HEAD_ROWS * COLUMNS] which of the N each texel shows; seams are padded so


@cache
def load() -> Atlas:
    """The layout, made once per process."""
    pack = headpack.load()
    u, v = pack.texcoords.T
    uv = np.stack([np.interp(u, _U, _COLUMN), np.interp(v, _V, _ROW)], axis=1).astype(np.float32)
    drawn = np.isin(pack.part, (headpack.BODY, headpack.TEETH))
    painted = pack.triangles[drawn]
    either_side = np.concatenate([painted, painted[:, ::-1]])  # mirrored islands are painted too
    fragments = rasterise(uv, np.zeros(len(uv), np.float32), either_side, HEAD_ROWS)
    column = fragments.pixel % HEAD_ROWS  # a square of HEAD_ROWS; no island lies beyond COLUMNS
    texel = fragments.pixel // HEAD_ROWS * COLUMNS + column
    order = np.full(HEAD_ROWS * COLUMNS, -1)
    order[texel] = np.arange(len(texel))
    empty = order.reshape(HEAD_ROWS, COLUMNS) < 0
    row, column = distance_transform_edt(empty, return_distances=False, return_indices=True)
    tooth = np.tile(pack.part[drawn] == headpack.TEETH, 2)
    values = fragments.interpolate(either_side, np.concatenate([pack.rest, pack.texcoords], axis=1))
    side = len(pack.lips)
    on_mask = (np.array([0, 1], np.float32) + values[:, 3:] * np.array([1, -1], np.float32)) * np.float32(side)
    lips = sample(pack.lips[..., None] / np.float32(255), on_mask)
    return Atlas(
        uv=uv,
        rest=values[:, :3],
        teeth=tooth[fragments.triangle],
        lips=lips[:, 0],
        nearest=order[(row * COLUMNS + column).ravel()],
    )


def sample(texture: Floats, uv: Floats) -> Floats:
    """The texture [H,W,C] at `uv` [P,2] (x, y in texels), interpolated bilinearly: [P,C]."""
    height, width, channels = texture.shape
    x = (uv[:, 0] - 0.5).clip(0, width - 1.001).astype(np.float32)
    y = (uv[:, 1] - 0.5).clip(0, height - 1.001).astype(np.float32)
    column, row = x.astype(np.int64), y.astype(np.int64)
    right, down = (x - column).astype(np.float32)[:, None], (y - row).astype(np.float32)[:, None]
    texels = texture.reshape(-1, channels)
    first = row * width + column
    upper = texels[first] + (texels[first + 1] - texels[first]) * right
    lower = texels[first + width] + (texels[first + width + 1] - texels[first + width]) * right
    return upper + (lower - upper) * down
