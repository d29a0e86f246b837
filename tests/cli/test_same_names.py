"""A command is one call of the package: the same names, the same defaults."""

import inspect
from collections.abc import Callable
from typing import Any

import pytest

from sface_data.cli import main
from sface_data.embedding.run import embed
from sface_data.generation.job import plan_job
from sface_data.release.generate import generate
from sface_data.rendered.run import render

COMMANDS: dict[str, Callable[..., Any]] = {"generate": generate, "embed": embed, "render": render}
NEEDED = {
    "generate": ["--outdir", "x"],
    "embed": ["s", "--embedder", "e.onnx", "--outdir", "x"],
    "render": ["--outdir", "x", "--identities", "2", "--images-per-identity", "3"],
}
COMMAND_ONLY = {"generate": {"dry_run"}}


def parameters(function: Callable[..., Any]) -> dict[str, Any]:
    return {name: each.default for name, each in inspect.signature(function).parameters.items()}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_and_its_function_take_the_same(name: str) -> None:
    command = main.commands[name]
    required = {each.name for each in command.params if each.required}
    given = command.make_context(name, list(NEEDED[name])).params
    options = {key: default for key, default in given.items() if key not in required}
    taken = parameters(COMMANDS[name])
    for extra in COMMAND_ONLY.get(name, ()):
        del options[extra]
    assert {key for key, default in taken.items() if default is inspect.Parameter.empty} == required
    assert {key: default for key, default in taken.items() if key not in required} == options


@pytest.mark.parametrize("name", COMMANDS)
def test_every_argument_is_documented(name: str) -> None:
    text = inspect.getdoc(COMMANDS[name]) or ""
    assert [key for key in parameters(COMMANDS[name]) if f"\n    {key}: " not in text] == []
    assert "\nRaises:\n    BadInput: " in text


def test_a_job_is_planned_with_the_defaults_of_the_command() -> None:
    made = parameters(generate)
    assert parameters(plan_job).items() <= made.items()
    assert made.keys() - parameters(plan_job).keys() == {"outdir", "licence", "overwrite"}
