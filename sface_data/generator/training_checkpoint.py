"""A training run of a generator on disk."""

import dataclasses
from pathlib import Path

import torch

from sface_data.generator.train import Training
from sface_data.training.checkpoint import read_checkpoint, write_checkpoint

_NETWORKS = ("generator", "discriminator", "averaged")
_FORMAT = "sface_data.training/1"


def save_training(training: Training, path: Path) -> None:
    """Writes a run between two steps, atomically."""
    progress = training.progress
    content = {
        "progress": {field.name: getattr(progress, field.name) for field in dataclasses.fields(progress)},
        "networks": {name: getattr(training, name).state_dict() for name in _NETWORKS},
        "optimizers": {name: optimizer.state_dict() for name, optimizer in training.optimizers.items()},
        "random": training.random.state,
    }
    write_checkpoint(path, _FORMAT, dataclasses.asdict(training.settings), content)


def load_training(training: Training, path: Path) -> None:
    """Puts a run that was saved into one that was made with the same settings.

    Raises:
        BadInput: if the file is broken, or of a run with other settings, which are named.
    """
    content = read_checkpoint(path, _FORMAT, dataclasses.asdict(training.settings))
    for name in _NETWORKS:
        getattr(training, name).load_state_dict(content["networks"][name])
    for name, optimizer in training.optimizers.items():
        optimizer.load_state_dict(content["optimizers"][name])
    for name, value in content["progress"].items():
        setattr(training.progress, name, value.to(training.device) if isinstance(value, torch.Tensor) else value)
    training.random.state = content["random"]
