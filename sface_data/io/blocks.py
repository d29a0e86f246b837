"""Managed blocks: the parts of a text that tools write. All around them is its owner's, and never touched.

    <!-- sface-data:begin NAME -->
    ...
    <!-- sface-data:end -->

In YAML the two lines are comments: `# sface-data:begin NAME`.
"""

import re
from dataclasses import dataclass

from sface_data.errors import BadInput

_MARK = re.compile(
    r"^[ \t]*(?:<!--|#) *sface-data:(?:begin +([\w-]+)|end) *(?:-->)?[ \t]*\r?(?:\n|\Z)", re.MULTILINE
)


@dataclass(frozen=True)
class _Block:
    """Where a block stands in its text, its two marks included, and what is between them."""

    start: int
    end: int
    content: str


def read_blocks(text: str) -> dict[str, str]:
    """What the blocks of a text hold, by name, with `\\n` as line ends.

    Raises:
        BadInput: if a block comes twice, or its marks do not come in pairs.
    """
    return {name: block.content for name, block in _find(text).items()}


def update_blocks(text: str, new: str) -> str:
    """A text with the blocks of a new one, and everything else as it was.

    A block that it lacks comes after the one that precedes it in the new text, the first one at the top.

    Raises:
        BadInput: if a block comes twice, or its marks do not come in pairs.
    """
    position = 0  # after the block before
    for name, block in _find(new).items():
        written = new[block.start : block.end]
        held = _find(text).get(name, _Block(position, position, ""))
        if held.end > held.start and held.content == block.content:
            position = held.end
            continue
        before = text[: held.start]
        if before and not before.endswith("\n"):
            before += "\n"
        position = len(before) + len(written)
        text = before + written + text[held.end :]
    return text


def _find(text: str) -> dict[str, _Block]:
    blocks: dict[str, _Block] = {}
    begun: re.Match[str] | None = None
    for mark in _MARK.finditer(text):
        name = mark[1]
        if begun is None and name is None:
            raise BadInput(
                "a line `sface-data:end` has no beginning; delete it, or put the line before the block back"
            )
        if begun is not None and name is not None:
            raise _without_end(begun)
        if name in blocks:
            raise BadInput(f"its block `{name}` comes twice; delete one of the two")
        if begun is not None:
            content = text[begun.end() : mark.start()].replace("\r\n", "\n")
            blocks[begun[1]] = _Block(begun.start(), mark.end(), content)
        begun = mark if name is not None else None
    if begun is not None:
        raise _without_end(begun)
    return blocks


def _without_end(begun: re.Match[str]) -> BadInput:
    return BadInput(f"its block `{begun[1]}` has no line `sface-data:end`; put it back, or delete where it begins")
