"""The tensors in a pickle, read as data."""

import io
import math

import torch
from torch import Tensor

from sface_data.io.pickles import Functions, Global, Refused, read_pickle

_MOST_DIMENSIONS = 8

_STORAGE_MAGIC = 0x1950A86A20F9469CFC6C
_STORAGE_VERSION = 1001
_STORAGE_TYPES: Functions = {
    ("torch", "FloatStorage"): lambda: torch.float32,
    ("torch", "DoubleStorage"): lambda: torch.float64,
    ("torch", "HalfStorage"): lambda: torch.float16,
    ("torch", "BFloat16Storage"): lambda: torch.bfloat16,
    ("torch", "LongStorage"): lambda: torch.int64,
}


def read_storage(data: object) -> Tensor:
    """The numbers [n] of a tensor, as torch writes a storage into a pickle: five small pickles (magic number,
    version, machine, type and size, keys), then the size again and the bytes.

    Raises:
        As `read_pickle`.
    """
    if not isinstance(data, bytes):
        raise Refused("a tensor without bytes")
    file = io.BytesIO(data)
    if read_pickle(file, {}) != _STORAGE_MAGIC or read_pickle(file, {}) != _STORAGE_VERSION:
        raise Refused("a nested payload that is not the plain numbers of a tensor")
    machine = read_pickle(file, {})
    reference = read_pickle(file, _STORAGE_TYPES, persistent=lambda reference: reference)
    read_pickle(file, {})  # the keys, of which there is one
    # ("storage", type, key, device, size, view)
    if not (isinstance(reference, tuple) and len(reference) == 6 and isinstance(reference[1], Global)):
        raise Refused("a nested payload that is not the plain numbers of a tensor")
    if not (isinstance(machine, dict) and machine.get("little_endian") is True and reference[5] is None):
        raise Refused("a tensor whose numbers are in an unusual order")
    dtype: torch.dtype = reference[1].function()
    size = int.from_bytes(file.read(8), "little")
    numbers = bytearray(file.read())
    if size != reference[4] or size * dtype.itemsize != len(numbers):
        raise Refused("a tensor with too few or too many numbers")
    return torch.frombuffer(numbers, dtype=dtype) if size else torch.empty(0, dtype=dtype)


def read_tensor(numbers: object, offset: object, size: object, stride: object, *_: object) -> Tensor:
    """A tensor on `numbers` [n], which it shares, as `torch._utils._rebuild_tensor_v2` would make it."""
    if not (isinstance(numbers, Tensor) and numbers.dim() == 1):
        raise Refused("a tensor without numbers")
    (start,), shape, steps = _naturals((offset,)), _naturals(size), _naturals(stride)
    count = math.prod(shape)
    last = start + sum((n - 1) * step for n, step in zip(shape, steps, strict=True))
    # Checked here, because torch would repeat numbers with a stride of zero.
    if count > len(numbers) or (count > 0 and last >= len(numbers)):
        raise Refused("a tensor larger than its numbers")
    return numbers.as_strided(shape, steps, start) if count else torch.empty(0, dtype=numbers.dtype)


def _naturals(values: object) -> tuple[int, ...]:
    if not (isinstance(values, tuple) and len(values) <= _MOST_DIMENSIONS):
        raise Refused("a tensor of impossible shape")
    naturals = tuple(n for n in values if isinstance(n, int) and 0 <= n < 1 << 40)
    if len(naturals) != len(values):
        raise Refused("a tensor of impossible shape")
    return naturals
