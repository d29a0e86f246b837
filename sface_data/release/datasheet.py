"""`DATASHEET.md`: a datasheet for the data set, of which some parts only its publisher can write."""

import re

from sface_data.release.card import Facts, counts
from sface_data.release.licences import LICENCES
from sface_data.release.templates import render

DATASHEET = "DATASHEET.md"
MARKER = "> **To be answered by the publisher:**"
ABOUT_THE_GENERATOR = "What data was the generator trained on, and with what right?"
# A question is a heading of the third level; its answer ends where the next heading begins.
_ANSWER = re.compile(r"^### +([^\r\n]*?)[ \t]*\r?\n(.*?)(?=^#{1,3} |\Z)", re.MULTILINE | re.DOTALL)


def datasheet_text(facts: Facts) -> str:
    """The datasheet of a data set, as it is when nobody has edited it: a marked line wherever somebody has to."""
    values = {"plan": facts.manifest.plan, "licence": LICENCES[facts.licence], "marker": MARKER}
    return render("dataset_datasheet.md.j2", counts=counts(facts.manifest), **values)


def unanswered(text: str, facts: Facts) -> list[str]:
    """The questions of a datasheet that wait for their publisher: marked, without a word below them, or gone.

    What is said of the generator must name it by its first twelve digits, as the blank sheet does: an answer about
    another network is none about this one.
    """
    answers, blank = _answers(text), _answers(datasheet_text(facts))
    generator = facts.manifest.plan.generator_sha256[:12]
    waiting = []
    for question in (question for question, answer in blank.items() if MARKER in answer):
        answer = answers.get(question, "")
        if MARKER in answer or not answer.removeprefix(f"Generator `{generator}`:").strip():
            waiting.append(question)
        elif question == ABOUT_THE_GENERATOR and generator not in answer:
            waiting.append(f"{question} (the answer must name the generator `{generator}`)")
    return waiting


def _answers(text: str) -> dict[str, str]:
    return {question: answer.strip() for question, answer in _ANSWER.findall(text)}
