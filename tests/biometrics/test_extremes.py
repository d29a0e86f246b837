"""Tails of maxima against draws."""

import numpy as np
import pytest

from sface_data.biometrics.extremes import gumbel_tail


def test_the_tail_of_maxima_is_that_of_draws() -> None:
    rng = np.random.default_rng(0)
    maxima = rng.normal(size=(20_000, 500)).max(axis=1)
    for share in (0.1, 0.01):
        threshold = float(np.quantile(maxima, 1 - share))
        assert gumbel_tail(maxima, threshold) == pytest.approx(share, rel=0.4)
    assert gumbel_tail(maxima, -50.0) == 1
    assert gumbel_tail(maxima, 1e6) == pytest.approx(0, abs=1e-300)
