"""Where ONNX networks run: the processors that ONNX Runtime is asked for, and whether it gave them."""

from pathlib import Path
from typing import Any

import numpy as np

from sface_data.errors import BadInput, brief

FLOATS = {"tensor(float)": np.float32, "tensor(float16)": np.float16}  # that networks of faces take and make
_CPU, _CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
_FATAL = 4  # what is worth a line is in the exceptions
_REMEDY = (
    "install onnxruntime-gpu in place of onnxruntime (`pip uninstall onnxruntime`, then "
    "`pip install onnxruntime-gpu`) with the CUDA and cuDNN that it needs, or use --device cpu"
)

Provider = str | tuple[str, dict[str, int]]


def providers(device: str) -> list[Provider]:
    """What to ask ONNX Runtime for: the CPU alone, or a GPU with the CPU for what it cannot do.

    Args:
        device: `cpu`, `cuda`, which is the first GPU, `cuda:1`; `auto` is the first GPU where ONNX Runtime knows
            how to use one.

    Raises:
        BadInput: if the device is unknown, or a GPU is asked for and ONNX Runtime is built without.
    """
    import onnxruntime

    kind, colon, number = device.partition(":")
    one = kind == "cuda" and (not colon or (number.isascii() and number.isdigit()))
    if device not in ("auto", "cpu") and not one:
        raise BadInput(f"the device {device!r} is unknown; use auto, cpu, cuda or cuda:1")
    known = _CUDA in onnxruntime.get_available_providers()
    if kind == "cuda" and not known:
        raise BadInput(f"the device {device!r} is asked for, but this ONNX Runtime has no CUDA: {_REMEDY}")
    if kind == "cpu" or not known:
        return [_CPU]
    preload = getattr(onnxruntime, "preload_dlls", None)
    if preload is not None:
        preload(directory="")  # the libraries that came with pip
    return [(_CUDA, {"device_id": int(number or 0)}), _CPU]


def check_given(session: Any, device: str) -> None:
    """Raises BadInput if a GPU is asked for and ONNX Runtime quietly took the CPU."""
    if device.startswith("cuda") and session.get_providers()[0] != _CUDA:
        raise BadInput(f"the device {device!r} is asked for, but ONNX Runtime cannot use it: {_REMEDY}")


def on_cpu(session: Any) -> bool:
    """Whether a network runs on the CPU alone."""
    return bool(session.get_providers() == [_CPU])


def session_options(threads: int = 0) -> Any:
    """Options under which ONNX Runtime says nothing but what it raises.

    Args:
        threads: that one run uses; 0 for as many as there are cores.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = _FATAL
    options.intra_op_num_threads = threads
    return options


def load_model(path: Path, data: bytes) -> Any:
    """The network in the bytes of an ONNX file, an `onnx.ModelProto`.

    Raises:
        BadInput: if there is none, or its weights are not in it.
    """
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load_model_from_string(data)
    except (DecodeError, ValueError) as error:
        raise BadInput(f"{path}: not an ONNX file; get it again") from error
    if not model.graph.node:
        raise BadInput(f"{path}: not an ONNX file with a network in it; get it again")
    if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in model.graph.initializer):
        raise BadInput(f"{path}: its weights are in another file; save the network as one file")
    return model


def open_session(path: Path, data: bytes, device: str, threads: int = 0) -> Any:
    """ONNX Runtime with the network in the bytes of a file.

    Args:
        path: names it in errors.
        threads: as of `session_options`.

    Raises:
        BadInput: if ONNX Runtime cannot load it, or the device is asked for and not there.
    """
    import onnxruntime

    asked = providers(device)
    try:
        session = onnxruntime.InferenceSession(data, session_options(threads), providers=asked)
    except session_errors() as error:
        raise BadInput(f"{path}: ONNX Runtime cannot load it ({brief(error)})") from error
    check_given(session, device)
    return session


def session_errors() -> tuple[type[Exception], ...]:
    """What ONNX Runtime raises, and insightface where a network is not as it expects."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    kinds = (value for value in vars(state).values() if isinstance(value, type) and issubclass(value, Exception))
    return (*kinds, AssertionError, IndexError, RuntimeError, TypeError, ValueError)
