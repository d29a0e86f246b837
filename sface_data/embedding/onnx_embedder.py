"""Embedders in ONNX files."""

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sface_data.embedding.embedder import Pixels, Vectors, flip_sum, resized
from sface_data.embedding.onnx_input import preparation
from sface_data.errors import BadInput, brief
from sface_data.io.files import MAX_ARRAYS, read_bytes
from sface_data.runtime.onnx_session import FLOATS, load_model, on_cpu, open_session, session_errors
from sface_data.runtime.pool import cores

_USUAL_SIZE = 112  # of a network that takes any


class OnnxEmbedder:
    """An embedder in an ONNX file, run by ONNX Runtime.

    Images go in as RGB [N,3,R,R] or [N,R,R,3], and as (x - 127.5) / 127.5; or as `onnx_input.preparation` finds,
    where the network prepares them itself or its metadata say something else. Of several outputs the one [N,D]
    with D above 1 is the vector (others are its length, or a quality); sides of 1 after D do not count.

    Args:
        path: the file; all weights must be in it.
        device: `auto`, `cpu`, `cuda`, `cuda:1`.
        threads: on the CPU; 0 for one per core. They do not change the vectors.

    Raises:
        BadInput: if it is no embedder, or the device is asked for and not there.
    """

    def __init__(self, path: Path, device: str = "auto", threads: int = 0) -> None:
        data = read_bytes(path, MAX_ARRAYS)
        self.name = path.name
        self.sha256 = hashlib.sha256(data).hexdigest()
        self._path = path
        self._prepare = preparation(path, load_model(path, data))
        self._session = open_session(path, data, device, threads)
        inputs = self._session.get_inputs()
        if len(inputs) != 1:
            raise BadInput(f"{path}: not an embedder of faces: {len(inputs)} inputs, where it should have one")
        shape = inputs[0].shape
        sides = _sides_of_images(shape)
        if sides is None or inputs[0].type not in FLOATS:
            raise BadInput(
                f"{path}: not an embedder of faces: its input is {inputs[0].type} {_shape(shape)}, where it "
                "should be tensor(float) [N,3,R,R] or [N,R,R,3]"
            )
        self._input = inputs[0].name
        self._outputs = [output.name for output in self._session.get_outputs()]
        self._type = FLOATS[inputs[0].type]
        self._fixed = shape[0] if isinstance(shape[0], int) and shape[0] > 0 else None  # images in every run
        self._runs = 1  # at a time
        if self._fixed == 1 and on_cpu(self._session):  # a run of one image keeps no cores busy
            self._runs = threads or cores()
            self._session = open_session(path, data, device, threads=1)
        self._colours_last = shape[1] != 3 and shape[3] == 3
        self.size = next((side for side in sides if isinstance(side, int) and side > 0), _USUAL_SIZE)
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
        """What the network takes: [N,3,R,R], or [N,R,R,3]."""
        values = self._prepare(planes).astype(self._type, copy=False)
        return np.ascontiguousarray(values.transpose(0, 2, 3, 1)) if self._colours_last else values

    def _run(self, values: NDArray[Any]) -> NDArray[Any]:
        """What the network makes of its input: [N,D]."""
        return _flat(self._run_all(values)[0])

    def _run_all(self, values: NDArray[Any]) -> list[NDArray[Any]]:
        """All outputs that are looked at: [N,...] each."""
        if self._fixed is None or self._fixed == len(values):
            return self._session.run(self._outputs, {self._input: values})
        parts = [values[first : first + self._fixed] for first in range(0, len(values), self._fixed)]
        with ThreadPoolExecutor(self._runs) as pool:
            made = pool.map(self._run_part, parts)
            return [np.concatenate(outputs) for outputs in zip(*made, strict=True)]

    def _run_part(self, part: NDArray[Any]) -> list[NDArray[Any]]:
        """All outputs of as many images as go into one run, or fewer."""
        fill = np.zeros(((self._fixed or 0) - len(part), *part.shape[1:]), part.dtype)
        made = self._session.run(self._outputs, {self._input: np.concatenate([part, fill])})
        return [output[: len(part)] for output in made]

    def _probe(self) -> int:
        """D, from what the network makes of two grey images; the output that has it is the one to take."""
        count = self._fixed or 2
        grey = self._values(np.full((count, 3, self.size, self.size), 128, np.uint8))
        try:
            made = self._run_all(grey)
        except session_errors() as error:
            raise BadInput(
                f"{self._path}: fails on {count} images of {self.size} x {self.size} pixels ({brief(error)})"
            ) from error
        vectors = [index for index, output in enumerate(made) if _is_of_vectors(output, count)]
        if len(vectors) != 1:
            outputs = ", ".join(f"{output.dtype} {_shape(output.shape)}" for output in made)
            raise BadInput(
                f"{self._path}: not an embedder of faces: it makes {outputs} of {count} images, where it should "
                f"make float32 [{count},D], once"
            )
        self._outputs = [self._outputs[vectors[0]]]
        return _flat(made[vectors[0]]).shape[1]


def _sides_of_images(shape: Sequence[Any]) -> Sequence[Any] | None:
    """R, R of a shape that can be [N,3,R,R], else [N,R,R,3]; free ones are no numbers. None if it is neither."""
    if len(shape) != 4:
        return None
    last = shape[1] != 3 and shape[3] == 3
    colours, sides = (shape[3], shape[1:3]) if last else (shape[1], shape[2:])
    fits = colours == 3 or not isinstance(colours, int)
    return sides if fits and len({side for side in sides if isinstance(side, int)}) < 2 else None


def _is_of_vectors(output: NDArray[Any], count: int) -> bool:
    flat = _flat(output)
    return flat.ndim == 2 and len(flat) == count and flat.shape[1] > 1 and flat.dtype in FLOATS.values()


def _flat(output: NDArray[Any]) -> NDArray[Any]:
    """[N,D] of [N,D] and [N,D,1,1]."""
    return output[..., 0, 0] if output.ndim == 4 and output.shape[2:] == (1, 1) else output


def _planes(images: Pixels) -> tuple[Pixels, Pixels]:
    """Images [N,R,R,3] and their mirror images as [N,3,R,R]; OpenCV does it several times faster than NumPy."""
    import cv2

    planes = np.empty((len(images), 3, *images.shape[1:3]), np.uint8)
    for image, channels in zip(images, planes, strict=True):
        cv2.split(image, list(channels))  # writes into `planes`
    rows = planes.reshape(-1, planes.shape[3])
    return planes, cv2.flip(rows, 1).reshape(planes.shape)


def _shape(shape: Sequence[Any]) -> str:
    return f"[{','.join(str(side) for side in shape)}]"
