"""Strong augmentation: what it does, and that it is a function of the seed alone."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from sface_data.recognition import augment as module
from sface_data.recognition.augment import augment, compressed
from sface_data.training.random_numbers import BatchRandom

CPU = torch.device("cpu")


def smooth(n: int, seed: int = 0) -> torch.Tensor:
    """Coloured blobs [n,3,64,64], -1 to 1."""
    rough = torch.rand(n, 3, 8, 8, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return torch.nn.functional.interpolate(rough, size=(64, 64), mode="bicubic").clamp(-1, 1)


def test_augmented_images_stay_images() -> None:
    images = smooth(32)
    changed = augment(images, BatchRandom(0, CPU))
    assert changed.shape == images.shape
    assert changed.abs().max() <= 1
    assert (changed - images).abs().flatten(1).amax(dim=1).gt(0.01).float().mean() > 0.8


def test_the_numbers_are_those_of_the_seed_on_any_number_of_processes() -> None:
    images = smooth(6)
    whole = augment(images, BatchRandom(5, CPU))
    assert torch.equal(augment(images, BatchRandom(5, CPU)), whole)
    assert not torch.equal(augment(images, BatchRandom(6, CPU)), whole)
    for rank in range(2):
        assert torch.allclose(augment(images[rank::2], BatchRandom(5, CPU, rank, 2)), whole[rank::2], atol=1e-5)


def test_nothing_chosen_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GEOMETRY", "LIGHT", "GREY", "RESOLUTION", "COMPRESSION", "HIDING"):
        monkeypatch.setattr(module, name, 0.0)
    images = smooth(4)
    assert torch.allclose(augment(images, BatchRandom(0, CPU)), images, atol=1e-5)


@pytest.mark.parametrize("quality", [20, 75])
def test_compression_loses_what_jpeg_loses(quality: int) -> None:
    images = smooth(1) * 0.9
    levels = ((images + 1) * 127.5).round().to(torch.uint8)[0].permute(1, 2, 0).numpy()
    file = io.BytesIO()
    Image.fromarray(levels).save(file, "JPEG", quality=quality, subsampling=0)
    theirs = np.asarray(Image.open(file), np.float32)
    ours = ((compressed(images, torch.tensor([float(quality)])) + 1) * 127.5)[0].permute(1, 2, 0).numpy()
    lost = np.abs(theirs - levels).mean()
    assert lost > 0.5
    assert np.abs(ours - theirs).mean() < 0.6 * lost


def test_hidden_parts_are_grey(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HIDING", 1.0)
    hidden = module._hide(torch.ones(8, 3, 64, 64), BatchRandom(0, CPU))
    assert set(hidden.unique().tolist()) == {0.0, 1.0}
    assert (hidden == 0).flatten(1).any(dim=1).float().mean() > 0.5
