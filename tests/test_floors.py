"""The floors of the architecture: a module imports only from floors below its own."""

import ast
from pathlib import Path

import pytest

import sface_data

PACKAGE = Path(sface_data.__file__).parent
# The first entry that is a prefix of a module's dotted name (without `sface_data.`) gives its floor.
FLOORS = {
    "__main__": 7,
    "cli": 6,
    "release": 5,
    "audit": 4,
    "build": 4,
    "alignment": 3,
    "recognition": 3,
    "generator": 2,
    "faces": 2,
    "shards": 1,
    "biometrics": 1,
    "engine": 1,
    "training": 1,
    "plan": 0,
    "provenance": 0,
    "files": 0,
    "locks": 0,
    "ahead": 0,
    "progress": 0,
    "pickles": 0,
    "errors": 0,
}
NEVER_TORCH = (
    "biometrics",
    "shards",
    "plan",
    "provenance",
    "files",
    "locks",
    "ahead",
    "progress",
    "pickles",
    "errors",
    "release",
)
LAZY_TORCH = ("cli",)  # inside functions only
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def name_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def floor_of(module: str) -> int:
    return FLOORS[module.split(".")[0]]


def imports(path: Path) -> list[tuple[str, bool]]:
    """Every module that a file imports, anywhere in it, and whether it does so at import."""
    tree = ast.parse(path.read_text())
    inside = {
        id(child) for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) for child in ast.walk(node)
    }
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, id(node) not in inside) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide the floor"
            found += [(f"{node.module}.{alias.name}", id(node) not in inside) for alias in node.names]
    return found


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_only_from_floors_below(path: Path) -> None:
    module = name_of(path)
    room = module.split(".")[0]
    for target, _ in imports(path):
        if not target.startswith("sface_data."):
            continue
        target = target.removeprefix("sface_data.")
        target_room = target.split(".")[0]
        if target_room not in FLOORS:
            assert target_room == "__version__", f"{module} imports {target}, which is on no floor"
            continue
        if target_room == room or floor_of(module) == floor_of(target) == 0:
            continue
        assert floor_of(target) < floor_of(module), f"{module} imports {target}, which is not below it"
        assert not (room == "audit" and target_room == "generator"), "audit certifies bytes, not intent"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_torch_stays_out_of_the_light_rooms(path: Path) -> None:
    room = name_of(path).split(".")[0]
    torch = [at_import for name, at_import in imports(path) if name.split(".")[0] == "torch"]
    assert not (torch and room in NEVER_TORCH), f"{name_of(path)} imports torch"
    assert not (any(torch) and room in LAZY_TORCH), f"{name_of(path)} imports torch before it needs it"
