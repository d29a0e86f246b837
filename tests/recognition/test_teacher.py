"""Teachers are embedders of every kind, and the one that ships."""

from pathlib import Path

import onnx
import onnxruntime
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


def test_an_onnx_file_says_itself_which_colours_it_takes(tmp_path: Path) -> None:
    model = onnx.load(DEMO_EMBEDDER)
    onnx.helper.set_model_props(model, {"Image.BitmapPixelFormat": "Bgr8"})
    onnx.save(model, tmp_path / "bgr.onnx")
    images = torch.rand(2, 3, 112, 112, generator=torch.Generator().manual_seed(0)) * 2 - 1
    rgb, bgr = open_teacher(DEMO_EMBEDDER, CPU), open_teacher(tmp_path / "bgr.onnx", CPU)
    torch.testing.assert_close(bgr.embeddings(images), rgb.embeddings(images.flip(1)))
    with pytest.raises(BadInput, match=r"bgr.onnx: an ONNX file says itself .* leave out --teacher-channels"):
        open_teacher(tmp_path / "bgr.onnx", CPU, "bgr")


@pytest.mark.skipif("CUDAExecutionProvider" in onnxruntime.get_available_providers(), reason="there is CUDA")
def test_a_teacher_does_not_fall_back_to_the_cpu() -> None:
    with pytest.raises(BadInput, match="'cuda:1' is asked for, but this ONNX Runtime has no CUDA"):
        open_teacher(DEMO_EMBEDDER, torch.device("cuda", 1))
