"""Reading published StyleGAN2-ADA snapshots (`.pkl`) without executing anything in them.

A snapshot is a pickle of a dict of networks (`G`, `D`, `G_ema`), each of which carries its own Python source
and asks the reader to run it. This reader runs nothing: every global of the pickle must be on a short list,
and each name on the list stands for a function of this package that makes inert data (see `pickles.py`). Read
are the layout of StyleGAN2-ADA-PyTorch, and StyleGAN2 networks in the layout of the StyleGAN3 release.
"""

import io
import reprlib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sface_data.errors import BadInput
from sface_data.generator.config import GeneratorConfig, check_config
from sface_data.generator.networks import Generator
from sface_data.generator.ops import FILTER
from sface_data.generator.tensor_pickles import read_storage, read_tensor
from sface_data.io.files import MAX_ARRAYS, read_bytes
from sface_data.io.pickles import Functions, NumberFormat, Refused, read_number, read_pickle
from sface_data.training.safetensors_file import fill

_NAME = "G_ema"
# Defaults of the published constructors, for arguments that a snapshot does not spell out.
_DEFAULT_CHANNEL_BASE = 32768
_DEFAULT_CHANNEL_MAX = 512
_MAPPING_LR_MULTIPLIER = 0.01
_LINEAR = ("affine", "embed", "out", "skip")  # layers without activation; the others have a leaky ReLU
_DEEPEST = 8  # levels of modules; published networks have 4


@dataclass(frozen=True)
class PersistentObject:
    """One object of a snapshot: the name of its class, and its attributes. Its source code is dropped."""

    class_name: str
    state: dict[str, Any] = field(repr=False)  # of any size, and may hold itself

    def get(self, name: str, default: Any = None) -> Any:
        """An attribute, or `default`."""
        return self.state.get(name, default)

    def integer(self, name: str) -> int:
        """An attribute that is an integer.

        Raises:
            TypeError: if it is anything else.
        """
        value = self.state.get(name)
        if type(value) is not int:
            raise TypeError(name)
        return value

    def child(self, name: str) -> "PersistentObject":
        """The submodule of that name.

        Raises:
            KeyError: if there is none.
        """
        found = self._table("_modules").get(name)
        if not isinstance(found, PersistentObject):
            raise KeyError(name)
        return found

    def argument(self, name: str, default: Any) -> Any:
        """A constructor argument, also from inside the `..._kwargs` passed on; `default` if not given."""
        given = self._table("_init_kwargs")
        for arguments in (given, *(v for k, v in given.items() if k.endswith("_kwargs"))):
            if isinstance(arguments, dict) and name in arguments:
                return arguments[name]
        return default

    def modules(self) -> Iterator[tuple[str, "PersistentObject"]]:
        """This object and everything below it, with the dotted name (empty for this object).

        Raises:
            BadInput: if one is there twice, is nested deeper than in any published network, or is none.
        """
        yield from self._walk("", 0, set())

    def tensors(self) -> dict[str, Tensor]:
        """All parameters and buffers, by their dotted names. Raises as `modules`."""
        found: dict[str, Tensor] = {}
        for prefix, module in self.modules():
            for name, value in (module._table("_parameters") | module._table("_buffers")).items():
                if isinstance(value, Tensor):
                    found[f"{prefix}.{name}" if prefix else name] = value
        return found

    def _table(self, name: str) -> dict[str, Any]:
        table = self.state.get(name, {})
        if not isinstance(table, dict):
            raise TypeError(name)
        return table

    def _walk(self, name: str, depth: int, seen: set[int]) -> Iterator[tuple[str, "PersistentObject"]]:
        if depth > _DEEPEST or id(self.state) in seen:
            raise BadInput("its modules hold one another")
        seen.add(id(self.state))
        yield name, self
        for key, module in self._table("_modules").items():
            if not isinstance(module, PersistentObject):
                raise BadInput(f"the module {reprlib.repr(key)} is none")
            yield from module._walk(f"{name}.{key}" if name else key, depth + 1, seen)


def _persistent_object(meta: object) -> PersistentObject:
    if not (isinstance(meta, dict) and isinstance(meta.get("state"), dict)):
        raise Refused("a network without attributes")
    class_name = meta.get("class_name")
    return PersistentObject(class_name if isinstance(class_name, str) else "", meta["state"])


def _parameter(data: object, *_: object) -> object:
    return data


def _mapping(*_: object) -> dict[str, Any]:
    return {}  # its items follow


def _set(*_: object) -> list[Any]:
    return []  # what published snapshots keep in sets is of no use here


_FUNCTIONS: Functions = {
    ("torch_utils.persistence", "_reconstruct_persistent_obj"): _persistent_object,
    ("dnnlib.util", "EasyDict"): _mapping,
    ("collections", "OrderedDict"): _mapping,
    ("builtins", "set"): _set,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("torch._utils", "_rebuild_tensor_v2"): read_tensor,
    ("numpy", "dtype"): NumberFormat,
    ("numpy.core.multiarray", "scalar"): read_number,
    ("numpy._core.multiarray", "scalar"): read_number,
}


