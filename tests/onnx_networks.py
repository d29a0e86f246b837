"""Small networks in ONNX that stand in for embedders and detectors of faces."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from sface_data.faces.alignment import TEMPLATE


def write_embedder(
    path: Path,
    *,
    size: int | str = 112,
    batch: int | str = "N",
    dimensions: int = 16,
    raw: bool = False,
    half: bool = False,
    log: bool = False,
    seed: int = 0,
) -> Path:
    """Writes a small embedder: an average over squares of 8x8, then random numbers; `seed` makes another.

    Args:
        size, batch: of the input; a text for any.
        raw: its first nodes prepare the input, which is 0 to 255.
        half: it computes in float16.
        log: it gives the logarithm: minus infinity for a black image, if raw.
    """
    side = (size if isinstance(size, int) else 112) // 8
    kind, numbers = (TensorProto.FLOAT16, np.float16) if half else (TensorProto.FLOAT, np.float32)
    weights = np.random.default_rng(seed).normal(0, 1 / side, (3 * side**2, dimensions))
    constants = {"weights": weights, "mean": np.array(127.5), "scale": np.array(1 / 127.5)}
    nodes = [
        helper.make_node("AveragePool", ["ready"], ["pooled"], "Pool", kernel_shape=[8, 8], strides=[8, 8]),
        helper.make_node("Flatten", ["pooled"], ["flat"], "Flatten"),
    ]
    if log:
        nodes += [
            helper.make_node("ReduceMean", ["flat"], ["mean_flat"], "Mean", axes=[1], keepdims=1),
            helper.make_node("Log", ["mean_flat"], ["log"], "Log"),
            helper.make_node("Expand", ["log", "wide"], ["vector"], "Expand"),
        ]
    else:
        nodes.append(helper.make_node("MatMul", ["flat", "weights"], ["vector"], "Project"))
    if raw:
        nodes.insert(0, helper.make_node("Sub", ["image", "mean"], ["centred"], "Sub_0"))
        nodes.insert(1, helper.make_node("Mul", ["centred", "scale"], ["ready"], "Mul_1"))
    else:
        nodes[0].input[0] = "image"
    if log:
        constants |= {"mean": np.array(0.0), "scale": np.array(1 / 255)}
    initializers = [numpy_helper.from_array(v.astype(numbers), k) for k, v in constants.items()]
    initializers.append(numpy_helper.from_array(np.array([1, dimensions], np.int64), "wide"))
    image = helper.make_tensor_value_info("image", kind, [batch, 3, size, size])
    vector = helper.make_tensor_value_info("vector", kind, [batch, dimensions])
    return _written(path, helper.make_graph(nodes, "embedder", [image], [vector], initializers))


def write_detector(
    path: Path,
    *,
    size: int | str = 64,
    colour: tuple[float, float, float] = (-1, 2, -1),
    threshold: float = 2.0,
    reach: float = 40.0,
    landmarks: bool = True,
    numbers: type[np.generic] = np.float32,
) -> Path:
    """Writes a small detector, with outputs as SCRFD's: a face is where a square of 8x8 is bright enough.

    Args:
        size: of the input; a text for any.
        colour: how much red, green and blue count, of values -1 to 1.
        threshold: of their sum, above which there is a face.
        reach: width of the face's template in pixels of the input; its nose is at the upper left of the square.
        landmarks: without, there are no outputs for them.
        numbers: of its input and outputs.
    """
    ends = helper.np_dtype_to_tensor_dtype(np.dtype(numbers))
    nodes = [helper.make_node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT)]
    weights, outputs = [], []
    points = (TEMPLATE - TEMPLATE[2]) * (reach / 112)
    kinds = {"score": 1, "box": 4} | ({"points": 10} if landmarks else {})
    for stride in (8, 16, 32):
        values = {
            "colour": np.array(colour).reshape(1, 3, 1, 1) * 20,
            "bias": np.array([-20 * threshold if stride == 8 else -100.0]),
            "box": np.full((1, 4), reach / 2 / stride),
            "points": points.reshape(1, 10) / stride,
            "zero": np.array(0.0),
        }
        weights += [numpy_helper.from_array(v.astype(np.float32), f"{k}{stride}") for k, v in values.items()]
        weights.append(numpy_helper.from_array(np.array([-1, 1], np.int64), f"column{stride}"))
        pool = {"kernel_shape": [stride, stride], "strides": [stride, stride]}
        nodes += [
            helper.make_node("AveragePool", ["pixels"], [f"pool{stride}"], **pool),
            helper.make_node("Conv", [f"pool{stride}", f"colour{stride}", f"bias{stride}"], [f"sum{stride}"]),
            helper.make_node("Sigmoid", [f"sum{stride}"], [f"one{stride}"]),
            helper.make_node("Concat", [f"one{stride}"] * 2, [f"two{stride}"], axis=1),
            helper.make_node("Transpose", [f"two{stride}"], [f"last{stride}"], perm=[0, 2, 3, 1]),
            helper.make_node("Reshape", [f"last{stride}", f"column{stride}"], [f"score_{stride}"]),
            helper.make_node("Mul", [f"score_{stride}", f"zero{stride}"], [f"nothing{stride}"]),
        ]
        nodes += [
            helper.make_node("Add", [f"nothing{stride}", f"{kind}{stride}"], [f"{kind}_{stride}"])
            for kind in kinds
            if kind != "score"
        ]
    for kind, width in kinds.items():
        for stride in (8, 16, 32):
            made = f"{kind}_{stride}"
            nodes.append(helper.make_node("Cast", [made], [f"last_{made}"], to=ends))
            outputs.append(helper.make_tensor_value_info(f"last_{made}", ends, ["K", width]))
    sides = [size, size] if isinstance(size, int) else ["height", "width"]
    image = helper.make_tensor_value_info("image", ends, [1, 3, *sides])
    return _written(path, helper.make_graph(nodes, "detector", [image], outputs, weights))


def _written(path: Path, graph: onnx.GraphProto) -> Path:
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    onnx.checker.check_model(path)
    return path
