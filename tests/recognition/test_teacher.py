"""Teachers are embedders of every kind, and the one that ships."""

from pathlib import Path

import pytest
import torch

from sface_data.embedding.open import DEMO_EMBEDDER
from sface_data.errors import BadInput
from sface_data.recognition.teacher import open_teacher

CPU = torch.device("cpu")


def test_the_one_that_ships_by_name() -> None:
    images = torch.rand(3, 3, 112, 112, generator=torch.Generator().manual_seed(0)) * 2 - 1
    named, file = open_teacher(Path("demo"), CPU), open_teacher(DEMO_EMBEDDER, CPU)
    assert (named.dimensions, named.sha256) == (file.dimensions, file.sha256) == (128, file.sha256)
    assert torch.equal(named.embeddings(images), file.embeddings(images))


def test_a_teacher_that_is_not_there_is_never_left_out(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"teacher\.onnx: does not exist; a teacher is never left out"):
        open_teacher(tmp_path / "teacher.onnx", CPU)
