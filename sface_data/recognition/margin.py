"""Heads of classification: cosine similarities to one vector per class, with a margin for the true class.

The class vectors are sharded over the processes: process r of n holds classes r, r+n, r+2n, ... Every process
sees the embeddings of the whole batch, compares them with its classes, and the softmax is put together from
the parts, so that no process ever holds a row of all logits. Its loss and its gradients are those of one
process that holds everything.

CosFace https://arxiv.org/abs/1801.09414, ArcFace https://arxiv.org/abs/1801.07698, ElasticFace
https://arxiv.org/abs/2109.09416, AdaFace https://arxiv.org/abs/2204.00964.
"""

import math

import torch
import torch.distributed
import torch.nn.functional as F
from torch import Tensor, nn

from sface_data.recognition.recipe import MarginConfig
from sface_data.training.distributed import ProcessGroup

_EPSILON = 1e-3  # radians that AdaFace keeps from 0 and pi
_SMALLEST_SINE_SQUARED = 1e-9  # where the derivative of the angle has no end


class Head(nn.Module):
    """The class vectors of this process, and the margin.

    Attributes:
        weight: float32 [C',D]; C' classes of this process.

    Args:
        classes: of all processes.
        std: of the fresh weights, drawn from torch's global random numbers for all processes alike.
    """

    norm_mean: Tensor
    norm_std: Tensor

    def __init__(
        self,
        config: MarginConfig,
        classes: int,
        dimensions: int,
        group: ProcessGroup | None = None,
        std: float = 0.01,
    ) -> None:
        super().__init__()
        self.config, self.group = config, group or ProcessGroup()
        whole = torch.empty(classes, dimensions).normal_(0.0, std)
        self.weight = nn.Parameter(whole[self.group.rank :: self.group.size].clone())
        self.register_buffer("norm_mean", torch.tensor(20.0))  # AdaFace's
        self.register_buffer("norm_std", torch.tensor(100.0))

    def logits(self, embeddings: Tensor, labels: Tensor, normal: Tensor | None = None) -> Tensor:
        """Scaled cosines with the margin, to the classes of this process.

        Args:
            embeddings: float32 [N,D], of the whole batch, not normalised.
            labels: int64 [N].
            normal: random numbers of the standard normal distribution [N], which elasticface needs.

        Returns:
            float32 [N,C'].
        """
        config = self.config
        cosines = F.linear(F.normalize(embeddings), F.normalize(self.weight)).clamp(-1, 1)  # [N,C']
        indices = self.local_indices(labels)
        rows = (indices >= 0).nonzero().squeeze(1)
        margins = self._margins(embeddings, normal)  # of the angle and of the cosine, [N] each
        true = cosines[rows, indices[rows]]
        true = _add_to_angle(true, margins[0][rows], config.name) - margins[1][rows]
        return cosines.index_put((rows, indices[rows]), true) * config.scale

    def local_indices(self, labels: Tensor) -> Tensor:
        """Indices [N] of classes [N] among those of this process; -1 for those of others."""
        mine = labels % self.group.size == self.group.rank
        return torch.where(mine, labels // self.group.size, -1)

    def loss(self, embeddings: Tensor, labels: Tensor, normal: Tensor | None = None) -> Tensor:
        """Cross-entropy [], mean over the whole batch, the same in all processes; arguments as of `logits`."""
        logits = self.logits(embeddings, labels, normal)
        return _ShardedCrossEntropy.apply(logits, self.local_indices(labels), self.group)

    def _margins(self, embeddings: Tensor, normal: Tensor | None) -> tuple[Tensor, Tensor]:
        """Added to the angle, and subtracted from the cosine, of the true class: [N] each."""
        config, zero = self.config, embeddings.new_zeros(len(embeddings))
        if config.name == "cosface":
            return zero, zero + config.margin
        if config.name == "arcface":
            return zero + config.margin, zero
        if config.name == "elasticface":
            assert normal is not None
            return zero, config.margin + config.sigma * normal
        quality = self._quality(embeddings.detach())
        return -config.margin * quality, config.margin * (1 + quality)

    def _quality(self, embeddings: Tensor) -> Tensor:
        """AdaFace's measure of image quality, -1 to 1, [N]: how large the norm is, among recent ones."""
        norms = embeddings.norm(dim=1).clamp(0.001, 100)
        if self.training:
            self.norm_mean.lerp_(norms.mean(), self.config.memory)
            self.norm_std.lerp_(norms.std(), self.config.memory)
        quality = (norms - self.norm_mean) / (self.norm_std + _EPSILON)
        return (quality * self.config.sharpness).clamp(-1, 1)


def _add_to_angle(cosines: Tensor, angles: Tensor, name: str) -> Tensor:
    """The cosines [N] of their angles plus others [N], differentiable at 1 and -1 too."""
    if name not in ("arcface", "adaface"):
        return cosines
    if name == "adaface":  # the sum stays between 0 and pi
        limit = math.cos(_EPSILON)
        theta = cosines.clamp(-limit, limit).acos() + angles
        return theta.clamp(_EPSILON, math.pi - _EPSILON).cos()
    sines = (1 - cosines.square()).clamp(min=_SMALLEST_SINE_SQUARED).sqrt()
    return cosines * angles.cos() - sines * angles.sin()


class _ShardedCrossEntropy(torch.autograd.Function):
    """Cross-entropy of logits of which every process holds some columns."""

    @staticmethod
    def forward(ctx, logits: Tensor, indices: Tensor, group: ProcessGroup) -> Tensor:  # type: ignore[no-untyped-def]
        largest = group.largest(logits.detach().amax(dim=1))  # [N]
        exponents = (logits - largest[:, None]).exp()
        total = group.sum(exponents.sum(dim=1))
        rows = (indices >= 0).nonzero().squeeze(1)
        true = logits.new_zeros(len(logits))
        true[rows] = logits[rows, indices[rows]]
        ctx.save_for_backward(exponents / total[:, None], rows, indices)
        return (total.log() + largest - group.sum(true)).mean()

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[no-untyped-def]
        probabilities, rows, indices = ctx.saved_tensors
        result = probabilities.clone()
        result[rows, indices[rows]] -= 1
        return result * (gradient / len(result)), None, None


def gather_batch(embeddings: Tensor, group: ProcessGroup) -> Tensor:
    """The embeddings [n,D] of all processes, in the order of the whole batch: [n * size,D].

    Of the batch, process r has rows r, r + size, ... The gradient that comes back is that of the sum of what
    the processes make of them, times their number, as gradients are averaged over processes later.
    """
    return _Gather.apply(embeddings, group) if group.size > 1 else embeddings


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx, embeddings: Tensor, group: ProcessGroup) -> Tensor:  # type: ignore[no-untyped-def]
        ctx.group = group
        return group.interleaved(embeddings)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[no-untyped-def]
        group = ctx.group
        return group.sum(gradient)[group.rank :: group.size] * group.size, None
