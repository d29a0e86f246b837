"""The miniature of the paper runs from nothing to its page, in its small size, and goes on where it stopped."""

import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from PIL import Image

SCRIPT = Path(__file__).parents[2] / "scripts" / "reproduce_mini.py"
DOCS = Path(__file__).parents[2] / "docs" / "mini.md"


@pytest.fixture(scope="module")
def mini() -> ModuleType:
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("reproduce_mini", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def out(mini: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("mini")
    mini.main(["--size", "test", "--out", str(out)])
    return out


def test_the_page_has_every_network_and_both_benchmarks(mini: ModuleType, out: Path) -> None:
    page = (out / "mini.md").read_text()
    assert page.count("16 synthetic images") == 3
    assert page.count("16 authentic images") == 1
    for network in mini.NETWORKS:
        assert network.title in page
        (record, other) = json.loads((out / "eval" / network.name / "evaluation.json").read_text())["benchmarks"]
        assert (record["name"], other["name"]) == ("unseen", "unseen_hard")
        assert record["mated"] == record["nonmated"] == 20
        assert f"**{100 * record['accuracy']:.1f}** ({100 * record['interval_95'][0]:.1f} to" in page
    assert "scripts/reproduce_mini --size test" in page
    with Image.open(out / "mini.png") as picture:
        assert picture.width == 1125


def test_students_of_the_teacher_have_its_digest_in_their_run(out: Path) -> None:
    for name, taught in (("teacher", False), ("cls", False), ("kt", True), ("cls-kt", True)):
        words = json.loads((out / "steps" / f"train-{name}.json").read_text())["words"]
        assert ("--teacher" in words) == taught
        assert words[words.index("--data") + 1].endswith("authentic" if name == "teacher" else "synthetic")


def test_what_is_done_is_not_done_again(mini: ModuleType, out: Path) -> None:
    ran: list[list[str]] = []
    steps = mini.Steps(out, ran.append)
    mini.reproduce(steps, mini.SIZES["test"], None)
    assert ran == []
    (out / "steps" / "eval-kt.json").unlink()
    mini.reproduce(steps, mini.SIZES["test"], None)
    assert [words[:2] for words in ran] == [["recognition", "eval"]]


def test_a_step_that_fails_is_done_again(mini: ModuleType, tmp_path: Path) -> None:
    def fail(words: list[str]) -> None:
        raise RuntimeError(words[0])

    with pytest.raises(RuntimeError, match="render"):
        mini.Steps(tmp_path, fail).sface_data("a", "render")
    ran: list[list[str]] = []
    steps = mini.Steps(tmp_path, ran.append)
    assert steps.records() == {}
    steps.sface_data("a", "render")
    steps.sface_data("a", "render")
    assert ran == [["render"]]
    steps.sface_data("a", "render", "--seed", 1)  # with other arguments it is another step
    assert len(ran) == 2
    assert list(steps.records()) == ["a"]


def test_a_difference_by_hand(mini: ModuleType) -> None:
    def result(*folds: float):
        return mini.Result(folds, sum(folds) / len(folds), 0, 1, 0)

    mean, low, high = mini.difference(result(0.9, 0.8, 0.7), result(0.8, 0.8, 0.6))
    assert mean == pytest.approx(0.2 / 3)
    reach = 4.302653 * 0.1 / 3  # of t with two degrees of freedom; the deviation is 0.1 / sqrt(3)
    assert (low, high) == (pytest.approx(mean - reach, abs=1e-6), pytest.approx(mean + reach, abs=1e-6))


@pytest.fixture
def page(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        (tmp_path / "mini.md").write_text(text)
        return tmp_path / "mini.md"

    return write


def test_the_page_keeps_what_people_wrote(mini: ModuleType, page: Callable[[str], Path]) -> None:
    path = page(f"before\n{mini.BEGIN}\nold\n{mini.END}\nafter\n")
    mini.write_page(path, "new")
    mini.write_page(path, "newer")
    assert path.read_text() == f"before\n{mini.BEGIN}\n\nnewer\n{mini.END}\nafter\n"
    with pytest.raises(SystemExit, match="marks"):
        mini.write_page(page("nothing\n"), "new")


def test_the_page_in_docs_has_its_marks(mini: ModuleType) -> None:
    before, _, rest = DOCS.read_text(encoding="utf-8").partition(mini.BEGIN)
    made, _, after = rest.partition(mini.END)
    assert before and made and after
