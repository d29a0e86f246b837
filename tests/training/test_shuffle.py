"""The order of the faces."""

from typing import Literal

import numpy as np
import pytest

from sface_data.training.shuffle import ShuffledIndices


def test_every_face_is_shown_once_a_pass_in_an_order_of_its_own() -> None:
    order = ShuffledIndices(7, mirror="both", seed=1)
    passes = []
    for number in range(2):
        indices, mirrored = order.indices(14 * number, 14)
        passes.append(list(zip(indices.tolist(), mirrored.tolist(), strict=True)))
        assert sorted(passes[-1]) == sorted((i, m) for i in range(7) for m in (False, True))
    assert passes[0] != passes[1]
    assert [pair.tolist() for pair in order.indices(5, 3)] == [
        p.tolist() for p in ShuffledIndices(7, "both", 1).indices(5, 3)
    ]


@pytest.mark.parametrize("mirror", ["both", 0.5])
def test_any_part_of_a_run_is_found_again(mirror: Literal["both"] | float) -> None:
    whole = ShuffledIndices(5, mirror, 3).indices(0, 50)
    for first, count in ((0, 1), (3, 30), (37, 13), (4, 2)):
        part = ShuffledIndices(5, mirror, 3).indices(first, count)
        for found, expected in zip(part, whole, strict=True):
            assert np.array_equal(found, expected[first : first + count])


def test_mirrored_with_a_probability() -> None:
    indices, mirrored = ShuffledIndices(1000, 0.25, 0).indices(0, 4000)
    assert [sorted(part) for part in indices.reshape(4, 1000).tolist()] == [list(range(1000))] * 4
    assert mirrored.mean() == pytest.approx(0.25, abs=0.03)
    assert not ShuffledIndices(10, 0.0, 0).indices(0, 20)[1].any()
