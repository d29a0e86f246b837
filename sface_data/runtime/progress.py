"""Progress bars."""

import sys
from collections.abc import Callable
from typing import Any

from tqdm import tqdm

Progress = Callable[[int], object]  # is told how much more is done


def progress_bar(total: int | None, unit: str, **options: Any) -> tqdm:
    """A bar on standard error, with speed and time left.

    Args:
        options: others of tqdm.
    """
    # A log file gets a line now and then, a terminal a living bar.
    interval = 0.2 if sys.stderr.isatty() else 30.0
    # Given, as one sign for all steps (TQDM_ASCII=1) is none that tqdm can draw.
    return tqdm(total=total, unit=unit, mininterval=interval, file=sys.stderr, ascii=None, **options)
