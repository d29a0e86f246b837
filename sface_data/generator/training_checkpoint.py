"""A training run on disk: everything that the next step depends on, so that a stopped run goes on exactly."""

import dataclasses
import io
import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch

from sface_data.errors import BadInput
from sface_data.files import atomic_write, canonical_json, explained
from sface_data.generator.train import Settings, Training

_NETWORKS = ("generator", "discriminator", "averaged")
_FORMAT = "sface_data.training/1"


def save_training(training: Training, path: Path) -> None:
    """Writes a run between two steps, atomically."""
    progress = training.progress
    content = {
        "format": _FORMAT,
        "settings": canonical_json(dataclasses.asdict(training.settings)),
        "progress": {field.name: getattr(progress, field.name) for field in dataclasses.fields(progress)},
        "networks": {name: getattr(training, name).state_dict() for name in _NETWORKS},
        "optimizers": {name: optimizer.state_dict() for name, optimizer in training.optimizers.items()},
        "dice": training.dice.state,
    }
    with atomic_write(path) as file:
        torch.save(content, file)


def load_training(training: Training, path: Path) -> None:
    """Puts a run that was saved into one that was made with the same settings.

    Raises:
        BadInput: if the file is broken, or of a run with other settings, which are named.
    """
    content = _read(path)
    differences = _differences(training.settings, json.loads(content["settings"]))
    if differences:
        raise BadInput(
            f"{path}: is of a run with other settings; choose another folder, or go on with the same. "
            f"Asked for, and held: {'; '.join(differences)}"
        )
    for name in _NETWORKS:
        getattr(training, name).load_state_dict(content["networks"][name])
    for name, optimizer in training.optimizers.items():
        optimizer.load_state_dict(content["optimizers"][name])
    for name, value in content["progress"].items():
        setattr(training.progress, name, value.to(training.device) if isinstance(value, torch.Tensor) else value)
    training.dice.state = content["dice"]


def _read(path: Path) -> dict[str, Any]:
    with explained(path):
        data = path.read_bytes()
    try:
        if not zipfile.is_zipfile(io.BytesIO(data)):  # torch.load would try older formats
            raise ValueError("not an archive")
        content = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise BadInput(f"{path}: not a complete checkpoint of a training run; start a new run") from error
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise BadInput(f"{path}: not a checkpoint of this version of sface-data; start a new run")
    return content


def _differences(asked: Settings, held: dict[str, Any]) -> list[str]:
    """One line for each setting that is not the same."""
    flat = _flat(json.loads(canonical_json(dataclasses.asdict(asked))))
    other = _flat(held)
    names = [name for name in flat | other if flat.get(name) != other.get(name)]
    return [f"{name} {flat.get(name)!r}, {other.get(name)!r}" for name in names]


def _flat(settings: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name != "recipe"} | settings["recipe"]
