"""Reading published StyleGAN2-ADA snapshots (`.pkl`) without executing anything in them.

A snapshot is a pickle of a dict of networks (`G`, `D`, `G_ema`), each of which carries its own Python source
and asks the reader to run it. This reader runs nothing: every global of the pickle must be on a short list,
and each name on the list stands for a function of this file that makes inert data. Read are the layout of
StyleGAN2-ADA-PyTorch, and StyleGAN2 networks in the layout of the StyleGAN3 release.
"""

import io
import math
import pickle
import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch
from torch import Tensor

from sface_data.errors import BadInput
from sface_data.files import explained
from sface_data.generator.networks import (
    Discriminator,
    DiscriminatorConfig,
    Generator,
    GeneratorConfig,
)
from sface_data.generator.ops import FILTER
from sface_data.generator.weights import check_config, fill

# Defaults of the published constructors, for arguments that a snapshot does not spell out.
_DEFAULT_CHANNEL_BASE = 32768
_DEFAULT_CHANNEL_MAX = 512
_DEFAULT_GROUP_SIZE = 4


class _Refused(pickle.UnpicklingError):
    """Something that a network snapshot has no need of."""


@dataclass(frozen=True)
class PersistentObject:
    """One object of a snapshot: the name of its class, and its attributes. Its source code is dropped."""

    class_name: str
    state: dict[str, Any]

    def get(self, name: str, default: Any = None) -> Any:
        """An attribute, or `default`."""
        return self.state.get(name, default)

    def child(self, name: str) -> "PersistentObject":
        """The submodule of that name.

        Raises:
            KeyError: if there is none.
        """
        found = self.state.get("_modules", {})[name]
        if not isinstance(found, PersistentObject):
            raise KeyError(name)
        return found

    def argument(self, name: str, default: Any) -> Any:
        """A constructor argument, also from inside the `..._kwargs` passed on; `default` if not given."""
        given = self.state.get("_init_kwargs") or {}
        for arguments in (given, *(v for k, v in given.items() if k.endswith("_kwargs"))):
            if isinstance(arguments, Mapping) and name in arguments:
                return arguments[name]
        return default

    def tensors(self, prefix: str = "") -> dict[str, Tensor]:
        """All parameters and buffers below it, by their dotted names."""
        found: dict[str, Tensor] = {}
        for group in ("_parameters", "_buffers"):
            for name, value in self.state.get(group, {}).items():
                if isinstance(value, Tensor):
                    found[prefix + name] = value
        for name, module in self.state.get("_modules", {}).items():
            if isinstance(module, PersistentObject):
                found |= module.tensors(f"{prefix}{name}.")
        return found


