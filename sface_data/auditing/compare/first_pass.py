"""A first look in bfloat16, which tells where the nearest neighbours of rows cannot be.

Processors that multiply bfloat16 do so at more than twice the rate of float32. How much rounding changes is known
of each row, so a block of columns whose best product is too far below that of another one need not be looked at
again. What is looked at again is exact: the neighbours are those that exact products of everything give.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from sface_data.runtime.devices import multiplies_bf16

_WRITTEN = 2.0**-7  # of a product, relative: twice what is lost where it is written in 8 bits
_SUMMED = 2.0**-23  # of the lengths of both rows, for each component: twice what float32 loses, in any order
_ROWS = 4096  # that are rounded at a time


@dataclass(frozen=True, eq=False)
class FirstPass:
    """Rows of two sets, rounded.

    Attributes:
        probes, gallery: bfloat16 [A,D] and [B,D].
        error: float32 [A] how far a product of each probe can be off, before it is written.
    """

    probes: Tensor
    gallery: Tensor
    error: Tensor

    @classmethod
    def of(cls, probes: Tensor, gallery: Tensor) -> "FirstPass | None":
        """Of two sets of rows, float32 [A,D] and [B,D]; None where the processor gains nothing by it.

        By Cauchy and Schwarz, a product of rounded rows is off by no more than what rounding changed in the one,
        times the length of the other.
        """
        if probes.device.type != "cpu" or not multiplies_bf16():
            return None
        (rough, lost, length), (columns, lost_there, lengths) = _rounded(probes), _rounded(gallery)
        longest = lengths.max() + lost_there.max()
        summed = _SUMMED * probes.shape[1] * length * longest
        return cls(rough, columns, lost * longest + length * lost_there.max() + summed)

    def reachable(self, start: int, stop: int, width: int) -> Tensor:
        """In which blocks of `width` columns the nearest of some rows can be: bool [R,blocks]."""
        rows, blocks = self.probes[start:stop], self.gallery.split(width)
        products = torch.empty(len(rows) * width, dtype=torch.bfloat16)  # used again: fresh memory costs time
        best = torch.empty(len(rows), len(blocks))
        for number, block in enumerate(blocks):
            some = products[: len(rows) * len(block)].view(len(rows), len(block))
            best[:, number] = torch.mm(rows, block.T, out=some).amax(dim=1)
        off = self.error[start:stop, None] + _WRITTEN * best.abs()
        return best + off >= (best - off).amax(dim=1, keepdim=True)


def _rounded(rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Rows in bfloat16; what that changed, and what is left, as lengths [N]."""
    rough = rows.bfloat16()
    pairs = list(zip(rows.split(_ROWS), rough.split(_ROWS), strict=True))
    lost = torch.cat([(row - half).norm(dim=1) for row, half in pairs])
    return rough, lost, torch.cat([half.float().norm(dim=1) for _, half in pairs])
