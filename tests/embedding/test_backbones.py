"""Backbones: published names and shapes, and what published code makes of the same weights."""

import json
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from sface_data.embedding.backbone_names import BACKBONES
from sface_data.embedding.backbones import Dropout, create_backbone
from sface_data.errors import BadInput


def weights_by_name(network: nn.Module) -> dict[str, torch.Tensor]:
    """Every tensor as a function of its name and shape alone, as the golden vectors were recorded with."""
    state = {}
    for name, tensor in network.state_dict().items():
        rng, shape = np.random.RandomState(zlib.crc32(name.encode())), tuple(tensor.shape)
        if name.endswith("num_batches_tracked"):
            state[name] = torch.zeros_like(tensor)
            continue
        if name.endswith("running_var"):
            values = rng.uniform(0.5, 1.5, shape)
        elif len(shape) >= 2:
            values = rng.randn(*shape) * np.sqrt(2 / np.prod(shape[1:]))
        elif name.endswith("weight"):
            values = rng.uniform(0.1, 0.3, shape) if "prelu" in name else rng.uniform(0.5, 1.0, shape)
        else:
            values = rng.randn(*shape) * 0.1
        state[name] = torch.from_numpy(values.astype(np.float32))
    return state


@pytest.mark.parametrize("name", ["iresnet18", "iresnet50", "mobilefacenet"])
def test_embeddings_are_those_of_the_published_networks(golden: Path, name: str) -> None:
    network = create_backbone(name).eval()
    network.load_state_dict(weights_by_name(network))
    images = np.random.RandomState(7).uniform(-1, 1, (3, 3, 112, 112)).astype(np.float32)
    expected = torch.from_numpy(np.load(golden / f"{name}.npz")["embedding"])
    with torch.no_grad():
        embeddings = network(torch.from_numpy(images))
    error = (embeddings - expected).norm(dim=1) / expected.norm(dim=1)
    assert error.max() < 1e-4


@pytest.mark.parametrize("name", ["iresnet18", "iresnet50", "iresnet100", "mobilefacenet"])
def test_names_and_shapes_are_the_published_ones(golden: Path, name: str) -> None:
    published = json.loads((golden / "backbone-state-dicts.json").read_text())[name]
    with torch.device("meta"):
        ours = {key: list(tensor.shape) for key, tensor in create_backbone(name).state_dict().items()}
    assert ours == published
    assert list(ours) == list(published)


def test_iresnet34_has_its_blocks() -> None:
    with torch.device("meta"):
        network = create_backbone("iresnet34")
    assert [len(network.get_submodule(f"layer{i}")) for i in range(1, 5)] == [3, 4, 6, 3]


def test_tiny_is_tiny() -> None:
    network = create_backbone("tiny", dimensions=64).eval()
    assert sum(parameter.numel() for parameter in network.parameters()) < 700_000
    assert network(torch.zeros(2, 3, 112, 112)).shape == (2, 64)


@pytest.mark.parametrize("name", list(BACKBONES))
def test_every_backbone_has_the_dimensions_asked_for(name: str) -> None:
    with torch.device("meta"):
        embeddings = create_backbone(name, dimensions=96).eval()(torch.zeros(2, 3, 112, 112))
    assert embeddings.shape == (2, 96)


def test_dropout_keeps_the_mean_and_takes_numbers_from_elsewhere() -> None:
    dropout = Dropout(0.4)
    x = torch.ones(3, 5)
    dropout.uniform = lambda like: torch.linspace(0, 1, like.numel()).view_as(like)
    expected = (torch.linspace(0, 1, 15) >= 0.4).float().view(3, 5) / 0.6
    assert torch.equal(dropout(x), expected)
    assert torch.equal(dropout.eval()(x), x)


def test_an_unknown_backbone_is_named() -> None:
    with pytest.raises(BadInput, match="no backbone 'vgg'; choose one of iresnet18"):
        create_backbone("vgg")
