"""Weights on disk: ours and published ones come back, others end in one sentence, nothing is executed."""

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from sface_data.embedding.backbone_file import load_backbone, save_backbone
from sface_data.embedding.backbones import create_backbone
from sface_data.embedding.open import open_embedder
from sface_data.errors import BadInput


def tiny(seed: int = 0) -> torch.nn.Module:
    torch.manual_seed(seed)
    network = create_backbone("tiny", 8)
    with torch.no_grad():
        network(torch.randn(4, 3, 112, 112))  # statistics other than the initial ones
    return network.eval()


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize(("name", "dimensions"), [("mobilefacenet", 512), ("iresnet18", 64), ("tiny", 8)])
def test_published_weights_are_recognised(tmp_path: Path, name: str, dimensions: int, prefix: str) -> None:
    network = create_backbone(name, dimensions)
    torch.save({prefix + key: value for key, value in network.state_dict().items()}, tmp_path / "backbone.pth")
    file = load_backbone(tmp_path / "backbone.pth")
    assert (file.name, file.dimensions, file.about) == (name, dimensions, {})
    expected = network.state_dict()
    assert all(torch.equal(value, expected[key]) for key, value in file.network.state_dict().items())
    assert not file.network.training


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state, head: {"epoch": 3, "state_dict_backbone": state, "state_dict_softmax_fc": head},
        lambda state, head: {
            "state_dict": {**named("model.", state), **named("head.", head)},
            "hyper": {"lr": 0.1},
        },
        lambda state, head: named("_orig_mod.", state),
        lambda state, head: named("module._orig_mod.", state),
    ],
    ids=["arcface_torch", "Lightning", "compiled", "compiled and parallel"],
)
def test_checkpoints_of_others_hold_a_backbone(tmp_path: Path, wrap: Callable[..., dict[str, object]]) -> None:
    network = tiny()
    torch.save(wrap(network.state_dict(), {"weight": torch.zeros(3, 8)}), tmp_path / "checkpoint_gpu_0.pt")
    file = load_backbone(tmp_path / "checkpoint_gpu_0.pt")
    images = torch.randn(2, 3, 112, 112)
    assert file.name == "tiny"
    assert torch.equal(file.network(images), network(images))


def named(prefix: str, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {prefix + name: tensor for name, tensor in state.items()}


def test_weights_of_a_run_come_back(tmp_path: Path) -> None:
    network = tiny()
    save_backbone(network, "tiny", 8, {"recipe": "cls", "classes": 3}, tmp_path / "weights.safetensors")
    file = load_backbone(tmp_path / "weights.safetensors")
    assert (file.name, file.dimensions, file.about) == ("tiny", 8, {"recipe": "cls", "classes": 3})
    images = torch.randn(2, 3, 112, 112)
    assert torch.equal(file.network(images), network(images))


class Bomb:
    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (Path("exploded"),)


@pytest.mark.parametrize("archive", [True, False])
def test_nothing_in_a_file_is_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, archive: bool) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "bomb.pth"
    if archive:
        torch.save({"fc.weight": Bomb()}, path)
    else:
        path.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(BadInput, match="without executing what is in it"):
        load_backbone(path)
    assert not (tmp_path / "exploded").exists()


def test_files_of_something_else(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_file({"a": torch.zeros(2)}, path)
    with pytest.raises(BadInput, match="tensors are those of no backbone that is known here"):
        load_backbone(path)
    save_file(dict(tiny().state_dict()), path, {"sface_data.recognition": '{"backbone":"vgg","dimensions":8}'})
    with pytest.raises(BadInput, match="names the backbone 'vgg'"):
        load_backbone(path)
    for facts in ("[1]", "{", '{"backbone":"tiny","dimensions":true}'):
        save_file(dict(tiny().state_dict()), path, {"sface_data.recognition": facts})
        with pytest.raises(BadInput, match="metadata"):
            load_backbone(path)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(BadInput, match="or cut short"):
        load_backbone(path)
    torch.save([torch.zeros(2)], tmp_path / "list.pth")
    with pytest.raises(BadInput, match="holds no state dict"):
        load_backbone(tmp_path / "list.pth")


def test_tensors_that_do_not_fit_are_named(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    for change, sentence in (
        ({"bn.weight": None}, "tensor bn.weight is missing"),
        ({"extra": torch.zeros(1)}, "tensor 'extra' belongs to another kind"),
        ({"bn.weight": torch.ones(3)}, r"tensor bn.weight has shape \[3\], not \[128\]"),
        ({"bn.weight": torch.full((128,), float("nan"))}, "tensor bn.weight has values that are not finite"),
        ({"bn.weight": torch.ones(128, dtype=torch.int64)}, "tensor bn.weight is of torch.int64"),
    ):
        state = {**tiny().state_dict(), **change}
        whole = {name: value for name, value in state.items() if value is not None}
        save_file(whole, path, {"sface_data.recognition": '{"backbone":"tiny","dimensions":8}'})
        with pytest.raises(BadInput, match=sentence):
            load_backbone(path)


def test_embedders_of_torch_add_image_and_mirror_image(tmp_path: Path) -> None:
    network = tiny()
    save_backbone(network, "tiny", 8, {}, tmp_path / "weights.safetensors")
    embedder = open_embedder(tmp_path / "weights.safetensors", "cpu")
    assert (embedder.name, embedder.size, embedder.dimensions) == ("weights.safetensors", 112, 8)
    pixels = np.random.default_rng(0).integers(0, 256, (3, 112, 112, 3)).astype(np.uint8)
    with torch.no_grad():
        values = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 127.5 - 1
        total = network(values) + network(values.flip(3))
    expected = torch.nn.functional.normalize(total).numpy()
    assert np.allclose(embedder.embed(pixels), expected, atol=1e-5)
    assert embedder.embed(np.zeros((2, 64, 64, 3), np.uint8)).shape == (2, 8)
    torch.save(network.state_dict(), tmp_path / "published.pth")
    assert np.allclose(open_embedder(tmp_path / "published.pth", "cpu").embed(pixels), expected, atol=1e-5)
    (tmp_path / "weights.zip").touch()
    for name, said in (
        ("weights.zip", "says no kind of embedder"),
        ("buffalo_l", "give the .onnx inside the model"),
    ):
        with pytest.raises(BadInput, match=said):
            open_embedder(tmp_path / name)
