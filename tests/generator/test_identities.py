"""Identities that a generator was not trained on."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from sface_data.dataset.plan import NewIdentities
from sface_data.errors import BadInput
from sface_data.generator import identities
from sface_data.generator.generator_file import load_generator
from sface_data.generator.identities import class_directions, draw_identities, shrunk_covariance, with_identities
from sface_data.generator.networks import Generator, GeneratorConfig

NAMES = ("conditional-32", "conditional-64-deepmap")


def network(golden: Path, name: str) -> Generator:
    return load_generator(golden / f"{name}.pkl").generator


def small(classes: int) -> Generator:
    torch.manual_seed(0)
    return Generator(GeneratorConfig(4, classes, 6, 8, channel_base=32, channel_max=4)).eval()


def w_directions(generator: Generator) -> np.ndarray:
    """The direction of w at z = 0 of every class: float64 [classes,w_dim]."""
    config = generator.config
    with torch.inference_mode():
        w = generator.mapping(torch.zeros(config.c_dim, config.z_dim), torch.arange(config.c_dim)).double().numpy()
    return w / np.linalg.norm(w, axis=1, keepdims=True)


@pytest.mark.parametrize("name", NAMES)
def test_more_identities_are_appended(golden: Path, name: str) -> None:
    generator = network(golden, name)
    few, many = (draw_identities(generator, NewIdentities(seed=5), count) for count in (70, 200))
    for field in ("embeddings", "nearest", "cosines", "parents"):
        assert np.array_equal(getattr(few, field), getattr(many, field)[:70])
    assert 0 <= few.rejected <= many.rejected
    other = draw_identities(generator, NewIdentities(seed=6), 70)
    assert not (other.embeddings == few.embeddings).all(axis=1).any()


@pytest.mark.parametrize("name", NAMES)
def test_no_nearer_to_classes_or_to_one_another_than_classes_are(golden: Path, name: str) -> None:
    generator = network(golden, name)
    drawn = draw_identities(generator, NewIdentities(), 200)
    trained = w_directions(generator)
    between = trained @ trained.T - 2 * np.eye(len(trained))
    limit = between.max() + 1e-3  # of so few classes the quantile is the largest; the rest is the grid
    new = w_directions(with_identities(generator, drawn.embeddings))
    to_trained = new @ trained.T
    assert to_trained.max() <= limit and (new @ new.T - 2 * np.eye(200)).max() <= limit
    assert np.abs(to_trained[np.arange(200), drawn.nearest] - to_trained.max(axis=1)).max() < 1e-3
    assert np.allclose(to_trained.max(axis=1), drawn.cosines, atol=1e-3)


def test_embeddings_lie_on_the_grid_and_on_the_sphere(golden: Path) -> None:
    embeddings = draw_identities(network(golden, NAMES[0]), NewIdentities(), 50).embeddings
    assert embeddings.dtype == np.float32 and np.array_equal(embeddings * 1024, np.rint(embeddings * 1024))
    assert np.allclose(np.square(embeddings).mean(axis=1), 1, atol=1e-3)


@pytest.mark.parametrize("mix", [2, 4])
def test_mixtures_are_means_of_their_parents(golden: Path, mix: int) -> None:
    generator = network(golden, NAMES[0])
    drawn = draw_identities(generator, NewIdentities(mix=mix), 40)
    directions = class_directions(generator)
    assert drawn.parents.shape == (40, mix) and (np.diff(drawn.parents, axis=1) > 0).all()
    assert len(set(map(tuple, drawn.parents.tolist()))) == 40
    means = directions[drawn.parents].mean(axis=1)
    means /= np.sqrt(np.square(means).mean(axis=1, keepdims=True))
    assert np.abs(drawn.embeddings - means).max() <= 0.5 / 1024 + 1e-6


def test_all_mixtures_are_found(golden: Path) -> None:
    generator = network(golden, NAMES[0])  # of 10 classes
    drawn = draw_identities(generator, NewIdentities(mix=2), math.comb(10, 2))
    assert len(set(map(tuple, drawn.parents.tolist()))) == 45
    with pytest.raises(BadInput, match="46 mixtures of 2 of 10 classes are asked for, but there are 45"):
        draw_identities(generator, NewIdentities(mix=2), 46)
    with pytest.raises(BadInput, match="mixtures of 11 classes are asked for, but the network has 10"):
        draw_identities(generator, NewIdentities(mix=11), 1)


def test_mixtures_that_are_hard_to_find_are_given_up(golden: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identities, "_GIVE_UP", 0)
    generator = network(golden, NAMES[0])
    with pytest.raises(BadInput, match=r"252 mixtures of 5 classes are asked for, but only 2\d\d were found"):
        draw_identities(generator, NewIdentities(mix=5), math.comb(10, 5))


def test_other_classes_leave_the_generator_as_it_was(golden: Path) -> None:
    generator = network(golden, NAMES[0])
    z, classes = torch.randn(3, generator.config.z_dim), torch.arange(3)
    with torch.inference_mode():
        before = generator.mapping(z, classes)
        directions = class_directions(generator) * math.sqrt(generator.config.w_dim)
        same = with_identities(generator, directions.astype(np.float32))
        assert torch.allclose(same.mapping(z, classes), before, atol=1e-5)
        fewer = with_identities(generator, directions[:3].astype(np.float32))
        assert torch.equal(fewer.mapping(z, classes), same.mapping(z, classes))
        assert torch.equal(generator.mapping(z, classes), before) and generator.config.c_dim == 10


def test_no_room(golden: Path) -> None:
    generator = network(golden, NAMES[0])
    with pytest.raises(BadInput, match=r"100 new identities are asked for, but only \d+ were found") as error:
        draw_identities(generator, NewIdentities(nearness=0), 100)
    found = int(str(error.value).split("only ")[1].split()[0])
    assert len(draw_identities(generator, NewIdentities(nearness=0), found).embeddings) == found


@pytest.mark.parametrize("classes", [0, 1, 2])
def test_too_few_classes(classes: int) -> None:
    with pytest.raises(BadInput, match="at least 3" if classes else "unconditional"):
        draw_identities(small(classes), NewIdentities(), 1)


def test_classes_that_do_not_differ() -> None:
    generator = small(4)
    with torch.no_grad():
        generator.mapping.embed.weight.copy_(generator.mapping.embed.weight[:, :1].expand(-1, 4))
    with pytest.raises(BadInput, match="all the same"):
        draw_identities(generator, NewIdentities(), 1)


def test_shrinkage_of_a_case_by_hand() -> None:
    # Four points on the axes: sample covariance diag(2, 0.5), of mean 1.25 and at 1.125 from the sphere.
    rows = np.array([[2.0, 0.0], [-2.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    share = (34 / 16 - 4.25 / 4) / 1.125
    expected = share * 1.25 * np.eye(2) + (1 - share) * np.diag([2.0, 0.5])
    assert np.allclose(shrunk_covariance(rows), expected)


def test_shrinkage_goes_with_more_rows() -> None:
    random = np.random.default_rng(0)
    scales = np.array([3.0, 1.0, 1.0, 0.5])
    rows = random.standard_normal((20_000, 4)) * scales
    assert np.allclose(shrunk_covariance(rows - rows.mean(axis=0)), np.diag(scales**2), atol=0.2)
    few = shrunk_covariance(rows[:3] - rows[:3].mean(axis=0))  # fewer than dimensions: still of full rank
    assert np.linalg.eigvalsh(few).min() > 0.1
