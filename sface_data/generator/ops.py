"""The few tensor operations that the networks are made of.

Signal processing as in StyleGAN2 (Karras et al., 2020, https://arxiv.org/abs/1912.04958): every change of
resolution goes through the filter [1,3,3,1], and weights are scaled at run time (equalised learning rate).
GPUs filter a convolution's kernel, not its input or output: that is the same by associativity, and depthwise
convolutions are slow there (on an H100 both in turn took ten times as long, for 128 channels of 128x128 pixels in
float16). On CPUs the larger kernel would be the slower one.
Functions whose name ends in an underscore may reuse the memory of their first argument; they do so only where
no gradient is recorded, so the same code trains.
"""

import functools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LRELU_SLOPE = 0.2
_ROWS = 64  # of a product of matrices: for other numbers libraries have other routines, which round differently
LRELU_GAIN = 2**0.5  # keeps the second moment of a Gaussian through a leaky ReLU
Phases = tuple[Tensor, ...]  # see `phases`
FILTER = (1.0, 3.0, 3.0, 1.0)  # the one resampling filter of the family, before it is normalised


def fir_kernel(like: Tensor, gain: float = 1.0) -> Tensor:
    """The separable filter [1,3,3,1] as a depthwise kernel [C,1,4,4] for `like` [N,C,H,W]; sums to `gain`."""
    line = torch.tensor(FILTER, dtype=torch.float32, device=like.device)
    kernel = torch.outer(line, line) * (gain / line.sum() ** 2)
    return kernel.to(like.dtype).expand(like.shape[1], 1, 4, 4)


def blur(x: Tensor, padding: int, gain: float = 1.0) -> Tensor:
    """Filters each channel of x [N,C,H,W] with [1,3,3,1]; zeros outside."""
    return F.conv2d(x, fir_kernel(x, gain), padding=padding, groups=x.shape[1])


def upsample2d(x: Tensor) -> Tensor:
    """Doubles height and width: zeros in between, then the filter. [N,C,H,W] -> [N,C,2H,2W]."""
    # With zeros outside, the filter [1,3,3,1] on zero-stuffed samples is bilinear interpolation.
    padded = F.pad(x, (1, 1, 1, 1))
    return F.interpolate(padded, scale_factor=2, mode="bilinear", align_corners=False)[:, :, 2:-2, 2:-2]


def downsample2d(x: Tensor) -> Tensor:
    """Halves height and width after the filter. [N,C,H,W] -> [N,C,H/2,W/2]."""
    if x.is_cuda:
        return conv_down(x, torch.eye(x.shape[1], device=x.device)[:, :, None, None])
    # A depthwise convolution with a stride has no fast derivative on CPUs; leaving out every second value has.
    return blur(x, padding=1)[:, :, ::2, ::2].contiguous(memory_format=torch.channels_last)


def conv_up(x: Tensor, weight: Tensor | Phases) -> Tensor:
    """Zeros between the values, a convolution, then the filter: [N,I,H,W] -> [N,O,2H,2W].

    Args:
        weight: [O,I,3,3], or [O,I,6,6] with the filter in it, or `phases` of the former.
    """
    if isinstance(weight, tuple):
        return blur(_conv_by_phase(x, weight), padding=1, gain=4.0)
    if weight.shape[-1] > 3:
        return F.conv_transpose2d(x, weight.transpose(0, 1), stride=2, padding=2)
    x = F.conv_transpose2d(x, weight.transpose(0, 1), stride=2)  # [N,O,2H+1,2W+1]
    return blur(x, padding=1, gain=4.0)


def phases(weight: Tensor) -> Phases:
    """Kernels [O,I,3,3] of a transposed convolution of stride 2 as those of plain ones: one for each phase of its
    output, that is for even or odd rows, and even or odd columns in these."""
    taps = ([2, 0], [1])  # that meet values and not the zeros between them, in even and in odd places
    kernels = (weight[:, :, rows][..., columns] for rows in taps for columns in taps)
    return tuple(kernel.contiguous(memory_format=torch.channels_last) for kernel in kernels)


def _conv_by_phase(x: Tensor, kernels: Phases) -> Tensor:
    """The transposed convolution of stride 2: [N,I,H,W] -> [N,O,2H+1,2W+1]."""
    n, _, h, w = x.shape
    shape = (n, len(kernels[0]), 2 * h + 1, 2 * w + 1)
    out = torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
    for phase, kernel in enumerate(kernels):
        row, column = divmod(phase, 2)
        out[:, :, row::2, column::2] = F.conv2d(x, kernel, padding=(1 - row, 1 - column))
    return out


