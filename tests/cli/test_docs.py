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


def test_every_option_has_help() -> None:
    import click

    from sface_data.cli import main

    def walk(command: click.Command) -> None:
        for parameter in command.params:
            assert not isinstance(parameter, click.Option) or parameter.help, f"{parameter.name} has no help"
        if isinstance(command, click.Group):
            for child in command.commands.values():
                walk(child)

    walk(main)


def test_width_does_not_depend_on_the_terminal(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    assert runpy.run_path(str(SCRIPT))["cli_docs"]() == page
    blocks = re.findall(r"^```text\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    assert len(blocks) >= 8
    assert max(len(line) for block in blocks for line in block.splitlines()) <= 100
