"""Arguments of the public functions: their types, and the check of what was given against them."""

import functools
import inspect
import math
import numbers
import os
import types
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Concatenate, Literal, ParamSpec, TypeVar, Union, get_args, get_origin

from sface_data.errors import BadInput

P = ParamSpec("P")
T = TypeVar("T")
Options = TypeVar("Options")


@dataclass(frozen=True)
class Range:
    """Which numbers are taken: from `low` to `high`, without `low` itself where it is open."""

    low: float
    high: float = math.inf
    low_open: bool = False

    def __contains__(self, value: float) -> bool:
        above = self.low < value if self.low_open else self.low <= value
        return above and value <= self.high and math.isfinite(value)

    def __str__(self) -> str:
        if self.high < math.inf:
            return f"from {self.low:,} to {self.high:,}"
        return f"above {self.low:,}" if self.low_open else f"of at least {self.low:,}"


LARGEST_SEED = (1 << 63) - 1
MOST = (1 << 31) - 1  # of anything that is counted
StrPath = str | os.PathLike[str]
Count = Annotated[int, Range(1, MOST)]
Workers = Annotated[int, Range(1, 4096)]
Seed = Annotated[int, Range(0, LARGEST_SEED)]
Positive = Annotated[float, Range(0, low_open=True)]
Align = Literal["none", "detect"]


def checks_arguments(function: Callable[P, T]) -> Callable[P, T]:
    """Ends a call in BadInput, before anything is done, where an argument is not what its annotation says.

    Annotations are made of int, float, bool, str, `StrPath`, `Literal` of texts, `Sequence` and None; numbers may
    have a `Range` in `Annotated`. Numbers of NumPy become Python's. A path must not be empty. An argument that is
    missing or unknown ends in TypeError, as everywhere in Python.
    """
    signature = inspect.signature(function)

    @functools.wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> T:
        bound = _bound(signature, args, kwargs)
        return function(*bound.args, **bound.kwargs)

    return checked


def takes(
    options: Callable[P, Options],
) -> Callable[[Callable[[StrPath, Options], T]], Callable[Concatenate[StrPath, P], T]]:
    """Gives a function of a path and options the arguments of the options' dataclass, checked, in their place.

    Signature and documentation are those of both: the section `Args` of the function goes on with the `Attributes`
    of the dataclass and of those that it extends. Annotations are as `checks_arguments` takes them.
    """

    def taking(function: Callable[[StrPath, Options], T]) -> Callable[Concatenate[StrPath, P], T]:
        own, theirs = inspect.signature(function), inspect.signature(options)
        first = next(iter(own.parameters.values()))
        signature = own.replace(parameters=[first, *theirs.parameters.values()])

        @functools.wraps(function)
        def checked(*args: Any, **kwargs: Any) -> T:
            bound = _bound(signature, args, kwargs)
            return function(bound.args[0], options(*bound.args[1:], **bound.kwargs))

        checked.__signature__ = signature  # type: ignore[attr-defined]
        checked.__doc__ = _documented(function, options)
        return checked

    return taking


def _bound(signature: inspect.Signature, args: Any, kwargs: Any) -> inspect.BoundArguments:
    """Arguments by name, each of them what its annotation says."""
    bound = signature.bind(*args, **kwargs)
    for name, value in bound.arguments.items():
        hint = signature.parameters[name].annotation
        plain = _plain(value)
        if not _fits(plain, hint):
            raise BadInput(f"{name}: {value!r} cannot be used; it must be {' or '.join(in_words(hint))}")
        bound.arguments[name] = plain
    return bound


def _documented(function: Callable[..., Any], options: Any) -> str:
    """What a function says of itself, with what its options say of their attributes after its own arguments."""
    before, title, after = inspect.cleandoc(function.__doc__ or "").partition("Args:\n")
    own, end, rest = after.partition("\n\n")
    texts = [inspect.cleandoc(vars(each).get("__doc__") or "") for each in reversed(options.__mro__)]
    added = [text.partition("Attributes:\n")[2] for text in texts]
    return before + title + "\n".join([own, *filter(None, added)]) + end + rest


def in_words(hint: Any) -> Iterator[str]:
    """What an annotation takes, one alternative after the other."""
    parts = get_args(hint)
    if _is_union(hint):
        for part in parts:
            if not (part is str and _takes_paths(hint)):  # text may be a path
                yield from in_words(part)
    elif get_origin(hint) is Annotated:
        yield from (f"{words} {parts[1]}" for words in in_words(parts[0]))
    elif get_origin(hint) is Literal:
        yield from map(repr, parts)
    elif get_origin(hint) is Sequence:
        yield f"a sequence, each {' or '.join(in_words(parts[0]))}"
    else:
        names = {
            int: "a whole number",
            float: "a number",
            bool: "True or False",
            str: "text",
            type(None): "None",
        }
        yield names.get(hint, "a path")


def _plain(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return value
    return int(value) if isinstance(value, numbers.Integral) else float(value)


def _fits(value: Any, hint: Any) -> bool:
    kind, parts = get_origin(hint), get_args(hint)
    if _is_union(hint):
        return any(_fits(value, part) for part in parts) and not (_takes_paths(hint) and _names_nothing(value))
    if kind is Annotated:
        return _fits(value, parts[0]) and value in parts[1]
    if kind is Literal:
        return isinstance(value, str) and value in parts
    if kind is Sequence:
        listed = isinstance(value, Sequence) and not isinstance(value, str | bytes)
        return listed and all(_fits(part, parts[0]) for part in value)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, kind or hint)


def _takes_paths(hint: Any) -> bool:
    return any(get_origin(part) is os.PathLike for part in get_args(hint))


def _names_nothing(path: object) -> bool:
    text = os.fspath(path) if isinstance(path, str | os.PathLike) else "none"
    return text == "" or "\0" in text


def _is_union(hint: Any) -> bool:
    return get_origin(hint) in (Union, types.UnionType)
