"""Strong augmentation: faces in worse light, pose and quality than they were made with.

Photometric and geometric changes of random strength, as in RandAugment (https://arxiv.org/abs/1909.13719), and
the low resolutions and compression of AdaFace's training (https://arxiv.org/abs/2204.00964). Every image has
its own numbers, a function of seed and index in the run; what is computed are batches.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from sface_data.training.random_numbers import BatchRandom

# Probability of each change.
GEOMETRY, LIGHT, GREY, RESOLUTION, COMPRESSION, HIDING = 0.5, 0.8, 0.1, 0.3, 0.3, 0.2
_TURN, _ZOOM, _SHIFT = math.radians(12), 0.12, 0.06  # largest angle, relative size, share of the side
_BRIGHTNESS, _CONTRAST, _SATURATION = 0.25, 0.35, 0.5
_COARSEST, _FINEST = 16, 64  # pixels of the side after lowering the resolution
_WORST, _BEST = 15.0, 80.0  # quality of compression, as of JPEG
_HIDDEN = 0.4  # largest side of what is hidden, as a share of the image's
_LUMA = (0.299, 0.587, 0.114)
# Quantisation of JPEG at quality 50: ITU-T T.81, tables K.1 and K.2.
_TABLE_LUMA = (
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22,
    29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103,
    121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
)  # fmt: skip
_TABLE_CHROMA = (
    17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99,
    99, 99, 99, 99, 99, *([99] * 32),
)  # fmt: skip


def augment(images: Tensor, random: BatchRandom) -> Tensor:
    """Changes each image in its own way.

    Args:
        images: float32 [N,3,H,W], -1 to 1; H and W are multiples of 8.

    Returns:
        The same shape and range.
    """
    images = _move(images, random)
    images = _light(images, random)
    images = _lower_resolution(images, random)
    images = _compress(images, random)
    return _hide(images, random).clamp(-1, 1)


def _chosen(n: int, probability: float, random: BatchRandom) -> Tensor:
    """Which images are changed: bool [n]."""
    return random.uniform(n) < probability


def _move(images: Tensor, random: BatchRandom) -> Tensor:
    """Turns, zooms and shifts; what lies outside is the reflection of what lies inside."""
    n = len(images)
    chosen = _chosen(n, GEOMETRY, random).float()
    angle = random.uniform(n, -_TURN, _TURN) * chosen
    zoom = 1 + random.uniform(n, -_ZOOM, _ZOOM) * chosen
    x, y = (random.uniform(n, -2 * _SHIFT, 2 * _SHIFT) * chosen for _ in range(2))
    cos, sin = angle.cos() * zoom, angle.sin() * zoom
    matrix = torch.stack([cos, -sin, x, sin, cos, y], dim=1).view(n, 2, 3)
    grid = F.affine_grid(matrix, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)


def _light(images: Tensor, random: BatchRandom) -> Tensor:
    """Brightness, contrast and saturation; some images lose all colour."""
    n = len(images)

    def factor(spread: float) -> Tensor:
        return (1 + random.uniform(n, -spread, spread) * chosen).view(n, 1, 1, 1)

    chosen = _chosen(n, LIGHT, random).float()
    brightness = (random.uniform(n, -_BRIGHTNESS, _BRIGHTNESS) * chosen).view(n, 1, 1, 1)
    contrast, saturation = factor(_CONTRAST), factor(_SATURATION)
    saturation = torch.where(_chosen(n, GREY, random).view(n, 1, 1, 1), 0.0, saturation)
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    images = (images - mean) * contrast + mean + brightness
    grey = (images * images.new_tensor(_LUMA).view(1, 3, 1, 1)).sum(dim=1, keepdim=True)
    return torch.lerp(grey.expand_as(images), images, saturation)


def _lower_resolution(images: Tensor, random: BatchRandom) -> Tensor:
    """Down to a few pixels and up again, in four steps of sizes."""
    n, _, height, width = images.shape
    chosen = _chosen(n, RESOLUTION, random)
    step = random.integers(n, 4)
    result = images.clone()
    for number in range(4):
        rows = (chosen & (step == number)).nonzero().squeeze(1)
        if len(rows):
            size = round(_COARSEST * (_FINEST / _COARSEST) ** (number / 3))
            small = F.interpolate(images[rows], size=(size, size), mode="bilinear", antialias=True)
            result[rows] = F.interpolate(small, size=(height, width), mode="bilinear")
    return result


def _compress(images: Tensor, random: BatchRandom) -> Tensor:
    """The rounding of JPEG, in blocks of 8 x 8, without its coding."""
    n = len(images)
    chosen, quality = _chosen(n, COMPRESSION, random), random.uniform(n, _WORST, _BEST)
    rows = chosen.nonzero().squeeze(1)
    if not len(rows):
        return images
    result = images.clone()
    result[rows] = compressed(images[rows], quality[rows])
    return result


def compressed(images: Tensor, quality: Tensor) -> Tensor:
    """Images [N,3,H,W], -1 to 1, with the loss of JPEG (4:4:4) of a quality [N] of 1 to 99; the same shape."""
    n, _, height, width = images.shape
    red, green, blue = (images * 127.5).unbind(1)  # about 0, as JPEG has them
    luma = red * _LUMA[0] + green * _LUMA[1] + blue * _LUMA[2]
    channels = torch.stack([luma, (blue - luma) / 1.772, (red - luma) / 1.402], dim=1)  # Y, Cb, Cr
    tables = images.new_tensor([_TABLE_LUMA, _TABLE_CHROMA, _TABLE_CHROMA]).view(1, 3, 1, 8, 1, 8)
    scale = torch.where(quality < 50, 50 / quality, 2 - quality / 50).view(n, 1, 1, 1, 1, 1)
    tables = (tables * scale).clamp(min=1)
    dct = _cosines(images)
    blocks = channels.view(n, 3, height // 8, 8, width // 8, 8)  # [N,3,rows,8,columns,8]
    spectra = torch.einsum("ui,ncrisj,vj->ncrusv", dct, blocks, dct)
    spectra = (spectra / tables).round() * tables
    blocks = torch.einsum("ui,ncrusv,vj->ncrisj", dct, spectra, dct)
    luma, cb, cr = blocks.reshape(n, 3, height, width).unbind(1)
    red, blue = luma + 1.402 * cr, luma + 1.772 * cb
    green = (luma - _LUMA[0] * red - _LUMA[2] * blue) / _LUMA[1]
    return torch.stack([red, green, blue], dim=1) / 127.5


def _cosines(like: Tensor) -> Tensor:
    """The orthonormal cosine transform of 8 values, [8,8]."""
    u, i = torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing="ij")
    cosines = (math.pi * (2 * i + 1) * u / 16).cos() / 2
    cosines[0] /= math.sqrt(2)
    return cosines.to(like)


def _hide(images: Tensor, random: BatchRandom) -> Tensor:
    """A grey rectangle over a part."""
    n, _, height, width = images.shape
    chosen = _chosen(n, HIDING, random)

    def inside(pixels: int) -> Tensor:  # [n,pixels]
        side, middle = random.uniform(n, 0.05, _HIDDEN), random.uniform(n)
        along = (torch.arange(pixels, device=images.device) + 0.5) / pixels
        return (along[None] - middle[:, None]).abs() < side[:, None] / 2

    hidden = inside(height)[:, None, :, None] & inside(width)[:, None, None, :] & chosen.view(n, 1, 1, 1)
    return images.masked_fill(hidden, 0.0)
