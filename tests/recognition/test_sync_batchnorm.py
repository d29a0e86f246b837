"""Batch normalisation over processes is torch's, also under autocast."""

import pytest
import torch
from torch import nn

from sface_data.recognition.sync_batchnorm import _SharedBatchNorm
from sface_data.training.distributed import ProcessGroup


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_it_computes_what_torch_does(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    plain = nn.BatchNorm2d(4)
    reference = nn.BatchNorm2d(4)
    shared = _SharedBatchNorm(plain, ProcessGroup())
    x = torch.randn(8, 4, 3, 3, dtype=dtype)
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype != torch.float32):
        ours, theirs = shared(x), reference(x)
    assert ours.dtype == theirs.dtype == dtype
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(shared.running_mean, reference.running_mean)
    torch.testing.assert_close(shared.running_var, reference.running_var)
    ours.sum().backward()
