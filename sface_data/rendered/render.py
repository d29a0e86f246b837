"""One image: a head under a variation."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sface_data.rendered import atlas, headpack
from sface_data.rendered.colour import blend
from sface_data.rendered.eyes import paint_eye
from sface_data.rendered.film import average, develop, paint_backdrop
from sface_data.rendered.geometry import Floats, unit, vertex_normals
from sface_data.rendered.head import Head
from sface_data.rendered.noise import smoothstep
from sface_data.rendered.pose import Posed, pose
from sface_data.rendered.rasteriser import Fragments, rasterise
from sface_data.rendered.shading import light_frame, lit_share, shade, shadow_map
from sface_data.rendered.variation import Variation

_SHIRT = (-1.75, -1.8)  # decimetres below the eyes at which the shirt begins


@dataclass(frozen=True)
class Picture:
    """A rendered face."""

    image: NDArray[np.uint8]  # [size, size, 3] RGB
    landmarks: Floats  # [5,2] x, y in pixels, the centre of the first being (0, 0): as in `pose.TEMPLATE`


def landmarks_of(head: Head, variation: Variation, size: int = 112) -> Floats:
    """The landmarks that `render` gives, without drawing the image."""
    return pose(head, variation).landmarks_in(size)


def render(head: Head, variation: Variation, size: int = 112, supersampling: int = 2) -> Picture:
    """Draws one face, aligned as ArcFace's faces are.

    Args:
        size: side of the image in pixels.
        supersampling: each pixel is the mean of that many squared.
    """
    posed = pose(head, variation)
    side = size * supersampling
    points = posed.points * np.float32(side)
    fragments = rasterise(points, posed.depth, head.surface.triangles, side)
    layer = np.zeros((side * side, 4), np.float32)  # linear colour, opacity
    layer[fragments.pixel, :3] = _colour(head, variation, posed, fragments)
    layer[fragments.pixel, 3] = 1
    _draw_lashes(layer, head, posed, points, fragments)
    small = average(layer.reshape(side, side, 4), supersampling)
    linear = small[..., :3] + paint_backdrop(variation.backdrop, size) * (1 - small[..., 3:])
    return Picture(develop(linear, variation.film), posed.landmarks_in(size))


def _colour(head: Head, variation: Variation, posed: Posed, fragments: Fragments) -> Floats:
    """The linear colour [P,3] of the surface at the fragments."""
    surface, light = head.surface, variation.light
    frame = light_frame(light.direction)
    to_light = posed.vertices @ frame.T
    normals = vertex_normals(posed.vertices, surface.outside, surface.touching)
    by_vertex = np.concatenate([head.fixed, normals, to_light], axis=1)
    values = fragments.interpolate(surface.triangles, by_vertex)  # [P,12]
    uv, sky, offset, height = values[:, :2], values[:, 2].clip(0, 1), values[:, 3:5], values[:, 5]
    normal, in_light = unit(values[:, 6:9]), values[:, 9:12]
    painted = atlas.sample(head.texture, uv)
    albedo, gloss, hairy = painted[:, :3], painted[:, 3], painted[:, 4]
    power = 14 + 10 * hairy
    shirt = smoothstep(*_SHIRT, height)
    albedo, gloss = blend(albedo, variation.backdrop.shirt, shirt), gloss * (1 - shirt)
    part = surface.part[fragments.triangle]
    eye = np.nonzero((part == headpack.LEFT_EYE) | (part == headpack.RIGHT_EYE))[0]
    albedo[eye] = paint_eye(head.identity.eyes, offset[eye], variation.gaze)
    gloss[eye], power[eye], sky[eye] = 1.6, 90, 0.8
    sky[part == headpack.TEETH] = 0.55
    highest = shadow_map(to_light, surface.triangles)
    lit = lit_share(highest, in_light, normal @ frame.T)
    return shade(albedo, gloss, power, normal, sky, lit, light)


def _draw_lashes(layer: Floats, head: Head, posed: Posed, points: Floats, under: Fragments) -> None:
    """Darkens `layer` [side * side, 4] where lashes stand before the surface."""
    pack = headpack.load()
    lashes = pack.triangles[pack.part == headpack.LASHES]
    either_side = np.concatenate([lashes, lashes[:, ::-1]])
    side = int(np.sqrt(len(layer)))
    hairs = rasterise(points, posed.depth, either_side, side)
    depth = np.full(len(layer), np.inf, np.float32)
    depth[under.pixel] = under.depth
    upper = hairs.interpolate(either_side, pack.rest[:, 1:2])[:, 0] > 0
    opacity = head.identity.eyes.lashes * np.where(upper, 0.9, 0.25) * (hairs.depth - 0.05 < depth[hairs.pixel])
    before = layer[hairs.pixel]
    layer[hairs.pixel, :3] = blend(before[:, :3], np.full(3, 0.01, np.float32), opacity.astype(np.float32))
