"""Plain values of JSON or TOML to frozen dataclasses, every type checked.

Written here, not taken from msgspec or pydantic: fields that a dataclass does not have are refused, which msgspec
does for its own structs only, errors are one sentence that names the field, and there is no dependency to follow.
"""

import dataclasses
import re
import reprlib
from collections.abc import Mapping
from functools import lru_cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from sface_data.errors import BadInput

T = TypeVar("T")
_WORDS = {str: "text", int: "a whole number", float: "a number", bool: "true or false", NoneType: "nothing"}


@dataclasses.dataclass(frozen=True)
class Form:
    """What a text has to be like: a regular expression, and the same in words."""

    pattern: str
    words: str


Sha256 = Annotated[str, Form("[0-9a-f]{64}", "64 hexadecimal digits")]


def decode(kind: type[T], value: object, name: str = "") -> T:
    """A plain value as `kind`: a dataclass, `str`, `int`, `float`, `bool`, `Any`, and of these `X | None`,
    `tuple[X, ...]`, `dict[str, X]`, `Literal`, and `Annotated` with a `Form`.

    Whole numbers are taken for `float`; nothing else is converted. Fields with defaults may be missing; those that
    are dataclasses already are taken as they are.

    Args:
        name: of the value, in errors; that of the whole is empty.

    Raises:
        BadInput: naming the first field that is missing, unknown or of another type; and as the dataclass's own
            `__post_init__`.
    """
    return _decode(kind, value, name)


def _decode(kind: Any, value: object, name: str) -> Any:
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any:
        return value
    if origin is Annotated:
        return _matched(_decode(arguments[0], value, name), arguments[1], name)
    if dataclasses.is_dataclass(kind):
        return _object(kind, value, name)
    if origin in (Union, UnionType):
        fitting = NoneType if value is None and NoneType in arguments else arguments[0]
        return _decode(fitting, value, name)
    if origin is tuple and isinstance(value, (list, tuple)):
        return tuple(_decode(arguments[0], item, f"{name}[{i}]") for i, item in enumerate(value))
    if origin is dict and isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: _decode(arguments[1], item, _below(name, key)) for key, item in value.items()}
    if origin is Literal and any(value == one and type(value) is type(one) for one in arguments):
        return value
    if kind is float and type(value) is int and abs(value) < 1 << 53:
        return float(value)
    if type(value) is kind:  # a bool is no int here
        return value
    raise BadInput(f"{name or 'it'} is {reprlib.repr(value)}, where {_wanted(kind)} should be")


def _matched(value: Any, form: "Form", name: str) -> Any:
    if not re.fullmatch(form.pattern, value):
        raise BadInput(f"{name or 'it'} is {reprlib.repr(value)}, where {form.words} should be")
    return value


def _object(kind: Any, value: object, name: str) -> Any:
    if isinstance(value, kind):
        return value
    if not isinstance(value, Mapping):
        raise BadInput(f"{name or 'it'} is {reprlib.repr(value)}, where fields with names should be")
    hints = _hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind) if field.init}
    unknown = next((key for key in value if key not in fields), None)
    if unknown is not None:
        raise BadInput(f"{name or 'it'} has the field {reprlib.repr(unknown)}, which this version does not know")
    for key, field in fields.items():
        if key not in value and field.default is field.default_factory is dataclasses.MISSING:
            raise BadInput(f"{_below(name, key)} is missing")
    return kind(**{key: _decode(hints[key], item, _below(name, key)) for key, item in value.items()})


@lru_cache(maxsize=256)
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=True)


def _below(name: str, key: str) -> str:
    return f"{name}.{key}" if name else key


def _wanted(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return " or ".join(map(repr, get_args(kind)))
    names = {tuple: "a list", dict: "fields with names"}
    return names.get(get_origin(kind), _WORDS.get(kind, str(kind)))
