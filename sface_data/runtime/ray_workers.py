"""Workers on a cluster of Ray, with the interface of those on this machine.

What Ray calls an actor is a process that keeps its state. Each worker is one: it makes the state once, and works
on unit after unit. If it or its machine is lost, Ray starts it elsewhere, and what it had not finished is done
again: a few times, as a unit may be what ends its workers.
"""

import itertools
import os
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal

import torch

from sface_data.errors import BadInput, brief
from sface_data.runtime.devices import described
from sface_data.runtime.pool import AHEAD, Shared, State, Workers
from sface_data.runtime.provenance import versions

Engine = Literal["local", "ray"]
_PATIENCE = 60  # seconds in which the cluster must have room for a worker
_TRIES = 4  # of a unit whose workers are lost


@dataclass(frozen=True)
class Cluster:
    """A cluster of Ray.

    Attributes:
        address: as `ray.init` takes it; None for the one that the environment names, else one on this machine, for
            as long as the work lasts.
    """

    address: str | None = None

    @classmethod
    def of(cls, engine: Engine, address: str | None) -> "Cluster | None":
        """None for work on this machine. Raises BadInput for an address without Ray."""
        if engine == "local" and address is not None:
            raise BadInput(f"--address {address} is that of a Ray cluster: it goes with --engine ray")
        return None if engine == "local" else cls(address)

    def check(self) -> None:
        """Raises BadInput if Ray is not installed or nobody listens, before long work that ends there."""
        _ray()
        with _answering(self.address):
            _reach(self.address)


class _Starts:
    """Counts on the cluster how often each unit was begun.

    Ray itself would count calls, of which several may fail before a lost worker is there again.
    """

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()

    def of(self, number: int) -> int:
        """How often the unit with a number was begun, this time included."""
        self._counts[number] += 1
        return self._counts[number]


class _Worker:
    """What runs on the cluster.

    Args:
        about: the machine that asks for the work, see `_about`.
        device: that the work asks for.
    """

    def __init__(self, about: dict[str, str], device: str) -> None:
        torch.set_num_threads(1)
        here = _about(torch.device(device))
        self._different = [
            f"{name} {here.get(name)}, not {value}" for name, value in about.items() if here.get(name) != value
        ]
        self._states: list[Any] = []

    def started(self) -> None:
        """Comes back once the worker has room."""

    def call(
        self, makes: list[Any], starts: Any, number: int, function: Callable[[Any, Any], Any], unit: Any
    ) -> Any:
        """What a function makes of the state and a unit, or the sentence of bad input.

        Whenever and wherever the worker was started, on another kind of machine it makes nothing.

        Args:
            makes: one reference to what makes the state: in a list, so that it is fetched only once.
            starts: a handle of `_Starts`.
            number: of the unit.
        """
        import ray

        if self._different:
            return _Refused(
                f"a machine of the Ray cluster has {'; '.join(self._different)}: results may come out otherwise "
                "there; install the same everywhere"
            )
        if ray.get(starts.of.remote(number)) > _TRIES:
            return _Refused(
                f"a worker on the Ray cluster was lost {_TRIES} times at the same work, perhaps for want of "
                "memory; what was finished is kept: run the same command again"
            )
        try:
            if not self._states:
                self._states.append(ray.get(makes[0])())
            return function(self._states[0], unit)
        except BadInput as error:
            return _Refused(str(error))


class _Stored(Shared[Any]):
    """In the store of the cluster, from which each machine fetches it once."""

    def __init__(self, value: Any) -> None:
        import ray

        super().__init__([ray.put(value)])  # in a list: Ray would fetch a bare reference with each unit

    def get(self) -> Any:
        import ray

        return ray.get(self._value[0])


class _Refused(str):
    """A sentence that ends the work: Ray would wrap the error that bears it."""

    __slots__ = ()


