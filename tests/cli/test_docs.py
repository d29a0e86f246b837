"""docs/cli.md says what the commands say of themselves."""

import re
import runpy
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "make_cli_docs"
DOCS = Path(__file__).parents[2] / "docs" / "cli.md"


@pytest.fixture
def page() -> str:
    return runpy.run_path(str(SCRIPT))["cli_docs"]()


def test_docs_are_up_to_date(page: str) -> None:
    assert DOCS.read_text(encoding="utf-8") == page, "run: .venv/bin/python scripts/make_cli_docs"


def test_every_command_and_option_is_there(page: str, run) -> None:
    import click

    from sface_data.cli import main

    def walk(command: click.Command, words: list[str]) -> None:
        assert f"\n## {' '.join(['sface-data', *words])}\n" in page
        code, output, _ = run(*words, "--help")
        assert code == 0
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.help, f"{parameter.name} has no help"
                for option in parameter.opts:
                    assert option in output
                    assert option in page
        if isinstance(command, click.Group):
            for name, child in command.commands.items():
                walk(child, [*words, name])

    walk(main, [])


def test_width_does_not_depend_on_the_terminal(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    assert runpy.run_path(str(SCRIPT))["cli_docs"]() == page
    blocks = re.findall(r"^```text\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    assert len(blocks) >= 8
    assert max(len(line) for block in blocks for line in block.splitlines()) <= 100
