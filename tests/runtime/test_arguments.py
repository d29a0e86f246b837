"""Arguments are checked against the annotations of the function that gets them."""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pytest

from sface_data.errors import BadInput
from sface_data.runtime.arguments import Align, Count, Positive, Range, StrPath, checks_arguments, takes


@checks_arguments
def called(
    path: StrPath,
    other: StrPath | None = None,
    *,
    files: Sequence[StrPath] = (),
    count: Count | None = None,
    share: Annotated[float, Range(0, 1.5)] = 0.5,
    rate: Positive = 1.0,
    align: Align = "none",
    name: Literal["a", "b"] | None = None,
    text: str = "",
    flag: bool = False,
) -> dict[str, object]:
    """Says what it got."""
    return dict(locals())


class Folder:
    def __fspath__(self) -> str:
        return "folder"


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"other": Path("x")},
        {"other": Folder()},
        {"files": [Path("x"), "y"]},
        {"files": ()},
        {"count": 1},
        {"share": 0},
        {"share": 1.5},
        {"rate": 1e-9},
        {"align": "detect"},
        {"name": "b"},
        {"text": ""},
        {"flag": True},
    ],
)
def test_what_fits_arrives_as_it_is(given: dict[str, object]) -> None:
    got = called("x", **given)  # type: ignore[arg-type]
    assert {name: got[name] for name in given} == given and got["path"] == "x"


def test_numbers_of_numpy_become_pythons() -> None:
    got = called("x", count=np.int64(3), share=np.float32(0.5))  # type: ignore[arg-type]
    assert (type(got["count"]), type(got["share"])) == (int, float)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"other": ""}, "other: '' cannot be used; it must be a path or None"),
        ({"other": Path("a\0b")}, "other: PosixPath('a\\x00b') cannot be used; it must be a path or None"),
        ({"other": 3}, "other: 3 cannot be used; it must be a path or None"),
        ({"other": b"x"}, "other: b'x' cannot be used; it must be a path or None"),
        ({"files": "x"}, "files: 'x' cannot be used; it must be a sequence, each a path"),
        ({"files": ["x", ""]}, "files: ['x', ''] cannot be used; it must be a sequence, each a path"),
        ({"count": 0}, "count: 0 cannot be used; it must be a whole number from 1 to 2,147,483,647 or None"),
        ({"count": True}, "count: True cannot be used; it must be a whole number from 1 to 2,147,483,647 or None"),
        ({"count": 2.0}, "count: 2.0 cannot be used; it must be a whole number from 1 to 2,147,483,647 or None"),
        ({"count": "2"}, "count: '2' cannot be used; it must be a whole number from 1 to 2,147,483,647 or None"),
        ({"share": 1.6}, "share: 1.6 cannot be used; it must be a number from 0 to 1.5"),
        ({"share": float("nan")}, "share: nan cannot be used; it must be a number from 0 to 1.5"),
        ({"rate": 0}, "rate: 0 cannot be used; it must be a number above 0"),
        ({"align": "face"}, "align: 'face' cannot be used; it must be 'none' or 'detect'"),
        ({"align": np.zeros(2)}, "align: array([0., 0.]) cannot be used; it must be 'none' or 'detect'"),
        ({"name": ""}, "name: '' cannot be used; it must be 'a' or 'b' or None"),
        ({"text": None}, "text: None cannot be used; it must be text"),
        ({"flag": 1}, "flag: 1 cannot be used; it must be True or False"),
    ],
)
def test_what_does_not_fit_is_named(given: dict[str, object], sentence: str) -> None:
    with pytest.raises(BadInput) as caught:
        called("x", **given)  # type: ignore[arg-type]
    assert str(caught.value) == sentence


def test_missing_and_unknown_arguments_are_pythons_own_errors() -> None:
    with pytest.raises(TypeError, match="missing a required argument: 'path'"):
        called()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="unexpected keyword argument 'colour'"):
        called("x", colour=1)  # type: ignore[call-arg]


def test_a_function_takes_the_arguments_of_its_options() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Base:
        """What is done.

        Attributes:
            number: how often.
        """

        number: Count = 1

    @dataclass(frozen=True, kw_only=True)
    class Options(Base):
        """What is done, and how.

        Attributes:
            how: in which way,
                in two lines.
        """

        how: Literal["well", "badly"] = "well"

    @takes(Options)
    def work(path: StrPath, options: Options) -> tuple[StrPath, Options]:
        """Works.

        Args:
            path: where.

        Raises:
            BadInput: for anything.
        """
        return path, options

    assert work("a", number=2) == ("a", Options(number=2))
    assert work(path="a", how="badly") == ("a", Options(how="badly"))  # type: ignore[call-arg]
    assert list(inspect.signature(work).parameters) == ["path", "number", "how"]
    arguments = (
        "Args:\n    path: where.\n    number: how often.\n    how: in which way,\n        in two lines.\n\nRaises:"
    )
    assert arguments in (inspect.getdoc(work) or "")
    with pytest.raises(BadInput, match="number: 0 cannot be used; it must be a whole number from 1 to"):
        work("a", number=0)
    with pytest.raises(BadInput, match="how: 'so' cannot be used"):
        work("a", how="so")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="missing a required argument: 'path'"):
        work()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="unexpected keyword argument 'other'"):
        work("a", other=1)  # type: ignore[call-arg]
