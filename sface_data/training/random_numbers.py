"""The random numbers of a training run."""

import torch
from torch import Tensor


class BatchRandom:
    """Random numbers by image, the same for any number of processes.

    Every process draws those of the whole batch and keeps rows rank, rank + processes, rank + 2 processes, ...,
    so that a run on several devices is the run on one. `state` is what the next numbers depend on.

    Args:
        device: where the numbers are drawn and used; another kind of device has other numbers.
        rank, processes: which rows are kept.
    """

    def __init__(self, seed: int, device: torch.device, rank: int = 0, processes: int = 1) -> None:
        self.device = device
        self._generator = torch.Generator(device).manual_seed(seed)
        self._rank = rank
        self._processes = processes

    @property
    def state(self) -> Tensor:
        """uint8, on the CPU."""
        return self._generator.get_state()

    @state.setter
    def state(self, state: Tensor) -> None:
        self._generator.set_state(state)

    def follow(self, graph: torch.cuda.CUDAGraph) -> None:
        """Lets work that is recorded draw other numbers whenever it is replayed."""
        graph.register_generator_state(self._generator)

    def normal(self, n: int, *shape: int) -> Tensor:
        """Standard normal, float32 [n,*shape]."""
        whole = torch.randn(n * self._processes, *shape, generator=self._generator, device=self.device)
        return whole[self._rank :: self._processes]

    def uniform(self, n: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        """Between `low` and `high`, float32 [n]."""
        whole = torch.rand(n * self._processes, generator=self._generator, device=self.device)
        return whole[self._rank :: self._processes] * (high - low) + low

    def uniform_like(self, rows: Tensor) -> Tensor:
        """Between 0 and 1, float32 of the shape of `rows`, which are those of this process."""
        shape = (len(rows) * self._processes, *rows.shape[1:])
        whole = torch.rand(shape, generator=self._generator, device=self.device)
        return whole[self._rank :: self._processes]

    def integers(self, n: int, count: int) -> Tensor:
        """From 0 to count - 1, int64 [n]."""
        whole = torch.randint(count, (n * self._processes,), generator=self._generator, device=self.device)
        return whole[self._rank :: self._processes]

    def shared(self, n: int) -> Tensor:
        """Between 0 and 1, float32 [n]: the same numbers in all processes."""
        return torch.rand(n, generator=self._generator, device=self.device)
