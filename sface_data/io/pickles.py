"""Reading a pickle as data.

Python's unpickler does what the file says: it calls, sets attributes, and sizes its tables by numbers in the
file. Here `pickletools.genops` splits the bytes into opcodes, and the few opcodes that data needs act on plain
values. A name in the file (a global) stands for a function of the caller, or the file is refused.
"""

import pickletools
import re
import reprlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

Functions = Mapping[tuple[str, str], Callable[..., Any]]

_CONSTANTS: dict[str, Any] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_LITERALS = {
    "BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT",
    "INT", "LONG", "FLOAT", "UNICODE",
    "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8",
}  # fmt: skip
_OLD_STRINGS = ("STRING", "BINSTRING", "SHORT_BINSTRING")  # of Python 2: bytes
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_MADE = {*_TUPLES, "TUPLE", "EMPTY_DICT", "EMPTY_LIST", "EMPTY_SET", "LIST", "DICT", "REDUCE", "NEWOBJ"}
_NOTED = {"BINPUT", "LONG_BINPUT", "PUT", "MEMOIZE"}
_MOST_MADE = 2_000_000  # objects, each of which takes a byte of the file and a hundred of memory
_NAMES = reprlib.Repr()
_NAMES.maxstring = 120


class Refused(ValueError):
    """Something that data has no need of. The message is a noun phrase that names it."""


class Global:
    """A name in the file, and the function of the caller that it stands for."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function


class Built(ABC):
    """A value that takes a state which the file gives it later."""

    @abstractmethod
    def set_state(self, state: object) -> None:
        """Raises Refused if the state does not fit."""


class NumberFormat(Built):
    """What `numpy.dtype` is in a file: the format of one number."""

    def __init__(self, code: object, *_: object) -> None:
        code = _text(code)
        if code is None or not re.fullmatch(r"f[248]|[iu][1248]|b1", code):
            raise Refused(f"the number format {reprlib.repr(code)}")
        self._code = code
        self._order = "="

    def set_state(self, state: object) -> None:
        """Takes the byte order from the state that numpy writes, (version, order, ...)."""
        order = _text(state[1]) if isinstance(state, tuple) and len(state) > 1 else None
        if order not in ("<", ">", "|", "="):
            raise Refused("a number format without byte order")
        self._order = order

    @property
    def dtype(self) -> np.dtype[Any]:
        """The same for numpy."""
        return np.dtype(self._order + self._code)

    def number(self, data: object) -> float | int:
        """The one number in `data`."""
        if not (isinstance(data, bytes) and len(data) == self.dtype.itemsize):
            raise Refused("a number of the wrong size")
        return np.frombuffer(data, self.dtype)[0].item()


class NumberList(Built):
    """What an array of numpy with one dimension is in a file."""

    def __init__(self, *_: object) -> None:
        self._format: NumberFormat | None = None
        self.data = b""  # of the numbers

    def set_state(self, state: object) -> None:
        """Takes format and numbers from the state that numpy writes, (version, shape, format, order, data)."""
        if not (isinstance(state, tuple) and len(state) == 5 and isinstance(state[2], NumberFormat)):
            raise Refused("an array without format")
        count = len(state[4]) / state[2].dtype.itemsize if isinstance(state[4], bytes) else -1
        if state[1] not in ((count,), (count, 1)):  # the latter a column, as some tools write labels
            raise Refused("an array of several dimensions, or of the wrong size")
        self._format, self.data = state[2], state[4]

    @classmethod
    def of_buffer(cls, data: object, form: object, shape: object, *_: object) -> "NumberList":
        """What `numpy._core.numeric._frombuffer` makes."""
        made = cls()
        made.set_state((1, shape, form, False, data))
        return made

    @property
    def numbers(self) -> NDArray[Any]:
        """The numbers [n], on the bytes of the file."""
        return np.frombuffer(self.data, self._format.dtype if self._format is not None else np.uint8)


def read_number(form: object, data: object) -> float | int:
    """The number that `numpy.core.multiarray.scalar` makes."""
    if not isinstance(form, NumberFormat):
        raise Refused("a number without a format")
    return form.number(data)


def _text(value: object) -> str | None:
    """What numpy wrote as text; the strings of Python 2 are read as bytes."""
    if isinstance(value, bytes):
        return value.decode("latin-1")
    return value if isinstance(value, str) else None


class _Machine:
    """The stack, the marks on it, and the memo of one pickle."""

    def __init__(self, functions: Functions, persistent: Callable[[Any], Any] | None) -> None:
        self.functions = functions
        self.persistent = persistent
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        self.made = 0

    def do(self, opcode: str, argument: Any) -> None:
        """One opcode. Raises IndexError, KeyError or TypeError where it does not fit the stack."""
        stack = self.stack
        if opcode in _MADE or opcode in _NOTED or opcode == "MARK":
            self.made += 1
            if self.made > _MOST_MADE:
                raise Refused("millions of objects")
        if opcode in _CONSTANTS:
            stack.append(_CONSTANTS[opcode])
        elif opcode in _LITERALS:
            stack.append(argument)
        elif opcode == "BYTEARRAY8":
            stack.append(bytes(argument))
        elif opcode in _OLD_STRINGS:
            stack.append(argument.encode("latin-1"))
        elif opcode in _TUPLES:
            stack.append(tuple(self.pop(_TUPLES[opcode])))
        elif opcode in ("GET", "BINGET", "LONG_BINGET"):
            stack.append(self.memo[argument])
        elif opcode in ("PUT", "BINPUT", "LONG_BINPUT"):
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
        self.stack.append(Global(known))

    def call(self) -> None:
        function, arguments = self.pop(2)
        if not (isinstance(function, Global) and isinstance(arguments, tuple)):
            raise Refused("a call of something that is no function")
        self.stack.append(function.function(*arguments))

    def build(self) -> None:
        (state,) = self.pop(1)
        if isinstance(self.stack[-1], Built):
            self.stack[-1].set_state(state)
        elif state is not None and state != {}:
            raise Refused("an object whose attributes are changed")

    def put_items(self, items: list[Any]) -> None:
        target = self.stack[-1]
        keys, values = items[::2], items[1::2]
        # Text only: other keys have no use here, and can be made to take for ever to hash.
        if not (type(target) is dict and len(keys) == len(values) and all(isinstance(key, str) for key in keys)):
            raise Refused("a table whose keys are not text")
        target.update(zip(keys, values, strict=True))

    def make_table(self) -> None:
        items = self.pop_to_mark()
        self.stack.append({})
        self.put_items(items)

    def append_items(self, items: list[Any]) -> None:
        if type(self.stack[-1]) is not list:
            raise Refused("an append to something that is not a list")
        self.stack[-1].extend(items)

    def find_persistent(self) -> None:
        (reference,) = self.pop(1)
        if self.persistent is None:
            raise Refused("a reference to something outside the file")
        self.stack.append(self.persistent(reference))


_COMPOUND: dict[str, Callable[[_Machine], None]] = {
    "TUPLE": lambda machine: machine.stack.append(tuple(machine.pop_to_mark())),
    "LIST": lambda machine: machine.stack.append(machine.pop_to_mark()),
    "DICT": _Machine.make_table,
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
    """The value of the pickle that starts where `file` stands; leaves `file` right after it.

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
