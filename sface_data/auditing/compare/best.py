"""The best scores so far, while blocks of them come: some of each row, and the one of each row or column."""

from dataclasses import dataclass
from threading import Lock

import torch
from torch import Tensor

_LAST = torch.iinfo(torch.int64).max  # after every index
_RUN = 64  # columns of which the best is looked at first


@dataclass(eq=False)
class Best:
    """The best of each row so far: a running top k."""

    units: Tensor  # float32 [rows,k]
    indices: Tensor  # int64 [rows,k]

    @classmethod
    def of(cls, height: int, k: int, device: str) -> "Best":
        """Nothing yet, for so many rows."""
        units = torch.full((height, k), -torch.inf, device=device)
        return cls(units, torch.full((height, k), _LAST, device=device))

    def update(self, units: Tensor, indices: Tensor) -> None:
        """Takes in a block [rows,columns] with the index of each column."""
        k = self.units.shape[1]
        whole = units.shape[1] // _RUN
        runs = units[:, : whole * _RUN].unflatten(1, (whole, _RUN)) if whole else None
        peaks = runs.amax(dim=2) if runs is not None else units[:, :0]  # [rows,runs]
        bar = self.units[:, -1]
        if torch.isinf(bar).any():  # nothing yet: as many runs as wanted reach this far, so the k best do
            tops = peaks if whole >= k else units
            if tops.shape[1] >= k:
                bar = torch.maximum(bar, tops.topk(k, dim=1).values[:, -1])
        # few reach the bar, and those that equal it may have a lower index
        rows, columns = (units[:, whole * _RUN :] >= bar[:, None]).nonzero(as_tuple=True)
        columns = columns + whole * _RUN
        if runs is not None:
            run_rows, run_numbers = (peaks >= bar[:, None]).nonzero(as_tuple=True)
            among, inside = (runs[run_rows, run_numbers] >= bar[run_rows, None]).nonzero(as_tuple=True)
            rows = torch.cat([rows, run_rows[among]])
            columns = torch.cat([columns, run_numbers[among] * _RUN + inside])
        if len(rows):
            self._merge(rows, units[rows, columns], indices[columns])

    def _merge(self, rows: Tensor, units: Tensor, indices: Tensor) -> None:
        """Takes in candidates [M]; only rows with candidates change."""
        k = self.units.shape[1]
        changed, row = rows.unique(return_inverse=True)
        own = torch.arange(len(changed), device=rows.device).repeat_interleave(k)
        all_rows = torch.cat([own, row])
        all_units = torch.cat([self.units[changed].reshape(-1), units])
        all_indices = torch.cat([self.indices[changed].reshape(-1), indices])
        # by row, then the highest score, then the lowest index: stable sorts, the last key first
        by = torch.argsort(all_indices, stable=True)
        by = by[torch.argsort(all_units[by], descending=True, stable=True)]
        by = by[torch.argsort(all_rows[by], stable=True)]
        counts = torch.bincount(all_rows, minlength=len(changed))
        first = torch.cumsum(counts, 0) - counts
        keep = by[first[:, None] + torch.arange(k, device=rows.device)]
        self.units[changed], self.indices[changed] = all_units[keep], all_indices[keep]


@dataclass(eq=False)
class Nearest:
    """The one best of each row, or of each column, so far."""

    units: Tensor  # float32 [N]
    indices: Tensor  # int64 [N]

    @classmethod
    def of(cls, number: int, device: str) -> "Nearest":
        """Nothing yet, for so many."""
        units = torch.full((number,), -torch.inf, device=device)
        return cls(units, torch.full((number,), _LAST, device=device))

    def update_rows(self, units: Tensor, indices: Tensor, rows: Tensor) -> None:
        """Takes in a block [R,columns] with the index of each column, for some rows [R]."""
        peaks = units.amax(dim=1)
        self.merge(peaks, torch.where(units == peaks[:, None], indices, _LAST).amin(dim=1), rows)

    def update_columns(self, units: Tensor, indices: Tensor, left: int, lock: Lock) -> None:
        """Takes in a block [rows,columns] with the index of each row, from the column `left` on."""
        peaks = units.amax(dim=0)
        # the best only ever rises: a look without the lock finds too many columns, never too few
        columns = (peaks >= self.units[left : left + len(peaks)]).nonzero().squeeze(1)
        if not len(columns):
            return
        peaks = peaks[columns]
        first = torch.where(units[:, columns] == peaks, indices[:, None], _LAST).amin(dim=0)
        with lock:
            self.merge(peaks, first, columns + left)

    def merge(self, units: Tensor, indices: Tensor, places: Tensor | slice = slice(None)) -> None:
        """Takes in the best of others, for some; of equals the lower index counts."""
        best, own = self.units[places], self.indices[places]
        first = torch.where(units == best, torch.minimum(indices, own), indices)
        self.indices[places] = torch.where(units >= best, first, own)
        self.units[places] = torch.maximum(units, best)
