"""`DATASHEET.md`: a datasheet for the data set, of which some parts only its publisher can write."""

import re

from sface_data.dataset.manifest import Manifest
from sface_data.io.seal import MARKDOWN, sealed, unedited
from sface_data.release.templates import LICENCES, render

DATASHEET = "DATASHEET.md"
MARKER = "> **To be answered by the publisher:**"
# A question is a heading of the third level; its answer ends where the next heading or the seal begins.
_ANSWER = re.compile(r"^### ([^\n]*)\n(.*?)(?=^#{1,3} |^<!-- written by sface-data|\Z)", re.MULTILINE | re.DOTALL)


def datasheet_text(manifest: Manifest, licence: str, counts: str) -> str:
    """The datasheet of a data set, with a marked line wherever the publisher has to write."""
    values = {"plan": manifest.plan, "licence": LICENCES[licence], "counts": counts, "marker": MARKER}
    return sealed(render("dataset_datasheet.md.j2", **values), MARKDOWN)


def unanswered(text: str) -> list[str]:
    """The questions of a datasheet that wait for their publisher, or have nothing below them."""
    return [question for question, answer in _answers(text).items() if MARKER in answer or not answer]


def with_answers(new: str, old: bytes) -> str:
    """A new datasheet with what the publisher answered in an old one. Its seal stays that of the new one."""
    answers, waiting = _answers(old.decode("utf-8", "replace")), unanswered(new)
    return _replaced(new, {question: answers[question] for question in waiting if question in answers})


def unedited_but_for_answers(old: bytes, new: str) -> bool:
    """Whether nothing but answers was written by hand into an old datasheet.

    Args:
        new: a datasheet without answers, as this version writes it.
    """
    answers = _answers(new)
    blank = _replaced(
        old.decode("utf-8", "replace"), {question: answers[question] for question in unanswered(new)}
    )
    return unedited(blank.encode())


def _answers(text: str) -> dict[str, str]:
    return {question: answer.strip() for question, answer in _ANSWER.findall(text)}


def _replaced(text: str, answers: dict[str, str]) -> str:
    """The text with other answers, the rest to the byte."""

    def replace(found: re.Match[str]) -> str:
        question = found[1]
        return f"### {question}\n\n{answers[question]}\n\n" if question in answers else found[0]

    return _ANSWER.sub(replace, text)
