"""One pass over every comparison of two sets, in blocks: counts of scores, and the best neighbours on both sides.

Strips of rows are worked on at a time, on a CPU by one thread each, or many of them by each worker of a cluster.
What comes out depends neither on the blocks nor on who worked on them.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from threading import Lock

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sface_data.auditing.compare import exact
from sface_data.auditing.compare.backend import HERE, Backend
from sface_data.auditing.compare.best import Best, Nearest
from sface_data.auditing.compare.first_pass import FirstPass
from sface_data.auditing.compare.tally import COARSE, FINE_BITS, Tally, count_groups
from sface_data.runtime.pool import Shared
from sface_data.runtime.progress import Progress

BLOCK = 2048  # columns of a block on a CPU; rows are a quarter
_CUDA_BLOCK = 32_768
_SHARES = 64  # parts into which the rows are divided among workers


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The best matches of each probe in a gallery, best first; of equal scores the lower index comes first.

    Attributes:
        scores: float32 [N,k].
        indices: int64 [N,k], into the gallery. k is that asked for or the size of the gallery, if that is smaller.
    """

    scores: NDArray[np.float32]
    indices: NDArray[np.int64]

    @property
    def score(self) -> NDArray[np.float32]:
        """[N] of the nearest."""
        return self.scores[:, 0]

    @property
    def index(self) -> NDArray[np.int64]:
        """[N] of the nearest."""
        return self.indices[:, 0]


