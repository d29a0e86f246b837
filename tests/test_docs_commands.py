"""Every command in the documentation exists, with its options. `test_wheel.py` runs those of the quickstart."""

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from sface_data.cli import main

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
QUICKSTART = ROOT / "docs" / "quickstart.md"
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
OTHERS = ("hf auth login", "openssl ", "pip install ", "git clone ", "cd ")  # commands that are not ours


def blocks(page: Path, language: str) -> list[str]:
    return [text for name, text in _BLOCK.findall(page.read_text(encoding="utf-8")) if name == language]


def command_lines(page: Path) -> Iterator[str]:
    for block in blocks(page, "sh"):
        for line in block.replace("\\\n", " ").splitlines():
            if line.strip() and not line.lstrip().startswith("#"):
                yield line.strip()


def arguments_of(line: str) -> list[str] | None:
    """The arguments of `sface-data` in a line, None if it is another command."""
    words = shlex.split(line, comments=True)
    if words[0] == "torchrun" and "sface_data" in words:
        return words[words.index("sface_data") + 1 :]
    return words[1:] if words[0] == "sface-data" else None


LINES = [
    (page.relative_to(ROOT).as_posix(), line)
    for page in PAGES
    if page.name != "cli.md"
    for line in command_lines(page)
]


@pytest.mark.parametrize(("page", "line"), LINES)
def test_it_is_a_command_that_there_is(page: str, line: str) -> None:
    arguments = arguments_of(line)
    if arguments is None:
        script = ROOT / shlex.split(line, comments=True)[0]
        assert line.startswith(OTHERS) or script.is_file(), f"{page}: {line}"
        return
    command: click.Command = main
    context = click.Context(command, info_name="sface-data", **command.context_settings)
    while isinstance(command, click.Group):
        name, *arguments = arguments
        assert name in command.commands, f"{page}: {line}"
        command = command.commands[name]
        context = click.Context(command, info_name=name, parent=context)
    values, _, _ = command.make_parser(context).parse_args(args=list(arguments))
    for parameter in command.params:
        value = values.get(parameter.name)
        given = value is not None and not (isinstance(value, tuple) and not value) and "UNSET" not in repr(value)
        assert given or not parameter.required, f"{page}: {line}: {parameter.name} is missing"
        if given and isinstance(
            parameter.type, click.Choice | click.types.IntParamType | click.types.FloatParamType
        ):
            for item in value if isinstance(value, list | tuple) else [value]:
                parameter.type.convert(item, parameter, context)


def test_there_are_commands_to_check() -> None:
    pages = {page for page, _ in LINES}
    assert {"README.md", "docs/quickstart.md", "docs/publish.md", "docs/certify.md"} <= pages
    assert len(LINES) > 25


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_and_json_can_be_read(page: Path) -> None:
    for block in blocks(page, "python"):
        compile(block, str(page), "exec")
    for block in blocks(page, "json"):
        json.loads(block)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = _BLOCK.sub("", page.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
        if not target.startswith(("http://", "https://")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
