"""Files of weights: safetensors, and networks filled from them."""

import json
import reprlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from sface_data.errors import BadInput
from sface_data.io.files import MAX_ARRAYS, read_bytes

Network = TypeVar("Network", bound=nn.Module)
_SIZE = 8  # bytes that say how long the header is
_FLOATS = (torch.float32, torch.float16, torch.bfloat16, torch.float64)


def read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors by name, on the CPU, and the metadata of a file.

    All of it is read, none mapped: a file that is cut or changed later would end this process, or change weights.

    Raises:
        BadInput: if it cannot be read, or is not complete.
    """
    data = read_bytes(path, MAX_ARRAYS)
    try:
        weights = load(data)
    except (SafetensorError, KeyError) as error:  # of types that this version of safetensors does not know
        raise BadInput(f"{path}: no .safetensors file, or cut short; get the file again") from error
    header = json.loads(data[_SIZE : _SIZE + int.from_bytes(data[:_SIZE], "little")])
    return weights, header.get("__metadata__", {})


def fill(create: Callable[[], Network], weights: Mapping[str, Tensor]) -> Network:
    """A network with these weights, in evaluation mode, in the dtypes of its own (float32), without gradients.

    Args:
        create: makes the network; no random numbers are drawn for it.

    Raises:
        BadInput: if a tensor is missing, left over, of another shape, or not finite; it is named.
    """
    with _NoNumbers():
        network = create()
    expected = network.state_dict()
    for name in sorted(expected.keys() | weights.keys()):
        if name not in weights:
            raise BadInput(f"the tensor {name} is missing")
        if name not in expected:
            raise BadInput(f"the tensor {reprlib.repr(name)} belongs to another kind of network")
        _check_tensor(name, weights[name], expected[name])
    state = {name: weights[name].to(tensor.dtype).contiguous() for name, tensor in expected.items()}
    network.load_state_dict(state, assign=True)
    return network.eval().requires_grad_(False)


class _NoNumbers(TorchFunctionMode):
    """Draws no random numbers: tensors made here hold anything. (`meta` makes torch load its compiler.)"""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is torch.randn:
            return torch.empty(*args, **kwargs)
        if func in (Tensor.normal_, Tensor.uniform_) or getattr(func, "__module__", None) == "torch.nn.init":
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


def _check_tensor(name: str, tensor: Tensor, expected: Tensor) -> None:
    if tensor.shape != expected.shape:
        raise BadInput(f"the tensor {name} has shape {list(tensor.shape)}, not {list(expected.shape)}")
    if not expected.is_floating_point():
        return
    if tensor.dtype not in _FLOATS:
        raise BadInput(f"the tensor {name} is of {tensor.dtype}; weights are floating-point numbers")
    if not torch.isfinite(tensor.float()).all():
        raise BadInput(f"the tensor {name} has values that are not finite; the network is broken")
