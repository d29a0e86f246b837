"""The folder of a training run."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sface_data.io.files import exists
from sface_data.io.folders import claim_folder

CHECKPOINT = "checkpoint.pt"
METRICS = "metrics.jsonl"


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

    def held() -> Path | None:
        return outdir / CHECKPOINT if exists(outdir / CHECKPOINT) else None

    with claim_folder(outdir, "a training run", held, ours=(METRICS, *ours)):
        yield
