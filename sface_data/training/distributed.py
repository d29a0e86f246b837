"""The processes of one training run, as torchrun starts them; or the only one."""

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed
from torch import Tensor, nn

from sface_data.errors import BadInput
from sface_data.io.files import canonical_json
from sface_data.runtime.devices import choose_device

_OF_TORCHRUN = ("RANK", "MASTER_ADDR", "MASTER_PORT")
_LARGEST_GRADIENT = 1e5  # in place of an infinite one


@dataclass(frozen=True)
class ProcessGroup:
    """The processes of a run, seen from one of them.

    Attributes:
        rank: number of this process; 0 writes the files.
        size: how many processes there are.
    """

    rank: int = 0
    size: int = 1

    def mean(self, value: Tensor) -> Tensor:
        """The mean of a tensor over all processes."""
        return value if self.size == 1 else self.sum(value) / self.size

    def sum(self, value: Tensor) -> Tensor:
        """The sum of a tensor over all processes."""
        if self.size == 1:
            return value
        total = value.detach().clone()
        torch.distributed.all_reduce(total)
        return total

    def largest(self, value: Tensor) -> Tensor:
        """The largest of each element over all processes."""
        if self.size == 1:
            return value
        largest = value.detach().clone()
        torch.distributed.all_reduce(largest, torch.distributed.ReduceOp.MAX)
        return largest

    def interleaved(self, rows: Tensor) -> Tensor:
        """The rows [n,...] of all processes, process by process in turn: [n * size,...]."""
        if self.size == 1:
            return rows
        parts = [torch.empty_like(rows) for _ in range(self.size)]
        torch.distributed.all_gather(parts, rows.detach().contiguous())
        return torch.stack(parts, dim=1).flatten(0, 1)

    def all_rows(self, rows: Tensor, total: int) -> Tensor:
        """The rows of all processes in turn, where they do not hold equally many: [total,...]."""
        if self.size == 1:
            return rows.detach()
        padded = rows.new_zeros(-(-total // self.size), *rows.shape[1:])
        padded[: len(rows)] = rows.detach()
        return self.interleaved(padded)[:total]

    def check_same(self, facts: Mapping[str, Any], networks: Iterable[nn.Module], device: torch.device) -> None:
        """Checks that all processes are of the same run, at the same step.

        Args:
            facts: what the run depends on, by name, as JSON has it.
            networks: those of which every process holds the whole.

        Raises:
            BadInput: in every process, if one of them has other facts than the first; they are named.
        """
        if self.size == 1:
            return
        facts = {**facts, "weights": [_weights_sha256(network) for network in networks]}
        digests = [list(hashlib.sha256(canonical_json(fact).encode()).digest()) for fact in facts.values()]
        found = self.interleaved(torch.tensor([digests], dtype=torch.uint8, device=device))
        others = (found != found[0]).any(dim=2)  # [processes,facts]
        different = [
            f"process {rank} has other {', '.join(name for name, other in zip(facts, row, strict=True) if other)}"
            for rank, row in enumerate(others.tolist())
            if any(row)
        ]
        if different:
            raise BadInput(
                f"the processes are not of one run: {'; '.join(different)} than process 0; start all with the "
                "same command, on the same files"
            )

    def average_gradients(self, parameters: Iterable[nn.Parameter], finite: bool = False) -> None:
        """Puts the mean over all processes in place of gradients.

        Args:
            finite: put finite values in place of others too.
        """
        if self.size == 1 and not finite:
            return
        gradients = [p.grad for p in parameters if p.grad is not None]
        flat = self.mean(torch.cat([gradient.flatten() for gradient in gradients]))
        if finite:
            flat = flat.nan_to_num_(nan=0.0, posinf=_LARGEST_GRADIENT, neginf=-_LARGEST_GRADIENT)
        parts = flat.split([gradient.numel() for gradient in gradients])
        shaped = [part.view_as(gradient) for part, gradient in zip(parts, gradients, strict=True)]
        torch._foreach_copy_(gradients, shaped)


def _weights_sha256(network: nn.Module) -> str:
    """The hex SHA-256 of all parameters and buffers."""
    sha = hashlib.sha256()
    for tensor in network.state_dict().values():
        sha.update(tensor.cpu().numpy().tobytes())
    return sha.hexdigest()


def training_device(name: str) -> torch.device:
    """As `devices.choose_device`; with `auto` or `cuda` each process of a machine takes a GPU of its own."""
    device = choose_device(name)
    if device.type == "cuda" and ":" not in name:
        device = choose_device(f"cuda:{os.environ.get('LOCAL_RANK', '0')}")
        torch.cuda.set_device(device)
    return device


@contextmanager
def process_group(device: torch.device) -> Iterator[ProcessGroup]:
    """The processes that torchrun started, by its environment variables; or this one alone.

    Raises:
        BadInput: if the variables do not fit together, or the others cannot be reached.
    """
    if os.environ.get("WORLD_SIZE", "1") == "1":
        yield ProcessGroup()
        return
    lacking = [name for name in _OF_TORCHRUN if not os.environ.get(name)]
    if lacking:
        raise BadInput(
            f"the environment has WORLD_SIZE={os.environ['WORLD_SIZE']} and no {', '.join(lacking)}; start the "
            "processes with torchrun, or unset WORLD_SIZE to train in one"
        )
    try:
        torch.distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    except (ValueError, RuntimeError) as error:
        raise BadInput(
            f"the processes of this run cannot find each other ({error}); start them with torchrun"
        ) from error
    rank, size = torch.distributed.get_rank(), torch.distributed.get_world_size()
    try:
        yield ProcessGroup(rank, size)
    finally:
        torch.distributed.destroy_process_group()
