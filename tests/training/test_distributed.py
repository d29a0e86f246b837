"""Processes that cannot find each other, or are not of one run."""

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from sface_data.errors import BadInput
from sface_data.generator.run import train_generator
from sface_data.recognition.run import train_recognition
from sface_data.training.distributed import process_group
from tests.processes import two_processes

GENERATOR = {"resolution": 16, "kimg": 0.008, "batch": 8, "device": "cpu"}
RECOGNITION = {"recipe": "cls", "preset": "tiny", "epochs": 0.2, "batch": 8, "device": "cpu"}


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"WORLD_SIZE": "2"}, "no RANK, MASTER_ADDR, MASTER_PORT; start the processes with torchrun"),
        ({"WORLD_SIZE": "2", "RANK": "0"}, "no MASTER_ADDR, MASTER_PORT"),
        (
            {"WORLD_SIZE": "x", "RANK": "0", "MASTER_ADDR": "localhost", "MASTER_PORT": "1"},
            "cannot find each other",
        ),
    ],
)
def test_an_environment_that_is_not_torchruns(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], sentence: str
) -> None:
    for name in ("RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(BadInput, match=sentence), process_group(torch.device("cpu")):
        pass


def refuse(train: Callable[..., object], data: Sequence[Path], outdir: Path, options: dict[str, Any]) -> None:
    """Of one of the processes of a run, each of which is given other faces."""
    with pytest.raises(
        BadInput, match=r"process 1 has other faces, faces_sha256, order_sha256, .* than process 0; start"
    ):
        train(data[int(os.environ["RANK"])], outdir=outdir, **options)


@pytest.mark.parametrize(("train", "options"), [(train_generator, GENERATOR), (train_recognition, RECOGNITION)])
def test_processes_with_other_faces_are_refused(
    rendered_faces: Path, tmp_path: Path, train: Callable[..., object], options: dict[str, Any]
) -> None:
    fewer = shutil.copytree(rendered_faces, tmp_path / "fewer")
    (fewer / "000000" / "000000.jpg").unlink()
    two_processes(refuse, train, (rendered_faces, fewer), tmp_path / "run", {**options, "precision": "fp32"})
    assert not (tmp_path / "run" / "checkpoint.pt").exists()
