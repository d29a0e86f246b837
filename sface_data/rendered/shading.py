"""Light on the surface: soft key light with its shadow, ambient light, gloss, rim."""

import numpy as np

from sface_data.rendered.geometry import Floats, Ints, unit
from sface_data.rendered.rasteriser import rasterise
from sface_data.rendered.variation import Light

_MAP = 192  # side of the shadow map in pixels
_PER_DM = _MAP / 4.2
_OFF_SURFACE = 0.07  # the shadow is looked up this far off the surface along its normal, decimetres
_BIAS = 0.03  # decimetres by which a point must lie behind another to be shaded by it


def light_frame(direction: Floats) -> Floats:
    """Axes of the light [3,3]: two across its direction, and the direction."""
    across = np.cross([0, 1, 0.01], direction)
    across /= np.linalg.norm(across)
    return np.stack([across, np.cross(direction, across), direction]).astype(np.float32)


def shadow_map(vertices: Floats, triangles: Ints) -> Floats:
    """Height above the light's horizon of the first thing that the light meets: [_MAP, _MAP].

    Args:
        vertices: [V,3] in the light's axes, decimetres.
    """
    fragments = rasterise(_on_map(vertices), -vertices[:, 2], triangles, _MAP)
    highest = np.full(_MAP * _MAP, -np.inf, np.float32)
    highest[fragments.pixel] = -fragments.depth
    return highest.reshape(_MAP, _MAP)


def lit_share(highest: Floats, points: Floats, normals: Floats) -> Floats:
    """The share of the key light that reaches `points` [P,3] with `normals` [P,3], in the light's axes: [P].

    Four neighbours in the map are compared and the answers interpolated, so that edges are soft; the look-up
    off the surface keeps a surface in grazing light from shading itself in stripes.
    """
    lifted = points + np.float32(_OFF_SURFACE) * normals
    x, y = (_on_map(lifted) - np.float32(0.5)).clip(0, _MAP - 1.01).T
    column, row = x.astype(np.int64), y.astype(np.int64)
    right, down = x - column, y - row
    first = row * _MAP + column
    height = lifted[:, 2] + np.float32(_BIAS)
    flat = highest.ravel()
    upper = (flat[first] < height) * (1 - right) + (flat[first + 1] < height) * right
    lower = (flat[first + _MAP] < height) * (1 - right) + (flat[first + _MAP + 1] < height) * right
    return (upper + (lower - upper) * down).astype(np.float32)


def _on_map(points: Floats) -> Floats:
    return points[:, :2] * np.array([_PER_DM, -_PER_DM], np.float32) + np.float32(_MAP / 2)


def shade(
    albedo: Floats, gloss: Floats, power: Floats, normals: Floats, sky: Floats, lit: Floats, light: Light
) -> Floats:
    """The linear colour [P,3] that the camera sees.

    Args:
        albedo: [P,3]; gloss: [P] strength of the reflection; power: [P] its sharpness.
        normals: [P,3] in the camera's axes; sky: [P] share of the sky seen; lit: [P] share of the key light.
    """
    facing = normals @ light.direction
    wrapped = ((facing + np.float32(0.25)) / np.float32(1.25)).clip(0)
    diffuse = np.stack([wrapped ** np.float32(0.85), wrapped, wrapped ** np.float32(1.08)], axis=1)
    ambient = (0.78 + 0.42 * normals[:, 1]) * sky ** np.float32(1.3)
    key = (0.9 * lit + 0.1) * (0.45 + 0.55 * sky)
    rim = 0.15 * (1 - normals[:, 2].clip(0)) ** 3
    halfway = unit((light.direction + np.array([0, 0, 1], np.float32))[None])[0]
    mirror = (normals @ halfway).clip(1e-6) ** power * gloss * (facing > -0.1) * lit * np.float32(0.35)
    colour = diffuse * light.key * key[:, None] + light.ambient * (ambient + rim)[:, None]
    return albedo * colour + light.key * mirror[:, None]
