"""Adaptive discriminator augmentation, from the paper (https://arxiv.org/abs/2006.06676), appendix B.

Eighteen transforms in six groups. Each is applied to an image with probability p, so p = 0 changes nothing. All
are differentiable with respect to the images, twice, which R1 needs.

Matrices act on columns (x, y, 1), in units of the image's side from its centre, or (red, green, blue, 1). They
map what was to what becomes.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from sface_data.training.random_numbers import BatchRandom

# Orthogonal wavelets of Daubechies' least asymmetric family, low-pass, with 6 and 2 vanishing moments
# (Daubechies, Ten Lectures on Wavelets, 1992, table 6.3; the second is the well-known D4).
_SYM6 = (
    0.015404109327027373, 0.0034907120842174702, -0.11799011114819057, -0.048311742585633, 0.4910559419267466,
    0.787641141030194, 0.3379294217276218, -0.07263752278646252, -0.021060292512300564, 0.04472490177066578,
    0.0017677118642428036, -0.007800708325034148,
)  # fmt: skip
# The middle of its mass, counted from the end of its first half.
_SYM6_LAG = sum(k * h for k, h in enumerate(_SYM6)) / sum(_SYM6) - (len(_SYM6) // 2 - 1)
_SYM2 = (-0.12940952255092145, 0.22414386804185735, 0.836516303737469, 0.48296291314469025)
_LUMA = 3**-0.5  # each component of the axis from black to white
_BAND_POWER = (10 / 13, 1 / 13, 1 / 13, 1 / 13)  # of photographs, from the lowest band up


@dataclass(frozen=True)
class TransformSampler:
    """What the transforms of a batch are drawn with.

    Attributes:
        n: images.
        p: probability of each transform, float32 [].
        size: height and width of the images in pixels.
    """

    random: BatchRandom
    n: int
    p: Tensor
    size: int

    def gate(self, values: Tensor, neutral: float, p: Tensor | None = None) -> Tensor:
        """values [n,...] with probability p, else `neutral`."""
        keep = self.random.uniform(self.n) < (self.p if p is None else p)
        return torch.where(keep.reshape(-1, *[1] * (values.ndim - 1)), values, neutral)

    def lognormal(self, octaves: float) -> Tensor:
        """Powers of two with a standard deviation of `octaves` [n]."""
        return torch.exp2(self.random.normal(self.n) * octaves)


def flip(sampler: TransformSampler) -> Tensor:
    """Mirrored, one in two."""
    i = sampler.gate(sampler.random.integers(sampler.n, 2).float(), 0.0)
    return _matrix([[1 - 2 * i, 0, 0], [0, 1, 0], [0, 0, 1]])


def quarter_turns(sampler: TransformSampler) -> Tensor:
    """Turned by 0, 90, 180 or 270 degrees."""
    i = sampler.gate(sampler.random.integers(sampler.n, 4).float(), 0.0)
    return _rotation(i * (math.pi / 2))


def shift(sampler: TransformSampler) -> Tensor:
    """Moved by whole pixels, up to an eighth of the side."""
    x = sampler.gate(
        torch.stack([sampler.random.uniform(sampler.n, -0.125, 0.125) for _ in "xy"], dim=1), 0.0
    )  # [n,2]
    x = (x * sampler.size).round() / sampler.size
    return _matrix([[1, 0, x[:, 0]], [0, 1, x[:, 1]], [0, 0, 1]])


def scale(sampler: TransformSampler) -> Tensor:
    """Larger or smaller, by 0.2 octaves."""
    s = sampler.gate(sampler.lognormal(0.2), 1.0)
    return _matrix([[s, 0, 0], [0, s, 0], [0, 0, 1]])


def rotate(sampler: TransformSampler) -> Tensor:
    """Turned by any angle. Comes twice, so that one or both come with probability p."""
    angle = sampler.gate(
        sampler.random.uniform(sampler.n, -math.pi, math.pi), 0.0, 1 - (1 - sampler.p).clamp(min=0).sqrt()
    )
    return _rotation(angle)


def stretch(sampler: TransformSampler) -> Tensor:
    """Wider and lower, or the reverse, by 0.2 octaves."""
    s = sampler.gate(sampler.lognormal(0.2), 1.0)
    return _matrix([[s, 0, 0], [0, 1 / s, 0], [0, 0, 1]])


def move(sampler: TransformSampler) -> Tensor:
    """Moved by any distance, with a standard deviation of an eighth of the side."""
    x = sampler.gate(sampler.random.normal(sampler.n, 2) * 0.125, 0.0)  # [n,2]
    return _matrix([[1, 0, x[:, 0]], [0, 1, x[:, 1]], [0, 0, 1]])


def brightness(sampler: TransformSampler) -> Tensor:
    """Something added, the same to all colours, with a standard deviation of 0.2."""
    b = sampler.gate(sampler.random.normal(sampler.n) * 0.2, 0.0)
    return _matrix([[1, 0, 0, b], [0, 1, 0, b], [0, 0, 1, b], [0, 0, 0, 1]])


def contrast(sampler: TransformSampler) -> Tensor:
    """Everything times a factor of 0.5 octaves."""
    c = sampler.gate(sampler.lognormal(0.5), 1.0)
    return _matrix([[c, 0, 0, 0], [0, c, 0, 0], [0, 0, c, 0], [0, 0, 0, 1]])


def luma_flip(sampler: TransformSampler) -> Tensor:
    """Light for dark with the colours kept (a Householder reflection), one in two."""
    i = sampler.gate(sampler.random.integers(sampler.n, 2).float(), 0.0)
    return _identity(i, 4) - 2 * i[:, None, None] * _luma_projection(i)


def hue(sampler: TransformSampler) -> Tensor:
    """Turned around the axis from black to white (Rodrigues' formula)."""
    angle = sampler.gate(sampler.random.uniform(sampler.n, -math.pi, math.pi), 0.0)[:, None, None]
    projection = _luma_projection(angle)
    a = _LUMA
    cross = angle.new_tensor([[0, -a, a, 0], [a, 0, -a, 0], [-a, a, 0, 0], [0, 0, 0, 0]])
    across = torch.eye(4, device=angle.device) - projection - _homogeneous(angle)
    return projection + _homogeneous(angle) + across * angle.cos() + cross * angle.sin()


def saturation(sampler: TransformSampler) -> Tensor:
    """Colours times a factor of one octave, light and dark kept."""
    s = sampler.gate(sampler.lognormal(1.0), 1.0)[:, None, None]
    kept = _luma_projection(s) + _homogeneous(s)
    return kept + (torch.eye(4, device=s.device) - kept) * s


PIXELS = (flip, quarter_turns, shift)
GEOMETRY = (scale, rotate, stretch, rotate, move)
COLOUR = (brightness, contrast, luma_flip, hue, saturation)


def augment(images: Tensor, groups: tuple[str, ...], p: Tensor, random: BatchRandom) -> Tensor:
    """Transforms images, each in its own way.

    Args:
        images: float32 [N,3,R,R], -1 to 1.
        groups: of GROUPS.
        p: probability of each transform, float32 [].
    """
    sampler = TransformSampler(random, images.shape[0], p, images.shape[-1])
    for name, apply in GROUPS.items():
        if name in groups:
            images = apply(images, sampler)
    return images


def compose(transforms: tuple[Callable[[TransformSampler], Tensor], ...], sampler: TransformSampler) -> Tensor:
    """One matrix per image [n,D,D] for some transforms in order."""
    first, *rest = (transform(sampler) for transform in transforms)
    for matrix in rest:
        first = matrix @ first
    return first


def move_pixels(images: Tensor, sampler: TransformSampler) -> Tensor:
    """The transforms that only permute pixels (and mirror at the border): exact."""
    n, c, size, _ = images.shape
    position = (torch.arange(size, device=images.device) + 0.5) / size - 0.5
    source = _sources(compose(PIXELS, sampler), position)  # [N,R,R,2]
    index = _reflect(((source + 0.5) * size - 0.5).round().long(), size)  # [N,R,R,2] x, y
    flat = (index[..., 1] * size + index[..., 0]).reshape(n, 1, -1).expand(-1, c, -1)  # [N,C,R*R]
    return images.flatten(2).gather(2, flat).reshape(images.shape)


def warp(images: Tensor, sampler: TransformSampler) -> Tensor:
    """The transforms that interpolate: at twice the resolution, between a wavelet filter and its reverse."""
    matrices = compose(GEOMETRY, sampler)  # [N,3,3]
    moved = (matrices != torch.eye(3, device=images.device)).any(dim=2).any(dim=1).nonzero()[:, 0]  # [M]
    if len(moved) == 0:
        return images
    size = images.shape[-1]
    margin = len(_SYM6) // 2 - 1
    doubled = _double(images[moved])  # [M,C,2R,2R]
    # Value j of the doubled image lies at j + 1 - lag, in its pixels, where an unfiltered one lies at j + 0.5.
    off = 0.5 - _SYM6_LAG
    index = torch.arange(-margin, 2 * size + margin, device=images.device)
    grid = _sources(matrices[moved], (index + 0.5 + off) / (2 * size) - 0.5)  # -0.5 to 0.5
    grid = (grid - off / (2 * size)) * 2  # -1 to 1
    warped = _Resample.apply(doubled, grid)  # [M,C,2R+10,2R+10]
    return images.index_copy(0, moved, _halve(warped))


def recolour(images: Tensor, sampler: TransformSampler) -> Tensor:
    """The transforms of colours."""
    matrices = compose(COLOUR, sampler)  # [N,4,4]
    colours = matrices[:, :3, :3] @ images.flatten(2) + matrices[:, :3, 3:]  # [N,3,R*R]
    return colours.reshape(images.shape)


def filter_bands(images: Tensor, sampler: TransformSampler) -> Tensor:
    """Four bands of frequencies, each an octave wide, made stronger or weaker; the mean power is kept."""
    bank = band_filters().to(images.device)  # [4,T]
    power = torch.tensor(_BAND_POWER, device=images.device)
    gains = torch.ones(sampler.n, 4, device=images.device)
    for band in range(4):
        gain = torch.ones_like(gains)
        gain[:, band] = sampler.gate(sampler.lognormal(1.0), 1.0)
        gains = gains * gain / (gain.square() @ power).sqrt()[:, None]
    taps = bank.shape[1]
    kernels = (gains @ bank).repeat_interleave(3, dim=0)  # [N*3,T]
    n, c, height, width = images.shape
    x = _padded(images, taps // 2).reshape(1, n * c, height + taps - 1, width + taps - 1)
    x = F.conv2d(x, kernels[:, None, :, None], groups=n * c)
    return F.conv2d(x, kernels[:, None, None, :], groups=n * c).reshape(images.shape)


def add_noise(images: Tensor, sampler: TransformSampler) -> Tensor:
    """White noise of a strength that is half-normal, 0.1."""
    strength = sampler.gate(sampler.random.normal(sampler.n).abs() * 0.1, 0.0)
    return images + strength[:, None, None, None] * sampler.random.normal(sampler.n, *images.shape[1:])


def cut_out(images: Tensor, sampler: TransformSampler) -> Tensor:
    """A square of half the side, anywhere, made grey."""
    half_side = sampler.gate(torch.full((sampler.n,), 0.25, device=images.device), 0.0)[:, None]
    position = (torch.arange(sampler.size, device=images.device) + 0.5) / sampler.size
    x, y = ((position - sampler.random.uniform(sampler.n)[:, None]).abs() >= half_side for _ in "xy")  # [N,R] each
    return images * (y[:, None, :, None] | x[:, None, None, :])


GROUPS: dict[str, Callable[[Tensor, TransformSampler], Tensor]] = {
    "pixels": move_pixels,
    "geometry": warp,
    "colour": recolour,
    "filter": filter_bands,
    "noise": add_noise,
    "cutout": cut_out,
}


def band_filters() -> Tensor:
    """Symmetric filters [4,43] that split a signal into octaves, from the lowest up; they sum to an impulse."""
    low = torch.tensor(_SYM2, dtype=torch.float64)
    alternating = torch.tensor([1.0, -1.0] * (len(low) // 2), dtype=torch.float64)
    high = low.flip(0) * alternating
    halves = [_convolve(h, h.flip(0)) / 2 for h in (low, high)]  # zero phase; they sum to an impulse
    bands = [_stuffed(halves[0], 4), _stuffed(halves[1], 4), _stuffed(halves[1], 2), halves[1]]
    below = [_convolve(halves[0], _stuffed(halves[0], 2))] * 2 + [halves[0], torch.ones(1, dtype=torch.float64)]
    bank = [_convolve(band, lower) for band, lower in zip(bands, below, strict=True)]
    length = max(len(line) for line in bank)
    return torch.stack([F.pad(line, [(length - len(line)) // 2] * 2) for line in bank]).float()


def _convolve(a: Tensor, b: Tensor) -> Tensor:
    return F.conv1d(a[None, None], b.flip(0)[None, None], padding=len(b) - 1)[0, 0]


def _stuffed(line: Tensor, factor: int) -> Tensor:
    """Zeros between the values: the same filter, `factor` times lower."""
    stuffed = line.new_zeros((len(line) - 1) * factor + 1)
    stuffed[::factor] = line
    return stuffed


def _matrix(rows: list[list[Any]]) -> Tensor:
    """Matrices [n,D,D] from rows of numbers and tensors [n]."""
    like = next(value for row in rows for value in row if isinstance(value, Tensor))
    full = [[torch.zeros_like(like) + value for value in row] for row in rows]
    return torch.stack([torch.stack(row, dim=1) for row in full], dim=1)


def _identity(like: Tensor, size: int) -> Tensor:
    return torch.eye(size, device=like.device).expand(like.shape[0], -1, -1)


def _rotation(angle: Tensor) -> Tensor:
    cos, sin = angle.cos(), angle.sin()
    return _matrix([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])


def _luma_projection(like: Tensor) -> Tensor:
    axis = torch.tensor([_LUMA, _LUMA, _LUMA, 0.0], device=like.device)
    return torch.outer(axis, axis)


def _homogeneous(like: Tensor) -> Tensor:
    return torch.diag(torch.tensor([0.0, 0.0, 0.0, 1.0], device=like.device))


def _sources(matrices: Tensor, position: Tensor) -> Tensor:
    """Where the pixels of a square grid come from: [N,P,P,2] (x, y), from matrices [N,3,3] and positions [P]."""
    inverse = torch.linalg.inv(matrices)
    y, x = torch.meshgrid(position, position, indexing="ij")
    grid = torch.stack([x, y, torch.ones_like(x)], dim=-1)  # [P,P,3]
    return torch.einsum("nij,pqj->npqi", inverse[:, :2], grid)


def _reflect(index: Tensor, size: int) -> Tensor:
    """Indices of any size to 0 .. size - 1, mirrored at the borders, the border pixel repeated."""
    index = index.remainder(2 * size)
    return torch.minimum(index, 2 * size - 1 - index)


def _padded(images: Tensor, margin: int) -> Tensor:
    """Mirrored at the borders, as often as the margin takes: [N,C,H+2*margin,W+2*margin]."""
    rows, columns = (
        _reflect(torch.arange(-margin, size + margin, device=images.device), size) for size in images.shape[2:]
    )
    return images[:, :, rows][:, :, :, columns]


def _double(images: Tensor) -> Tensor:
    """[N,C,H,W] -> [N,C,2H,2W] after the wavelet filter."""
    n, c, height, width = images.shape
    line = torch.tensor(_SYM6, device=images.device) * 2**0.5
    margin = len(_SYM6) // 4
    x = _padded(images, margin).reshape(n * c, 1, height + 2 * margin, width + 2 * margin)
    # The filter is an outer product: rows, then columns, take a sixth of the work of the square.
    x = F.conv_transpose2d(x, line[None, None, None, :], stride=(1, 2))
    x = F.conv_transpose2d(x, line[None, None, :, None], stride=(2, 1))
    first = 2 * margin + len(_SYM6) // 2 - 1  # puts the middle of the filter on the middle of each pixel
    return x[:, :, first : first + 2 * height, first : first + 2 * width].reshape(n, c, 2 * height, 2 * width)


def _halve(images: Tensor) -> Tensor:
    """The reverse of `_double`, for images with a margin of 5: [N,C,2H+10,2W+10] -> [N,C,H,W]."""
    n, c, height, width = images.shape
    line = torch.tensor(_SYM6, device=images.device) / 2**0.5
    x = F.conv2d(images.reshape(n * c, 1, height, width), line[None, None, None, :], stride=(1, 2))
    x = F.conv2d(x, line[None, None, :, None], stride=(2, 1))
    return x.reshape(n, c, x.shape[2], x.shape[3])


class _Resample(torch.autograd.Function):
    """Bilinear interpolation at given positions, mirrored at the borders.

    It is linear in the image, so its derivative is its adjoint and that one's derivative is itself again.
    torch's own cannot be differentiated twice.
    """

    @staticmethod
    def forward(ctx: Any, images: Tensor, grid: Tensor) -> Tensor:
        ctx.save_for_backward(grid)
        ctx.shape = images.shape
        return F.grid_sample(images, grid, mode="bilinear", padding_mode="reflection", align_corners=False)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        (grid,) = ctx.saved_tensors
        return _Spread.apply(gradient, grid, ctx.shape), None


class _Spread(torch.autograd.Function):
    """The adjoint of `_Resample`."""

    @staticmethod
    def forward(ctx: Any, gradient: Tensor, grid: Tensor, shape: torch.Size) -> Tensor:
        ctx.save_for_backward(grid)
        bilinear, reflection = 0, 2
        images = gradient.new_empty(shape)  # only its shape matters
        mask = [True, False]  # for the images, not for the grid
        spread, _ = torch.ops.aten.grid_sampler_2d_backward(
            gradient.contiguous(), images, grid, bilinear, reflection, False, mask
        )
        return spread

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        (grid,) = ctx.saved_tensors
        return _Resample.apply(gradient, grid), None, None
