"""The datasheet: complete but for what only the publisher knows, whose answers are never lost."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from sface_data.dataset.manifest import Manifest
from sface_data.release.card import Facts
from sface_data.release.datasheet import ABOUT_THE_GENERATOR, MARKER, QUESTIONS, unanswered

Run = Callable[..., tuple[int, str, str]]
WHO = "Who created the data set, and on behalf of whom?"


@pytest.fixture
def folder(dataset: Path, tmp_path: Path) -> Path:
    return shutil.copytree(dataset, tmp_path / "faces")


def answered(text: str, answer: str = "Ada, for nobody.") -> str:
    lines = [answer if line.startswith(MARKER) else line for line in text.splitlines()]
    return "\n".join(lines) + "\n"


def waiting_in(text: str, folder: Path) -> list[str]:
    return unanswered(text, Facts(Manifest.load(folder), "cc0-1.0"))


def test_what_waits_for_the_publisher(dataset: Path) -> None:
    text = (dataset / "DATASHEET.md").read_text()
    waiting = waiting_in(text, dataset)
    assert len(waiting) == text.count(MARKER) == 6
    assert set(waiting) == set(QUESTIONS.values())
    assert WHO in waiting and ABOUT_THE_GENERATOR in waiting
    assert waiting_in(answered(text), dataset) == []
    assert waiting_in(answered(text, answer=""), dataset) == waiting  # nothing is no answer
    assert waiting_in(answered(text).replace(f"### {WHO}", "### Who?"), dataset) == [WHO]  # nor is no question
    assert waiting_in("", dataset) == waiting
    assert text.count("\n### ") > 20


def test_an_answer_about_one_network_is_none_about_another(folder: Path, run: Run, golden: Path) -> None:
    path = folder / "DATASHEET.md"
    path.write_text(answered(path.read_text()))
    plan = Manifest.load(folder).plan
    assert waiting_in(path.read_text(), folder) == []
    command = ["generate", "--outdir", folder, "--precision", "fp32", "--samples-per-class", 2, "--size", 32]
    # By the generator that ships.
    assert run(*command, "--classes", "0-31", "--device", "cpu", "--overwrite")[0] == 0
    other = Manifest.load(folder).plan
    assert other.generator_sha256 != plan.generator_sha256
    text = path.read_text()
    assert text.count("Ada, for nobody.") == 6  # a person's words survive
    [question] = waiting_in(text, folder)
    assert (
        question == f"{ABOUT_THE_GENERATOR} (the answer must name the generator `{other.generator_sha256[:12]}`)"
    )
    code, _, errors = run("publish", folder, "--repo", "org/faces", "--without-certificate", "a test", "--dry-run")
    assert (code, len(errors.splitlines())) == (1, 1)
    assert errors.endswith(f"1 questions wait for an answer, the first: {question}\n")
    path.write_text(text.replace(plan.generator_sha256[:12], other.generator_sha256[:12]))
    assert run("publish", folder, "--repo", "org/faces", "--without-certificate", "a test", "--dry-run")[0] == 0


def test_answers_are_kept(folder: Path, run: Run) -> None:
    path = folder / "DATASHEET.md"
    blank = path.read_text()
    path.write_text(answered(blank))
    mine = path.read_text()
    assert run("card", folder)[2] == f"{folder}: everything is up to date\n"
    assert path.read_text() == mine
    assert run("card", folder, "--licence", "cc0-1.0")[0] == 0
    text = path.read_text()
    assert text.count("Ada, for nobody.") == 6
    assert "\nCC0-1.0, see `LICENSE`." in text
    assert MARKER not in text
    assert run("card", folder, "--licence", "cc-by-nc-sa-4.0")[0] == 0
    assert path.read_text() == mine
    assert run("validate", folder)[0] == 0


def test_an_answer_of_several_paragraphs(folder: Path, run: Run) -> None:
    path = folder / "DATASHEET.md"
    answer = "Ada.\n\n- one\n- two #2\n\nMore \\1 *text* `### no heading`."
    marked = next(line for line in path.read_text().splitlines() if line.startswith(MARKER))
    path.write_text(path.read_text().replace(marked, answer))
    assert run("card", folder, "--licence", "cc0-1.0")[0] == 0
    assert f"### {WHO}\n\n{answer}\n\n## Composition" in path.read_text()
    assert len(waiting_in(path.read_text(), folder)) == 5


def test_other_edits_are_kept(folder: Path, run: Run) -> None:
    path = folder / "DATASHEET.md"
    mine = answered(path.read_text()).replace("\nYes.\n", "\nYes, I think.\n")
    path.write_text(mine)
    assert run("card", folder, "--licence", "cc0-1.0")[0] == 0
    assert path.read_text() == mine.replace("CC-BY-NC-SA-4.0", "CC0-1.0")


def test_generate_leaves_it_alone(folder: Path, run: Run, golden: Path) -> None:
    mine = answered((folder / "DATASHEET.md").read_text()) + "And more.\n"
    (folder / "DATASHEET.md").write_text(mine)
    command = ["generate", "--network", golden / "conditional-32.pkl", "--outdir", folder, "--precision", "fp32"]
    command += ["--samples-per-class", 6, "--samples-per-shard", 25, "--size", 32, "--device", "cpu"]
    assert run(*command)[0] == 0
    assert (folder / "DATASHEET.md").read_text() == mine
