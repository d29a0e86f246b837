"""Cosine similarities that come out the same, bit for bit, on every machine.

A sum of products in floating point depends on its order, so on the shape of blocks, on threads, on the library
and on the device. Unless nothing is rounded: vectors are first rounded to whole multiples of 1/3200 in each
component. Products of two are then whole multiples of 1/3200**2, and since no partial sum of a scalar product
exceeds the product of the lengths (Cauchy and Schwarz), every one of them is a whole number below 2**24 in that
unit: float32 holds it exactly, in any order, with fused multiplication or without.

What this costs is known: each score is that of the rounded vectors, which differs from that of the vectors given
by 1.3e-4 (standard deviation; 9e-5 for each side), about one of the 20,000 bins. JPEG compression moves scores
by more. The score of two equal vectors may so exceed 1 by a few 1e-4: it counts as 1 in histograms and among
neighbours, while sums behind means and variances are of the scores as they are.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sface_data.biometrics.scores import BINS, ScoreHistogram
from sface_data.errors import BadInput

GRID = 3200  # steps of a component from 0 to 1
# The vectors are kept in steps / 32, whose products are in units of 1/10,000 of a score: bins of BINS = 20,000.
# A division by a power of two is exact.
SHIFT = 32
SCALE = BINS // 2  # units of a score
FRACTION = SHIFT * SHIFT  # exact steps of a unit
MARGIN = 512  # bins beyond -1 and 1: rounded vectors are a little longer or shorter than 1
PADDED = BINS + 2 * MARGIN
_DIMENSIONS = 16_384  # so many keep within MARGIN, and sums far below 2**24

assert SCALE * FRACTION == GRID * GRID


def on_grid(vectors: NDArray[np.floating]) -> NDArray[np.float32]:
    """Unit vectors [N,D] as whole multiples of 1/32, the steps of the grid over 32.

    Raises:
        BadInput: for vectors of more than 16,384 dimensions, or not of length 1.
    """
    if vectors.shape[1] > _DIMENSIONS:
        raise BadInput(f"embeddings of {vectors.shape[1]:,} dimensions; at most {_DIMENSIONS:,} can be compared")
    check_lengths(vectors)
    rounded = np.empty(vectors.shape, np.float32)
    for start in range(0, len(vectors), 4096):
        some = vectors[start : start + 4096]
        lengths = np.linalg.norm(some.astype(np.float64), axis=1)
        rounded[start : start + 4096] = np.rint(some / lengths[:, None] * GRID) / SHIFT
    return rounded


def check_lengths(vectors: NDArray[np.floating]) -> None:
    """Raises BadInput unless vectors [N,D] have length 1, to a hundredth."""
    squares = np.einsum("nd,nd->n", vectors, vectors)
    if not np.all(np.abs(squares - 1) < 2e-2):
        raise BadInput("embeddings to be compared must have length 1; make them again")


def as_score(units: Tensor) -> Tensor:
    """Scores [-1,1] from scalar products of vectors on the grid, float32."""
    return (units / SCALE).clamp(-1, 1)


def to_bins(units: Tensor, bins: Tensor) -> Tensor:
    """Writes the padded bin (0 ... PADDED-1) of each product into `bins`, int16; `units` is overwritten."""
    # downwards before the shift: the sum would round scores above 0.64 across an edge
    bins.copy_(units.floor_())
    return bins.add_(SCALE + MARGIN)


def folded(padded: NDArray[np.int64], margin: int = MARGIN) -> NDArray[np.int64]:
    """Counts [...,bins] from those with a margin: what is beyond -1 or 1 goes to the first or last bin."""
    counts = padded[..., margin:-margin].copy()
    counts[..., 0] += padded[..., :margin].sum(axis=-1)
    counts[..., -1] += padded[..., -margin:].sum(axis=-1)
    return counts


def sums(units: Tensor) -> tuple[int, int]:
    """Exact sums of products [R,C] and of their squares, in steps; C at most 65,536."""
    steps = (units.double() * FRACTION).to(torch.int64)
    return int(steps.sum()), sum((steps * steps).sum(dim=1).tolist())


def sum_of_scores(a: NDArray[np.float32], b: NDArray[np.float32]) -> int:
    """Exact sum of the scores of all rows of `a` with all rows of `b`, in units of 1 / GRID**2."""
    first, second = (_steps(side).sum(axis=0, dtype=np.int64).tolist() for side in (a, b))
    return sum(x * y for x, y in zip(first, second, strict=True))


def sum_of_squares(a: NDArray[np.float32], b: NDArray[np.float32]) -> int:
    """Exact sum of their squares, in units of 1 / GRID**4: the scalar product of the two Gram matrices."""
    first = _gram(a)
    second = first if b is a else _gram(b)
    return int(np.dot(first.astype(object).ravel(), second.astype(object).ravel()))


def histogram_of(counts: NDArray[np.int64], total: int, squares: int) -> ScoreHistogram:
    """From counts [BINS] and the exact sums in steps."""
    step = GRID * GRID
    unit = 2**30
    return ScoreHistogram(counts, _rounded(total * unit, step), _rounded(squares * unit, step * step))


def _rounded(a: int, b: int) -> int:
    """`a / b` to the nearest whole number, upwards at a half."""
    return (2 * a + b) // (2 * b)


def _steps(side: NDArray[np.float32]) -> NDArray[np.float32]:
    return side * np.float32(SHIFT)


def _gram(side: NDArray[np.float32]) -> NDArray[np.int64]:
    """Sums of products of components [D,D], in steps, exact."""
    total = torch.zeros(side.shape[1], side.shape[1], dtype=torch.float64)
    for rows in torch.from_numpy(side).split(512):
        _add_gram(rows, total)
    return total.numpy().astype(np.int64)


def _add_gram(rows: Tensor, total: Tensor) -> None:
    """In float32, of as many rows at a time as keep every sum below 2**24 (Cauchy and Schwarz again)."""
    if len(rows) > 1 and rows.double().square().sum(dim=0).max() * FRACTION >= 2**24:
        for part in rows.chunk(2):
            _add_gram(part, total)
    else:
        total.add_(rows.T @ rows, alpha=FRACTION)
