"""From light to pixels: averaging, backdrop, exposure, blur, tone curve, noise."""

import functools

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from sface_data.faces.alignment import TEMPLATE_SIZE
from sface_data.rendered.colour import GAMMA
from sface_data.rendered.geometry import Floats
from sface_data.rendered.variation import Backdrop, Film


def average(layer: Floats, factor: int) -> Floats:
    """The mean over blocks of factor x factor pixels: [H,W,C] to [H/factor, W/factor, C]."""
    blocks = [layer[top::factor, left::factor] for top in range(factor) for left in range(factor)]
    return functools.reduce(np.add, blocks) / np.float32(factor**2)


def paint_backdrop(backdrop: Backdrop, size: int) -> Floats:
    """A gradient with blurred clouds over it: linear colour [size, size, 3]."""
    down = ((np.arange(size, dtype=np.float32) + 0.5) / size)[:, None, None]
    gradient = backdrop.top * (1 - down) + backdrop.bottom * down  # [H,1,3]
    weights = _linear_weights(len(backdrop.clouds), size)  # [H,6]
    clouds = np.einsum("hi,ijc,wj->hwc", weights, backdrop.clouds, weights, optimize=True)
    return np.float32(0.7) * gradient + np.float32(0.3) * clouds


def _linear_weights(cells: int, size: int) -> Floats:
    """What each of `cells` knots spread over the side counts at each of `size` pixels: [size, cells]."""
    position = (np.arange(size, dtype=np.float32)[:, None] + 0.5) / size * (cells - 1)
    return (1 - np.abs(position - np.arange(cells, dtype=np.float32))).clip(0)


def develop(linear: Floats, film: Film) -> NDArray[np.uint8]:
    """Display values [H,W,3] of linear light [H,W,3]."""
    blur = film.blur * len(linear) / TEMPLATE_SIZE
    light = linear * np.float32(film.exposure)
    if film.blur > 0.2:
        light = gaussian_filter(light, (blur, blur, 0), truncate=3)
    display = (light / (1 + np.float32(0.18) * light)).clip(0, 1) ** np.float32(1 / GAMMA)
    noise = np.random.default_rng(film.noise_seed).standard_normal(display.shape, np.float32)
    display += noise * np.float32(film.noise)
    return (display.clip(0, 1) * 255 + np.float32(0.5)).astype(np.uint8)
