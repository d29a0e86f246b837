"""Reading a pickle as data.

Python's unpickler does what the file says: it calls, sets attributes, and sizes its tables by numbers in the
file. Here `pickletools.genops` splits the bytes into opcodes, and the few opcodes that data needs act on plain
values. A name in the file (a global) stands for a function of the caller, or the file is refused.
"""

import io
import math
import pickletools
import re
import reprlib
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor

Functions = Mapping[tuple[str, str], Callable[..., Any]]

_CONSTANTS: dict[str, Any] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_LITERALS = {
    "BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT",
    "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8",
}  # fmt: skip
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_MOST_DIMENSIONS = 8
_NAMES = reprlib.Repr()
_NAMES.maxstring = 120

_STORAGE_MAGIC = 0x1950A86A20F9469CFC6C
_STORAGE_VERSION = 1001
_STORAGE_TYPES: Functions = {
    ("torch", "FloatStorage"): lambda: torch.float32,
    ("torch", "DoubleStorage"): lambda: torch.float64,
    ("torch", "HalfStorage"): lambda: torch.float16,
    ("torch", "BFloat16Storage"): lambda: torch.bfloat16,
    ("torch", "LongStorage"): lambda: torch.int64,
}


class Refused(ValueError):
    """Something that data has no need of. The message is a noun phrase that names it."""


class _Global:
    """A name in the file, and the function of the caller that it stands for."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function


class NumberFormat:
    """What `numpy.dtype` is in a file: the format of one number."""

    def __init__(self, code: object, *_: object) -> None:
        if not (isinstance(code, str) and re.fullmatch(r"f[248]|[iu][1248]|b1", code)):
            raise Refused(f"the number format {reprlib.repr(code)}")
        self._code = code
        self._order = "="

    def set_order(self, state: object) -> None:
        """Takes the byte order from the state that numpy writes, (version, order, ...)."""
        order = state[1] if isinstance(state, tuple) and len(state) > 1 else None
        if not (isinstance(order, str) and order in ("<", ">", "|", "=")):
            raise Refused("a number format without byte order")
        self._order = order

    def number(self, data: object) -> float | int:
        """The one number in `data`."""
        dtype = np.dtype(self._order + self._code)
        if not (isinstance(data, bytes) and len(data) == dtype.itemsize):
            raise Refused("a number of the wrong size")
        return np.frombuffer(data, dtype)[0].item()


class _Machine:
    """The stack, the marks on it, and the memo of one pickle."""

    def __init__(self, functions: Functions, persistent: Callable[[Any], Any] | None) -> None:
        self.functions = functions
        self.persistent = persistent
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def do(self, opcode: str, argument: Any) -> None:
        """One opcode. Raises IndexError, KeyError or TypeError where it does not fit the stack."""
        stack = self.stack
        if opcode in _CONSTANTS:
            stack.append(_CONSTANTS[opcode])
        elif opcode in _LITERALS:
            stack.append(argument)
        elif opcode in _TUPLES:
            stack.append(tuple(self.pop(_TUPLES[opcode])))
        elif opcode in ("BINGET", "LONG_BINGET"):
            stack.append(self.memo[argument])
        elif opcode in ("BINPUT", "LONG_BINPUT"):
            self.memo[argument] = stack[-1]
        elif opcode == "MEMOIZE":
            self.memo[len(self.memo)] = stack[-1]
        elif opcode == "MARK":
            self.marks.append(len(stack))
        elif opcode in ("EMPTY_DICT", "EMPTY_LIST", "EMPTY_SET"):
            stack.append({} if opcode == "EMPTY_DICT" else [])
        elif opcode in _COMPOUND:
            _COMPOUND[opcode](self)
        elif opcode == "GLOBAL":
            self.name(*argument.split(" ", 1))
        elif opcode not in ("PROTO", "FRAME", "STOP"):
            raise Refused(f"the pickle instruction {opcode}")

    def pop(self, count: int) -> list[Any]:
        """The topmost `count` values, in the order they came."""
        if count > len(self.stack) - (self.marks[-1] if self.marks else 0):
            raise IndexError("the stack is too short")
        values = self.stack[len(self.stack) - count :]
        del self.stack[len(self.stack) - count :]
        return values

    def pop_to_mark(self) -> list[Any]:
        """What came since the last mark."""
        values = self.pop(len(self.stack) - self.marks[-1])
        self.marks.pop()
        return values

    def name(self, module: object, name: object) -> None:
        known = self.functions.get((module, name)) if isinstance(module, str) and isinstance(name, str) else None
        if known is None:
            raise Refused(_NAMES.repr(f"{module}.{name}") if isinstance(name, str) else "a nameless global")
        self.stack.append(_Global(known))

    def call(self) -> None:
        function, arguments = self.pop(2)
        if not (isinstance(function, _Global) and isinstance(arguments, tuple)):
            raise Refused("a call of something that is no function")
        self.stack.append(function.function(*arguments))

    def build(self) -> None:
        (state,) = self.pop(1)
        if isinstance(self.stack[-1], NumberFormat):
            self.stack[-1].set_order(state)
        elif state is not None and state != {}:
            raise Refused("an object whose attributes are changed")

    def put_items(self, items: list[Any]) -> None:
        target = self.stack[-1]
        keys, values = items[::2], items[1::2]
        # Text only: other keys have no use here, and can be made to take for ever to hash.
        if not (type(target) is dict and len(keys) == len(values) and all(isinstance(key, str) for key in keys)):
            raise Refused("a table whose keys are not text")
        target.update(zip(keys, values, strict=True))

    def append_items(self, items: list[Any]) -> None:
        if type(self.stack[-1]) is not list:
            raise Refused("a list that is none")
        self.stack[-1].extend(items)

    def find_persistent(self) -> None:
        (reference,) = self.pop(1)
        if self.persistent is None:
            raise Refused("a reference to something outside the file")
        self.stack.append(self.persistent(reference))


_COMPOUND: dict[str, Callable[[_Machine], None]] = {
    "TUPLE": lambda machine: machine.stack.append(tuple(machine.pop_to_mark())),
    "SETITEM": lambda machine: machine.put_items(machine.pop(2)),
    "SETITEMS": lambda machine: machine.put_items(machine.pop_to_mark()),
    "APPEND": lambda machine: machine.append_items(machine.pop(1)),
    "APPENDS": lambda machine: machine.append_items(machine.pop_to_mark()),
    "ADDITEMS": lambda machine: machine.append_items(machine.pop_to_mark()),
    "STACK_GLOBAL": lambda machine: machine.name(*machine.pop(2)),
    "REDUCE": _Machine.call,
    "NEWOBJ": _Machine.call,
    "BUILD": _Machine.build,
    "BINPERSID": _Machine.find_persistent,
}


def read_pickle(file: BinaryIO, functions: Functions, persistent: Callable[[Any], Any] | None = None) -> Any:
    """The value of the pickle that starts where `file` stands; leaves `file` behind it.

    Sets are read as lists.

    Args:
        functions: what the names in the file stand for, by module and name.
        persistent: what makes a value of a persistent id; None to refuse those.

    Raises:
        Refused: if it holds something that data has no need of.
        ValueError, TypeError, KeyError, IndexError: if it is cut short or no pickle.
    """
    machine = _Machine(functions, persistent)
    for opcode, argument, _ in pickletools.genops(file):
        machine.do(opcode.name, argument)
    (value,) = machine.pop(1)
    return value


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
    if not (isinstance(reference, tuple) and len(reference) == 6 and isinstance(reference[1], _Global)):
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
