"""Metrics of a generator, on cases computed by hand and distributions of known distance."""

import dataclasses
import importlib.util
import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sface_data.embedding.open import open_embedder
from sface_data.errors import BadInput
from sface_data.faces.sources import open_source
from sface_data.generator import metrics
from sface_data.generator.evaluation import evaluate
from sface_data.generator.generator_file import DEMO_GENERATOR, load_generator, save_generator
from sface_data.generator.inception import Inception
from sface_data.generator.metrics import (
    frechet_distance,
    kernel_distance,
    precision_and_recall,
    separability,
)
from sface_data.generator.networks import Generator
from sface_data.rendered.folder import RenderRequest, fill_folder

DEMO_EMBEDDER = DEMO_GENERATOR.parent / "demo_embedder.onnx"
RNG = np.random.default_rng(0)


def test_frechet_distance_of_known_gaussians() -> None:
    """Squared distance of the means, and of the deviations where the covariances are diagonal."""
    a = RNG.normal(0, 1, (40_000, 3))
    b = RNG.normal([0, 2, 0], [1, 2, 3], (40_000, 3))
    assert frechet_distance(a, b) == pytest.approx(4 + 0 + 1 + 4, rel=0.03)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-9)


def test_kernel_distance_of_two_points_each() -> None:
    a, b = np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[1.0, 1.0], [1.0, 1.0]])
    # Kernels (x y / 2 + 1)^3: 1 within a, 8 within b, 27/8 across.
    assert kernel_distance(a, b) == pytest.approx(1 + 8 - 2 * 27 / 8)


def test_kernel_distance_of_equal_distributions_is_about_zero() -> None:
    a, b = RNG.normal(size=(2, 500, 8))
    assert abs(kernel_distance(a, b)) < 0.05
    assert kernel_distance(a, b + 1) > 1


def test_precision_and_recall() -> None:
    real = RNG.normal(size=(400, 2))
    narrow = RNG.normal(0, 0.1, size=(400, 2))
    precision, recall = precision_and_recall(real, narrow)
    assert precision > 0.98
    assert recall < 0.2
    assert precision_and_recall(real, real + 100) == (0, 0)


def test_separability_by_hand() -> None:
    """Four unit vectors at 0, 10, 90 and 100 degrees; the first two are of one class, the others of another."""
    angles = np.deg2rad([0, 10, 90, 100])
    features = np.stack([np.cos(angles), np.sin(angles)], axis=1) * [[1], [2], [3], [4]]
    found = separability(features, np.array([0, 0, 1, 1]))
    mated = np.cos(np.deg2rad([10, 10]))
    nonmated = np.cos(np.deg2rad([90, 100, 80, 90]))
    assert (found.mated, found.nonmated, found.auc, found.eer) == (2, 4, 1.0, 0.0)
    assert found.mated_mean == pytest.approx(mated.mean())
    assert found.fdr == pytest.approx((mated.mean() - nonmated.mean()) ** 2 / (mated.var() + nonmated.var()))
    mixed = separability(features, np.array([0, 1, 0, 1]))
    assert mixed.auc == pytest.approx(1 / 4)  # mated: two right angles; non-mated: 10, 10, 80 and 100 degrees
    across = separability(features[:2], np.array([0, 1]), features[2:], np.array([0, 1]))
    assert across.mated == across.nonmated == 2