def conv_down(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """The filter, then every second value of a convolution: [N,I,H,W] -> [N,O,H/2,W/2].

    Args:
        weight: float32 [O,I,k,k], k 1 or 3.
    """
    size = weight.shape[-1]
    if x.is_cuda:
        return F.conv2d(x, with_filter(weight).to(x.dtype), bias, stride=2, padding=size // 2 + 1)
    if size == 1:  # halve first, there is less to convolve
        return F.conv2d(downsample2d(x), weight.to(x.dtype), bias)
    return F.conv2d(blur(x, padding=1 + size // 2), weight.to(x.dtype), bias, stride=2)


def with_filter(weight: Tensor, gain: float = 1.0) -> Tensor:
    """Kernels [O,I,k,k] and then, or first, the filter, as kernels [O,I,k+3,k+3]; it sums to `gain`."""
    size = weight.shape[-1]
    matrix = _filter_matrix(size, weight.device).to(weight.dtype) * gain
    kernels = (weight.flatten(2) @ matrix).unflatten(2, (size + 3, size + 3))
    return kernels.contiguous(memory_format=torch.channels_last)


@functools.lru_cache
@torch.inference_mode(mode=False)
def _filter_matrix(size: int, device: torch.device) -> Tensor:
    """What filters kernels of size x size, written as rows: [size^2,(size+3)^2]."""
    pixels = torch.eye(size**2).reshape(size**2, 1, size, size)
    return blur(pixels, padding=3).flatten(1).to(device)


def normalize_2nd_moment(x: Tensor) -> Tensor:
    """Scales each row of x [N,D] to a root mean square of one."""
    return x * (x.square().mean(dim=1, keepdim=True) + 1e-8).rsqrt()


def dense(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x [N,I] times weight [O,I], plus bias [O]; on a CPU without gradients a row does not depend on N."""
    if x.is_cuda or torch.is_grad_enabled():
        return F.linear(x, weight, bias)
    blocks = F.pad(x, (0, 0, 0, -len(x) % _ROWS)).split(_ROWS)
    return torch.cat([F.linear(block, weight, bias) for block in blocks])[: len(x)]


def scale_(x: Tensor, factor: Tensor, addend: Tensor | None = None) -> Tensor:
    """x [N,C,H,W] times factor [N,C], channel by channel, plus an addend [1,C,1 or H,1 or W]."""
    factor = factor.to(x.dtype)[:, :, None, None]  # [N,C,1,1]
    if torch.is_grad_enabled():
        return x * factor if addend is None else torch.addcmul(addend, x, factor)
    return x.mul_(factor) if addend is None else torch.addcmul(addend, x, factor, out=x)


def add_(x: Tensor, addend: Tensor) -> Tensor:
    """x [N,C,H,W] plus something that broadcasts to it."""
    addend = addend.to(x.dtype)
    return x + addend if torch.is_grad_enabled() else x.add_(addend)


def activate_(x: Tensor, gain: float = LRELU_GAIN, clamp: float | None = None, linear: bool = False) -> Tensor:
    """Applies the leaky ReLU (unless `linear`), multiplies by `gain`, clamps to [-clamp, clamp]."""
    in_place = not torch.is_grad_enabled()
    if not linear:
        x = F.leaky_relu_(x, LRELU_SLOPE) if in_place else F.leaky_relu(x, LRELU_SLOPE)
    if gain != 1:
        x = x.mul_(gain) if in_place else x * gain
    if clamp is not None:
        x = x.clamp_(-clamp, clamp) if in_place else x.clamp(-clamp, clamp)
    return x


class Linear(nn.Module):
    """Fully connected layer with equalised learning rate (ProGAN, section 4.1).

    Args:
        activation: leaky ReLU after it.
        lr_multiplier: slows the layer's learning; 0.01 in mapping networks.
        bias_init: value of the bias before training.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        activation: bool = False,
        lr_multiplier: float = 1.0,
        bias_init: float = 0.0,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_features, in_features) / lr_multiplier)
        self.bias = nn.Parameter(torch.full((out_features,), bias_init / lr_multiplier))
        self.activation = activation
        self.weight_gain = lr_multiplier / in_features**0.5
        self.bias_gain = lr_multiplier

    def forward(self, x: Tensor) -> Tensor:
        """[N,in_features] -> [N,out_features]."""
        x = dense(x, self.weight * self.weight_gain, self.bias * self.bias_gain)
        return F.leaky_relu(x, LRELU_SLOPE) * LRELU_GAIN if self.activation else x

    def row(self, index: Tensor) -> Tensor:
        """What `forward` gives for one-hot rows with a one at `index` [N], without making those rows."""
        x = F.embedding(index, self.weight.t()) * self.weight_gain + self.bias * self.bias_gain
        return F.leaky_relu(x, LRELU_SLOPE) * LRELU_GAIN if self.activation else x


class Conv2d(nn.Module):
    """Convolution of the discriminator: equalised learning rate, optional halving, leaky ReLU.

    Args:
        down: halve the resolution after the filter.
        linear: no activation.
        clamp: bound of the output, in units before the `gain` of the call.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        bias: bool = True,
        down: bool = False,
        linear: bool = False,
        clamp: float | None = None,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, kernel_size, kernel_size))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        self.weight_gain = 1 / (in_channels * kernel_size**2) ** 0.5
        self.padding = kernel_size // 2
        self.down = down
        self.linear = linear
        self.clamp = clamp

    def forward(self, x: Tensor, gain: float = 1.0) -> Tensor:
        """[N,I,H,W] -> [N,O,H,W], or half of both with `down`."""
        # The leaky ReLU lets a gain through: it is folded into what is multiplied and added.
        folded = gain if self.linear else gain * LRELU_GAIN
        weight = self.weight * (self.weight_gain * folded)
        bias = None if self.bias is None else (self.bias * folded).to(x.dtype)
        if self.down:
            x = conv_down(x, weight, bias)
        else:
            x = F.conv2d(x, weight.to(x.dtype), bias, padding=self.padding)
        return activate_(x, gain=1.0, clamp=None if self.clamp is None else self.clamp * gain, linear=self.linear)
