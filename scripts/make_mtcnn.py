"""Makes sface_data/assets/mtcnn/*.onnx from the weights of MTCNN in the package `facenet-pytorch` (MIT).

    pip download --no-deps facenet-pytorch==2.6.0
    python scripts/make_mtcnn.py facenet_pytorch-2.6.0-py3-none-any.whl

The wheel is only read as a zip file; nothing of it is installed or run. The layers are those of Zhang et al.
(2016): convolutions with PReLU, max pooling whose last window may go beyond the edge, and dense layers that count
the features of a convolution by column, row and channel, as the networks were trained in MATLAB.
"""

import sys
import zipfile
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from sface_data.faces.mtcnn import FOLDER
from sface_data.training.torch_files import load_tensors_only

Steps = list[tuple[str, object]]
TRUNKS: dict[str, Steps] = {
    "pnet": [("conv", "1"), ("pool", 2), ("conv", "2"), ("conv", "3")],
    "rnet": [("conv", "1"), ("pool", 3), ("conv", "2"), ("pool", 3), ("conv", "3"), ("dense", "4")],
    "onet": [
        *[("conv", "1"), ("pool", 3), ("conv", "2"), ("pool", 3), ("conv", "3"), ("pool", 2), ("conv", "4")],
        ("dense", "5"),
    ],
}
HEADS = {
    "pnet": {"faces": "conv4_1", "boxes": "conv4_2"},
    "rnet": {"faces": "dense5_1", "boxes": "dense5_2"},
    "onet": {"faces": "dense6_1", "boxes": "dense6_2", "points": "dense6_3"},
}
SIDES: dict[str, tuple[object, object]] = {"pnet": ("H", "W"), "rnet": (24, 24), "onet": (48, 48)}

WIDTHS = {"faces": 2, "boxes": 4, "points": 10}


class Graph:
    """The nodes of a network, one after another."""

    def __init__(self, weights: dict[str, np.ndarray]) -> None:
        self.weights = weights
        self.nodes: list[onnx.NodeProto] = []
        self.used: dict[str, np.ndarray] = {}

    def add(self, kind: str, source: str, *names: str, output: str | None = None, **attributes: object) -> str:
        """Adds an operation with weights by name, and returns what its output is called."""
        output = output or f"{kind.lower()}{len(self.nodes)}"
        self.used |= {name: self.weights[name] for name in names}
        self.nodes.append(helper.make_node(kind, [source, *names], [output], **attributes))
        return output

    def layer(self, name: str, source: str, output: str | None = None) -> str:
        """A convolution or a dense layer."""
        weights = (f"{name}.weight", f"{name}.bias")
        if name.startswith("conv"):
            return self.add("Conv", source, *weights, output=output)
        return self.add("Gemm", source, *weights, output=output, transB=1)

    def activated(self, name: str, source: str) -> str:
        """A layer with the PReLU of its number."""
        slope = f"prelu{name[-1]}.weight"
        if name.startswith("conv"):
            self.weights[slope] = self.weights[slope].reshape(-1, 1, 1)
        return self.add("PRelu", self.layer(name, source), slope)


def network(name: str, weights: dict[str, np.ndarray]) -> onnx.ModelProto:
    """One of the three networks: RGB [N,3,H,W], (x - 127.5) / 128, to what its heads say."""
    graph, at = Graph(weights), "image"
    for kind, value in TRUNKS[name]:
        if kind == "pool":
            sides = {"kernel_shape": [value, value], "strides": [2, 2], "ceil_mode": 1}
            at = graph.add("MaxPool", at, **sides)
            continue
        if kind == "dense":
            at = graph.add("Flatten", graph.add("Transpose", at, perm=[0, 3, 2, 1]))
        at = graph.activated(f"{kind}{value}", at)
    for head, layer in HEADS[name].items():
        if head == "faces":
            graph.add("Softmax", graph.layer(layer, at), output=head, axis=1)
        else:
            graph.layer(layer, at, output=head)
    places = ["rows", "columns"] if name == "pnet" else []
    made = helper.make_graph(
        graph.nodes,
        name,
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, *SIDES[name]])],
        [
            helper.make_tensor_value_info(head, TensorProto.FLOAT, ["N", WIDTHS[head], *places])
            for head in HEADS[name]
        ],
        [numpy_helper.from_array(value, key) for key, value in graph.used.items()],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 13)], producer_name="sface-data")
    model.ir_version = 8
    onnx.checker.check_model(model)
    return model


def main(wheel: Path) -> None:
    """Writes the three files."""
    FOLDER.mkdir(exist_ok=True)
    with zipfile.ZipFile(wheel) as archive:
        for name in TRUNKS:
            tensors = load_tensors_only(archive.read(f"facenet_pytorch/data/{name}.pt"), old_formats=True)
            weights = {key: tensor.numpy() for key, tensor in tensors.items()}
            (FOLDER / f"{name}.onnx").write_bytes(network(name, weights).SerializeToString(deterministic=True))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
