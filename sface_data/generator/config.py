"""What networks are built from: data, without torch, so that a command line can read it."""

import dataclasses
import reprlib
from dataclasses import dataclass
from typing import Literal

from sface_data.errors import BadInput

_LARGEST = 1 << 20  # no size in a configuration is sensible beyond a million
_DEEPEST_MAPPING = 64
_HIGHEST_CLAMP = 1e9


@dataclass(frozen=True)
class GeneratorConfig:
    """What a generator is built from; the weights are the rest.

    Attributes:
        z_dim, w_dim: sizes of the latent z and of the intermediate latent w.
        c_dim: number of classes; 0 for an unconditional network.
        img_resolution: height and width of the images, a power of two.
        img_channels: 3 for RGB, 1 for grey.
        mapping_layers: depth of the mapping network.
        channel_base, channel_max: a layer at resolution R has min(channel_base / R, channel_max) channels.
        conv_clamp: bound of the activations, which float16 needs; None for none.
    """

    z_dim: int
    c_dim: int
    w_dim: int
    img_resolution: int
    img_channels: int = 3
    mapping_layers: int = 2
    channel_base: int = 16384
    channel_max: int = 512
    conv_clamp: float | None = 256.0

    @property
    def num_ws(self) -> int:
        """How many w one image takes: one per convolution, and one for the last toRGB."""
        return 2 * len(resolutions(self.img_resolution))

    @property
    def noise_resolutions(self) -> tuple[int, ...]:
        """Height and width of the noise of each convolution, in order."""
        first, *rest = resolutions(self.img_resolution)
        return (first, *(r for r in rest for _ in range(2)))


@dataclass(frozen=True)
class DiscriminatorConfig:
    """What a discriminator is built from. See `GeneratorConfig`.

    Attributes:
        architecture: `resnet`, `orig` or `skip` (figure 7 of the StyleGAN2 paper).
        cmap_dim: size of the class embedding that the output is projected on.
        mapping_layers: depth of the network that embeds the class.
        mbstd_group_size: images per group of the minibatch standard deviation; None for the whole batch.
        mbstd_num_channels: channels that it adds.
    """

    c_dim: int
    img_resolution: int
    img_channels: int = 3
    architecture: Literal["resnet", "orig", "skip"] = "resnet"
    channel_base: int = 16384
    channel_max: int = 512
    conv_clamp: float | None = 256.0
    cmap_dim: int = 512
    mapping_layers: int = 8
    mbstd_group_size: int | None = 4
    mbstd_num_channels: int = 1


def resolutions(img_resolution: int) -> tuple[int, ...]:
    """4, 8, ... up to the resolution of the image."""
    return tuple(2**i for i in range(2, img_resolution.bit_length()))


def channels_at(resolution: int, config: GeneratorConfig | DiscriminatorConfig) -> int:
    """Channels of the layers at a resolution."""
    return min(config.channel_base // resolution, config.channel_max)


def check_config(config: GeneratorConfig) -> None:
    """Checks types and ranges of a configuration that came from a file.

    Raises:
        BadInput: naming the field.
    """
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if not _good(field.name, value):
            raise BadInput(f"{field.name} is {reprlib.repr(value)}, which no StyleGAN2 network has")
    if config.channel_base < config.img_resolution:
        raise BadInput(f"channel_base is {config.channel_base}, less than one channel at full resolution")


def _good(name: str, value: object) -> bool:
    if name == "conv_clamp":
        return value is None or (type(value) in (int, float) and 0 < value < _HIGHEST_CLAMP)  # type: ignore[operator]
    if type(value) is not int:  # nor bool, which is an int too
        return False
    if name == "img_channels":
        return value in (1, 3)
    if name == "img_resolution":
        return 8 <= value <= 4096 and value & (value - 1) == 0
    least = 0 if name in ("c_dim", "mapping_layers") else 1
    return least <= value <= (_DEEPEST_MAPPING if name == "mapping_layers" else _LARGEST)