def _functions(budget: int) -> Functions:
    """What the globals of one snapshot stand for.

    Args:
        budget: how many bytes of numbers may come from it. Bytes that are in a file once can be read often.
    """

    def storage(data: object) -> Tensor:
        nonlocal budget
        budget -= len(data) if isinstance(data, bytes) else 0
        if budget < 0:
            raise Refused("the same numbers again and again")
        return read_storage(data)

    return {**_FUNCTIONS, ("torch.storage", "_load_from_bytes"): storage}


def read_snapshot(path: Path) -> dict[str, PersistentObject]:
    """The networks of a snapshot by name (`G`, `D`, `G_ema`), as inert data.

    Raises:
        BadInput: if the file cannot be read, is cut short, is no snapshot, or holds anything that a snapshot
            has no need of. Nothing in it has been executed then either.
    """
    data = read_bytes(path, MAX_ARRAYS)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # names with odd escapes, which are refused
            content = read_pickle(io.BytesIO(data), _functions(budget=len(data)))
    except Refused as error:
        raise BadInput(
            f"{path}: refused, because it holds {error}, which a StyleGAN2-ADA snapshot has no need of; "
            "nothing in the file was executed"
        ) from error
    except (ValueError, TypeError, KeyError, IndexError) as error:
        raise BadInput(
            f"{path}: not a complete StyleGAN2-ADA snapshot; get the file again, or check that it is one "
            "(nothing in it was executed)"
        ) from error
    networks = (
        {k: v for k, v in content.items() if isinstance(v, PersistentObject)} if isinstance(content, dict) else {}
    )
    if not networks:
        raise BadInput(f"{path}: a pickle without networks in it; a StyleGAN2-ADA snapshot has at least `G_ema`")
    return networks


def read_generator(path: Path) -> Generator:
    """The averaged generator (`G_ema`) of a snapshot.

    Raises:
        BadInput: as `read_snapshot`, and for networks of another kind.
    """
    networks = read_snapshot(path)
    if _NAME not in networks:
        raise BadInput(f"{path}: holds no network `{_NAME}`, only {reprlib.repr(sorted(networks))}")
    try:
        return _generator(networks[_NAME])
    except BadInput as error:
        raise BadInput(f"{path}: {_NAME}: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadInput(f"{path}: {_NAME} is not a StyleGAN2 network as published; it cannot be used") from error


def _generator(network: PersistentObject) -> Generator:
    mapping, synthesis = network.child("mapping"), network.child("synthesis")
    finest = synthesis.child(f"b{synthesis.integer('img_resolution')}")
    config = GeneratorConfig(
        z_dim=mapping.get("z_dim"),
        c_dim=mapping.get("c_dim"),
        w_dim=mapping.get("w_dim"),
        img_resolution=synthesis.get("img_resolution"),
        img_channels=synthesis.get("img_channels"),
        mapping_layers=mapping.get("num_layers"),
        # The synthesis network was given these however the whole network was: by position, nested or not.
        channel_base=synthesis.argument("channel_base", _DEFAULT_CHANNEL_BASE),
        channel_max=synthesis.argument("channel_max", _DEFAULT_CHANNEL_MAX),
        conv_clamp=_clamp(finest.child("conv1")),
    )
    check_config(config)
    _check_family(network)
    return fill(lambda: Generator(config), _weights(network))


def _clamp(layer: PersistentObject) -> Any:
    """As a float: 256 and 256.0 are one configuration, with one digest."""
    clamp = layer.get("conv_clamp")
    return float(clamp) if type(clamp) is int and abs(clamp) < 1 << 32 else clamp


def _check_family(network: PersistentObject) -> None:
    """Refuses variants that the published code allows and these networks do not have."""
    for name, module in network.modules():
        layer = name.rpartition(".")[2]
        wanted: dict[str, Any] = {
            "architecture": "skip",
            "use_noise": True,
            "activation": "linear" if layer in _LINEAR else "lrelu",
        }
        if name.startswith("mapping.fc"):
            wanted["bias_gain"] = _MAPPING_LR_MULTIPLIER
        for attribute, value in wanted.items():
            found = module.get(attribute, value)
            if type(found) is not type(value) or found != value:
                raise BadInput(f"{attribute} is {reprlib.repr(found)}; only {value!r} can be used")


def _weights(network: PersistentObject) -> dict[str, Tensor]:
    """Parameters and buffers; the filters are left out once it is clear that they are the one filter."""
    line = torch.tensor(FILTER) / sum(FILTER)
    weights = {}
    for name, tensor in network.tensors().items():
        if not name.endswith("resample_filter"):
            weights[name] = tensor
        elif tensor.shape != (4, 4) or not torch.allclose(tensor.float(), torch.outer(line, line)):
            raise BadInput(f"{reprlib.repr(name)} is not the filter [1,3,3,1], the only one that can be used")
    if len({tensor.untyped_storage().data_ptr() for tensor in weights.values()}) < len(weights):
        raise BadInput("two tensors share their numbers")
    return weights
