"""`DATASHEET.md`: a datasheet for the data set, of which some parts only its publisher can write."""

import re
from collections.abc import Mapping
from pathlib import Path

from sface_data.errors import BadInput
from sface_data.io.files import read_toml
from sface_data.release.card import Facts, counts
from sface_data.release.licences import LICENCES
from sface_data.release.templates import render

DATASHEET = "DATASHEET.md"
MARKER = "> **To be answered by the publisher:**"
ABOUT_THE_GENERATOR = "What data was the generator trained on, and with what right?"
# What the questions that only the publisher can answer are called in a file of answers.
QUESTIONS = {
    "creators": "Who created the data set, and on behalf of whom?",
    "training_data": ABOUT_THE_GENERATOR,
    "ethics": "Were ethical reviews conducted?",
    "uses": "What has it been used for already?",
    "regulations": "Do export controls or other regulations apply?",
    "maintenance": "Who maintains it, and how can they be reached?",
}
_MARKED = re.compile(rf"^{re.escape(MARKER)}[^\r\n]*(?:\r?\n(?=\S)[^\r\n]*)*", re.MULTILINE)
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


def read_answers(path: Path) -> dict[str, str]:
    """The answers in a TOML file, by question: `creators = "..."` and so on for each of `QUESTIONS`.

    Raises:
        BadInput: if it cannot be read, a question is missing or unknown, or an answer cannot stand in the sheet.
    """
    value = read_toml(path)
    unknown, missing = sorted(value.keys() - QUESTIONS.keys()), [name for name in QUESTIONS if name not in value]
    if unknown:
        raise BadInput(f"{path}: no question is called {unknown[0]!r}; the questions are {', '.join(QUESTIONS)}")
    if missing:
        raise BadInput(f"{path}: has no answer to {', '.join(missing)}; write one for each")
    for name, answer in value.items():
        lines = answer.splitlines() if isinstance(answer, str) else []
        if not any(line.strip() for line in lines):
            raise BadInput(f"{path}: the answer to {name} is no text; write a sentence in quotes")
        if MARKER in answer or "<!--" in answer or any(line.lstrip().startswith("#") for line in lines):
            raise BadInput(f"{path}: the answer to {name} has a heading or an open mark; reword it")
    return {QUESTIONS[name]: answer.strip() for name, answer in value.items()}


def with_answers(text: str, answers: Mapping[str, str]) -> str:
    """A datasheet with answers in place of the marks of its open questions; what is answered stays."""

    def answered(section: re.Match[str]) -> str:
        question, answer = section.group(1), section.group(2)
        start = section.start(2) - section.start()
        filled = _MARKED.sub(lambda _: answers[question], answer) if question in answers else answer
        return section.group()[:start] + filled

    return _ANSWER.sub(answered, text)


def _answers(text: str) -> dict[str, str]:
    return {question: answer.strip() for question, answer in _ANSWER.findall(text)}
