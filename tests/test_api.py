"""The public functions: their names, their documentation, and that each command is a call of one of them."""

import ast
import inspect
import re
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import click
import pytest

import sface_data
from sface_data import api
from sface_data.cli import main
from sface_data.runtime.arguments import Range

ROOT = Path(sface_data.__file__).parents[1]
COMMANDS: dict[str, str] = runpy.run_path(str(ROOT / "scripts" / "make_api_docs"))["COMMANDS"]
# Options about what is printed, and not about what is done.
PRINTING = {("generate", "dry_run"), ("audit", "plan")} | {(command, "as_json") for command in COMMANDS}
FUNCTIONS = {name: getattr(api, name) for name in api.MODULES if inspect.isfunction(getattr(api, name))}


def commands(group: click.Group, words: str = "") -> dict[str, click.Command]:
    found: dict[str, click.Command] = {}
    for name, command in group.commands.items():
        path = f"{words} {name}".strip()
        found |= commands(command, path) if isinstance(command, click.Group) else {path: command}
    return found


def described(function: Callable[..., Any]) -> dict[str, str]:
    """What the docstring says of each argument."""
    text = inspect.getdoc(function) or ""
    section = re.search(r"^Args:\n(.*?)(?=^\S|\Z)", text, re.MULTILINE | re.DOTALL)
    entries = re.findall(r"^    (\w+(?:, \w+)*): (.+(?:\n {5,}.*)*)", section[1] if section else "", re.MULTILINE)
    return {name: words for names, words in entries for name in names.split(", ")}


def parts(annotation: Any) -> list[Any]:
    """An annotation, and all that it is made of."""
    return [annotation, *(inner for part in get_args(annotation) for inner in parts(part))]


def test_importing_it_imports_nothing_heavy() -> None:
    heavy = ("torch", "numpy", "click", "importlib.metadata", "typing_extensions")
    code = f"import sface_data, sys; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "[]\n"


def test_type_checkers_see_the_names_that_there_are() -> None:
    imported = {
        (alias.asname, f"{node.module}.{alias.name}")
        for node in ast.walk(ast.parse(Path(api.__file__).read_text()))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sface_data.")
        for alias in node.names
    }
    assert imported == {(name, f"sface_data.{module}.{name}") for name, module in api.MODULES.items()}
    assert (Path(sface_data.__file__).parent / "py.typed").is_file()


@pytest.mark.parametrize("name", api.MODULES)
def test_the_package_gives_every_name(name: str) -> None:
    value = getattr(sface_data, name)
    assert value is getattr(api, name)
    assert name in sface_data.__all__ and name in dir(sface_data)
    if inspect.isclass(value) or inspect.isfunction(value):
        assert value.__module__ == f"sface_data.{api.MODULES[name]}"
        assert inspect.getdoc(value)


def test_no_room_has_the_name_of_a_function() -> None:
    """Else the room, once imported, would take the place of the function."""
    package = Path(sface_data.__file__).parent
    rooms = {path.parent.name for path in package.glob("*/__init__.py")} | {
        path.stem for path in package.glob("*.py")
    }
    assert not rooms & set(api.MODULES)


def test_other_names_are_not_there() -> None:
    for module in (sface_data, api):
        with pytest.raises(AttributeError, match="has no attribute 'generat'"):
            _ = module.generat


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_are_documented(name: str) -> None:
    function = FUNCTIONS[name]
    signature = inspect.signature(function)
    assert list(described(function)) == list(signature.parameters)
    assert "\nRaises:\n" in str(inspect.getdoc(function))
    assert "\nExample:\n    >>> " in str(inspect.getdoc(function))
    assert all(parameter.annotation is not parameter.empty for parameter in signature.parameters.values())


def test_every_command_is_a_function() -> None:
    assert commands(main).keys() == COMMANDS.keys()
    assert set(COMMANDS.values()) == FUNCTIONS.keys() - {"load"}


@pytest.mark.parametrize("command", COMMANDS)
def test_options_are_the_parameters(command: str) -> None:
    options = {p.name: p for p in commands(main)[command].params if (command, p.name) not in PRINTING}
    parameters = inspect.signature(FUNCTIONS[COMMANDS[command]]).parameters
    assert set(options) == set(parameters)
    for name, option in options.items():
        parameter = parameters[str(name)]
        assert option.required == (parameter.default is parameter.empty), name
        if not option.required:
            assert default(option) == parameter.default, name
        assert getattr(option, "help", "") != "", name
        assert constraints(option.type) == annotated(parameter.annotation), name


def default(option: click.Parameter) -> object:
    """What a command passes on where the option is not given."""
    value = option.get_default(click.Context(main))
    unset = () if option.multiple else False if getattr(option, "is_flag", False) else None
    return unset if value is None or "UNSET" in repr(value) else value


def constraints(kind: click.ParamType) -> object:
    """Which values a command takes."""
    if isinstance(kind, click.Choice):
        return tuple(kind.choices)
    if isinstance(kind, click.IntRange | click.FloatRange):
        return Range(kind.min, *(() if kind.max is None else (kind.max,)), low_open=kind.min_open)
    return None


def annotated(annotation: Any) -> object:
    """Which values a function takes."""
    for part in parts(annotation):
        if get_origin(part) is Literal:
            return get_args(part)
        if get_origin(part) is Annotated:
            return part.__metadata__[0]
    return None
