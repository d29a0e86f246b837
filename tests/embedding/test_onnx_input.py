"""Networks that want their images in other ways give the vectors of the plain one, or are refused."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import helper, numpy_helper

from sface_data.cli import main
from sface_data.embedding.embeddings import EmbeddingSet
from sface_data.embedding.onnx_embedder import OnnxEmbedder
from sface_data.embedding.onnx_input import preparation
from sface_data.errors import BadInput

Make = Callable[..., Path]
IMAGES = np.random.default_rng(0).integers(0, 256, (3, 112, 112, 3)).astype(np.uint8)
X = "X"  # stands for what flows through


def colours(*values: float) -> np.ndarray:
    return np.array(values).reshape(1, -1, 1, 1)


def with_first(path: Path, steps: Sequence[tuple], **metadata: str) -> Path:
    """The network in a file with operations before it, each `(type, operand, operand)`; nodes have no names."""
    model = onnx.load(path)
    graph = model.graph
    source = graph.input[0].name
    for node in graph.node:
        node.input[:] = ["prepared" if name == source else name for name in node.input]
    nodes, flowing = [], source
    for number, (kind, *operands) in enumerate(steps):
        names, attributes = [], {}
        for place, operand in enumerate(operands):
            if isinstance(operand, dict):
                attributes = operand
            elif isinstance(operand, str):
                names.append(flowing)
            else:
                whole = np.uint8 if isinstance(operand, np.uint8) else np.int64
                kind_of = whole if kind in ("Gather", "Slice") or whole is np.uint8 else np.float32
                names.append(f"constant{number}_{place}")
                array = numpy_helper.from_array(np.asarray(operand, kind_of), "v")
                nodes.append(helper.make_node("Constant", [], [names[-1]], value=array))
        flowing = "prepared" if number == len(steps) - 1 else f"step{number}"
        nodes.append(helper.make_node(kind, names, [flowing], **attributes))
    whole = [*nodes, *graph.node]
    del graph.node[:]
    graph.node.extend(whole)
    for key, value in metadata.items():
        model.metadata_props.add(key=f"Image.{key}", value=value)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
    return path


STATISTICS = (colours(1, 1, 1), colours(0, 0, 0), colours(120, 120, 120), colours(3600, 3600, 3600))
BATCHNORM = ("BatchNormalization", X, *(values.reshape(-1) for values in STATISTICS), {"epsilon": 0.0})
# Each makes (x - 127.5) / 127.5 of its own range of images.
SAME = {
    "sub and div": [("Sub", X, 127.5), ("Div", X, 127.5)],
    "mul and add": [("Mul", X, 1 / 127.5), ("Add", X, -1)],
    "of colours": [("Sub", X, colours(127.5, 127.5, 127.5)), ("Mul", X, colours(*[1 / 127.5] * 3))],
    "constants first": [("Mul", 1 / 127.5, X), ("Add", -1, X)],
    "through casts": [("Identity", X), ("Sub", X, 127.5), ("Cast", X, {"to": 1}), ("Div", X, 127.5)],
    "quantised": [
        ("QuantizeLinear", X, 1, np.uint8(0)),
        ("DequantizeLinear", X, 1, np.uint8(0)),
        ("Sub", X, 127.5),
        ("Div", X, 127.5),
    ],
    "turned and back": [
        ("Transpose", X, {"perm": [0, 2, 3, 1]}),
        ("Sub", X, [127.5] * 3),
        ("Transpose", X, {"perm": [0, 3, 1, 2]}),
        ("Div", X, 127.5),
    ],
    "of 0 to 1": [("Sub", X, 0.5), ("Div", X, 0.5)],
    "undone and done": [("Mul", X, 127.5), ("Add", X, 127.5), ("Sub", X, 127.5), ("Div", X, 127.5)],
    "nothing": [("Mul", X, 1), ("Add", X, 0)],
    "BatchNormalization": [BATCHNORM, ("Mul", X, 60 / 127.5), ("Add", X, -7.5 / 127.5)],
}


@pytest.mark.parametrize("way", SAME)
def test_a_network_that_prepares_its_input_gives_the_vectors_of_the_plain_one(
    tmp_path: Path, embedder_file: Make, way: str
) -> None:
    plain = OnnxEmbedder(embedder_file(tmp_path / "plain.onnx"), "cpu").embed(IMAGES)
    path = with_first(embedder_file(tmp_path / "model.onnx"), SAME[way])
    np.testing.assert_allclose(OnnxEmbedder(path, "cpu").embed(IMAGES), plain, atol=5e-6)


def test_means_and_deviations_of_colours_are_taken_from_the_graph(tmp_path: Path, embedder_file: Make) -> None:
    mean, deviation = colours(0.485, 0.456, 0.406), colours(0.229, 0.224, 0.225)
    unit = with_first(embedder_file(tmp_path / "unit.onnx"), [("Sub", X, mean), ("Div", X, deviation)])
    steps = [("Sub", X, mean * 255), ("Div", X, deviation * 255)]
    levels = with_first(embedder_file(tmp_path / "levels.onnx"), steps)
    expected = OnnxEmbedder(unit, "cpu").embed(IMAGES)
    np.testing.assert_allclose(OnnxEmbedder(levels, "cpu").embed(IMAGES), expected, atol=5e-6)
    byhand = with_first(embedder_file(tmp_path / "byhand.onnx"), [("Identity", X)])
    planes = IMAGES.transpose(0, 3, 1, 2)
    inner = ((planes / 255 - mean) / deviation).astype(np.float32)
    got = OnnxEmbedder(levels, "cpu").outputs(planes)
    np.testing.assert_allclose(got, OnnxEmbedder(byhand, "cpu")._run(inner), rtol=1e-4, atol=1e-4)


def test_a_network_of_blue_green_red_is_known_by_its_means_or_its_metadata(
    tmp_path: Path, embedder_file: Make
) -> None:
    mean = [("Sub", X, colours(104, 117, 123)), ("Div", X, 128)]
    tells = OnnxEmbedder(with_first(embedder_file(tmp_path / "means.onnx"), mean), "cpu")
    as_rgb = with_first(embedder_file(tmp_path / "rgb.onnx"), mean, BitmapPixelFormat="Rgb8")
    reversed_colours = np.ascontiguousarray(IMAGES[..., ::-1])
    np.testing.assert_allclose(tells.embed(IMAGES), OnnxEmbedder(as_rgb, "cpu").embed(reversed_colours))
    plain = OnnxEmbedder(embedder_file(tmp_path / "plain.onnx"), "cpu")
    said = with_first(embedder_file(tmp_path / "said.onnx"), [("Identity", X)], BitmapPixelFormat="Bgr8")
    np.testing.assert_allclose(OnnxEmbedder(said, "cpu").embed(reversed_colours), plain.embed(IMAGES), atol=5e-6)
    turn = [("Gather", X, [2, 1, 0], {"axis": 1})]
    with pytest.raises(BadInput, match=r"turns\.onnx: puts its channels in another order.*BitmapPixelFormat"):
        OnnxEmbedder(with_first(embedder_file(tmp_path / "turns.onnx"), turn), "cpu")
    turned = with_first(embedder_file(tmp_path / "turned.onnx"), turn, BitmapPixelFormat="Bgr8")
    np.testing.assert_allclose(OnnxEmbedder(turned, "cpu").embed(IMAGES), plain.embed(IMAGES), atol=5e-6)


def test_a_network_may_say_the_range_of_its_images(tmp_path: Path, embedder_file: Make) -> None:
    plain = OnnxEmbedder(embedder_file(tmp_path / "plain.onnx"), "cpu").embed(IMAGES)
    odd = [("Sub", X, 127.5), ("Mul", X, 7)]
    with pytest.raises(
        BadInput, match=r"odd\.onnx: prepares its input itself, in a way that is not known \(times 7"
    ):
        OnnxEmbedder(with_first(embedder_file(tmp_path / "odd.onnx"), odd), "cpu")
    said = with_first(embedder_file(tmp_path / "said.onnx"), odd, NominalPixelRange="NominalRange_0_255")
    np.testing.assert_allclose(OnnxEmbedder(said, "cpu").embed(IMAGES), plain, atol=5e-6)
    wrong = with_first(embedder_file(tmp_path / "wrong.onnx"), odd, NominalPixelRange="16 to 235")
    with pytest.raises(BadInput, match=r"NominalPixelRange is '16 to 235'; known are Normalized_1_1"):
        OnnxEmbedder(wrong, "cpu")


def test_outputs_beside_the_vector_and_sides_of_one_do_not_count(tmp_path: Path, embedder_file: Make) -> None:
    path = embedder_file(tmp_path / "model.onnx", size="height", batch="batch")
    plain = OnnxEmbedder(path, "cpu").embed(IMAGES)
    model = onnx.load(path)
    graph = model.graph
    graph.input[0].type.tensor_type.shape.dim[3].dim_param = "width"
    graph.node.append(helper.make_node("ReduceL2", ["vector"], ["norm"], axes=[1], keepdims=1))
    graph.node.append(helper.make_node("Unsqueeze", ["vector", "axes"], ["tall"]))
    graph.initializer.append(numpy_helper.from_array(np.array([2, 3]), "axes"))
    del graph.output[:]
    for name, shape in (("norm", ["batch", 1]), ("tall", ["batch", 16, 1, 1])):
        graph.output.append(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape))
    path.write_bytes(model.SerializeToString())
    np.testing.assert_array_equal(OnnxEmbedder(path, "cpu").embed(IMAGES), plain)


@pytest.mark.parametrize("what", ["no output", "a type that there is not", "too few numbers"])
def test_a_graph_with_broken_nodes_is_one_sentence(tmp_path: Path, what: str) -> None:
    mean = onnx.helper.make_tensor("mean", onnx.TensorProto.FLOAT, [3], [127.5] * 3)
    node = onnx.helper.make_node("Sub", ["x", "mean"], [] if what == "no output" else ["y"])
    if what == "a type that there is not":
        mean.data_type = 65
    elif what == "too few numbers":
        del mean.float_data[1:]
    value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["N", 3, 8, 8])
    model = onnx.helper.make_model(onnx.helper.make_graph([node], "g", [value], [], [mean]))
    with pytest.raises(BadInput, match="a node of it lacks inputs or outputs"):
        preparation(tmp_path / "a.onnx", model)


def test_the_cosine_of_strangers_by_hand() -> None:
    vectors = np.array([[1, 0], [0, 1], [0.6, 0.8]], np.float32)
    found = EmbeddingSet(("a", "b", "c"), ("x", "y"), np.array([0, 0, 1]), vectors, "", "", ("", "", ""))
    assert found.cosine_of_strangers == pytest.approx(0.7)


def test_a_network_that_cannot_tell_people_apart_is_named(
    tmp_path: Path, embedder_file: Make, rendered_faces: Path
) -> None:
    path = with_first(embedder_file(tmp_path / "flat.onnx"), [("Mul", X, 0.001), ("Add", X, 0.5)],
                      NominalPixelRange="Normalized_1_1")  # fmt: skip
    command = ["embed", str(rendered_faces), "--embedder", str(path), "--outdir", str(tmp_path / "emb")]
    done = CliRunner().invoke(main, [*command, "--device", "cpu"])
    assert done.exit_code == 0
    assert "different people have nearly the same vector" in done.stderr
