"""Parts: several processes, on any machines, that make disjoint shards of one data set."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from sface_data.errors import BadInput

_VARIABLES = (("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT"), ("RANK", "WORLD_SIZE"))


@dataclass(frozen=True)
class Part:
    """Every `count`-th unit of a job, from `index` on."""

    index: int = 0
    count: int = 1

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    def of(self, total: int) -> range:
        """The numbers of its units, of so many."""
        return range(self.index, total, self.count)

    @classmethod
    def parse(cls, text: str | None, environment: Mapping[str, str] = os.environ) -> "Part":
        """A part from `I/N`, I from 0; the whole from None.

        `auto` takes SLURM_ARRAY_TASK_ID and SLURM_ARRAY_TASK_COUNT, of an array that begins at 0, or else RANK and
        WORLD_SIZE, as torchrun sets them.

        Raises:
            BadInput: if it is not of that form, or the environment has no such variables.
        """
        if text is None:
            return cls()
        named = f"--part {text}"
        if text == "auto":
            names = next((pair for pair in _VARIABLES if all(name in environment for name in pair)), None)
            if names is None:
                pairs = " nor ".join(" and ".join(pair) for pair in _VARIABLES)
                raise BadInput(f"--part auto: the environment has neither {pairs}; write --part I/N")
            text = "/".join(environment[name] for name in names)
            named = f"--part auto, {' and '.join(names)}: {text}"
        found = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text)
        if found is None or not int(found[1]) < int(found[2]):
            raise BadInput(f"{named}: no part; write I/N with I from 0 to N-1, as in 0/4, 1/4, 2/4 and 3/4")
        return cls(int(found[1]), int(found[2]))
