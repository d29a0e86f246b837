"""Plain JSON becomes dataclasses, or one sentence that names the field."""

import dataclasses
import json
from dataclasses import dataclass
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sface_data.errors import BadInput
from sface_data.io.typed_json import Sha256, decode


@dataclass(frozen=True)
class Point:
    x: float
    y: float = 0.0

    def __post_init__(self) -> None:
        if self.x < 0:
            raise BadInput("x is below 0")


@dataclass(frozen=True)
class Shape:
    name: str
    points: tuple[Point, ...]
    kind: Literal["open", "closed"] = "open"
    sides: int | None = None
    filled: bool = False
    notes: dict[str, str] = dataclasses.field(default_factory=dict)
    extra: Any = None


points = st.builds(Point, st.floats(0, 1e6), st.floats(allow_nan=False))
shapes = st.builds(
    Shape,
    st.text(),
    st.lists(points, max_size=3).map(tuple),
    st.sampled_from(["open", "closed"]),
    st.none() | st.integers(),
    st.booleans(),
    st.dictionaries(st.text(), st.text(), max_size=3),
    st.none() | st.lists(st.integers(), max_size=2),
)


@given(shapes)
def test_what_is_written_is_read(shape: Shape) -> None:
    assert decode(Shape, json.loads(json.dumps(dataclasses.asdict(shape)))) == shape


def test_whole_numbers_are_numbers_and_defaults_may_be_missing() -> None:
    found = decode(Point, {"x": 3})
    assert found == Point(3.0) and type(found.x) is float


BROKEN = {
    "name is missing": {"points": []},
    "points is missing": {"name": "a"},
    "points[1].x is missing": {"name": "a", "points": [{"x": 1}, {"y": 1}]},
    "points[0].x is '1', where a number should be": {"name": "a", "points": [{"x": "1"}]},
    "points[0].x is True, where a number should be": {"name": "a", "points": [{"x": True}]},
    "points[0] is 5, where fields with names should be": {"name": "a", "points": [5]},
    "points is {}, where a list should be": {"name": "a", "points": {}},
    "name is None, where text should be": {"name": None, "points": []},
    "kind is 'round', where 'open' or 'closed' should be": {"name": "a", "points": [], "kind": "round"},
    "sides is 1.5, where a whole number should be": {"name": "a", "points": [], "sides": 1.5},
    "sides is True, where a whole number should be": {"name": "a", "points": [], "sides": True},
    "filled is 1, where true or false should be": {"name": "a", "points": [], "filled": 1},
    "notes.b is 2, where text should be": {"name": "a", "points": [], "notes": {"b": 2}},
    "it has the field 'colour', which this version does not know": {"name": "a", "points": [], "colour": 1},
    "it is [], where fields with names should be": [],
    "x is below 0": {"name": "a", "points": [{"x": -1}]},
}


@pytest.mark.parametrize("sentence", BROKEN)
def test_what_does_not_fit_is_named(sentence: str) -> None:
    with pytest.raises(BadInput) as raised:
        decode(Shape, BROKEN[sentence])
    assert str(raised.value) == sentence


@pytest.mark.parametrize("text", ["", "0" * 63, "0" * 65, "A" * 64, "0" * 63 + "\n", "\u0660" * 64, 0])
def test_digests_are_digits(text: object) -> None:
    """They are shown as they are."""
    assert decode(tuple[Sha256 | None, ...], ["0f" * 32, None]) == ("0f" * 32, None)  # type: ignore[arg-type, comparison-overlap]
    with pytest.raises(BadInput, match=r"\[0\] is .*, where (64 hexadecimal digits|text) should be"):
        decode(tuple[Sha256, ...], [text])  # type: ignore[arg-type]


def test_what_is_decoded_already_is_taken() -> None:
    assert decode(Shape, {"name": "a", "points": [Point(1)]}).points == (Point(1),)


def test_a_number_too_large_for_a_float_is_refused() -> None:
    with pytest.raises(BadInput, match="x is 1000"):
        decode(Point, {"x": 10**400})
