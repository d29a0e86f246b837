"""A training run on disk: everything that the next step depends on, so that a stopped run goes on exactly."""

import json
from pathlib import Path
from typing import Any

import torch

from sface_data.errors import BadInput
from sface_data.io.files import atomic_write, canonical_json, open_regular, os_errors_as_bad_input
from sface_data.io.folders import differences
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


def read_checkpoint(path: Path, kind: str) -> Content:
    """Reads what `write_checkpoint` wrote, onto the CPU; `settings` in it is JSON, see `check_settings`.

    Raises:
        BadInput: if the file is broken or of another kind.
    """
    with os_errors_as_bad_input(path), open_regular(path) as file:
        data = file.read()
    try:
        content = load_tensors_only(data)
    except ValueError as error:
        raise BadInput(f"{path}: not a complete checkpoint of a training run; start a new run") from error
    if not isinstance(content, dict) or content.get("format") != kind:
        raise BadInput(f"{path}: not a checkpoint of this version of sface-data; start a new run")
    return content


def check_settings(path: Path, asked: Content, held: str) -> None:
    """Checks that a run is asked to go on with the settings it had.

    Args:
        path: of the checkpoint.
        held: its settings, as JSON.

    Raises:
        BadInput: if they are others; those that differ are named.
    """
    different = differences(json.loads(canonical_json(asked)), json.loads(held))
    if different:
        raise BadInput(
            f"{path}: is of a run with other settings; choose another folder, or go on with the same. "
            "Asked for, and held:",
            *different,
        )
