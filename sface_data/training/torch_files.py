"""Files that torch.save wrote, read without executing what is in them."""

import io
import pickle
import zipfile
from typing import Any

import torch
from torch import Tensor


def load_tensors_only(data: bytes, old_formats: bool = False) -> Any:
    """What is in the bytes of a file, its tensors on the CPU.

    Args:
        old_formats: also read those of before torch 1.6, which were no archives.

    Raises:
        ValueError: if they are of no such file, or of one that holds more than tensors and plain values.
    """
    if not old_formats and not zipfile.is_zipfile(io.BytesIO(data)):
        raise ValueError("not an archive")
    try:
        return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError) as error:
        raise ValueError(str(error)) from error


def is_state_dict(value: Any) -> bool:
    """Whether a value is a dictionary of named tensors and nothing else."""
    return isinstance(value, dict) and all(
        isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in value.items()
    )
