"""Processes of their own, as forks of a server that has imported everything: heavy imports take seconds."""

import multiprocessing
import os
import socket
from collections.abc import Callable

SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(
    [
        "onnxruntime",
        "pyarrow.parquet",
        "pytest",
        "sface_data.embedding.embeddings_folder",
        "sface_data.generation.build",
        "sface_data.generator.run",
        "sface_data.recognition.run",
        "sface_data.release.generate",
        "sface_data.rendered.folder",
        "tests.killing",
        "torch._dynamo",
    ]
)


def ends(state: object, code: int) -> None:
    """A task of a worker that does not come back."""
    os._exit(code)


def threads_of(state: object, unit: int) -> int:
    """A task that says with how many threads its worker computes."""
    import torch

    return torch.get_num_threads()


def two_processes(function: Callable[..., object], *arguments: object) -> None:
    """Calls a function of a module in two processes that find each other as under torchrun."""
    for _ in range(3):  # another program may take the port before these do
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        processes = [SERVER.Process(target=_call, args=(rank, port, function, arguments)) for rank in range(2)]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        if all(process.exitcode == 0 for process in processes):
            return
    raise AssertionError("a process failed; its traceback is in the captured output")


def _call(rank: int, port: int, function: Callable[..., object], arguments: tuple[object, ...]) -> None:
    group = {"WORLD_SIZE": "2", "RANK": str(rank), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    os.environ.update(group, GLOO_SOCKET_IFNAME="lo")
    function(*arguments)
