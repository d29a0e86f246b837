"""The folder of a training run."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sface_data.errors import BadInput
from sface_data.io.files import os_errors_as_bad_input
from sface_data.io.locks import locked

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
    with os_errors_as_bad_input(outdir):
        outdir.mkdir(parents=True, exist_ok=True)
    if not (outdir / CHECKPOINT).exists():  # perhaps stopped while it wrote the first
        known = (METRICS, ".*", *ours)
        astray = [path for path in outdir.iterdir() if not any(path.match(name) for name in known)]
        if astray:
            raise BadInput(f"{outdir}: not empty, and holds no checkpoint of a run; choose another folder")
    with locked(outdir / ".lock", f"{outdir}: another process is training in this folder; wait for it"):
        yield
