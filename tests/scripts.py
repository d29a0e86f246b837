"""Scripts as modules."""

import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[1] / "scripts"


def script(name: str) -> Any:
    """A script of `scripts/`, loaded and not run."""
    path = FOLDER / name
    spec = spec_from_loader(path.stem, SourceFileLoader(path.stem, str(path)))
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, path.stem, module)  # where dataclasses look it up
        patch.setattr("sys.dont_write_bytecode", True)
        spec.loader.exec_module(module)
    return module
