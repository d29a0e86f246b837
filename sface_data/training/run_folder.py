"""The folder of a training run."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from sface_data.io.files import exists
from sface_data.io.folders import check_folder, claim_folder

CHECKPOINT = "checkpoint.pt"
METRICS = "metrics.jsonl"
_KIND = "a training run"


@contextmanager
def claimed(outdir: Path, rank: int, ours: Sequence[str]) -> Iterator[None]:
    """Makes the folder, and keeps other runs out of it.

    Args:
        rank: of this process; the first acts for all.
        ours: patterns of what a run writes before its first checkpoint, besides METRICS.

    Raises:
        BadInput: if it holds other things and no checkpoint, or another process trains in it.
    """
    if rank > 0:
        yield
        return

    with claim_folder(outdir, _KIND, partial(_held, outdir), ours=(METRICS, *ours)):
        yield


def check_run_folder(outdir: Path, ours: Sequence[str]) -> None:
    """Raises BadInput as `claimed`, for what can be seen before the faces are read; nothing is touched."""
    check_folder(outdir, _KIND, partial(_held, outdir), (METRICS, *ours))


def _held(outdir: Path) -> Path | None:
    return outdir / CHECKPOINT if exists(outdir / CHECKPOINT) else None
