"""How a network in an ONNX file wants its images: found by what it does with its input, or said by its metadata.

Some networks are exported with their preparation inside (`(x - 127.5) / 127.5`, the mean and deviation of
ImageNet, a BatchNormalization), and names of nodes tell nothing reliable about it. So the edges are followed from
the input through every operation with constants, up to the first that is none. Of the three ranges in which images
circulate (0 to 255, 0 to 1, -1 to 1) one then comes out as values that networks work on; if none does, the network
is refused.

A file may say it instead, by the names that ONNX gives to metadata of images: `Image.NominalPixelRange`
(`NominalRange_0_255`, `Normalized_0_1`, `Normalized_1_1`) and `Image.BitmapPixelFormat` (`Rgb8`, `Bgr8`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sface_data.errors import BadInput

_RANGE, _FORMAT = "Image.NominalPixelRange", "Image.BitmapPixelFormat"
_RANGES = {"Normalized_1_1": (-1.0, 1.0), "NominalRange_0_255": (0.0, 255.0), "Normalized_0_1": (0.0, 1.0)}
_FORMATS = {"Rgb8": False, "Bgr8": True}
_KEEP = {"Identity", "Cast", "QuantizeLinear", "DequantizeLinear", "Transpose", "Dropout"}
_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "Div": np.divide,
}
_CHANNELS = {"Gather", "Slice", "Split", "ReverseSequence"}  # what a network turns RGB and BGR round with
_MOST_STEPS = 64
_OFF_CENTRE = 0.6  # of half the range: BatchNormalization centres on faces, which are no even grey
_BGR = 0.97  # the mean of the first channel, below this part of the last one's


@dataclass(frozen=True)
class Preparation:
    """What is done to RGB [N,3,R,R], 0 to 255, before a network takes it: `(x - mean) * scale`."""

    mean: float = 127.5
    scale: float = 1 / 127.5
    bgr: bool = False  # the channels in the order blue, green, red

    @classmethod
    def of_range(cls, low: float, high: float, bgr: bool = False) -> "Preparation":
        """The one that makes `low` of 0 and `high` of 255."""
        scale = (high - low) / 255
        return cls(-low / scale, scale, bgr)

    def __call__(self, planes: NDArray[Any]) -> NDArray[np.float32]:
        """What the network takes of RGB [N,3,R,R]."""
        values = (planes[:, ::-1] if self.bgr else planes).astype(np.float32, order="C")
        values -= np.float32(self.mean)
        values *= np.float32(self.scale)
        return values


@dataclass(frozen=True)
class _Steps:
    """What the network does with its input at first: `x * factor + offset`, by channel [3]."""

    factor: NDArray[np.float64]
    offset: NDArray[np.float64]
    any: bool = False
    turned: bool = False  # the channels go through an operation that may put them in another order


def preparation(path: Path, model: Any) -> Preparation:
    """How the images for a network have to be prepared.

    Args:
        path: names it in errors.
        model: an `onnx.ModelProto`.

    Raises:
        BadInput: if its metadata say what nothing is known of; if it prepares its input itself, and not from any
            of the usual ranges; if it turns its channels round and its metadata do not say what it takes.
    """
    said = {entry.key: entry.value for entry in model.metadata_props}
    span = _said(path, said, _RANGE, _RANGES)
    bgr = _said(path, said, _FORMAT, _FORMATS)
    try:
        steps = _steps(model.graph)
    except (IndexError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise BadInput(
            f"{path}: a node of it lacks inputs or outputs, or has others; get the file again"
        ) from error
    if steps.turned and bgr is None:
        raise BadInput(
            f"{path}: puts its channels in another order, and does not say whether it takes RGB or BGR; give its "
            f"metadata {_FORMAT} = Rgb8 or Bgr8"
        )
    if span is None:
        span = _fitting(path, steps)
    low, high = span
    return Preparation.of_range(low, high, _blue_first(steps) if bgr is None else bgr)


def _said(path: Path, said: dict[str, str], key: str, known: dict[str, Any]) -> Any:
    value = said.get(key)
    if value is not None and value not in known:
        raise BadInput(f"{path}: its metadata {key} is {value[:40]!r}; known are {', '.join(known)}")
    return known[value] if value is not None else None


def _fitting(path: Path, steps: _Steps) -> tuple[float, float]:
    """The range of images of which the steps make what networks work on."""
    if not steps.any:
        return _RANGES["Normalized_1_1"]
    best = min(_RANGES.values(), key=lambda span: _off_centre(span, steps))
    if _off_centre(best, steps) > _OFF_CENTRE:
        factor, offset = (" ".join(f"{x:.4g}" for x in values) for values in (steps.factor, steps.offset))
        raise BadInput(
            f"{path}: prepares its input itself, in a way that is not known (times {factor}, plus {offset} in its "
            f"channels); give its metadata {_RANGE} = {', '.join(_RANGES)}"
        )
    return best


def _off_centre(span: tuple[float, float], steps: _Steps) -> float:
    """How far the middle of what the steps make of a range is from 0, in halves of its width.

    Infinite if nothing networks work on comes out: neither about unit size nor all of 255. What is made to lie in
    0 to 1 counts as centred.
    """
    low, high = (float(np.mean(end * steps.factor + steps.offset)) for end in span)
    width = high - low
    if span != _RANGES["Normalized_0_1"] and abs(low) < 0.02 and 0.9 < width < 1.1:
        return 0.0
    if not (0.9 < width < 8 or 200 < width < 300):
        return float("inf")
    return abs(high + low) / width


def _blue_first(steps: _Steps) -> bool:
    """Whether the means taken off are those of blue, green, red: red is the highest in photographs of faces."""
    if not steps.any or not (steps.factor != 0).all():
        return False
    mean = -steps.offset / steps.factor
    return bool((mean > 0).all() and mean[0] < _BGR * mean[2])


def _steps(graph: Any) -> _Steps:
    """Follows the input of a graph up to the first operation that is not arithmetic with constants."""
    constants = _Constants(graph)
    users: dict[str, list[Any]] = {}
    for node in graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node)
    inputs = [value.name for value in graph.input if value.name not in constants.tensors]
    steps = _Steps(np.ones(3), np.zeros(3))
    name = inputs[0] if inputs else ""
    for _ in range(_MOST_STEPS):
        following = [node for node in users.get(name, []) if node.op_type != "Shape"]
        if following and all(node.op_type in _CHANNELS for node in following):
            return replace(steps, turned=True)
        if len(following) != 1:
            return steps
        node = following[0]
        if node.op_type == "BatchNormalization":
            return _normalised(steps, [constants.of(each) for each in node.input[3:5]])
        further = _after(steps, node, name, constants)
        if further is None:
            return steps
        steps, name = further, node.output[0]
    return steps


def _after(steps: _Steps, node: Any, name: str, constants: "_Constants") -> _Steps | None:
    """The steps with one more, None if it is no arithmetic with constants."""
    if node.op_type in _KEEP:
        return steps
    combine = _ARITHMETIC.get(node.op_type)
    other = [each for each in node.input if each != name]
    constant = constants.of(other[0]) if combine is not None and len(other) == 1 else None
    if combine is None or constant is None:
        return None
    first = node.input[0] == name
    factor = steps.factor if first else constant
    if node.op_type in ("Add", "Sub"):
        factor = steps.factor if first or node.op_type == "Add" else -steps.factor
    elif node.op_type == "Div" and not first:
        return None
    else:
        factor = combine(steps.factor, constant)
    with np.errstate(all="ignore"):
        offset = combine(steps.offset, constant) if first else combine(constant, steps.offset)
    return _Steps(factor, offset, any=True) if np.isfinite([*factor, *offset]).all() else None


def _normalised(steps: _Steps, statistics: Sequence[NDArray[np.float64] | None]) -> _Steps:
    """The steps with a BatchNormalization: its mean and variance say what comes in; what it learned does not."""
    mean, variance = statistics
    if mean is None or variance is None or not (variance > 0).all():
        return steps
    deviation = np.sqrt(variance)
    return _Steps(steps.factor / deviation, (steps.offset - mean) / deviation, any=True)


class _Constants:
    """The small constants of a graph, by name."""

    def __init__(self, graph: Any) -> None:
        self.tensors = {tensor.name: tensor for tensor in graph.initializer}
        self._nodes = {node.output[0]: node for node in graph.node if len(node.output) == 1}

    def of(self, name: str) -> NDArray[np.float64] | None:
        """One value for each channel [3]; None if it is no constant, or has others."""
        import onnx

        for _ in range(_MOST_STEPS):
            tensor = self.tensors.get(name)
            node = self._nodes.get(name)
            if tensor is None and node is not None and node.op_type == "Constant":
                return self._channels(onnx.helper.get_attribute_value(node.attribute[0]))
            if tensor is not None or node is None or node.op_type not in _KEEP | {"Unsqueeze", "Reshape"}:
                return self._channels(tensor)
            name = node.input[0]
        return None

    @staticmethod
    def _channels(value: Any) -> NDArray[np.float64] | None:
        import onnx

        if isinstance(value, onnx.TensorProto):
            if np.prod(value.dims, dtype=float) not in (1, 3):
                return None
            value = onnx.numpy_helper.to_array(value)
        values = np.asarray(value)
        if value is None or values.size not in (1, 3) or values.dtype.kind not in "iuf":
            return None
        return np.broadcast_to(values.astype(np.float64).reshape(-1), 3).copy()
