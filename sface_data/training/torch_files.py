"""Files that torch.save wrote, read without executing what is in them."""

import io
import zipfile
from typing import Any

import torch
from torch import Tensor

_ARCHIVE = b"PK\x03\x04"


def load_tensors_only(data: bytes, old_formats: bool = False) -> Any:
    """What is in the bytes of a file, its tensors on the CPU.

    Args:
        old_formats: also read those of before torch 1.6, which were no archives.

    Raises:
        ValueError: if they are of no such file, of one that was changed since it was written, or of one that holds
            more than tensors and plain values.
    """
    if data.startswith(_ARCHIVE):
        _check_archive(data)
    elif not old_formats:
        raise ValueError("not an archive")
    try:
        return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # torch's unpickler raises whatever broken instructions come to
        raise ValueError(str(error)) from error


def _check_archive(data: bytes) -> None:
    """Compares the checksums in an archive with its bytes, which torch does not. Raises ValueError."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            compressed = any(info.compress_type != zipfile.ZIP_STORED for info in archive.infolist())
            broken = None if compressed else archive.testzip()
    except Exception as error:  # as above, of broken headers
        raise ValueError(str(error)) from error
    if compressed:
        raise ValueError("compressed, as torch never writes it")
    if broken is not None:
        raise ValueError(f"{broken} was changed since it was written")


def is_state_dict(value: Any) -> bool:
    """Whether a value is a dictionary of named tensors and nothing else."""
    return isinstance(value, dict) and all(
        isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in value.items()
    )
