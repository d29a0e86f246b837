"""Hair of the head: where it grows, how it is painted, its volume, and the curtain of long hair."""

from dataclasses import dataclass

import numpy as np

from sface_data.rendered import atlas
from sface_data.rendered.colour import blend
from sface_data.rendered.geometry import Floats, Ints
from sface_data.rendered.identity import Hair
from sface_data.rendered.noise import ValueNoise, smoothstep
from sface_data.rendered.skin import Grain

# Height of the hairline, in decimetres above the eyes, along z from the nape past the ear to the temple; in
# front of that it follows from the identity.
_HAIRLINE_Z = (-1.7, -1.25, -1.0, -0.82, -0.7, -0.52, -0.3, -0.05)
_HAIRLINE_Y = (-0.75, -0.65, -0.35, 0.13, -0.12, 0.12)
_CURTAIN_COLUMNS, _CURTAIN_RINGS = 49, 18
_CENTRE = 0.3  # height of the widest ring of the skull above the eyes, decimetres


def above_hairline(hair: Hair, rest: Floats) -> Floats:
    """How far above the hairline points of the resting head [N,3] lie, in decimetres; negative is skin."""
    x, y, z = rest.T
    side = np.abs(x)
    heights = (*_HAIRLINE_Y, hair.hairline - 0.16, hair.hairline)
    line = np.interp(z, _HAIRLINE_Z, heights).astype(np.float32)
    line = line - hair.peak * smoothstep(0.25, 0, side) * (z > -0.4)
    line = line + hair.recession * smoothstep(0.1, 0.5, side) * (z > -0.6) * (y > 0.3)
    ear = (side > 0.69) & (y < 0.16) & (z > -1.25)
    return np.where(ear, np.float32(-1), y - line)


def paint_scalp(
    hair: Hair, colour: Floats, gloss: Floats, rest: Floats, grain: Grain, noise: ValueNoise
) -> tuple[Floats, Floats, Floats]:
    """Colour [N,3] and gloss [N] of the skin with hair on it, and the hair's share [N]."""
    if hair.style == "bald":
        return colour, gloss, np.zeros_like(gloss)
    x, y, z = rest.T
    strands = np.stack([6 * np.arctan2(x - 0.3 * hair.parting, y + 0.2), 0.8 * z, 0.3 * y], axis=1)
    strand: Floats = 0.6 * noise.at(strands, 7) + 0.4 * noise.at(strands + 7, 19)
    edge: Floats = above_hairline(hair, rest) + 0.12 * grain.medium + 0.03 * strand
    soft, dense = (0.12, 0.62) if hair.style == "buzz" else (0.07, 0.95)
    cover = dense * smoothstep(-0.01, soft, edge)
    colour = blend(colour, _strand_colour(hair, strand + 0.3 * grain.fine), cover)
    return colour, gloss * (1 - cover) + 0.35 * (1 + 1.5 * strand) * cover, cover


def _strand_colour(hair: Hair, strand: Floats) -> Floats:
    return hair.colour * np.exp(1.5 * strand)[..., None]


def thickness(hair: Hair, rest: Floats, noise: ValueNoise) -> Floats:
    """How far hair stands off the scalp at points [N,3], in decimetres."""
    if hair.style not in ("short", "long"):
        return np.zeros(len(rest), np.float32)
    return hair.volume * smoothstep(0, 0.22, above_hairline(hair, rest)) * (1 + 0.5 * noise.at(rest, 4))


@dataclass(frozen=True)
class Curtain:
    """Long hair: a sheet that hangs around the back and the sides of the head."""

    vertices: Floats  # [C,3] decimetres, as the head's
    triangles: Ints  # [K,3] into `vertices`, seen from outside
    uv: Floats  # [C,2] x, y in texels
    texture: Floats  # [CURTAIN_ROWS, COLUMNS, 5] colour, gloss, hair's share
    occlusion: Floats  # [C] share of the sky seen


def hang_curtain(hair: Hair, skull: Floats, noise: ValueNoise) -> Curtain:
    """The curtain around a skull, given the points [N,3] of its scalp with the hair's volume."""
    angles, down = np.meshgrid(  # [rings, columns]
        np.linspace(-1, 1, _CURTAIN_COLUMNS, dtype=np.float32),
        np.linspace(0, 1, _CURTAIN_RINGS, dtype=np.float32),
    )
    half_width = np.quantile(np.abs(skull[:, 0]), 0.995)
    back, front = skull[:, 2].min(), skull[:, 2].max()
    crown = skull[:, 1].max() - _CENTRE
    top = _CENTRE + 0.75 * crown
    ragged = 0.12 * noise.at(np.stack([angles[0], 0 * angles[0], 0 * angles[0]], axis=1), 11)
    y = top + (-hair.length + ragged - top) * down
    below = (_CENTRE - y).clip(0)
    dome = np.sqrt(1 - ((y - _CENTRE).clip(0) / crown) ** 2)
    spread = dome * (1 + hair.flare * below) * (0.88 + 0.13 * smoothstep(0, 0.35, down))
    wave = hair.waves * np.sin(7 * y + 9 * angles) * below.clip(0, 1)
    angle = angles * hair.sweep * (0.8 + 0.2 * smoothstep(0, 0.35, down))  # the crown hides its first rings
    middle, depth = (front + back) / 2, (front - back) / 2
    x = np.sin(angle) * (half_width * spread + wave)
    z = middle - np.cos(angle) * (depth * spread + wave)
    uv = np.stack(
        [
            (angles + 1) / 2 * (atlas.COLUMNS - 1) + 0.5,
            down * (atlas.CURTAIN_ROWS - 2) + atlas.HEAD_ROWS + 1,
        ],
        axis=-1,
    )
    return Curtain(
        vertices=np.stack([x, y, z], axis=-1).reshape(-1, 3).astype(np.float32),
        triangles=_grid(_CURTAIN_RINGS, _CURTAIN_COLUMNS),
        uv=uv.reshape(-1, 2).astype(np.float32),
        texture=_paint_curtain(hair, noise),
        occlusion=(1 - 0.45 * smoothstep(0.5, 1.6, below)).ravel().astype(np.float32),
    )


def _grid(rows: int, columns: int) -> Ints:
    """Two triangles for each cell of a grid of vertices, in the order of the rows: [K,3]."""
    corner = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).ravel()
    right, lower = corner + 1, corner + columns
    cells = np.stack([corner, lower, right, right, lower, lower + 1], axis=1)
    return cells.reshape(-1, 3).astype(np.int32)


def _paint_curtain(hair: Hair, noise: ValueNoise) -> Floats:
    across, down = np.meshgrid(
        np.linspace(-1, 1, atlas.COLUMNS, dtype=np.float32),
        np.linspace(0, 1, atlas.CURTAIN_ROWS, dtype=np.float32),
    )
    points = np.stack([across, down, 0 * down], axis=-1).reshape(-1, 3)
    strand = 0.6 * noise.at(points, (40, 1.5, 1)) + 0.4 * noise.at(points + 3, (110, 2, 1))
    colour = _strand_colour(hair, strand)
    gloss = 0.35 * (1 + 1.5 * strand)
    painted = np.concatenate([colour, gloss[:, None], np.ones_like(gloss)[:, None]], axis=1)
    return painted.reshape(atlas.CURTAIN_ROWS, atlas.COLUMNS, 5).astype(np.float32)
