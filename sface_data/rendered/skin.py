"""Skin: its colour with blotches, wrinkles, freckles and moles, lips, brows and beard.

All functions paint points of the resting head [N,3] in decimetres: origin between the eyes, x to the head's
left, y up, z out of the face.
"""

from dataclasses import dataclass

import numpy as np

from sface_data.rendered.colour import blend, linear, tint
from sface_data.rendered.geometry import Floats
from sface_data.rendered.identity import Brows, Identity, Skin
from sface_data.rendered.noise import ValueNoise, bump, smoothstep

TOOTH = linear(225, 215, 195)


@dataclass(frozen=True)
class Grain:
    """Noise on the head at three scales, each [N] in -0.5..0.5."""

    coarse: Floats
    medium: Floats
    fine: Floats


def grain_at(rest: Floats, noise: ValueNoise) -> Grain:
    return Grain(noise.at(rest, 3), noise.at(rest + 5, 9), noise.at(rest + 3, 38))


def paint_face(
    identity: Identity, rest: Floats, lips: Floats, grain: Grain, noise: ValueNoise
) -> tuple[Floats, Floats]:
    """Linear colour [N,3] and gloss [N] of the skin with all that grows on it but the hair of the head."""
    skin = identity.skin
    colour = _paint_skin(skin, rest, grain)
    colour = _paint_age(skin, colour, rest, grain)
    colour = _paint_spots(skin, colour, rest, grain)
    lips = lips * np.float32(0.85)
    red = np.array([1 + skin.lip_redness, 0.62, 0.66], np.float32)
    lip_colour = skin.colour * (1 - 0.45 * skin.lip_depth) * red * (1 + 0.25 * grain.fine)[:, None]
    colour = blend(colour, lip_colour, lips)
    if identity.beard != "none":
        whiskers = _beard(identity.beard, rest) * identity.beard_density * (1 - smoothstep(0.2, 0.6, lips))
        whiskers *= (0.75 + 0.6 * noise.at(rest, (60, 21, 60))).clip(0, 1.2)
        colour = blend(colour, identity.brows.colour, whiskers.clip(0, 0.95))
    colour = blend(colour, identity.brows.colour, _brow_cover(identity.brows, rest, noise))
    gloss = 0.22 * (1 + grain.fine) + 0.25 * lips * (1 + skin.lip_gloss)
    return colour, gloss


def _paint_skin(skin: Skin, rest: Floats, grain: Grain) -> Floats:
    """Blotches, red cheeks, nose and ears, dark rings below and a shade above the eyes."""
    x, y, _ = rest.T
    side = np.abs(x)
    blotch = 2 * skin.blotches * grain.coarse + 1.5 * skin.blotches * grain.medium + 0.1 * grain.fine
    colour = skin.colour * np.exp(blotch[:, None] * np.array([0.8, 1.1, 1.2], np.float32))
    red = skin.cheeks * bump(side, 0.38, 0.2) * bump(y, -0.38, 0.2)
    red += 0.1 * bump(x, 0, 0.14) * bump(y, -0.38, 0.14) + 0.12 * smoothstep(0.66, 0.72, side)
    colour = tint(colour, red, (0, 0.45, 0.4))
    rings = skin.eye_bags * bump(side, 0.29, 0.173) * bump(y, -0.14, 0.077)
    colour = tint(colour, rings, (0.35, 0.45, 0.35))
    lids = 0.3 * bump(side, 0.29, 0.173) * bump(y, 0.07, 0.055)
    return tint(colour, lids, (0.4, 0.5, 0.45))


def _paint_age(skin: Skin, colour: Floats, rest: Floats, grain: Grain) -> Floats:
    """Folds beside the mouth, lines on the forehead, crow's feet."""
    if skin.wrinkles < 0.02:
        return colour
    x, y, z = rest.T
    side = np.abs(x)
    folds = bump(side - 0.24 - (-0.45 - y) / 3, 0, 0.035)
    folds *= smoothstep(-0.78, -0.6, y) * smoothstep(-0.32, -0.45, y)
    lines = smoothstep(0.6, 1, np.sin(55 * y + 2 * grain.medium)) * (z > -0.25)
    lines *= 0.5 * smoothstep(0.25, 0.35, y) * smoothstep(0.75, 0.6, y)
    feet = smoothstep(0.5, 1, np.sin(60 * (y + 0.9 * (side - 0.5))))
    feet *= 0.5 * bump(side, 0.5, 0.077) * bump(y, 0, 0.11)
    return colour * (1 - 0.42 * (skin.wrinkles * (folds + lines + feet)).clip(0, 1))[:, None]


def _paint_spots(skin: Skin, colour: Floats, rest: Floats, grain: Grain) -> Floats:
    """Freckles and moles."""
    x, y, z = rest.T
    if skin.freckles > 0:
        freckles = smoothstep(0.24, 0.36, grain.fine + 0.25 * grain.medium) * (y > -0.7) * (y < 0.2)
        colour = tint(colour, (skin.freckles * freckles).clip(0, 0.7), (0.35, 0.5, 0.6))
    for mole in skin.moles:
        distance = np.hypot(x - mole.x, y - mole.y)
        spot = 0.75 * smoothstep(1.3 * mole.radius, 0.6 * mole.radius, distance) * (z > -0.6)
        colour = colour * (1 - spot)[:, None]
    return colour


def _beard(kind: str, rest: Floats) -> Floats:
    """How much of the skin [N] a beard covers where it grows."""
    x, y, z = rest.T
    side = np.abs(x)
    cheeks = smoothstep(-0.05, -0.22, y + 0.9 * (side - 0.62)) * (z > -0.95)
    cheeks *= smoothstep(-0.5, -0.62, y - 0.55 * (side - 0.25).clip(0)) * smoothstep(-1.25, -1.1, y)
    moustache = smoothstep(0.3, 0.24, side) * smoothstep(-0.47, -0.51, y) * smoothstep(-0.68, -0.64, y)
    chin = smoothstep(0.26, 0.18, side) * smoothstep(-0.74, -0.8, y) * smoothstep(-1.25, -1.1, y)
    if kind == "moustache":
        return 0.9 * moustache
    if kind == "goatee":
        return 0.9 * np.maximum(moustache, chin)
    return (0.35 if kind == "stubble" else 0.95) * np.maximum(cheeks, moustache)


def _brow_cover(brows: Brows, rest: Floats, noise: ValueNoise) -> Floats:
    """How much of the skin [N] the brows cover."""
    x, y, z = rest.T
    along = (np.abs(x) - brows.inner) / (brows.outer - brows.inner)  # 0 at the inner end, 1 at the outer
    middle = brows.height + brows.arch * (1 - (2 * along - 1.1) ** 2) + brows.tilt * (along - 0.5) / 2
    taper = (0.55 + 0.75 * smoothstep(-0.05, 0.25, along)) * (1 - 0.75 * smoothstep(0.45, 1.05, along))
    across = np.abs(y - middle) / (brows.thickness * taper)
    cover = smoothstep(1.15, 0.35, across) * smoothstep(-0.06, 0.08, along) * smoothstep(1.05, 0.9, along)
    cover *= brows.density * (z > -0.6) * (0.85 + 0.5 * noise.at(rest + 2, (72, 36, 45)))
    return cover.clip(0, 0.95)
