"""Each command for finished folders is one call of a function with the same names and defaults."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sface_data.cli import main
from sface_data.release.contents import write_card
from sface_data.release.preview import preview
from sface_data.release.publish import publish
from sface_data.release.validate import validate

FUNCTIONS: dict[str, tuple[Callable[..., Any], list[str]]] = {
    "card": (write_card, []),
    "preview": (preview, ["--out", "grid.png"]),
    "publish": (publish, ["--repo", "org/name"]),
    "validate": (validate, []),
}
PRINTING = {"as_json"}  # of the command alone


@pytest.mark.parametrize("name", FUNCTIONS)
def test_names_and_defaults(name: str, tmp_path: Path) -> None:
    function, required = FUNCTIONS[name]
    options = main.commands[name].make_context(name, [str(tmp_path), *required]).params
    signature = inspect.signature(function).parameters
    assert options.keys() - PRINTING == signature.keys()
    for parameter in signature.values():
        if parameter.default is not inspect.Parameter.empty:
            assert options[parameter.name] == parameter.default
        assert function.__doc__ is not None and f"\n        {parameter.name}: " in function.__doc__
