"""Where comparisons are computed."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from sface_data.runtime.pool import Workers
from sface_data.runtime.ray_workers import Cluster, ray_workers


@dataclass(frozen=True)
class Backend:
    """What computes the products of matrices; it changes how long they take, never the result.

    Attributes:
        device: of this process, or of each worker.
        workers: share the rows of a set among them; None for this process alone.
    """

    device: str = "cpu"
    workers: Workers[None] | None = None


HERE = Backend()


@contextmanager
def backend_on(device: str, cluster: Cluster | None) -> Iterator[Backend]:
    """This machine, or workers on a cluster of Ray. Raises BadInput as `ray_workers`."""
    if cluster is None:
        yield Backend(device)
        return
    with ray_workers(cluster, None, _nothing, torch.device(device)) as workers:
        yield Backend(device, workers)


def _nothing() -> None:
    """The state of workers that are given everything with their units."""
