"""Embedders in ONNX files."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sface_data.embedding.embedder import Pixels, Vectors, flip_sum, resized
from sface_data.errors import BadInput
from sface_data.io.files import os_errors_as_bad_input
from sface_data.runtime.onnx_session import (
    brief,
    check_given,
    load_graph,
    providers,
    session_errors,
    session_options,
)

_USUAL_SIZE = 112  # of a network that takes any
_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
_FIRST_NODES = 8
_SUB, _MUL = ("Sub", "_minus"), ("Mul", "_mul")


class OnnxEmbedder:
    """An embedder in an ONNX file, run by ONNX Runtime.

    Images go in as RGB [N,3,R,R], and as (x - 127.5) / 127.5; or as they are, 0 to 255, where the network begins
    with nodes that do this, known by their names as insightface knows them.

    Args:
        path: the file; all weights must be in it.
        device: `auto`, `cpu`, `cuda`, `cuda:1`.

    Raises:
        BadInput: if it is no embedder, or the device is asked for and not there.
    """

    def __init__(self, path: Path, device: str = "auto") -> None:
        with os_errors_as_bad_input(path):
            data = path.read_bytes()
        self.name = path.name
        self.sha256 = hashlib.sha256(data).hexdigest()
        self._path = path
        self._mean, self._scale = _preprocessing(load_graph(path, data))
        self._session = _open(path, data, device)
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        if len(inputs) != 1 or len(outputs) != 1:
            raise BadInput(
                f"{path}: not an embedder of faces: {len(inputs)} inputs and {len(outputs)} outputs, where it "
                "should have one of each"
            )
        shape = inputs[0].shape
        if len(shape) != 4 or shape[1] != 3 or shape[2] != shape[3] or inputs[0].type not in _TYPES:
            raise BadInput(
                f"{path}: not an embedder of faces: its input is {inputs[0].type} {_shape(shape)}, where it "
                "should be tensor(float) [N,3,R,R]"
            )
        self._input, self._output = inputs[0].name, outputs[0].name
        self._type = _TYPES[inputs[0].type]
        self._fixed = shape[0] if isinstance(shape[0], int) and shape[0] > 0 else None  # images in every run
        self.size = shape[2] if isinstance(shape[2], int) and shape[2] > 0 else _USUAL_SIZE
        self.dimensions = self._probe()

    @property
    def providers(self) -> list[str]:
        """What ONNX Runtime runs it on, best first."""
        return self._session.get_providers()

    def embed(self, images: Pixels) -> Vectors:
        """See `Embedder`."""
        if images.shape[1:3] != (self.size, self.size):
            images = np.stack([resized(image, self.size) for image in images])
        straight, mirrored = (self._run(self._values(planes)) for planes in _planes(images))
        return flip_sum(straight, mirrored, str(self._path))

    def outputs(self, planes: NDArray[Any]) -> NDArray[np.float32]:
        """What the network makes of RGB [N,3,R,R], 0 to 255, in one pass: [N,D], of any length."""
        return self._run(self._values(planes)).astype(np.float32, copy=False)

    def _values(self, planes: NDArray[Any]) -> NDArray[Any]:
        """What the network takes: [N,3,R,R]."""
        values = planes.astype(np.float32)
        values -= self._mean
        values *= self._scale
        return values.astype(self._type, copy=False)

    def _run(self, values: NDArray[Any]) -> NDArray[Any]:
        """What the network makes of [N,3,R,R]: [N,D]."""
        if self._fixed is None or self._fixed == len(values):
            return self._session.run([self._output], {self._input: values})[0]
        parts = []
        for first in range(0, len(values), self._fixed):
            part = values[first : first + self._fixed]
            padded = np.concatenate([part, np.zeros((self._fixed - len(part), *part.shape[1:]), part.dtype)])
            parts.append(self._session.run([self._output], {self._input: padded})[0][: len(part)])
        return np.concatenate(parts)

    def _probe(self) -> int:
        """D, from what the network makes of two grey images."""
        count = self._fixed or 2
        grey = self._values(np.full((count, 3, self.size, self.size), 128, np.uint8))
        try:
            found = self._run(grey)
        except session_errors() as error:
            raise BadInput(
                f"{self._path}: fails on {count} images of {self.size} x {self.size} pixels ({brief(error)})"
            ) from error
        if found.ndim != 2 or len(found) != count or found.shape[1] < 2 or found.dtype not in _TYPES.values():
            raise BadInput(
                f"{self._path}: not an embedder of faces: it makes {found.dtype} {_shape(found.shape)} of {count} "
                f"images, where it should make float32 [{count},D]"
            )
        return found.shape[1]


def _planes(images: Pixels) -> tuple[Pixels, Pixels]:
    """Images [N,R,R,3] and their mirror images as [N,3,R,R]; OpenCV does it several times faster than NumPy."""
    import cv2

    planes = np.empty((len(images), 3, *images.shape[1:3]), np.uint8)
    for image, channels in zip(images, planes, strict=True):
        cv2.split(image, list(channels))  # writes into `planes`
    rows = planes.reshape(-1, planes.shape[3])
    return planes, cv2.flip(rows, 1).reshape(planes.shape)


def _preprocessing(graph: Any) -> tuple[np.float32, np.float32]:
    """What is subtracted from 0 to 255, and what that is multiplied by.

    The rule of insightface: where nodes called Sub... and Mul... (or as mxnet called them) are among the first
    eight, the network does this itself.
    """
    names = [node.name for node in graph.node[:_FIRST_NODES]]
    if any(name.startswith(_SUB) for name in names) and any(name.startswith(_MUL) for name in names):
        return np.float32(0), np.float32(1)
    return np.float32(127.5), np.float32(1 / 127.5)


def _open(path: Path, data: bytes, device: str) -> Any:
    import onnxruntime

    asked = providers(device)
    try:
        session = onnxruntime.InferenceSession(data, session_options(), providers=asked)
    except session_errors() as error:
        raise BadInput(f"{path}: ONNX Runtime cannot load it ({brief(error)})") from error
    check_given(session, device)
    return session


def _shape(shape: Sequence[Any]) -> str:
    return f"[{','.join(str(side) for side in shape)}]"
