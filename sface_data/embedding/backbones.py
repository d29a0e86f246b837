"""Networks that embed faces: iResNet, MobileFaceNet, and a tiny one for CPUs.

All take float32 [N,3,112,112], RGB, (x / 255 - 0.5) / 0.5, and give float32 [N,D], not normalised.

iResNet is the network of ArcFace (https://arxiv.org/abs/1801.07698), MobileFaceNet that of
https://arxiv.org/abs/1804.07573 as its wide form circulates. Names and shapes of their tensors are those of
published weights, so that these load.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from sface_data.embedding.backbone_names import BACKBONES, IRESNETS
from sface_data.errors import BadInput

INPUT_SIZE = 112  # pixels
_FINAL = 7  # height and width of the last map


class Dropout(nn.Module):
    """Dropout whose random numbers can come from elsewhere.

    Attributes:
        uniform: makes numbers from 0 to 1 of the shape of a tensor; torch's global ones by default.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share
        self.uniform: Callable[[Tensor], Tensor] = torch.rand_like

    def forward(self, x: Tensor) -> Tensor:
        """Any shape."""
        if not self.training or self.share == 0:
            return x
        return x * (self.uniform(x) >= self.share) / (1 - self.share)


class IResNet(nn.Module):
    """A residual network without pooling, of four stages that each halve the map: 112 -> 56, 28, 14, 7.

    Args:
        blocks: of each stage.
    """

    def __init__(self, blocks: tuple[int, int, int, int], dimensions: int, dropout: float) -> None:
        super().__init__()
        self.conv1 = _conv3x3(3, 64)
        self.bn1 = nn.BatchNorm2d(64)
        self.prelu = nn.PReLU(64)
        channels = 64
        for number, (width, count) in enumerate(zip((64, 128, 256, 512), blocks, strict=True), start=1):
            stage = [_IResNetBlock(channels, width, stride=2)]
            stage += [_IResNetBlock(width, width, stride=1) for _ in range(count - 1)]
            self.add_module(f"layer{number}", nn.Sequential(*stage))
            channels = width
        self.bn2 = nn.BatchNorm2d(channels)
        self.dropout = Dropout(dropout)
        self.fc = nn.Linear(channels * _FINAL**2, dimensions)
        self.features = nn.BatchNorm1d(dimensions)
        self.features.weight.requires_grad_(False)  # stays 1: the embedding is normalised anyway
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, 0.0, 0.1)

    def forward(self, images: Tensor) -> Tensor:
        """[N,3,112,112] -> [N,D]."""
        x = self.prelu(self.bn1(self.conv1(images)))
        for number in range(1, 5):
            x = self.get_submodule(f"layer{number}")(x)
        x = self.dropout(self.bn2(x).flatten(1))  # [N,512*7*7]
        return self.features(self.fc(x))


class _IResNetBlock(nn.Module):
    """Normalise, convolve, normalise, activate, convolve (with the stride), normalise; and add the input."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv1 = _conv3x3(channels, width)
        self.bn2 = nn.BatchNorm2d(width)
        self.prelu = nn.PReLU(width)
        self.conv2 = _conv3x3(width, width, stride)
        self.bn3 = nn.BatchNorm2d(width)
        self.downsample: nn.Module | None = None
        if stride > 1:
            self.downsample = nn.Sequential(
                nn.Conv2d(channels, width, 1, stride, bias=False), nn.BatchNorm2d(width)
            )

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.prelu(self.bn2(self.conv1(self.bn1(x))))
        return self.bn3(self.conv2(x)) + shortcut


class MobileFaceNet(nn.Module):
    """Inverted residuals, and a depthwise convolution over the whole last map in place of pooling."""

    def __init__(self, dimensions: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            [
                _ConvBlock(3, 128, 3, stride=2),  # 56 pixels
                _ConvBlock(128, 128, 3, groups=64),
                _Inverted(128, 128, 128, stride=2),  # 28
                _Residual(4, 128, 128),
                _Inverted(128, 256, 256, stride=2),  # 14
                _Residual(6, 256, 256),
                _Inverted(256, 512, 256, stride=2),  # 7
                _Residual(2, 256, 256),
            ]
        )
        self.conv_sep = _ConvBlock(256, 512, 1)
        self.features = _GlobalDepthwise(512, dimensions)
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        """[N,3,112,112] -> [N,D]."""
        x = images
        for layer in self.layers:
            x = layer(x)
        return self.features(self.conv_sep(x))


class _Layers(nn.Module):
    """Layers one after the other. `layers` is a part of the published names."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class _ConvBlock(_Layers):
    def __init__(
        self, channels: int, width: int, kernel: int, stride: int = 1, groups: int = 1, activate: bool = True
    ) -> None:
        padding = 0 if kernel == _FINAL else kernel // 2
        conv = nn.Conv2d(channels, width, kernel, stride, padding, groups=groups, bias=False)
        super().__init__(conv, nn.BatchNorm2d(width), *([nn.PReLU(width)] if activate else []))


