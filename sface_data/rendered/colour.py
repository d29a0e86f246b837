"""Colours: linear light, RGB, 0..1 of what a white surface reflects."""

import numpy as np

from sface_data.rendered.geometry import Floats

GAMMA = 2.2


def linear(red: float, green: float, blue: float) -> Floats:
    """The linear colour [3] of three display values 0..255."""
    return (np.array([red, green, blue], np.float32) / 255) ** np.float32(GAMMA)


def blend(under: Floats, over: Floats, share: Floats) -> Floats:
    """`over` laid on `under` [N,3] (a colour [3] or [N,3]) with opacity `share` [N]."""
    return under + (over - under) * share[:, None]


def tint(colour: Floats, amount: Floats, absorbed: tuple[float, float, float]) -> Floats:
    """`colour` [N,3] after a pigment of density `amount` [N] took its share of red, green and blue."""
    return colour * (1 - amount[:, None] * np.array(absorbed, np.float32))
