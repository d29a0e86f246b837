"""A training run on disk: everything that the next step depends on, so that a stopped run goes on exactly."""

import json
from pathlib import Path
from typing import Any

import torch

from sface_data.errors import BadInput
from sface_data.io.files import atomic_write, canonical_json, os_errors_as_bad_input
from sface_data.training.torch_files import load_tensors_only

Content = dict[str, Any]


def write_checkpoint(path: Path, kind: str, settings: Content, content: Content) -> None:
    """Writes a run between two steps, atomically.

    Args:
        kind: name and version of what is in it.
        settings: what the outcome of the run depends on, as JSON has it; `recipe` in it is a dictionary.
        content: tensors, numbers, strings, and lists and dictionaries of them.
    """
    with atomic_write(path) as file:
        torch.save({"format": kind, "settings": canonical_json(settings), **content}, file)


def read_checkpoint(path: Path, kind: str, settings: Content) -> Content:
    """Reads what `write_checkpoint` wrote, onto the CPU.

    Raises:
        BadInput: if the file is broken or of another kind, or of a run with other settings, which are named.
    """
    content = _read(path, kind)
    differences = _differences(json.loads(canonical_json(settings)), json.loads(content["settings"]))
    if differences:
        raise BadInput(
            f"{path}: is of a run with other settings; choose another folder, or go on with the same. "
            f"Asked for, and held: {'; '.join(differences)}"
        )
    return content


def _read(path: Path, kind: str) -> Content:
    with os_errors_as_bad_input(path):
        data = path.read_bytes()
    try:
        content = load_tensors_only(data)
    except ValueError as error:
        raise BadInput(f"{path}: not a complete checkpoint of a training run; start a new run") from error
    if not isinstance(content, dict) or content.get("format") != kind:
        raise BadInput(f"{path}: not a checkpoint of this version of sface-data; start a new run")
    return content


def _differences(asked: Content, held: Content) -> list[str]:
    """One line for each setting that is not the same."""
    flat, other = _flat(asked), _flat(held)
    names = [name for name in flat | other if flat.get(name) != other.get(name)]
    return [f"{name} {flat.get(name)!r}, {other.get(name)!r}" for name in names]


def _flat(settings: Content) -> Content:
    return {name: value for name, value in settings.items() if name != "recipe"} | settings["recipe"]
