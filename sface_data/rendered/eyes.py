"""Eyes: white, iris and pupil on the flat shell that the mesh has for an eye."""

import numpy as np

from sface_data.rendered.colour import blend, linear
from sface_data.rendered.geometry import Floats
from sface_data.rendered.identity import Eyes
from sface_data.rendered.noise import smoothstep

_WHITE = linear(228, 222, 216)
_PUPIL = np.full(3, 0.008, np.float32)


def paint_eye(eyes: Eyes, offset: Floats, gaze: Floats) -> Floats:
    """Linear colour [P,3] of points of an eye.

    Args:
        offset: [P,2] x, y from the eye's centre, in its radii.
        gaze: [2] where the iris is, in half radii.
    """
    dx, dy = (offset - gaze / 2).T
    radius = np.hypot(dx, dy)
    white = _WHITE * (1 - 0.35 * smoothstep(0.5, 1, radius)[:, None] * np.array([0.4, 1, 1], np.float32))
    spokes = 1.25 + 0.16 * np.sin(18 * np.arctan2(dy, dx))
    ring = 1 - 0.6 * smoothstep(eyes.iris - 0.16, eyes.iris, radius)
    colour = blend(
        white, eyes.colour * (spokes * ring)[:, None], smoothstep(eyes.iris + 0.05, eyes.iris - 0.05, radius)
    )
    colour = blend(colour, _PUPIL, smoothstep(0.27, 0.21, radius))
    lid_shadow = 1 - 0.6 * smoothstep(0.05, 0.75, offset[:, 1])
    return colour * lid_shadow[:, None]
