"""Putting tensors into networks, and telling when they do not fit."""

import dataclasses
from collections.abc import Mapping
from typing import TypeVar

import torch
from torch import Tensor

from sface_data.errors import BadInput
from sface_data.generator.networks import Discriminator, DiscriminatorConfig, Generator, GeneratorConfig

Network = TypeVar("Network", Generator, Discriminator)
_LARGEST = 1 << 20  # no size in a configuration is sensible beyond a million


def check_config(config: GeneratorConfig | DiscriminatorConfig) -> None:
    """Checks types and ranges of a configuration that came from a file.

    Raises:
        BadInput: naming the field.
    """
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if field.name == "architecture":
            good = value in ("resnet", "orig", "skip")
        elif field.name == "conv_clamp":
            good = value is None or (isinstance(value, (int, float)) and value > 0)
        elif field.name == "mbstd_group_size" and value is None:
            good = True
        elif field.name == "img_resolution":
            good = isinstance(value, int) and 8 <= value <= 4096 and value & (value - 1) == 0
        else:
            least = 0 if field.name in ("c_dim", "cmap_dim", "mapping_layers", "mbstd_num_channels") else 1
            good = isinstance(value, int) and least <= value <= _LARGEST
        if not good:
            raise BadInput(f"{field.name} is {value!r}, which no StyleGAN2 network has")
    if config.channel_base < config.img_resolution:
        raise BadInput(f"channel_base is {config.channel_base}, less than one channel at full resolution")


def fill(
    kind: type[Network], config: GeneratorConfig | DiscriminatorConfig, weights: Mapping[str, Tensor]
) -> Network:
    """A network with these weights, in evaluation mode, float32, without gradients.

    Raises:
        BadInput: if a tensor is missing, left over, of another shape, or not finite; it is named.
    """
    with torch.device("meta"):  # no memory, no random numbers: everything comes from `weights`
        network = kind(config)  # type: ignore[arg-type]
    expected = network.state_dict()
    for name in sorted(expected.keys() | weights.keys()):
        if name not in weights:
            raise BadInput(f"the tensor {name} is missing")
        if name not in expected:
            raise BadInput(f"the tensor {name} belongs to another kind of network")
        if weights[name].shape != expected[name].shape:
            raise BadInput(
                f"the tensor {name} has shape {list(weights[name].shape)}, not {list(expected[name].shape)}"
            )
        if not torch.isfinite(weights[name]).all():
            raise BadInput(f"the tensor {name} has values that are not finite; the network is broken")
    network.load_state_dict({name: weights[name].float() for name in expected}, assign=True)
    return network.eval().requires_grad_(False)
