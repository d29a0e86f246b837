"""Metrics of a generator, on cases computed by hand and distributions of known distance."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sface_data.faces.rendered.folder import RenderRequest, fill_folder
from sface_data.generator.checkpoint import DEMO_GENERATOR
from sface_data.generator.metrics import (
    frechet_distance,
    kernel_distance,
    precision_and_recall,
    separability,
)

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


def field(number: int, value: int | bytes) -> bytes:
    """One field of a protobuf message."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def varint(value: int) -> bytes:
    return bytes([value]) if value < 128 else bytes([value & 127 | 128]) + varint(value >> 7)


def tensor_of(name: bytes, *shape: int) -> bytes:
    dimensions = b"".join(field(1, field(1, size) if size else field(2, b"N")) for size in shape)
    return field(1, name) + field(2, field(1, field(1, 1) + field(2, dimensions)))


def averaging_embedder() -> bytes:
    """An ONNX file that averages images [N,3,16,16] over squares of 4x4 and flattens what comes out."""
    four = b"".join(field(8, 4) for _ in range(2))

    def attribute(name: bytes) -> bytes:
        return field(5, field(1, name) + four + field(20, 7))

    pool = field(1, b"x") + field(2, b"p") + field(4, b"AveragePool")
    pool += attribute(b"kernel_shape") + attribute(b"strides")
    flatten = field(1, b"p") + field(2, b"y") + field(4, b"Flatten")
    graph = field(1, pool) + field(1, flatten) + field(2, b"g")
    graph += field(11, tensor_of(b"x", 0, 3, 16, 16)) + field(12, tensor_of(b"y", 0, 48))
    return field(1, 8) + field(7, graph) + field(8, field(2, 13))


def test_the_command_measures_the_generator_that_ships(
    tmp_path: Path, run: Callable[..., tuple[int, str, str]]
) -> None:
    faces = tmp_path / "faces"
    for _ in fill_folder(faces, RenderRequest(identities=32, images_per_identity=2, size=32), workers=1):
        pass
    (tmp_path / "judge.onnx").write_bytes(averaging_embedder())
    arguments = ["generator", "metrics", DEMO_GENERATOR, "--data", faces, "--model", tmp_path / "judge.onnx"]
    code, stdout, stderr = run(*arguments, "--images-per-class", 2, "--classes", 16, "--json")
    assert code == 0, stderr
    found = json.loads(stdout)
    assert (found["classes"], found["images_made"], found["images_real"]) == (16, 32, 32)
    assert found["made_auc"] > 0.6  # even by colours of squares the classes are told apart
    assert 0 < found["frechet_distance"] < 48 * 4
    code, stdout, _ = run(*arguments, "--images-per-class", 2)
    assert code == 0
    assert "made against real auc" in stdout


def test_faces_of_other_classes_are_refused(
    tmp_path: Path, rendered_faces: Path, run: Callable[..., tuple[int, str, str]]
) -> None:
    (tmp_path / "judge.onnx").write_bytes(averaging_embedder())
    code, _, stderr = run(
        "generator", "metrics", DEMO_GENERATOR, "--data", rendered_faces, "--model", tmp_path / "judge.onnx"
    )
    assert code == 2
    assert "are of 8 classes, but the generator has 32" in stderr


@pytest.mark.parametrize("content", [None, b"", b"not onnx"])
def test_a_model_that_is_none_ends_in_one_sentence(
    tmp_path: Path, rendered_faces: Path, run: Callable[..., tuple[int, str, str]], content: bytes | None
) -> None:
    model = tmp_path / "judge.onnx"
    if content is not None:
        model.write_bytes(content)
    code, _, stderr = run("generator", "metrics", DEMO_GENERATOR, "--data", rendered_faces, "--model", model)
    assert code == 2
    assert str(model) in stderr
    assert len(stderr.splitlines()) == 1