class _Inverted(_Layers):
    """Up to `expanded` channels, a depthwise convolution there, down to `width`."""

    def __init__(self, channels: int, expanded: int, width: int, stride: int = 1) -> None:
        super().__init__(
            _ConvBlock(channels, expanded, 1),
            _ConvBlock(expanded, expanded, 3, stride, groups=expanded),
            _ConvBlock(expanded, width, 1, activate=False),
        )


class _Residual(_Layers):
    def __init__(self, blocks: int, channels: int, expanded: int) -> None:
        super().__init__(*(_Inverted(channels, expanded, channels) for _ in range(blocks)))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = x + layer(x)
        return x


class _GlobalDepthwise(_Layers):
    def __init__(self, channels: int, dimensions: int) -> None:
        super().__init__(
            _ConvBlock(channels, channels, _FINAL, groups=channels, activate=False),
            nn.Flatten(),
            nn.Linear(channels, dimensions, bias=False),
            nn.BatchNorm1d(dimensions),
        )


class Tiny(nn.Module):
    """A few dense convolutions after a stem of stride 4, which is what CPUs do fast.

    Per stage a convolution of stride 2 (the stem in the first) and residual blocks of two convolutions.

    Args:
        widths: channels of the stages, of 28, 14 and 7 pixels.
        blocks: of each stage.
    """

    def __init__(self, widths: tuple[int, ...], blocks: tuple[int, ...], dimensions: int) -> None:
        super().__init__()
        stages: list[nn.Module] = []
        channels = 3
        for number, (width, count) in enumerate(zip(widths, blocks, strict=True)):
            kernel, stride = (5, 4) if number == 0 else (3, 2)
            stages.append(
                nn.Sequential(
                    nn.Conv2d(channels, width, kernel, stride, kernel // 2, bias=False),
                    nn.BatchNorm2d(width),
                    nn.PReLU(width),
                    *(_TinyBlock(width) for _ in range(count)),
                )
            )
            channels = width
        self.stages = nn.Sequential(*stages)
        self.depthwise = nn.Conv2d(channels, channels, _FINAL, groups=channels, bias=False)
        self.bn = nn.BatchNorm2d(channels)
        self.fc = nn.Linear(channels, dimensions, bias=False)
        self.features = nn.BatchNorm1d(dimensions)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        """[N,3,112,112] -> [N,D]."""
        x = self.bn(self.depthwise(self.stages(images))).flatten(1)
        return self.features(self.fc(x))


class _TinyBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = _conv3x3(width, width)
        self.bn1 = nn.BatchNorm2d(width)
        self.prelu1 = nn.PReLU(width)
        self.conv2 = _conv3x3(width, width)
        self.bn2 = nn.BatchNorm2d(width)
        self.prelu2 = nn.PReLU(width)
        nn.init.zeros_(self.bn2.weight)  # begins as the identity

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(self.prelu1(self.bn1(self.conv1(x)))))
        return self.prelu2(x + y)


def _conv3x3(channels: int, width: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(channels, width, 3, stride, 1, bias=False)


def on_device(network: nn.Module, device: torch.device) -> nn.Module:
    """The network on a device, its weights in the memory layout that convolutions are fastest with."""
    return network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def create_backbone(name: str, dimensions: int = 512, dropout: float = 0.0) -> nn.Module:
    """A backbone with fresh weights from torch's global random numbers.

    Args:
        name: a key of BACKBONES.
        dimensions: of the embedding.
        dropout: share of the last map that is dropped in training; iResNet only.

    Raises:
        BadInput: if there is none of this name.
    """
    if name in IRESNETS:
        return IResNet(IRESNETS[name], dimensions, dropout)
    if name == "mobilefacenet":
        return MobileFaceNet(dimensions)
    if name == "tiny":
        return Tiny((32, 64, 128), (0, 1, 1), dimensions)
    raise BadInput(f"there is no backbone {name!r}; choose one of {', '.join(BACKBONES)}")