def test_classes_without_meaning_have_an_eer_of_one_half() -> None:
    found = separability(RNG.normal(size=(300, 16)), RNG.integers(0, 10, 300))
    assert found.auc == pytest.approx(0.5, abs=0.02)
    assert found.eer == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize(
    "measured",
    [
        lambda a, b, classes: kernel_distance(a, b),
        lambda a, b, classes: precision_and_recall(a, b),
        lambda a, b, classes: separability(a, classes),
        lambda a, b, classes: separability(a, classes, b, classes),
    ],
)
def test_memory_grows_with_the_images_and_not_with_their_pairs(measured: Callable[..., object]) -> None:
    def peak(count: int) -> int:
        a, b = RNG.normal(size=(2, count, 4))
        tracemalloc.start()
        measured(a, b, np.arange(count) // 20)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    assert peak(2000) < 3 * peak(1000)


def test_blocks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = RNG.normal(size=(2, 30, 4))
    classes = np.arange(30) // 3

    def every() -> list[float]:
        told = (separability(a, classes), separability(a, classes, b, classes))
        figures = [value for each in told for value in dataclasses.astuple(each)]
        return [kernel_distance(a, b), *precision_and_recall(a, b), *figures]

    whole = every()
    monkeypatch.setattr(metrics, "_ROWS", 7)
    assert every() == pytest.approx(whole)


@pytest.fixture(scope="module")
def authentic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few images of the identities that the generator that ships was trained on."""
    outdir = tmp_path_factory.mktemp("authentic") / "faces"
    for _ in fill_folder(outdir, RenderRequest(identities=16, images_per_identity=4, size=64, strength=0.55), 1):
        pass
    return outdir


@pytest.fixture(scope="module")
def of_16(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The generator that ships, of its first 16 classes alone."""
    whole = load_generator(DEMO_GENERATOR).generator
    weights = whole.state_dict()
    weights["mapping.embed.weight"] = weights["mapping.embed.weight"][:, :16]
    part = Generator(dataclasses.replace(whole.config, c_dim=16))
    part.load_state_dict(weights)
    file = tmp_path_factory.mktemp("generator") / "of-16.safetensors"
    save_generator(part, file)
    return file


def test_classes_of_the_generator_that_ships_are_told_apart(
    authentic: Path, of_16: Path, run: Callable[..., tuple[int, str, str]]
) -> None:
    arguments = ["generator", "metrics", of_16, "--data", authentic, "--embedder", DEMO_EMBEDDER]
    code, stdout, stderr = run(*arguments, "--images-per-class", 4, "--json")
    assert code == 0, stderr
    found = json.loads(stdout)
    assert (found["classes"], found["images_made"], found["images_real"]) == (16, 64, 64)
    assert found["made_auc"] >= 0.9
    assert found["real_auc"] >= 0.99
    assert 0 < found["frechet_distance"] < 128 * 4
    code, stdout, _ = run(*arguments, "--images-per-class", 2)
    assert code == 0
    assert "made against real auc" in stdout


def test_distances_in_the_features_of_a_second_network(authentic: Path, of_16: Path) -> None:
    """Features of length 1 there, and of a root mean square of 1 here: distances differ by their number."""
    embedder = open_embedder(DEMO_EMBEDDER)
    generator = load_generator(of_16).generator
    rows = evaluate(generator, open_source(authentic), embedder, classes=8, per_class=4, inception=embedder)
    assert rows["frechet_distance"] == pytest.approx(128 * rows["inception_frechet_distance"])


@pytest.mark.parametrize(("faces_per_class", "per_class", "kind"), [(4, 1, "2 made"), (1, 4, "2 real")])
def test_too_few_images_are_refused(
    authentic: Path, of_16: Path, tmp_path: Path, faces_per_class: int, per_class: int, kind: str
) -> None:
    for folder in sorted(path for path in authentic.iterdir() if path.is_dir()):
        (tmp_path / folder.name).mkdir()
        for image in sorted(folder.iterdir())[:faces_per_class]:
            (tmp_path / folder.name / image.name).write_bytes(image.read_bytes())
    source, generator = open_source(tmp_path), load_generator(of_16).generator
    with pytest.raises(BadInput, match=f"{kind} images of 2 classes; precision and recall need more than 3"):
        evaluate(generator, source, open_embedder(DEMO_EMBEDDER), 2, per_class)


def test_inception_is_an_extra(tmp_path: Path) -> None:
    installed = importlib.util.find_spec("torch_fidelity") is not None
    with pytest.raises(BadInput, match="no such file" if installed else "pip install"):
        Inception(tmp_path / "none.pth")


def test_faces_of_other_classes_are_refused(
    rendered_faces: Path, run: Callable[..., tuple[int, str, str]]
) -> None:
    code, _, stderr = run(
        "generator", "metrics", DEMO_GENERATOR, "--data", rendered_faces, "--embedder", DEMO_EMBEDDER
    )
    assert code == 2
    assert "are of 8 classes, but the generator has 1000" in stderr


@pytest.mark.parametrize("content", [None, b"", b"not onnx"])
def test_a_model_that_is_none_ends_in_one_sentence(
    tmp_path: Path, rendered_faces: Path, run: Callable[..., tuple[int, str, str]], content: bytes | None
) -> None:
    model = tmp_path / "judge.onnx"
    if content is not None:
        model.write_bytes(content)
    code, _, stderr = run("generator", "metrics", DEMO_GENERATOR, "--data", rendered_faces, "--embedder", model)
    assert code == 2
    assert str(model) in stderr
    assert len(stderr.splitlines()) == 1