class _StandIn:
    """What an allowed global of the pickle becomes: it can be called, and nothing else can be done to it."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, *args: Any) -> Any:
        return self._function(*args)

    def __setstate__(self, state: object) -> NoReturn:
        raise _Refused("a function whose attributes are changed")


class _DType:
    """A number format, as `numpy.dtype` would be."""

    __slots__ = ("_code", "_order")

    def __init__(self, code: object, *_: object) -> None:
        if not (isinstance(code, str) and re.fullmatch(r"[fiub]\d{1,2}", code)):
            raise _Refused(f"the number format {code!r}")
        self._code = code
        self._order = "="

    def __setstate__(self, state: object) -> None:
        if isinstance(state, tuple) and len(state) > 1 and state[1] in ("<", ">", "|", "="):
            self._order = state[1]

    def number(self, data: object) -> float | int:
        if not isinstance(data, bytes):
            raise _Refused("a number without bytes")
        values = np.frombuffer(data, self._order + self._code)
        if values.size != 1:
            raise _Refused("a number of the wrong size")
        return values[0].item()


def _persistent_object(meta: object) -> PersistentObject:
    if not (isinstance(meta, dict) and isinstance(meta.get("state"), dict)):
        raise _Refused("a network without attributes")
    return PersistentObject(str(meta.get("class_name")), meta["state"])


def _scalar(dtype: object, data: object) -> float | int:
    if not isinstance(dtype, _DType):
        raise _Refused("a number without a format")
    return dtype.number(data)


def _storage(data: object) -> torch.storage.TypedStorage:
    """The numbers of a tensor: itself a small file in an old format of torch."""
    if not isinstance(data, bytes):
        raise _Refused("a tensor without bytes")
    try:
        storage = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a hostile payload makes torch raise, the answer is the same
        raise _Refused("a nested payload that is not the plain numbers of a tensor") from error
    if not isinstance(storage, torch.storage.TypedStorage):
        raise _Refused("a nested payload that is not the plain numbers of a tensor")
    return storage


def _tensor(storage: object, offset: object, size: object, stride: object, *_: object) -> Tensor:
    if not isinstance(storage, torch.storage.TypedStorage):
        raise _Refused("a tensor without numbers")
    start, shape, steps = _naturals((offset,))[0], _naturals(size), _naturals(stride)
    flat = torch.empty(0, dtype=storage.dtype).set_(storage._untyped_storage)  # [everything]
    count = math.prod(shape)
    last = start + sum((n - 1) * step for n, step in zip(shape, steps, strict=True))
    # Checked here, because torch would enlarge the storage, and repeat numbers with a stride of zero.
    if count > flat.numel() or (count > 0 and last >= flat.numel()):
        raise _Refused("a tensor larger than its numbers")
    return flat.as_strided(shape, steps, start).clone()


def _naturals(values: object) -> tuple[int, ...]:
    if not isinstance(values, tuple):
        raise _Refused("a tensor of impossible shape")
    naturals = tuple(n for n in values if isinstance(n, int) and 0 <= n < 1 << 62)
    if len(naturals) != len(values):
        raise _Refused("a tensor of impossible shape")
    return naturals


def _parameter(data: object, *_: object) -> object:
    return data


_ALLOWED: dict[tuple[str, str], Any] = {
    ("torch_utils.persistence", "_reconstruct_persistent_obj"): _StandIn(_persistent_object),
    ("dnnlib.util", "EasyDict"): dict,
    ("collections", "OrderedDict"): OrderedDict,
    ("builtins", "set"): set,
    ("torch._utils", "_rebuild_parameter"): _StandIn(_parameter),
    ("torch._utils", "_rebuild_tensor_v2"): _StandIn(_tensor),
    ("torch.storage", "_load_from_bytes"): _StandIn(_storage),
    ("numpy", "dtype"): _StandIn(_DType),
    ("numpy.core.multiarray", "scalar"): _StandIn(_scalar),
    ("numpy._core.multiarray", "scalar"): _StandIn(_scalar),
}


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise _Refused(f"{module}.{name}") from None

    def persistent_load(self, pid: object) -> NoReturn:
        raise _Refused("a reference to something outside the file")


def read_snapshot(path: Path) -> dict[str, PersistentObject]:
    """The networks of a snapshot by name (`G`, `D`, `G_ema`), as inert data.

    Raises:
        BadInput: if the file cannot be read, is cut short, is no snapshot, or holds anything that a snapshot
            has no need of. Nothing in it has been executed then either.
    """
    with explained(path), path.open("rb") as file:
        data = file.read()
    try:
        content = _Reader(io.BytesIO(data)).load()
    except _Refused as error:
        raise BadInput(
            f"{path}: refused, because it holds {error}, which a StyleGAN2-ADA snapshot has no need of; "
            "nothing in the file was executed"
        ) from error
    except (
        pickle.UnpicklingError, EOFError, ValueError, TypeError, KeyError, IndexError, AttributeError,
        OverflowError, MemoryError, RecursionError, ImportError,
    ) as error:  # fmt: skip
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
    return _network(path, "G_ema", _generator)


def read_discriminator(path: Path) -> Discriminator:
    """The discriminator (`D`) of a snapshot. Raises as `read_generator` does."""
    return _network(path, "D", _discriminator)


def _network(path: Path, name: str, make: Callable[[PersistentObject], Any]) -> Any:
    networks = read_snapshot(path)
    if name not in networks:
        raise BadInput(f"{path}: holds no network `{name}`, only {', '.join(networks)}")
    try:
        return make(networks[name])
    except BadInput as error:
        raise BadInput(f"{path}: {name}: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadInput(f"{path}: {name} is not a StyleGAN2 network as published; it cannot be used") from error


def _generator(network: PersistentObject) -> Generator:
    mapping, synthesis = network.child("mapping"), network.child("synthesis")
    finest = synthesis.child(f"b{synthesis.get('img_resolution')}")
    config = GeneratorConfig(
        z_dim=mapping.get("z_dim"),
        c_dim=mapping.get("c_dim"),
        w_dim=mapping.get("w_dim"),
        img_resolution=synthesis.get("img_resolution"),
        img_channels=synthesis.get("img_channels"),
        mapping_layers=mapping.get("num_layers"),
        channel_base=network.argument("channel_base", _DEFAULT_CHANNEL_BASE),
        channel_max=network.argument("channel_max", _DEFAULT_CHANNEL_MAX),
        conv_clamp=finest.child("conv1").get("conv_clamp"),
    )
    _check_family(network, architecture="skip")
    check_config(config)
    return fill(Generator, config, _weights(network))


def _discriminator(network: PersistentObject) -> Discriminator:
    resolution = network.get("img_resolution")
    architecture = network.child(f"b{resolution}").get("architecture")
    base = network.argument("channel_base", _DEFAULT_CHANNEL_BASE)
    config = DiscriminatorConfig(
        c_dim=network.get("c_dim"),
        img_resolution=resolution,
        img_channels=network.get("img_channels"),
        architecture=architecture,
        channel_base=base,
        channel_max=network.argument("channel_max", _DEFAULT_CHANNEL_MAX),
        conv_clamp=network.child(f"b{resolution}").child("conv0").get("conv_clamp"),
        mapping_layers=network.child("mapping").get("num_layers") if network.get("c_dim") else 0,
        mbstd_group_size=network.argument("mbstd_group_size", _DEFAULT_GROUP_SIZE),
        mbstd_num_channels=network.argument("mbstd_num_channels", 1),
        cmap_dim=network.child("b4").get("cmap_dim"),
    )
    _check_family(network, architecture=architecture)
    check_config(config)
    return fill(Discriminator, config, _weights(network))


def _check_family(network: PersistentObject, architecture: str) -> None:
    """Refuses variants that the published code allows and these networks do not have."""
    wanted = {"architecture": architecture, "use_noise": True}
    for block in network.get("_modules", {}).values():
        for name, value in wanted.items():
            for part in (block, *block.get("_modules", {}).values()):
                if part.get(name, value) != value:
                    raise BadInput(f"{name} is {part.get(name)!r}; only {value!r} can be used")
            for part in block.get("_modules", {}).values():
                if isinstance(part, PersistentObject) and part.get("activation", "lrelu") not in (
                    "lrelu",
                    "linear",
                ):
                    raise BadInput(f"activation is {part.get('activation')!r}; only 'lrelu' can be used")


def _weights(network: PersistentObject) -> dict[str, Tensor]:
    """Parameters and buffers; the filters are left out once it is clear that they are the one filter."""
    line = torch.tensor(FILTER) / sum(FILTER)
    weights = {}
    for name, tensor in network.tensors().items():
        if not name.endswith("resample_filter"):
            weights[name] = tensor
        elif tensor.shape != (4, 4) or not torch.allclose(tensor.float(), torch.outer(line, line)):
            raise BadInput(f"{name} is not the filter [1,3,3,1], the only one that can be used")
    return weights
