"""Work on a GPU that is recorded once and then asked for as a whole."""

from collections.abc import Callable

import torch
from torch import Tensor

from sface_data.training.random_numbers import BatchRandom

Measured = dict[str, Tensor]  # means over a batch, each []
_UNRECORDED = 2  # calls in which libraries choose their routines and take their memory


class Recorded:
    """A step of training as a CUDA graph: small networks are asked for more slowly than they are computed.

    The first calls do the work, the next records it, and from then on it is replayed, with inputs of the same
    shapes. It must neither wait for the GPU nor keep state in anything but tensors, which it changes in place.

    Args:
        work: takes tensors on the GPU, and returns what it measured.
        random: where it has its random numbers from.
    """

    def __init__(self, work: Callable[..., Measured], random: BatchRandom) -> None:
        self._work, self._random, self._calls = work, random, 0
        self._stream = torch.cuda.Stream()

    def __call__(self, *inputs: Tensor) -> Measured:
        self._calls += 1
        if self._calls <= _UNRECORDED:
            return self._aside(inputs)
        if self._calls == _UNRECORDED + 1:
            self._record(inputs)
        for held, given in zip(self._inputs, inputs, strict=True):
            held.copy_(given)
        self._graph.replay()
        return {name: value.clone() for name, value in self._measured.items()}  # the next replay overwrites them

    def _aside(self, inputs: tuple[Tensor, ...]) -> Measured:
        """On the stream that will be recorded."""
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            measured = self._work(*inputs)
        torch.cuda.current_stream().wait_stream(self._stream)
        return measured

    def _record(self, inputs: tuple[Tensor, ...]) -> None:
        self._inputs = tuple(given.clone() for given in inputs)
        self._graph = torch.cuda.CUDAGraph()
        self._random.follow(self._graph)
        # Other threads read faces meanwhile, which is none of the recording's business.
        with torch.cuda.graph(self._graph, stream=self._stream, capture_error_mode="thread_local"):
            self._measured = self._work(*self._inputs)
