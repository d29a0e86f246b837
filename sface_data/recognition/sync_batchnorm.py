"""Batch normalisation over the batch of all processes, so that their number does not change what is learned."""

import torch
from torch import Tensor, nn

from sface_data.training.distributed import ProcessGroup


def synchronise(network: nn.Module, device: torch.device, group: ProcessGroup) -> nn.Module:
    """The network with batch normalisation whose statistics are those of all processes; as it is if there is one.

    On GPUs that is torch's SyncBatchNorm, which CPUs do not have. Names of tensors stay.
    """
    if group.size == 1:
        return network
    if device.type == "cuda":
        return nn.SyncBatchNorm.convert_sync_batchnorm(network)
    for name, child in network.named_children():
        if isinstance(child, nn.modules.batchnorm._BatchNorm):
            shared = _SharedBatchNorm(child, group)
            setattr(network, name, shared)
        else:
            synchronise(child, device, group)
    return network


class _SharedBatchNorm(nn.Module):
    """Batch normalisation of [N,C,...] of which every process has some rows, the same number each."""

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(self, plain: nn.modules.batchnorm._BatchNorm, group: ProcessGroup) -> None:
        super().__init__()
        self.weight, self.bias = plain.weight, plain.bias
        for name, buffer in plain.named_buffers():
            self.register_buffer(name, buffer)
        self.group, self.eps = group, plain.eps
        self.momentum = 0.1 if plain.momentum is None else plain.momentum

    def forward(self, x: Tensor) -> Tensor:
        """[N,C,...] -> the same shape and type; its statistics are float32, as torch's are."""
        kind, x = x.dtype, x.float()
        shape = [1, -1] + [1] * (x.ndim - 2)
        if self.training:
            others = [axis for axis in range(x.ndim) if axis != 1]
            mean = _GroupMean.apply(x.mean(dim=others), self.group)
            variance = _GroupMean.apply((x - mean.view(shape)).square().mean(dim=others), self.group)
            count = x.numel() // x.shape[1] * self.group.size
            with torch.no_grad():
                self.running_mean.lerp_(mean, self.momentum)
                self.running_var.lerp_(variance * count / (count - 1), self.momentum)
                self.num_batches_tracked.add_(1)
        else:
            mean, variance = self.running_mean, self.running_var
        scale = self.weight * (variance + self.eps).rsqrt()
        return ((x - mean.view(shape)) * scale.view(shape) + self.bias.view(shape)).to(kind)


class _GroupMean(torch.autograd.Function):
    """The mean of a tensor over processes; its gradient is the mean of theirs."""

    @staticmethod
    def forward(ctx, value: Tensor, group: ProcessGroup) -> Tensor:  # type: ignore[no-untyped-def]
        ctx.group = group
        return group.mean(value)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[no-untyped-def]
        return ctx.group.mean(gradient), None
