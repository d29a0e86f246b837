"""The examples of docs/api.md run as they stand, one after the other, from the top of the page to its end."""

import doctest
import runpy
from pathlib import Path

import pytest

from tests.test_docs_commands import _BLOCK

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "api.md"


def test_the_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    names: dict[str, object] = {}
    runner, said = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS), []
    for language, text in _BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        if language == "python":
            exec(compile(text, PAGE.name, "exec"), names)
        elif language == "pycon":
            example = doctest.DocTestParser().get_doctest(text, names, text.splitlines()[0], None, None)
            runner.run(example, out=said.append, clear_globs=False)
            names = example.globs
    assert said == [], "".join(said)
    assert runner.tries > 20


def test_docs_are_up_to_date() -> None:
    page = runpy.run_path(str(ROOT / "scripts" / "make_api_docs"))["api_docs"]()
    assert PAGE.read_text() == page, "run: .venv/bin/python scripts/make_api_docs"
