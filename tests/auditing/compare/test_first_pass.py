"""A look in half the precision leaves out no nearest neighbour, and does leave out what is far."""

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from sface_data.auditing.compare import exact, first_pass
from sface_data.auditing.compare.first_pass import _WRITTEN, FirstPass
from sface_data.auditing.compare.pairs import nearest, prepare
from tests.auditing.compare.test_pairs import make, score_matrix


@pytest.fixture(autouse=True)
def everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also on processors that gain nothing by it."""
    monkeypatch.setattr(first_pass, "multiplies_bf16", lambda: True)


def rows(seed: int, number: int, dimensions: int) -> Tensor:
    vectors = np.random.default_rng(seed).normal(size=(number, dimensions))
    return torch.from_numpy(exact.on_grid(vectors / np.linalg.norm(vectors, axis=1, keepdims=True)))


def both(probes: Tensor, gallery: Tensor) -> FirstPass:
    made = FirstPass.of(probes, gallery)
    assert made is not None
    return made


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.integers(0, 9999), st.integers(2, 60), st.integers(2, 90), st.sampled_from([2, 8, 128]), st.integers(1, 30)
)
def test_the_nearest_are_those_of_exact_products(
    seed: int, number: int, size: int, dimensions: int, block: int
) -> None:
    a, b = make(seed, number, 2, dimensions), make(seed + 1, size, 2, dimensions)
    found = nearest(prepare(a), prepare(b), block=block)
    scores = score_matrix(a, b)
    np.testing.assert_array_equal(found.index, scores.argmax(axis=1))  # of equals the first
    np.testing.assert_allclose(found.score, scores.max(axis=1).clip(-1, 1), atol=1e-6)


@pytest.mark.parametrize("dimensions", [2, 32, 512, 4096])
def test_no_product_is_further_off_than_is_said(dimensions: int) -> None:
    probes, gallery = rows(1, 40, dimensions), rows(2, 300, dimensions)
    gallery[:40] = probes  # the largest products
    between = torch.full_like(probes[:1], 1 + 2.0**-8)  # midway between two numbers of eight bits
    probes, gallery = torch.cat([probes, between]), torch.cat([gallery, between, -between])
    found = both(probes, gallery)
    rough = (found.probes @ found.gallery.T).float()
    off = (rough - (probes.double() @ gallery.double().T)).abs()
    assert (off <= found.error[:, None] + _WRITTEN * rough.abs()).all()
    assert found.error.max() < 0.02 * exact.SCALE


def test_blocks_without_anybody_near_are_left_out() -> None:
    probes, far = rows(3, 10, 128), rows(4, 200, 128)
    gallery = torch.cat([far[:100], probes, far[100:]])
    found = both(probes, gallery).reachable(2, 10, 50)
    assert found.shape == (8, 5)
    assert found[:, 2].all() and not found[:, [0, 1, 3, 4]].any()


def test_all_blocks_with_equals_are_looked_at() -> None:
    probes = rows(5, 4, 128)
    found = both(probes, torch.cat([probes, probes])).reachable(0, 4, 4)
    assert found.all()


def test_where_nothing_is_gained_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_pass, "multiplies_bf16", lambda: False)
    assert FirstPass.of(rows(1, 2, 8), rows(2, 2, 8)) is None
