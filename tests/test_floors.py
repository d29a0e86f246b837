"""The floors of the architecture: a module imports only from floors below its own."""

import ast
from collections.abc import Iterator
from pathlib import Path

import sface_data

PACKAGE = Path(sface_data.__file__).parent
# Rooms, from the top floor down. A module's room is its first name below `sface_data`.
FLOORS = (
    ("__main__",),
    ("cli",),
    ("api",),
    ("release",),
    ("auditing", "recognition", "generation"),
    ("generator", "embedding", "rendered"),
    ("faces",),
    ("dataset", "training"),
    ("biometrics",),
    ("runtime",),
    ("io",),
    ("errors",),
)
FLOOR = {room: -height for height, rooms in enumerate(FLOORS) for room in rooms}
# The audit certifies bytes, not intent.
NEVER = {"auditing": ("generator", "recognition", "generation")}
NEVER_TORCH = ("biometrics", "dataset", "io", "release", "errors", "rendered")
LAZY_TORCH = ("cli",)  # inside functions only


def modules() -> Iterator[tuple[str, str, ast.Module]]:
    """Name below `sface_data`, room and content of every module but the package's own."""
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = [part for part in path.relative_to(PACKAGE).with_suffix("").parts if part != "__init__"]
        if parts:
            yield ".".join(parts), parts[0], ast.parse(path.read_text())


def imports(tree: ast.Module) -> Iterator[tuple[str, bool]]:
    """Every name that a module imports, anywhere in it, and whether it does so when it is imported itself."""
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    inside = {id(child) for function in functions for child in ast.walk(function)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, id(node) not in inside) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            dots = "." * node.level
            yield from ((f"{dots}{node.module}.{alias.name}", id(node) not in inside) for alias in node.names)


def offence(room: str, target: str, at_import: bool) -> str | None:
    """What is wrong with a module of `room` that imports `target`; None if nothing is."""
    if target.startswith("."):
        return "a relative import hides the floor"
    if target.split(".")[0] == "torch":
        if room in NEVER_TORCH or (room in LAZY_TORCH and at_import):
            return "this room does without torch"
        return None
    if not target.startswith("sface_data.") or target == "sface_data.__version__":
        return None
    other = target.split(".")[1]
    if other not in FLOOR:
        return "it is on no floor"
    if other in NEVER.get(room, ()):
        return f"{room} knows nothing of {other}"
    if other != room and FLOOR[other] >= FLOOR[room]:
        return "it is not below"
    return None


def test_imports_only_from_floors_below() -> None:
    found = [
        f"{name} imports {target}: {wrong}"
        for name, room, tree in modules()
        for target, at_import in imports(tree)
        if (wrong := offence(room, target, at_import))
    ]
    assert not found, "\n".join(found)


def test_every_room_is_on_a_floor() -> None:
    assert {room for _, room, _ in modules()} == set(FLOOR)


def test_what_offends() -> None:
    assert offence("auditing", "sface_data.generator.sampler.Sampler", False)
    assert offence("io", "sface_data.dataset.plan.spec_of", True)
    assert offence("dataset", "torch", False)
    assert offence("cli", "torch", True) and not offence("cli", "torch", False)
    assert not offence("cli", "sface_data.release.card.write_card", True)
