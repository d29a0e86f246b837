"""One pass over every comparison of two sets, in blocks: counts of scores, and the best neighbours of each row.

Strips of rows are worked on at a time, on a CPU by one thread each. What comes out does not depend on the blocks.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sface_data.audit.compare import exact
from sface_data.biometrics.scores import BINS
from sface_data.biometrics.subjects import SUBJECT_BINS
from sface_data.runtime.progress import Progress

BLOCK = 2048  # columns of a block on a CPU; rows are a quarter
_CUDA_BLOCK = 32_768
FINE = BINS // SUBJECT_BINS  # fine bins in one of the coarser ones that each class gets
FINE_BITS = FINE.bit_length() - 1
COARSE = exact.PADDED // FINE
_GROUP = 64  # classes counted in one go
_DIRECT = 16_384  # scores of a class from which on it is counted alone
_RUN = 64  # columns of which the best is looked at first

assert 1 << FINE_BITS == FINE and exact.MARGIN % FINE == 0


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The best matches of each probe in a gallery, best first; of equal scores the lower place comes first.

    Attributes:
        scores: float32 [N,k].
        places: int64 [N,k], into the gallery. k is that asked for or the size of the gallery, if that is smaller.
    """

    scores: NDArray[np.float32]
    places: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ByClass:
    """Rows on the grid, classes contiguous."""

    rows: NDArray[np.float32]  # [N,D]
    order: NDArray[np.int64]  # [N] the place of each row in the set
    starts: NDArray[np.int64]  # [C+1] first row of each class
    names: tuple[str, ...]  # [C] canonical

    def segments(self, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
        """Class, first and last row (relative to `start`) of what is between two rows."""
        c = int(np.searchsorted(self.starts, start, "right")) - 1
        while start < stop and c < len(self.names) and self.starts[c] < stop:
            yield c, max(int(self.starts[c]), start) - start, min(int(self.starts[c + 1]), stop) - start
            c += 1


@dataclass(eq=False)
class Sweep:
    """Every row of one set against every row of another."""

    a: ByClass
    b: ByClass
    k: int
    count: bool
    block: int | None
    device: str
    progress: Progress | None
    within: bool = False
    counts: NDArray[np.int64] = field(init=False)  # [PADDED], of all ordered pairs
    by_a: NDArray[np.int64] = field(init=False)  # [A,COARSE]
    by_b: NDArray[np.int64] = field(init=False)  # [B,COARSE]
    _lock: Lock = field(init=False, default_factory=Lock)

    def run(self) -> None:
        self.counts = np.zeros(exact.PADDED, np.int64)
        self.by_a = np.zeros((len(self.a.names), COARSE), np.int64)
        self.by_b = self.by_a if self.within else np.zeros((len(self.b.names), COARSE), np.int64)
        self._scores = np.zeros((len(self.a.rows), self.k), np.float32)
        self._places = np.zeros((len(self.a.rows), self.k), np.int64)
        on_cpu = torch.device(self.device).type == "cpu"
        columns = max(self.block or (BLOCK if on_cpu else _CUDA_BLOCK), 1)
        rows = max(columns // 4, 1)
        gallery = torch.from_numpy(self.b.rows).to(self.device)
        probes = torch.from_numpy(self.a.rows).to(self.device)
        order = torch.from_numpy(self.b.order).to(self.device)
        starts = range(0, len(self.a.rows), rows)
        with _one_thread_each(on_cpu) as threads, ThreadPoolExecutor(threads) as pool:
            jobs = [pool.submit(self._strip, probes, gallery, order, start, rows, columns) for start in starts]
            try:
                for job in jobs:
                    job.result()
            except BaseException:
                for job in jobs:
                    job.cancel()
                raise

    def neighbours(self) -> Neighbours:
        """In the order of the set, from that of its classes."""
        scores, places = np.empty_like(self._scores), np.empty_like(self._places)
        scores[self.a.order], places[self.a.order] = self._scores, self._places
        return Neighbours(scores, places)

    def _strip(self, probes: Tensor, gallery: Tensor, order: Tensor, start: int, rows: int, columns: int) -> None:
        """Some rows against all columns; within a set against those from the same rows on."""
        stop = min(start + rows, len(probes))
        height = stop - start
        scratch = _Scratch.of(height, max(columns, height), self.device)
        best = _Best.of(height, self.k, self.device) if self.k else None
        tally = _Tally.of(list(self.a.segments(start, stop)), height, columns, self.device)
        for left, right in _tiles(start, stop, len(gallery), columns, self.within):
            units = scratch.units(height, right - left)
            torch.mm(probes[start:stop], gallery[left:right].T, out=units)
            if best is not None:
                best.update(units, order[left:right])
            if self.count:
                bins = exact.to_bins(units, scratch.bins(height, right - left))
                coarse = torch.bitwise_right_shift(bins, FINE_BITS, out=scratch.coarse(height, right - left))
                tally.add_rows(bins, coarse)
                if self.within and left == start:
                    # these rows with themselves: both orders are in the block, below in this one only
                    tally.fine_of_both_orders = tally.fine()
                else:
                    self._add_columns(coarse, left, right)
            if self.progress is not None:
                with self._lock:
                    self.progress(height * (right - left))
        if best is not None:
            self._scores[start:stop] = exact.as_score(best.units).cpu().numpy()
            self._places[start:stop] = best.places.cpu().numpy()
        if self.count:
            fine = tally.fine()
            with self._lock:
                self.counts += 2 * fine - tally.fine_of_both_orders if self.within else fine
                self.by_a[tally.classes] += tally.coarse()

    def _add_columns(self, coarse: Tensor, left: int, right: int) -> None:
        segments = list(self.b.segments(left, right))
        counts = np.zeros((len(segments), COARSE), np.int64)
        _count_groups(coarse, segments, 1, counts)
        with self._lock:
            self.by_b[segments[0][0] : segments[-1][0] + 1] += counts


@dataclass(eq=False)
class _Tally:
    """Counts of the classes of some rows, over the blocks of these rows."""

    segments: list[tuple[int, int, int]]
    direct: bool  # classes are large enough to be counted one by one, in fine bins
    by_class: Tensor  # int64 [classes,PADDED] if direct
    together: Tensor  # int64 [PADDED] if not
    coarse_by_class: NDArray[np.int64]  # [classes,COARSE] if not
    fine_of_both_orders: NDArray[np.int64]

    @classmethod
    def of(cls, segments: list[tuple[int, int, int]], height: int, columns: int, device: str) -> "_Tally":
        direct = height * columns >= _DIRECT * len(segments)
        by_class = torch.zeros(len(segments) if direct else 0, exact.PADDED, dtype=torch.int64, device=device)
        together = torch.zeros(exact.PADDED, dtype=torch.int64, device=device)
        coarse = np.zeros((0 if direct else len(segments), COARSE), np.int64)
        return cls(segments, direct, by_class, together, coarse, np.zeros(exact.PADDED, np.int64))

    @property
    def classes(self) -> slice:
        return slice(self.segments[0][0], self.segments[-1][0] + 1)

    def add_rows(self, bins: Tensor, coarse: Tensor) -> None:
        if self.direct:
            for number, (_, top, bottom) in enumerate(self.segments):
                self.by_class[number] += _bincount(bins[top:bottom], exact.PADDED)
        else:
            self.together += _bincount(bins, exact.PADDED)
            _count_groups(coarse, self.segments, 0, self.coarse_by_class)

    def fine(self) -> NDArray[np.int64]:
        return (self.by_class.sum(dim=0) if self.direct else self.together).cpu().numpy().copy()

    def coarse(self) -> NDArray[np.int64]:
        if not self.direct:
            return self.coarse_by_class
        return self.by_class.reshape(len(self.segments), COARSE, FINE).sum(dim=2).cpu().numpy()


@dataclass(eq=False)
class _Best:
    """The best of each row so far: a running top k."""

    units: Tensor  # float32 [rows,k]
    places: Tensor  # int64 [rows,k]

    @classmethod
    def of(cls, height: int, k: int, device: str) -> "_Best":
        units = torch.full((height, k), -torch.inf, device=device)
        return cls(units, torch.full((height, k), torch.iinfo(torch.int64).max, device=device))

    def update(self, units: Tensor, places: Tensor) -> None:
        """Takes in a block [rows,columns] with the place of each column."""
        k = self.units.shape[1]
        whole = units.shape[1] // _RUN
        runs = units[:, : whole * _RUN].unflatten(1, (whole, _RUN)) if whole else None
        peaks = runs.amax(dim=2) if runs is not None else units[:, :0]  # [rows,runs]
        bar = self.units[:, -1]
        if torch.isinf(bar).any():  # nothing yet: as many runs as wanted reach this far, so the k best do
            tops = peaks if whole >= k else units
            if tops.shape[1] >= k:
                bar = torch.maximum(bar, tops.topk(k, dim=1).values[:, -1])
        # few reach the bar, and those that equal it may have a lower place
        rows, columns = (units[:, whole * _RUN :] >= bar[:, None]).nonzero(as_tuple=True)
        columns = columns + whole * _RUN
        if runs is not None:
            run_rows, run_places = (peaks >= bar[:, None]).nonzero(as_tuple=True)
            among, inside = (runs[run_rows, run_places] >= bar[run_rows, None]).nonzero(as_tuple=True)
            rows = torch.cat([rows, run_rows[among]])
            columns = torch.cat([columns, run_places[among] * _RUN + inside])
        if len(rows):
            self._merge(rows, units[rows, columns], places[columns])

    def _merge(self, rows: Tensor, units: Tensor, places: Tensor) -> None:
        """Takes in candidates [M]; only rows with candidates change."""
        k = self.units.shape[1]
        changed, place = rows.unique(return_inverse=True)
        own = torch.arange(len(changed), device=rows.device).repeat_interleave(k)
        all_rows = torch.cat([own, place])
        all_units = torch.cat([self.units[changed].reshape(-1), units])
        all_places = torch.cat([self.places[changed].reshape(-1), places])
        # by row, then the highest score, then the lowest place: stable sorts, the last key first
        by = torch.argsort(all_places, stable=True)
        by = by[torch.argsort(all_units[by], descending=True, stable=True)]
        by = by[torch.argsort(all_rows[by], stable=True)]
        counts = torch.bincount(all_rows, minlength=len(changed))
        first = torch.cumsum(counts, 0) - counts
        keep = by[first[:, None] + torch.arange(k, device=rows.device)]
        self.units[changed], self.places[changed] = all_units[keep], all_places[keep]


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


def _bincount(bins: Tensor, number: int) -> Tensor:
    return torch.bincount(bins.reshape(-1), minlength=number)


def _count_groups(coarse: Tensor, segments: list[tuple[int, int, int]], axis: int, out: NDArray[np.int64]) -> None:
    """Adds to `out` [classes,COARSE] the bins of each class along an axis; small classes are counted together."""
    enough = -(-_DIRECT // coarse.shape[1 - axis])  # rows or columns of a class that is counted alone
    at = 0
    while at < len(segments):
        _, first, last = segments[at]
        if last - first >= enough:
            out[at] += _bincount(coarse.narrow(axis, first, last - first), COARSE).cpu().numpy()
            at += 1
            continue
        group = [segments[at]]
        for segment in segments[at + 1 : at + _GROUP]:
            if segment[2] - segment[1] >= enough:
                break
            group.append(segment)
        sizes = torch.tensor([stop - start for _, start, stop in group])
        offsets = (torch.arange(len(group), dtype=torch.int32) * COARSE).repeat_interleave(sizes).to(coarse.device)
        some = coarse.narrow(axis, first, len(offsets)) + (offsets[:, None] if axis == 0 else offsets)
        counts = _bincount(some, len(group) * COARSE).reshape(len(group), COARSE)
        out[at : at + len(group)] += counts.cpu().numpy()
        at += len(group)


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
