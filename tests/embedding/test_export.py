"""Weights of a run as ONNX, and back in insightface."""

from pathlib import Path

import numpy as np
import pytest
import torch

from sface_data.embedding.backbone_file import load_backbone, save_backbone
from sface_data.embedding.backbones import create_backbone
from sface_data.embedding.export import export_onnx


@pytest.mark.parametrize("name", ["tiny", "mobilefacenet", "iresnet18"])
def test_insightface_loads_the_export_and_embeds_alike(tmp_path: Path, name: str) -> None:
    from insightface.model_zoo import get_model

    torch.manual_seed(0)
    network = create_backbone(name, 64)
    with torch.no_grad():
        network.train()(torch.randn(4, 3, 112, 112))  # statistics other than the initial ones
    save_backbone(network, name, 64, {"recipe": "cls"}, tmp_path / "weights.safetensors")
    file = load_backbone(tmp_path / "weights.safetensors")
    export_onnx(file, tmp_path / "embedder.onnx")
    model = get_model(str(tmp_path / "embedder.onnx"), providers=["CPUExecutionProvider"])
    assert type(model).__name__ == "ArcFaceONNX"
    assert (model.input_size, model.input_mean, model.input_std) == ((112, 112), 127.5, 127.5)
    pixels = np.random.default_rng(0).integers(0, 256, (3, 112, 112, 3)).astype(np.uint8)
    theirs = torch.from_numpy(model.get_feat([image[:, :, ::-1] for image in pixels]))  # BGR
    with torch.no_grad():
        ours = file.network(torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 127.5 - 1)
    assert torch.nn.functional.cosine_similarity(theirs, ours).min() > 0.9999
    assert torch.allclose(theirs, ours, atol=1e-3 * ours.abs().max().item())