@dataclass(frozen=True, eq=False)
class PreparedSet:
    """A set of embeddings ready to be compared: on the grid, classes contiguous. See `pairs.prepare`."""

    rows: NDArray[np.float32]  # [N,D]
    order: NDArray[np.int64]  # [N] the index of each row in the set
    starts: NDArray[np.int64]  # [C+1] first row of each class
    names: tuple[str, ...]  # [C] canonical

    def __len__(self) -> int:
        return len(self.rows)

    def part(self, indices: NDArray[np.int64]) -> "PreparedSet":
        """Some rows as a set of their own, numbered in the order of their indices in this set [M], ascending."""
        chosen = np.flatnonzero(np.isin(self.order, indices))
        classes = np.repeat(np.arange(len(self.names)), np.diff(self.starts))[chosen]
        starts = np.append(0, np.bincount(classes, minlength=len(self.names)).cumsum())
        return PreparedSet(self.rows[chosen], np.searchsorted(indices, self.order[chosen]), starts, self.names)

    def segments(self, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
        """Class, first and last row (relative to `start`) of what is between two rows."""
        c = int(np.searchsorted(self.starts, start, "right")) - 1
        while start < stop and c < len(self.names) and self.starts[c] < stop:
            yield c, max(int(self.starts[c]), start) - start, min(int(self.starts[c + 1]), stop) - start
            c += 1


@dataclass(eq=False)
class Sweep:
    """Every row of one set against every row of another, or of the same.

    Attributes:
        b: None for all pairs within `a`; neighbours are then not looked for.
        k: how many neighbours of each row of `a` are kept.
        both: whether the nearest row of `a` is kept for each row of `b` as well.
        count: whether scores are counted.
        block: columns of a block; changes memory and speed, never the result.
        backend: what computes it.
        progress: is told the number of comparisons made since the last call.
    """

    a: PreparedSet
    b: PreparedSet | None = None
    k: int = 0
    both: bool = False
    count: bool = False
    block: int | None = None
    backend: Backend = HERE
    progress: Progress | None = None
    counts: NDArray[np.int64] = field(init=False)  # [PADDED], of all ordered pairs
    by_a: NDArray[np.int64] = field(init=False)  # [A,COARSE]
    by_b: NDArray[np.int64] = field(init=False)  # [B,COARSE]
    _lock: Lock = field(init=False, default_factory=Lock)

    def run(self) -> "Sweep":
        """Makes all comparisons."""
        a, b = self.a, self.a if self.b is None else self.b
        self.k = min(self.k, len(b))
        self._begin()
        workers = self.backend.workers
        if workers is None:
            self._sweep(0, len(a))
            return self
        alone = partial(Sweep, a, self.b, self.k, self.both, self.count, self.block, Backend(self.backend.device))
        shared = workers.share(alone)
        rows = -(-max(len(a) // _SHARES, 1) // self._height) * self._height  # whole strips
        units = [(shared, start, min(start + rows, len(a))) for start in range(0, len(a), rows)]
        for (_, start, stop), found in zip(units, workers.map(_found_of, units), strict=True):
            self._take(found, slice(start, stop))
            if self.progress is not None:
                self.progress((stop - start) * len(b))
        return self

    def found(self, start: int, stop: int) -> "Found":
        """What some rows give, made in this process."""
        self._begin()
        self._sweep(start, stop)
        sides = [_rows_with_any(each) for each in ((self.by_a,) if self.b is None else (self.by_a, self.by_b))]
        columns = None if self._columns is None else (self._columns.units.cpu(), self._columns.indices.cpu())
        return Found(self.counts, tuple(sides), self._scores[start:stop], self._indices[start:stop], columns)

    def _begin(self) -> None:
        a, b = self.a, self.a if self.b is None else self.b
        device = self.backend.device
        self.counts = np.zeros(exact.PADDED, np.int64)
        self.by_a = np.zeros((len(a.names), COARSE), np.int64)
        self.by_b = self.by_a if self.b is None else np.zeros((len(b.names), COARSE), np.int64)
        self._scores = np.zeros((len(a), self.k), np.float32)
        self._indices = np.zeros((len(a), self.k), np.int64)
        self._columns = Nearest.of(len(b), device) if self.both else None
        self._on_cpu = torch.device(device).type == "cpu"
        self._width = max(self.block or (BLOCK if self._on_cpu else _CUDA_BLOCK), 1)
        self._height = max(self._width // 4, 1)

    def _take(self, found: "Found", rows: slice) -> None:
        """Adds what some rows gave elsewhere."""
        self.counts += found.counts
        self._scores[rows], self._indices[rows] = found.scores, found.indices
        for own, (classes, counts) in zip((self.by_a, self.by_b), found.sides, strict=self.b is not None):
            own[classes] += counts
        if self._columns is not None and found.columns is not None:
            self._columns.merge(*(each.to(self.backend.device) for each in found.columns))

    def _sweep(self, first: int, last: int) -> None:
        """All strips of some rows."""
        a, b = self.a, self.a if self.b is None else self.b
        self._probes, self._gallery, self._order_a, self._order_b = (
            torch.from_numpy(each).to(self.backend.device) for each in (a.rows, b.rows, a.order, b.order)
        )
        only_nearest = self.k == 1 and self.b is not None and not (self.both or self.count)
        self._first = FirstPass.of(self._probes, self._gallery) if only_nearest else None
        starts = range(first, last, self._height)
        with _one_thread_each(self._on_cpu) as threads, ThreadPoolExecutor(threads) as pool:
            jobs = [pool.submit(self._strip, start, min(start + self._height, last)) for start in starts]
            try:
                for job in jobs:
                    job.result()
            except BaseException:
                for job in jobs:
                    job.cancel()
                raise

    def neighbours(self) -> Neighbours:
        """Of each row of `a` in `b`; in the order of the set, from that of its classes."""
        return _in_order(self.a, self._scores, self._indices)

    def neighbours_of_b(self) -> Neighbours:
        """The nearest row of `a` for each row of `b`."""
        assert self.b is not None and self._columns is not None
        scores = exact.as_score(self._columns.units).cpu().numpy()
        return _in_order(self.b, scores[:, None], self._columns.indices.cpu().numpy()[:, None])

    def _strip(self, start: int, stop: int) -> None:
        """Some rows against all columns; within a set against those from the same rows on."""
        if self._first is not None:
            nearest = self._look_twice(self._first, start, stop)
            self._keep(start, nearest.units[:, None], nearest.indices[:, None])
            return
        best = Best.of(stop - start, self.k, self.backend.device) if self.k else None
        self._look_once(best, start, stop)
        if best is not None:
            self._keep(start, best.units, best.indices)

    def _keep(self, start: int, units: Tensor, indices: Tensor) -> None:
        """The best of the rows from `start` on."""
        rows = slice(start, start + len(units))
        self._scores[rows], self._indices[rows] = exact.as_score(units).cpu().numpy(), indices.cpu().numpy()

    def _look_once(self, best: Best | None, start: int, stop: int) -> None:
        """Exact products of all blocks of a strip, and all that is made of them."""
        height, columns, within = stop - start, self._width, self.b is None
        scratch = _Scratch.of(height, max(columns, height), self.backend.device)
        segments = list(self.a.segments(start, stop)) if self.count else []
        tally = Tally.of(segments, height, columns, self.backend.device) if segments else None
        for left, right in _tiles(start, stop, len(self._gallery), columns, within):
            units = scratch.units(height, right - left)
            torch.mm(self._probes[start:stop], self._gallery[left:right].T, out=units)
            if best is not None:
                best.update(units, self._order_b[left:right])
            if self._columns is not None:
                self._columns.update_columns(units, self._order_a[start:stop], left, self._lock)
            if tally is not None:
                self._count(scratch, units, tally, left, at_itself=within and left == start)
            self._made(height * (right - left))
        if tally is not None:
            fine = tally.fine()
            with self._lock:
                self.counts += 2 * fine - tally.fine_of_both_orders if within else fine
                self.by_a[tally.classes] += tally.coarse()

    def _look_twice(self, first: FirstPass, start: int, stop: int) -> Nearest:
        """Exact products of those blocks of a strip in which the nearest of a row can be."""
        nearest = Nearest.of(stop - start, self.backend.device)
        width = self._height  # the narrower the blocks, the fewer can hold a nearest one
        reachable = first.reachable(start, stop, width)
        for number, (left, right) in enumerate(_tiles(start, stop, len(self._gallery), width, within=False)):
            rows = reachable[:, number].nonzero().squeeze(1)
            if len(rows):
                units = self._probes[start + rows] @ self._gallery[left:right].T
                nearest.update_rows(units, self._order_b[left:right], rows)
            self._made((stop - start) * (right - left))
        return nearest

    def _made(self, comparisons: int) -> None:
        if self.progress is not None:
            with self._lock:
                self.progress(comparisons)

    def _count(self, scratch: "_Scratch", units: Tensor, tally: "Tally", left: int, at_itself: bool) -> None:
        """Counts a block; `units` is overwritten."""
        bins = exact.to_bins(units, scratch.bins(*units.shape))
        coarse = torch.bitwise_right_shift(bins, FINE_BITS, out=scratch.coarse(*units.shape))
        tally.add_rows(bins, coarse)
        if at_itself:
            # these rows with themselves: both orders are in the block, in later ones only one
            tally.fine_of_both_orders = tally.fine()
            return
        segments = list((self.a if self.b is None else self.b).segments(left, left + units.shape[1]))
        counts = np.zeros((len(segments), COARSE), np.int64)
        count_groups(coarse, segments, 1, counts)
        with self._lock:
            self.by_b[segments[0][0] : segments[-1][0] + 1] += counts


@dataclass(frozen=True, eq=False)
class Found:
    """What some rows of a sweep give.

    Attributes:
        counts: int64 [PADDED].
        sides: for either set, or the only one, the classes [M] that were met and their counts [M,COARSE].
        scores, indices: [rows,k] of the neighbours.
        columns: the best of these rows for each row of the other set, as products and indices; None if not kept.
    """

    counts: NDArray[np.int64]
    sides: tuple[tuple[NDArray[np.int64], NDArray[np.int64]], ...]
    scores: NDArray[np.float32]
    indices: NDArray[np.int64]
    columns: tuple[Tensor, Tensor] | None


def _found_of(_: None, unit: tuple[Shared[partial[Sweep]], int, int]) -> Found:
    shared, start, stop = unit
    return shared.get()().found(start, stop)


def _rows_with_any(counts: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    rows = np.flatnonzero(counts.any(axis=1))
    return rows, counts[rows]


def _in_order(a: PreparedSet, scores: NDArray[np.float32], indices: NDArray[np.int64]) -> Neighbours:
    in_order = np.empty_like(scores), np.empty_like(indices)
    in_order[0][a.order], in_order[1][a.order] = scores, indices
    return Neighbours(*in_order)


@dataclass(eq=False)
class _Scratch:
    """Memory of one block, used again for each: fresh memory costs more than the arithmetic."""

    flat_units: Tensor
    flat_bins: Tensor
    flat_coarse: Tensor

    @classmethod
    def of(cls, height: int, width: int, device: str) -> "_Scratch":
        size = height * width
        units = torch.empty(size, device=device)
        bins, coarse = (torch.empty(size, dtype=torch.int16, device=device) for _ in range(2))
        return cls(units, bins, coarse)

    def units(self, height: int, width: int) -> Tensor:
        return self.flat_units[: height * width].view(height, width)

    def bins(self, height: int, width: int) -> Tensor:
        return self.flat_bins[: height * width].view(height, width)

    def coarse(self, height: int, width: int) -> Tensor:
        return self.flat_coarse[: height * width].view(height, width)


def _tiles(start: int, stop: int, total: int, columns: int, within: bool) -> Iterator[tuple[int, int]]:
    """First and last column of each block of a strip of rows."""
    left = 0
    if within:
        yield start, stop
        left = stop
    for at in range(left, total, columns):
        yield at, min(at + columns, total)


@contextmanager
def _one_thread_each(on_cpu: bool) -> Iterator[int]:
    """Gives the number of blocks to work on at a time: on a CPU one for each thread that torch has."""
    threads = torch.get_num_threads()
    if not on_cpu:
        tf32, torch.backends.cuda.matmul.allow_tf32 = torch.backends.cuda.matmul.allow_tf32, False
        try:
            yield 1
        finally:
            torch.backends.cuda.matmul.allow_tf32 = tf32
        return
    torch.set_num_threads(1)
    try:
        yield threads
    finally:
        torch.set_num_threads(threads)
