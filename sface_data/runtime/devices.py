"""Where networks run, and in which precision."""

import torch

from sface_data.errors import BadInput

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
# Of CPUs, for bf16.
_INSTRUCTIONS = {"AVX512_BF16": torch.cpu._is_avx512_bf16_supported, "AMX": torch.cpu._is_amx_tile_supported}


def choose_device(name: str) -> torch.device:
    """`auto` takes a GPU where there is one; on it, float32 is computed as such from now on.

    Raises:
        BadInput: if the name is unknown, or names a device that this machine does not have.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise BadInput(f"the device {name!r} is unknown; use auto, cpu, cuda or cuda:1") from error
    if device.type not in ("cpu", "cuda"):
        raise BadInput(f"the device {name!r} cannot be used; use auto, cpu, cuda or cuda:1")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise BadInput(f"the device {name!r} is asked for, but this machine has none; use --device cpu or auto")
    if device.type == "cuda":  # by default cuDNN rounds float32 to 10 bits of mantissa (TF32)
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    return device


def moved(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """A tensor of the CPU on a device; the CPU does not wait for a GPU."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor


def described(device: torch.device) -> str:
    """What computes, as far as the last bit of a result may depend on it."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    more = [name for name, has in _INSTRUCTIONS.items() if has()]
    return " ".join(["cpu", torch.backends.cpu.get_cpu_capability(), *more])


def choose_precision(name: str, device: torch.device, conv_clamp: float | None = None) -> str:
    """`auto` takes the fastest precision that the device computes natively.

    On a GPU that is fp16 if the network clamps its activations, as those trained for fp16 do, else bf16,
    which cannot overflow.
    """
    if name != "auto":
        return name
    if device.type == "cuda":
        return "fp16" if conv_clamp is not None else "bf16"
    return "bf16" if multiplies_bf16() else "fp32"


def multiplies_bf16() -> bool:
    """Whether the processor has instructions that multiply bfloat16."""
    return any(has() for has in _INSTRUCTIONS.values())
