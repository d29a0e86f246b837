"""Putting tensors into networks, and telling when they do not fit."""

import dataclasses
import reprlib
from collections.abc import Mapping
from typing import TypeVar

import torch
from torch import Tensor

from sface_data.errors import BadInput
from sface_data.generator.networks import Discriminator, DiscriminatorConfig, Generator, GeneratorConfig

Network = TypeVar("Network", Generator, Discriminator)
_LARGEST = 1 << 20  # no size in a configuration is sensible beyond a million
_DEEPEST_MAPPING = 64
_HIGHEST_CLAMP = 1e9
_FLOATS = (torch.float32, torch.float16, torch.bfloat16, torch.float64)


def check_config(config: GeneratorConfig | DiscriminatorConfig) -> None:
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
    if name == "architecture":
        return isinstance(value, str) and value in ("resnet", "orig", "skip")
    if name in ("conv_clamp", "mbstd_group_size") and value is None:
        return True
    if name == "conv_clamp":
        return type(value) in (int, float) and 0 < value < _HIGHEST_CLAMP  # type: ignore[operator]
    if type(value) is not int:  # nor bool, which is an int too
        return False
    if name == "img_resolution":
        return 8 <= value <= 4096 and value & (value - 1) == 0
    least = 0 if name in ("c_dim", "cmap_dim", "mapping_layers", "mbstd_num_channels") else 1
    return least <= value <= (_DEEPEST_MAPPING if name == "mapping_layers" else _LARGEST)


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
            raise BadInput(f"the tensor {reprlib.repr(name)} belongs to another kind of network")
        _check_tensor(name, weights[name], expected[name].shape)
    network.load_state_dict({name: weights[name].float().contiguous() for name in expected}, assign=True)
    return network.eval().requires_grad_(False)


def _check_tensor(name: str, tensor: Tensor, shape: torch.Size) -> None:
    if tensor.shape != shape:
        raise BadInput(f"the tensor {name} has shape {list(tensor.shape)}, not {list(shape)}")
    if tensor.dtype not in _FLOATS:
        raise BadInput(f"the tensor {name} is of {tensor.dtype}; weights are floating-point numbers")
    if not torch.isfinite(tensor.float()).all():
        raise BadInput(f"the tensor {name} has values that are not finite; the network is broken")
