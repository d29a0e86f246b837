"""Prefetching: run a function over items in a pool, yield results in order, hold at most `depth`."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from typing import Any, Protocol, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Pool(Protocol):
    """What can be given work: an `Executor`, or workers."""

    @property
    def submit(self) -> Callable[..., Future[Any]]:
        """Takes a function and an item; gives the result that will be."""


def prefetch(pool: Pool, function: Callable[..., Result], items: Iterable[Item], depth: int) -> Iterator[Result]:
    """What `function` makes of each item, in their order, made in `pool` while earlier ones are used.

    Args:
        depth: items that may be under way, or wait to be used; bounds the memory.
    """
    waiting: deque[Future[Result]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > depth:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
