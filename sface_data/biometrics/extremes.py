"""Tails of maxima: how probable a score is that none of those seen has reached."""

import numpy as np
from numpy.typing import NDArray

_LEAST = -700.0  # exponents below give zero in float64


def gumbel_tail(maxima: NDArray[np.floating], threshold: float) -> float:
    """How probable a maximum above a threshold is, by the Gumbel distribution with mean and variance of `maxima`.

    A nearest neighbour's similarity is a maximum, of those with all members of a gallery.
    """
    scale = max(float(maxima.std()) * np.sqrt(6) / np.pi, 1e-6)
    location = float(maxima.mean()) - float(np.euler_gamma) * scale
    exponent = min(max(-(threshold - location) / scale, _LEAST), 50.0)
    return float(-np.expm1(-np.exp(exponent)))
