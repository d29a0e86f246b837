"""A training run on disk: everything that the next step depends on, so that a stopped run goes on exactly."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from sface_data.errors import BadInput, SfaceDataError
from sface_data.io.files import atomic_write, canonical_json, open_regular, os_errors_as_bad_input
from sface_data.io.folders import differences
from sface_data.runtime.memory import is_of_memory
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


@contextmanager
def reading_checkpoint(path: Path, kind: str) -> Iterator[Content]:
    """What `write_checkpoint` wrote, on the CPU; `settings` in it is JSON, see `check_settings`.

    Raises:
        BadInput: if the file is broken or of another kind, or the block fails on what is in it.
    """
    with os_errors_as_bad_input(path), open_regular(path) as file:
        data = file.read()
    try:
        content = load_tensors_only(data)
        if not isinstance(content, dict) or content.get("format") != kind:
            raise BadInput(f"{path}: not a checkpoint of this version of sface-data; start a new run")
        yield content
    except Exception as error:
        if isinstance(error, SfaceDataError) or is_of_memory(error):
            raise
        raise BadInput(f"{path}: not a complete checkpoint of a training run; start a new run") from error


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
