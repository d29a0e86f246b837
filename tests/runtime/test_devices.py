"""Devices and precisions by name."""

import onnxruntime
import pytest
import torch

from sface_data.errors import BadInput
from sface_data.runtime.devices import choose_device, choose_precision
from sface_data.runtime.onnx_session import providers

CPU = torch.device("cpu")


def test_float32_is_not_rounded_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    torch.backends.cuda.matmul.allow_tf32 = True
    choose_device("cpu")
    assert torch.backends.cudnn.allow_tf32
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    choose_device("cuda")
    assert not torch.backends.cudnn.allow_tf32
    assert not torch.backends.cuda.matmul.allow_tf32


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


@pytest.mark.parametrize(("device", "number"), [("auto", 0), ("cuda", 0), ("cuda:1", 1), ("cpu", None)])
def test_onnx_runtime_is_asked_for_one_gpu(
    device: str, number: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    cuda, cpu = "CUDAExecutionProvider", "CPUExecutionProvider"
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [cuda, cpu])
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda **_: None, raising=False)
    assert providers(device) == ([cpu] if number is None else [(cuda, {"device_id": number}), cpu])
