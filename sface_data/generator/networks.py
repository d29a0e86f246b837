"""Generator and discriminator of StyleGAN2 with adaptive discriminator augmentation.

Written from the papers: Karras et al., "Analyzing and Improving the Image Quality of StyleGAN"
(https://arxiv.org/abs/1912.04958), and "Training Generative Adversarial Networks with Limited Data"
(https://arxiv.org/abs/2006.06676). Parameters have the names of the published snapshots, so that those load.

Convolutions are modulated by scaling the activations before and after one shared convolution, which equals
scaling the weights per sample (section 2.2 of the first paper, equations 1 and 3) and leaves one dense
convolution per batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sface_data.generator.config import DiscriminatorConfig, GeneratorConfig, channels_at, resolutions
from sface_data.generator.ops import (
    LRELU_GAIN,
    Conv2d,
    Linear,
    Phases,
    activate_,
    add_,
    conv_up,
    dense,
    downsample2d,
    normalize_2nd_moment,
    phases,
    scale_,
    upsample2d,
    with_filter,
)

Noise = Literal["const", "none"] | Sequence[Tensor]
FEWEST_IMAGES = 2  # at a time on a CPU: a convolution of one is computed in another way, and rounded differently
_CACHED = 4 << 20  # bytes of a layer's activations that a core of a CPU works on at a time


class MappingNetwork(nn.Module):
    """z and class to w. Also embeds the class alone, for the discriminator (z_dim 0).

    Args:
        track_average: keep `w_avg` [w_dim], the running mean of w that truncation pulls towards.
    """

    w_avg: Tensor

    def __init__(self, z_dim: int, c_dim: int, w_dim: int, num_layers: int, track_average: bool) -> None:
        super().__init__()
        self.z_dim = z_dim
        self.c_dim = c_dim
        self.num_layers = num_layers
        if c_dim > 0:
            self.embed = Linear(c_dim, w_dim)
        features = z_dim + (w_dim if c_dim > 0 else 0)
        for i in range(num_layers):
            self.add_module(f"fc{i}", Linear(features, w_dim, activation=True, lr_multiplier=0.01))
            features = w_dim
        if track_average:
            self.register_buffer("w_avg", torch.zeros(w_dim))

    def forward(self, z: Tensor | None, classes: Tensor | None) -> Tensor:
        """Maps to w, without truncation.

        Args:
            z: float32 [N,z_dim]; None where z_dim is 0.
            classes: int64 [N]; None where c_dim is 0.

        Returns:
            float32 [N,w_dim].
        """
        parts = []
        if z is not None and self.z_dim > 0:
            parts.append(normalize_2nd_moment(z))
        if classes is not None and self.c_dim > 0:
            parts.append(normalize_2nd_moment(self.embed.row(classes)))
        x = torch.cat(parts, dim=1)
        for i in range(self.num_layers):
            x = self.get_submodule(f"fc{i}")(x)
        return x


@dataclass(frozen=True)
class LayerConstants:
    """What a synthesis layer needs that does not depend on its input.

    Attributes:
        weight: [O,I,3,3] in the dtype that the convolution runs in, or what else `conv_up` takes.
        energy: float32 [O,I], the sum of the squares of each 3x3 kernel.
        bias: [1,O,1,1], with the gain of the activation.
        bias_and_noise: [1,O,H,W], the same with the noise that belongs to the network.
    """

    weight: Tensor | Phases
    energy: Tensor
    bias: Tensor
    bias_and_noise: Tensor


class SynthesisLayer(nn.Module):
    """Modulated 3x3 convolution, noise, bias, leaky ReLU; doubles the resolution with `up`."""

    noise_const: Tensor

    def __init__(
        self, in_channels: int, out_channels: int, w_dim: int, resolution: int, up: bool, clamp: float | None
    ) -> None:
        super().__init__()
        self.affine = Linear(w_dim, in_channels, bias_init=1.0)
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, 3, 3))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.noise_strength = nn.Parameter(torch.zeros([]))
        self.register_buffer("noise_const", torch.randn(resolution, resolution))
        self.up = up
        self.clamp = clamp
        self._frozen: LayerConstants | None = None

    def freeze(self, dtype: torch.dtype) -> None:
        """Computes the constants once, for a network that only makes images from now on, in this dtype."""
        constants = self.constants(dtype)
        if self.up and not self.weight.is_cuda:
            # Forwards several times as fast on a CPU; with derivatives it would be the slower way.
            constants = replace(constants, weight=phases(self.weight.to(dtype)))
        self._frozen = constants

    def constants(self, dtype: torch.dtype) -> LayerConstants:
        """What follows from the weights alone."""
        weight = self.weight.to(dtype, memory_format=torch.channels_last)
        # The gain of the activation is folded into what is multiplied and added: leaky ReLU lets it through.
        bias = self.bias[None, :, None, None] * LRELU_GAIN  # [1,O,1,1]
        noise = self.noise_const * (self.noise_strength * LRELU_GAIN)  # [H,W]
        joined = self.up and weight.is_cuda  # see `ops`
        return LayerConstants(
            weight=with_filter(self.weight, gain=4.0).to(dtype) if joined else weight,
            energy=weight.to(self.weight.dtype).square().sum(dim=(2, 3)),
            bias=bias.to(dtype),
            bias_and_noise=(bias + noise).to(dtype).contiguous(memory_format=torch.channels_last),
        )

    def forward(self, x: Tensor, w: Tensor, noise: Tensor | Literal["const", "none"]) -> Tensor:
        """Consumes x.

        Args:
            x: [N,I,H,W] in the dtype that the convolution runs in.
            w: float32 [N,w_dim].
            noise: see `SynthesisNetwork.forward`.

        Returns:
            [N,O,H',W'].
        """
        constants = self._frozen or self.constants(x.dtype)
        style = self.affine(w)  # [N,I]
        if x.dtype == torch.float16:
            # Demodulation divides the size of the style out again, so it can be chosen such that the sums of
            # the convolution stay far below 65504.
            fan_in = self.weight[0].numel()
            style = style / (style.abs().amax(dim=1, keepdim=True).clamp(min=1e-8) * fan_in**0.5)
        demodulation = (dense(style.square(), constants.energy) + 1e-8).rsqrt()  # [N,O]
        x = scale_(x, style)
        weight = constants.weight
        x = conv_up(x, weight) if isinstance(weight, tuple) or self.up else F.conv2d(x, weight, padding=1)
        x = scale_(x, demodulation * LRELU_GAIN, constants.bias_and_noise if noise == "const" else constants.bias)
        if isinstance(noise, Tensor):
            x = add_(x, noise * (self.noise_strength * LRELU_GAIN))
        return activate_(x, gain=1.0, clamp=self.clamp)


class ToRGB(nn.Module):
    """Modulated 1x1 convolution to colours, without demodulation."""

    def __init__(self, in_channels: int, img_channels: int, w_dim: int, clamp: float | None) -> None:
        super().__init__()
        self.affine = Linear(w_dim, in_channels, bias_init=1.0)
        self.weight = nn.Parameter(torch.randn(img_channels, in_channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(img_channels))
        self.weight_gain = 1 / in_channels**0.5
        self.clamp = clamp

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """[N,I,H,W] -> float32 [N,img_channels,H,W]."""
        style = self.affine(w) * self.weight_gain  # [N,I]
        # So few outputs that it is cheaper to modulate the weights than the activations.
        weight = style[:, None, :] * self.weight.float()[None, :, :, 0, 0]  # [N,img_channels,I]
        x = torch.einsum("nihw,nci->nchw", x, weight.to(x.dtype)).float() + self.bias[:, None, None]
        return activate_(x, gain=1.0, clamp=self.clamp, linear=True)


class SynthesisBlock(nn.Module):
    """The layers at one resolution: one convolution after the constant at 4x4, else two; and toRGB."""

    def __init__(self, resolution: int, config: GeneratorConfig) -> None:
        super().__init__()
        channels = channels_at(resolution, config)
        clamp = config.conv_clamp
        if resolution == 4:
            self.const = nn.Parameter(torch.randn(channels, 4, 4))
        else:
            below = channels_at(resolution // 2, config)
            self.conv0 = SynthesisLayer(below, channels, config.w_dim, resolution, up=True, clamp=clamp)
        self.conv1 = SynthesisLayer(channels, channels, config.w_dim, resolution, up=False, clamp=clamp)
        self.torgb = ToRGB(channels, config.img_channels, config.w_dim, clamp)
        self.convolutions = 1 if resolution == 4 else 2

    def outgrows_cache(self, x: Tensor) -> bool:
        """Whether a CPU makes images of this input [N,I,H/2,W/2] faster in two halves.

        Most of what follows a convolution is bound by memory. A half has `FEWEST_IMAGES` at least.
        """
        if x.is_cuda or torch.is_grad_enabled() or len(x) < 2 * FEWEST_IMAGES:
            return False
        return 4 * x[:, 0].numel() * len(self.conv1.weight) * x.element_size() > _CACHED

    def forward(
        self,
        x: Tensor | None,
        image: Tensor | None,
        ws: Tensor,
        noises: Noise,
        dtype: torch.dtype,
    ) -> tuple[Tensor, Tensor]:
        """One step up.

        Args:
            x: [N,I,H/2,W/2]; None at 4x4.
            image: float32 [N,img_channels,H/2,W/2]; None at 4x4.
            ws: float32 [N,convolutions+1,w_dim].
            noises: as in `SynthesisNetwork.forward`, for these convolutions.
            dtype: what the convolutions run in.
        """
        if x is None:
            x = self.const.to(dtype, copy=True).expand(ws.shape[0], -1, -1, -1)  # [N,C,4,4]
            x = x.contiguous(memory_format=torch.channels_last)
        else:
            x = self.conv0(x, ws[:, 0], noises if isinstance(noises, str) else noises[0])
        x = self.conv1(x, ws[:, -2], noises if isinstance(noises, str) else noises[-1])
        colours = self.torgb(x, ws[:, -1])
        return x, colours if image is None else upsample2d(image) + colours


class SynthesisNetwork(nn.Module):
    """w to image: the skip architecture (figure 7b of the StyleGAN2 paper)."""

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.config = config
        for resolution in resolutions(config.img_resolution):
            self.add_module(f"b{resolution}", SynthesisBlock(resolution, config))

    def blocks(self) -> list[SynthesisBlock]:
        """From 4x4 up."""
        return [block for block in self.children() if isinstance(block, SynthesisBlock)]

    def forward(self, ws: Tensor, noise: Noise = "const", dtype: torch.dtype = torch.float32) -> Tensor:
        """Makes images.

        Args:
            ws: float32 [N,num_ws,w_dim].
            noise: `const` takes the noise that belongs to the network, `none` takes none; or one float32
                tensor [N,1,R,R] per convolution, R as in `GeneratorConfig.noise_resolutions`.
            dtype: what the convolutions run in; colours are summed in float32.

        Returns:
            float32 [N,img_channels,R,R], about -1 to 1.
        """
        return self._from(0, None, None, ws, noise, dtype)

    def _from(
        self, first: int, x: Tensor | None, image: Tensor | None, ws: Tensor, noise: Noise, dtype: torch.dtype
    ) -> Tensor:
        """The blocks from number `first` on; x and image are those of the block before, ws and noise of these."""
        for number, block in enumerate(self.blocks()[first:], first):
            if x is not None and image is not None and block.outgrows_cache(x):
                half = len(x) // 2
                halves = [slice(half), slice(half, None)]
                return torch.cat(
                    [self._from(number, x[p], image[p], ws[p], _part(noise, p), dtype) for p in halves]
                )
            n = block.convolutions
            now, later = (noise, noise) if isinstance(noise, str) else (noise[:n], noise[n:])
            x, image = block(x, image, ws[:, : n + 1], now, dtype)
            ws, noise = ws[:, n:], later  # a block's toRGB shares its w with the next block's first convolution
        assert image is not None
        return image


def _part(noise: Noise, part: slice) -> Noise:
    return noise if isinstance(noise, str) else [maps[part] for maps in noise]


class Generator(nn.Module):
    """Mapping and synthesis, with the configuration they were built from."""

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.config = config
        self.mapping = MappingNetwork(
            config.z_dim, config.c_dim, config.w_dim, config.mapping_layers, track_average=True
        )
        self.synthesis = SynthesisNetwork(config)

    def ws(
        self,
        z: Tensor,
        classes: Tensor | None,
        psi: float = 1.0,
        cutoff: int | None = None,
        center: Tensor | None = None,
    ) -> Tensor:
        """z and classes to the w of every layer, truncated (section 3 of the StyleGAN paper).

        Args:
            z: float32 [N,z_dim].
            classes: int64 [N]; None for an unconditional network.
            psi: 1 leaves w as it is, 0 puts the centre in its place.
            cutoff: how many layers, from the coarsest, are truncated; None for all.
            center: float32 [w_dim] or [N,w_dim] to truncate towards; `w_avg` by default.

        Returns:
            float32 [N,num_ws,w_dim].
        """
        w = self.mapping(z, classes)
        ws = w[:, None].repeat(1, self.config.num_ws, 1)
        if psi != 1:
            truncated = torch.lerp(self.mapping.w_avg if center is None else center, w, psi)
            ws[:, :cutoff] = truncated[:, None]
        return ws

    def forward(
        self,
        z: Tensor,
        classes: Tensor | None,
        psi: float = 1.0,
        cutoff: int | None = None,
        noise: Noise = "const",
    ) -> Tensor:
        """float32 images [N,img_channels,R,R]. See `ws` and `SynthesisNetwork.forward`."""
        return self.synthesis(self.ws(z, classes, psi, cutoff), noise)


class DiscriminatorBlock(nn.Module):
    """The layers at one resolution, down to half of it."""

    def __init__(self, resolution: int, first: bool, config: DiscriminatorConfig) -> None:
        super().__init__()
        channels, below = channels_at(resolution, config), channels_at(resolution // 2, config)
        clamp = config.conv_clamp
        self.architecture = config.architecture
        if first or config.architecture == "skip":
            self.fromrgb = Conv2d(config.img_channels, channels, 1, clamp=clamp)
        self.conv0 = Conv2d(channels, channels, 3, clamp=clamp)
        self.conv1 = Conv2d(channels, below, 3, down=True, clamp=clamp)
        if config.architecture == "resnet":
            self.skip = Conv2d(channels, below, 1, bias=False, down=True, linear=True)

    def forward(self, x: Tensor | None, image: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """x [N,I,H,W] (None in the first block) and the image in that resolution, to half the resolution."""
        if image is not None:
            colours = self.fromrgb(image)
            x = colours if x is None else x + colours
            image = downsample2d(image) if self.architecture == "skip" else None
        assert x is not None
        if self.architecture == "resnet":
            half = 0.5**0.5  # the sum of the two paths keeps the variance of one
            return self.skip(x, gain=half) + self.conv1(self.conv0(x), gain=half), image
        return self.conv1(self.conv0(x)), image


class DiscriminatorEpilogue(nn.Module):
    """From 4x4 to a row of `out_features`, past the minibatch standard deviation (ProGAN, section 3)."""

    def __init__(self, out_features: int, config: DiscriminatorConfig) -> None:
        super().__init__()
        channels = channels_at(4, config)
        self.group_size = config.mbstd_group_size
        self.num_channels = config.mbstd_num_channels
        if config.architecture == "skip":
            self.fromrgb = Conv2d(config.img_channels, channels, 1)
        self.conv = Conv2d(channels + config.mbstd_num_channels, channels, 3, clamp=config.conv_clamp)
        self.fc = Linear(channels * 16, channels, activation=True)
        self.out = Linear(channels, out_features)

    def forward(self, x: Tensor, image: Tensor | None) -> Tensor:
        """[N,C,4,4] -> [N,out_features]."""
        if image is not None:
            x = x + self.fromrgb(image)
        if self.num_channels > 0:
            x = torch.cat([x, self._deviation(x)], dim=1)
        return self.out(self.fc(self.conv(x).flatten(1)))

    def _deviation(self, x: Tensor) -> Tensor:
        """How much the images of a group differ, as `num_channels` constant maps [N,num_channels,H,W]."""
        n, c, h, w = x.shape
        size = n if self.group_size is None else min(self.group_size, n)
        groups = x.reshape(size, n // size, self.num_channels, c // self.num_channels, h, w)  # [S,G,F,c,H,W]
        deviation = (groups.var(dim=0, unbiased=False) + 1e-8).sqrt().mean(dim=(2, 3, 4))  # [G,F]
        return deviation.repeat(size, 1)[:, :, None, None].expand(-1, -1, h, w)


class Discriminator(nn.Module):
    """Image and class to a logit; the class enters by projection (Miyato and Koyama, 2018)."""

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__()
        self.config = config
        conditional = config.c_dim > 0
        for i, resolution in enumerate(reversed(resolutions(config.img_resolution)[1:])):
            self.add_module(f"b{resolution}", DiscriminatorBlock(resolution, i == 0, config))
        if conditional:
            self.mapping = MappingNetwork(
                0, config.c_dim, config.cmap_dim, config.mapping_layers, track_average=False
            )
        self.b4 = DiscriminatorEpilogue(config.cmap_dim if conditional else 1, config)

    def blocks(self) -> list[DiscriminatorBlock]:
        """From the resolution of the image down to 8x8."""
        return [block for block in self.children() if isinstance(block, DiscriminatorBlock)]

    def forward(self, image: Tensor, classes: Tensor | None, dtype: torch.dtype = torch.float32) -> Tensor:
        """Judges images.

        Args:
            image: float32 [N,img_channels,R,R].
            classes: int64 [N]; None for an unconditional network.
            dtype: what the blocks run in; from 4x4 on it is float32.

        Returns:
            float32 logits [N,1].
        """
        x: Tensor | None = None
        # The layout that convolutions are fastest in; all that follows keeps it.
        below: Tensor | None = image.to(dtype, memory_format=torch.channels_last)
        for block in self.blocks():
            x, below = block(x, below)
        assert x is not None
        x = self.b4(x.float(), None if below is None else below.float())
        if self.config.c_dim > 0:
            embedding = self.mapping(None, classes)  # [N,cmap_dim]
            x = (x * embedding).sum(dim=1, keepdim=True) / self.config.cmap_dim**0.5
        return x
