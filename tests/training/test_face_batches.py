"""The supply of batches: rows of processes, seams of passes, memory, errors."""

import threading

import numpy as np
import pytest
import torch

from sface_data.errors import BadInput
from sface_data.training.distributed import ProcessGroup
from sface_data.training.face_batches import FaceBatches
from sface_data.training.shuffle import ShuffledIndices

FACES = 11


def read(index: int) -> np.ndarray:
    """A face that says which it is, lighter on the right."""
    return np.full((2, 2, 3), index, np.uint8) + np.array([0, 100], np.uint8)[None, :, None]


def supply(group: ProcessGroup = ProcessGroup(), threads: int = 2, reader=read) -> FaceBatches:  # type: ignore[no-untyped-def]  # noqa: B008
    return FaceBatches(reader, np.arange(FACES) % 3, ShuffledIndices(FACES, "both", 5), 6, group, threads)


def first(batches: FaceBatches, count: int, start: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    run = batches.from_image(start)
    found = [next(run) for _ in range(count)]
    run.close()
    return torch.stack([pixels for pixels, _ in found]), torch.stack([classes for _, classes in found])


def test_a_batch_is_what_the_order_says() -> None:
    pixels, classes = first(supply(), 5)  # [5,6,2,2,3]; two passes of 22 meet in the fourth
    indices, mirrored = ShuffledIndices(FACES, "both", 5).indices(0, 30)
    left, right = pixels[:, :, 0, 0, 0].flatten().numpy(), pixels[:, :, 0, 1, 0].flatten().numpy()
    assert np.array_equal(np.minimum(left, right), indices)
    assert np.array_equal(left > right, mirrored)
    assert np.array_equal(classes.flatten().numpy(), indices % 3)


def test_it_depends_on_neither_threads_nor_processes_nor_where_it_began() -> None:
    whole = first(supply(), 5)
    for other in (first(supply(threads=5), 5), first(supply(threads=1), 5)):
        assert all(torch.equal(a, b) for a, b in zip(whole, other, strict=True))
    parts = [first(supply(ProcessGroup(rank, 3)), 5) for rank in range(3)]
    for number, expected in enumerate(whole):
        assert torch.equal(torch.stack([part[number] for part in parts], 2).flatten(1, 2), expected)
    assert all(torch.equal(a, b[2:]) for a, b in zip(first(supply(), 3, start=12), whole, strict=True))


def test_only_a_few_batches_are_held() -> None:
    count, lock = 0, threading.Lock()

    def counted(index: int) -> np.ndarray:
        nonlocal count
        with lock:
            count += 1
        return read(index)

    first(supply(threads=2, reader=counted), 3)
    assert count <= (3 + 2 + 2) * 6


def test_a_face_that_cannot_be_read_stops_the_batch_it_is_in() -> None:
    def broken(index: int) -> np.ndarray:
        if index == 7:
            raise BadInput("face 7 is broken")
        return read(index)

    indices, _ = ShuffledIndices(FACES, "both", 5).indices(0, 30)
    good = int(np.flatnonzero(indices == 7)[0]) // 6
    run = supply(reader=broken).from_image(0)
    for _ in range(good):
        next(run)
    with pytest.raises(BadInput, match="face 7 is broken"):
        next(run)
