"""A pool of processes that hold the same state, and work on the units of one job; nothing here needs torch."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_all_start_methods, get_context, parent_process
from types import ModuleType
from typing import Any, Generic, TypeVar

from sface_data.errors import BadInput
from sface_data.runtime.prefetch import prefetch

State = TypeVar("State")
Unit = TypeVar("Unit")
Result = TypeVar("Result")
Value = TypeVar("Value")

AHEAD = 2  # units for each worker; bounds the memory
_ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"), "1")
_held: Any = None  # the state, in a process that is a worker
_number = 0  # of this worker, from 0


class Shared(Generic[Value]):
    """Something that many units need, and that is not sent with each of them."""

    def __init__(self, value: Value) -> None:
        self._value = value

    def get(self) -> Value:
        """What it is."""
        return self._value


class Workers(Generic[State]):
    """What units of work are given to.

    Args:
        ahead: units that may be under way, or wait to be used.
        submit: calls a function with the state and a unit, in the worker that is free first.
        share: puts something where all workers find it.
    """

    def __init__(
        self,
        ahead: int,
        submit: Callable[..., Future[Any]],
        share: Callable[[Any], Shared[Any]] = Shared,
    ) -> None:
        self._ahead = ahead
        self.submit = submit
        self.share = share

    def map(self, function: Callable[[State, Unit], Result], units: Iterable[Unit]) -> Iterator[Result]:
        """What a function makes of the state and each unit, in the order of the units."""
        return prefetch(self, function, units, self._ahead)


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def worker_number() -> int:
    """The number of the worker that this process is, from 0; 0 in a process that is none."""
    return _number


@contextmanager
def process_pool(
    count: int,
    make: Callable[[], State],
    what: str,
    begin: Callable[[], None] | None = None,
    advice: str = "",
) -> Iterator[Workers[State]]:
    """Processes of this machine; one is this process itself.

    Of several each computes with one thread: there are as many of them as cores.

    Args:
        make: makes the state that all functions get first, once in each process. It is sent there: what it holds
            should be plain arrays, as tensors are sent by memory that processes share.
        what: is made by the processes, in errors.
        begin: called first in each of several processes.
        advice: ends the sentence about one that was killed.

    Raises:
        BadInput: if a process was killed.
    """
    if count == 1:
        yield Workers(0, partial(_done, make()))
        return
    context = get_context("forkserver" if "forkserver" in get_all_start_methods() else "spawn")
    context.set_forkserver_preload(
        [each.__module__ for each in (_begin, getattr(make, "func", make), begin) if each]
    )
    started = context.Value("i", 0)
    pool = ProcessPoolExecutor(count, context, _begin, (begin, make, started))
    finished = False

    def submit(function: Callable[[State, Unit], Result], unit: Unit) -> Future[Result]:
        with _starting():  # the pool starts a process when it is given work and none is free
            return pool.submit(_call, function, unit)

    try:
        yield Workers(AHEAD * count, submit)
        finished = True
    except BrokenProcessPool as error:
        raise BadInput(
            f"a process that makes {what} was killed, perhaps for want of memory; what was finished is kept: run "
            f"the same command again{advice}"
        ) from error
    finally:
        pool.shutdown(wait=finished, cancel_futures=True)


def _done(state: State, function: Callable[[State, Unit], Result], unit: Unit) -> Future[Result]:
    future: Future[Result] = Future()
    future.set_result(function(state, unit))
    return future


def _begin(begin: Callable[[], None] | None, make: Callable[[], Any], started: Any) -> None:
    global _held, _number
    # The first process tells the others when to stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if begin is not None:
        begin()
    with started.get_lock():
        _number = started.value
        started.value += 1
    _held = make()


def _call(function: Callable[[Any, Unit], Result], unit: Unit) -> Result:
    return function(_held, unit)


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextmanager
def _starting() -> Iterator[None]:
    """Processes started inside the block use one thread, which libraries ask the environment about when they are
    loaded; and do not import the program that starts them: it may have no guard."""
    main = sys.modules["__main__"]
    before = {name: os.environ.get(name) for name in _ONE_THREAD}
    sys.modules["__main__"] = ModuleType("__main__")
    os.environ.update(_ONE_THREAD)
    try:
        yield
    finally:
        sys.modules["__main__"] = main
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
