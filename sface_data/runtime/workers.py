"""Workers of this machine that compute with torch, each with one thread of the CPU."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

import torch

from sface_data.runtime.pool import State, Workers, process_pool


@contextmanager
def local_workers(count: int, make: Callable[[], State], what: str) -> Iterator[Workers[State]]:
    """Workers on this machine, see `process_pool`; one is this process itself.

    On a CPU each computes with one thread, whatever the environment says: what it makes depends on neither.

    Raises:
        BadInput: if a process was killed.
    """
    advice = ", with fewer --workers if it happens again"
    here = one_thread() if count == 1 else nullcontext()
    with here, process_pool(count, make, what, _begin, advice) as workers:
        yield workers


@contextmanager
def one_thread() -> Iterator[None]:
    """Inside the block torch computes with one thread on the CPU."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _begin() -> None:
    torch.set_num_threads(1)
