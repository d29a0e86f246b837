"""Counts of scores: of all together, and of each class, in bins of two sizes."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sface_data.auditing.compare import exact
from sface_data.biometrics.scores import BINS
from sface_data.biometrics.subjects import SUBJECT_BINS

FINE = BINS // SUBJECT_BINS  # fine bins in one of the coarser ones that each class gets
FINE_BITS = FINE.bit_length() - 1
COARSE = exact.PADDED // FINE
_GROUP = 64  # classes counted in one go
_DIRECT = 16_384  # scores of a class from which on it is counted alone

assert 1 << FINE_BITS == FINE and exact.MARGIN % FINE == 0


@dataclass(eq=False)
class Tally:
    """Counts of the classes of some rows, over the blocks of these rows."""

    segments: list[tuple[int, int, int]]
    direct: bool  # classes are large enough to be counted one by one, in fine bins
    by_class: Tensor  # int64 [classes,PADDED] if direct
    together: Tensor  # int64 [PADDED] if not
    coarse_by_class: NDArray[np.int64]  # [classes,COARSE] if not
    fine_of_both_orders: NDArray[np.int64]

    @classmethod
    def of(cls, segments: list[tuple[int, int, int]], height: int, columns: int, device: str) -> "Tally":
        """Empty, for the classes of segments, see `PreparedSet.segments`, in blocks of such a size."""
        direct = height * columns >= _DIRECT * len(segments)
        by_class = torch.zeros(len(segments) if direct else 0, exact.PADDED, dtype=torch.int64, device=device)
        together = torch.zeros(exact.PADDED, dtype=torch.int64, device=device)
        coarse = np.zeros((0 if direct else len(segments), COARSE), np.int64)
        return cls(segments, direct, by_class, together, coarse, np.zeros(exact.PADDED, np.int64))

    @property
    def classes(self) -> slice:
        """Which classes of the set they are."""
        return slice(self.segments[0][0], self.segments[-1][0] + 1)

    def add_rows(self, bins: Tensor, coarse: Tensor) -> None:
        """Adds a block, int16 [rows,columns] in bins of either size."""
        if self.direct:
            for number, (_, top, bottom) in enumerate(self.segments):
                self.by_class[number] += _bincount(bins[top:bottom], exact.PADDED)
        else:
            self.together += _bincount(bins, exact.PADDED)
            count_groups(coarse, self.segments, 0, self.coarse_by_class)

    def fine(self) -> NDArray[np.int64]:
        """Of all classes together, int64 [PADDED]."""
        return (self.by_class.sum(dim=0) if self.direct else self.together).cpu().numpy().copy()

    def coarse(self) -> NDArray[np.int64]:
        """Of each class, int64 [classes,COARSE]."""
        if not self.direct:
            return self.coarse_by_class
        return self.by_class.reshape(len(self.segments), COARSE, FINE).sum(dim=2).cpu().numpy()


def _bincount(bins: Tensor, number: int) -> Tensor:
    return torch.bincount(bins.reshape(-1), minlength=number)


def count_groups(coarse: Tensor, segments: list[tuple[int, int, int]], axis: int, out: NDArray[np.int64]) -> None:
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