@contextmanager
def ray_workers(
    cluster: Cluster, count: int | None, make: Callable[[], State], device: torch.device
) -> Iterator[Workers[State]]:
    """Workers on a cluster of Ray.

    Args:
        count: how many; None for as many as the cluster has CPUs, or GPUs.
        make: makes the state that all functions get first, once in each worker.
        device: what each worker computes on: with CUDA it gets a GPU of its own, else a core.

    Raises:
        BadInput: if Ray is not installed, no cluster answers or it has nothing to compute on; from results, if a
            machine has other versions than this one, or a unit loses one worker after the other.
    """
    ray = _ray()
    owned = not ray.is_initialized()
    if owned:
        _connect(ray, cluster.address)
    try:
        kind = "GPU" if device.type == "cuda" else "CPU"
        there = int(ray.cluster_resources().get(kind, 0))
        if there == 0:
            raise BadInput(f"the Ray cluster has no {kind}; take another --device, or start nodes that have one")
        needs = {"num_cpus": 0 if kind == "GPU" else 1, "num_gpus": int(kind == "GPU")}
        forever = {"max_restarts": -1, "max_task_retries": -1}
        starts = ray.remote(num_cpus=0, **forever)(_Starts).remote()
        actor = ray.remote(**forever, **needs)(_Worker)
        workers = [actor.remote(_about(device), device.type) for _ in range(min(count or there, there))]
        try:
            _await_one(ray, workers)
            yield Workers(AHEAD * len(workers), _Submitter(workers, [ray.put(make)], starts), _Stored)
        finally:
            for each in (*workers, starts):
                ray.kill(each)
    finally:
        if owned:
            ray.shutdown()


def _ray() -> ModuleType:
    # Tells Ray not to ask anybody about usage, nor to write what it did into the home folder.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise BadInput("Ray is not installed; run: pip install ray, on all machines of the cluster") from error
    return ray


def _connect(ray: Any, address: str | None) -> None:
    with _answering(address):
        _reach(address)
        ray.init(address, log_to_driver=False, configure_logging=False, include_dashboard=None)


@contextmanager
def _answering(address: str | None) -> Iterator[None]:
    try:
        yield
    except (ConnectionError, RuntimeError, ValueError, TimeoutError, OSError) as error:
        raise BadInput(
            f"no Ray cluster answers at {address or 'the address of the environment'} ({brief(error)}); see "
            "`ray status` there, and that its token has reached this machine"
        ) from error


def _reach(address: str | None) -> None:
    """Raises OSError if nobody listens at HOST:PORT: Ray itself would try for many minutes."""
    host, _, port = (address or os.environ.get("RAY_ADDRESS", "")).rpartition(":")
    if host and port.isdecimal() and "/" not in host:
        socket.create_connection((host, int(port)), timeout=10).close()


def _about(device: torch.device) -> dict[str, str]:
    """What the last bit of a result may depend on, of this machine."""
    import cv2
    import onnxruntime

    libraries = {"opencv": cv2.__version__, "onnxruntime": onnxruntime.__version__}
    return versions() | libraries | {"device": described(device)}


def _await_one(ray: Any, workers: list[Any]) -> None:
    """Raises BadInput if none starts for some time; others work when there is room for them."""
    ready, _ = ray.wait([worker.started.remote() for worker in workers], timeout=_PATIENCE)
    if not ready:
        raise BadInput(f"the Ray cluster started no worker within {_PATIENCE} seconds; see `ray status`")
    try:
        ray.get(ready)
    except ray.exceptions.RayError as error:
        raise BadInput(f"a worker on the Ray cluster cannot start ({brief(error)})") from error


class _Submitter:
    """Gives units to the worker that has fewest."""

    def __init__(self, workers: list[Any], makes: list[Any], starts: Any) -> None:
        self._workers, self._makes, self._starts = workers, makes, starts
        self._units = itertools.count()
        self._busy: Counter[int] = Counter(dict.fromkeys(range(len(workers)), 0))
        self._lock = threading.Lock()

    def __call__(self, function: Callable[[Any, Any], Any], unit: Any) -> Future[Any]:
        with self._lock:
            number = min(self._busy, key=self._busy.__getitem__)
            self._busy[number] += 1
            given = next(self._units)
        reference = self._workers[number].call.remote(self._makes, self._starts, given, function, unit)
        future: Future[Any] = Future()
        reference.future().add_done_callback(lambda done: self._finish(number, done, future))
        return future

    def _finish(self, number: int, done: Future[Any], future: Future[Any]) -> None:
        with self._lock:
            self._busy[number] -= 1
        if not future.set_running_or_notify_cancel():
            return  # nobody waits for it any more
        error = done.exception()
        if isinstance(error, Exception):
            future.set_exception(
                BadInput(
                    f"a worker on the Ray cluster failed ({brief(error)}); what was finished is kept: run the "
                    "same command again"
                )
            )
        elif isinstance(result := done.result(), _Refused):
            future.set_exception(BadInput(str(result)))
        else:
            future.set_result(result)
