"""Class codes from mean faces: alike classes have alike codes; and what is drawn while a generator trains."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sface_data.faces.sources import open_source
from sface_data.generator.class_codes import class_codes, mean_faces
from sface_data.generator.config import GeneratorConfig
from sface_data.generator.faces import TrainingFaces
from sface_data.generator.networks import Generator
from sface_data.generator.watch import pixel_distance, write_sheet

SHADES = {"black": 20, "dark": 60, "light": 200}


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> TrainingFaces:
    """Three classes of 8, 4 and 4 faces of 32x32, of a shade each, with a bright left edge."""
    folder = tmp_path_factory.mktemp("faces")
    rng = np.random.default_rng(0)
    for name, shade in SHADES.items():
        (folder / name).mkdir()
        for i in range(8 if name == "dark" else 4):
            pixels = (shade + rng.normal(0, 4, (32, 32, 3))).clip(0, 255).astype(np.uint8)
            pixels[:, :2] = 255
            Image.fromarray(pixels).save(folder / name / f"{i}.png")
    return TrainingFaces(open_source(folder))


def test_mean_faces_by_hand(faces: TrainingFaces) -> None:
    means = mean_faces(faces).reshape(3, 3, 16, 16)
    assert torch.equal(means, means.flip(3))
    for mean, shade in zip(means, SHADES.values(), strict=True):
        assert mean[:, :, 1:15].mean().item() == pytest.approx(shade / 127.5 - 1, abs=0.02)
        assert mean[:, :, 0].mean().item() == pytest.approx((shade + 255) / 255 - 1, abs=0.02)


def test_codes_are_as_long_as_random_ones_and_depend_on_the_seed_by_a_rotation() -> None:
    means = torch.randn(40, 3 * 64, generator=torch.Generator().manual_seed(0))
    codes, other = class_codes(means, 64, seed=0), class_codes(means, 64, seed=1)
    assert torch.allclose(codes.square().mean(dim=1), torch.ones(40), atol=1e-5)
    assert torch.equal(codes, class_codes(means, 64, seed=0))
    assert not torch.allclose(codes, other, atol=0.1)
    assert torch.allclose(codes @ codes.T, other @ other.T, atol=1e-3)


def test_classes_alike_have_codes_alike() -> None:
    """Faces that differ in ten ways, and one that is nearly another."""
    generator = torch.Generator().manual_seed(1)
    means = torch.randn(60, 10, generator=generator) @ torch.randn(10, 300, generator=generator)
    means += 0.01 * torch.randn(60, 300, generator=generator)
    means[1] = means[0] + 0.02 * torch.randn(300, generator=generator)
    codes = torch.nn.functional.normalize(class_codes(means, 128, seed=0))
    cosines = codes @ codes.T
    assert cosines[0, 1] > 0.95 > cosines[0, 2:].max() + 0.05


def test_classes_that_look_the_same_are_no_numbers_lost() -> None:
    assert torch.isfinite(class_codes(torch.ones(3, 12), 8, seed=0)).all()


def test_faces_are_reduced_by_averaging(faces: TrainingFaces) -> None:
    whole, half = faces.read(0, 32).astype(float), faces.read(0, 16)
    expected = whole.reshape(16, 2, 16, 2, 3).mean(axis=(1, 3))
    assert np.abs(half - expected).max() <= 0.5


def test_the_sheet_has_three_authentic_columns(faces: TrainingFaces, tmp_path: Path) -> None:
    torch.manual_seed(0)
    generator = Generator(GeneratorConfig(z_dim=4, c_dim=3, w_dim=4, img_resolution=16, channel_base=64)).eval()
    write_sheet(generator, faces, tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as image:
        sheet = np.asarray(image)
    assert sheet.shape == (3 * 16, 12 * 16, 3)
    for row, class_index in enumerate(range(3)):
        for column, index in enumerate(np.flatnonzero(faces.class_indices == class_index)[:3].tolist()):
            tile = sheet[16 * row : 16 * row + 16, 16 * column : 16 * column + 16]
            assert np.array_equal(tile, faces.read(index, 16))


def test_the_pixel_distance_falls_as_a_generator_nears_its_faces(faces: TrainingFaces) -> None:
    """Images of one shade: nearest to faces where they have the mean shade of these."""
    generator = Generator(GeneratorConfig(z_dim=4, c_dim=3, w_dim=4, img_resolution=16, channel_base=64)).eval()
    shade = np.stack([faces.read(i, 16) for i in range(len(faces))]).mean() / 127.5 - 1
    distances = []
    for off in (0.0, 0.3, 0.6):
        with torch.no_grad():
            for block in generator.synthesis.blocks():
                block.torgb.weight.zero_()
            generator.synthesis.blocks()[-1].torgb.bias.fill_(float(shade + off))
        distances.append(pixel_distance(generator, faces))
    assert distances[0] < distances[1] < distances[2]
