"""Managed blocks: tools write those, and what stands around them is kept to the byte."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sface_data.errors import BadInput
from sface_data.io.blocks import read_blocks, update_blocks


def block(name: str, content: str, end: str = "\n") -> str:
    return f"<!-- sface-data:begin {name} -->{end}{content}<!-- sface-data:end -->{end}"


ONE, TWO, THREE = block("one", "1\n"), block("two", ""), block("three", "3\n\n3\n")
NEW = f"# Title\n\n{ONE}\n{TWO}more\n{THREE}"
PROSE = st.text(st.characters(exclude_characters="-#", exclude_categories=["Cs"])).map(lambda text: f"{text}\n")


def test_what_blocks_hold() -> None:
    assert read_blocks(NEW) == {"one": "1\n", "two": "", "three": "3\n\n3\n"}
    assert read_blocks("# sface-data:begin one\nx: 1\n# sface-data:end\n") == {"one": "x: 1\n"}
    assert read_blocks("text\n") == read_blocks("") == {}
    assert read_blocks(NEW.replace("\n", "\r\n")) == read_blocks(NEW)


@given(st.lists(PROSE, min_size=4, max_size=4), st.permutations(["one", "two", "three"]), st.lists(PROSE))
def test_words_around_blocks_are_kept(prose: list[str], order: list[str], old: list[str]) -> None:
    contents = dict(zip(order, [*old[:3], "", "", ""], strict=False))
    text = prose[0] + "".join(block(name, contents[name]) + prose[i + 1] for i, name in enumerate(order))
    new = read_blocks(NEW)
    assert update_blocks(text, NEW) == prose[0] + "".join(
        block(name, new[name]) + prose[i + 1] for i, name in enumerate(order)
    )


def test_a_text_that_is_up_to_date_is_the_same_text() -> None:
    for text in (NEW, NEW.replace("\n", "\r\n"), NEW.replace("-->\n", "-->  \n"), NEW.removesuffix("\n")):
        assert update_blocks(text, NEW) == text


def test_blocks_that_are_missing() -> None:
    assert update_blocks("", NEW) == ONE + TWO + THREE
    assert update_blocks("mine", NEW) == ONE + TWO + THREE + "mine"
    old = block("two", "old\n")
    assert update_blocks(f"mine\n{old}yours", NEW) == f"{ONE}mine\n{TWO}{THREE}yours"
    assert update_blocks(f"mine\n{ONE}yours\n{THREE}", NEW) == f"mine\n{ONE}{TWO}yours\n{THREE}"
    assert update_blocks(f"mine\n{ONE}".removesuffix("\n"), NEW) == f"mine\n{ONE}{TWO}{THREE}"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (block("one", "") * 2, "its block `one` comes twice"),
        (block("one", block("two", "")), "its block `one` has no line `sface-data:end`"),
        (block("one", "").rpartition("<!--")[0], "its block `one` has no line `sface-data:end`"),
        (block("one", "").partition("\n")[2], "a line `sface-data:end` has no beginning"),
    ],
)
def test_marks_that_are_out_of_order(text: str, sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence):
        read_blocks(text)
    with pytest.raises(BadInput, match=sentence):
        update_blocks(text, NEW)
