"""Devices and precisions by name."""

import pytest
import torch

from sface_data.errors import BadInput
from sface_data.runtime.devices import choose_device, choose_precision

CPU = torch.device("cpu")


def test_devices_and_precisions() -> None:
    assert choose_device("cpu") == CPU
    with pytest.raises(BadInput, match="unknown"):
        choose_device("abacus")
    with pytest.raises(BadInput, match="cannot be used"):
        choose_device("meta")
    with pytest.raises(BadInput, match="has none"):
        choose_device("cuda:99")
    assert choose_precision("fp32", CPU) == "fp32"
    assert choose_precision("auto", CPU) in ("fp32", "bf16")
    assert choose_precision("auto", torch.device("cuda"), 256.0) == "fp16"
    assert choose_precision("auto", torch.device("cuda"), None) == "bf16"
