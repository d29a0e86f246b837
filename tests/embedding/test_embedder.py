"""Embedders in ONNX files: the same vectors as insightface makes, and one sentence for files that are none."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from sface_data.embedding.embedder import NoVector, flip_sum, resized
from sface_data.embedding.onnx_embedder import OnnxEmbedder
from sface_data.embedding.open import open_embedder
from sface_data.errors import BadInput
from sface_data.runtime.onnx_session import check_given

Make = Callable[..., Path]
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (5, 112, 112, 3)).astype(np.uint8)


@pytest.mark.parametrize("raw", [False, True], ids=["scaled", "raw"])
def test_input_is_prepared_as_insightface_does(tmp_path: Path, embedder_file: Make, raw: bool) -> None:
    from insightface.model_zoo import get_model

    path = embedder_file(tmp_path / "model.onnx", raw=raw)
    theirs = get_model(str(path), providers=["CPUExecutionProvider"])
    assert theirs.input_mean == (0 if raw else 127.5)
    straight, mirrored = (
        theirs.get_feat([image[:, :, ::-1] for image in images]) for images in (IMAGES, IMAGES[:, :, ::-1])
    )
    total = straight + mirrored
    expected = total / np.linalg.norm(total, axis=1, keepdims=True)
    ours = OnnxEmbedder(path, "cpu")
    np.testing.assert_allclose(ours.embed(IMAGES), expected, atol=2e-6)
    assert (ours.name, ours.size, ours.dimensions) == ("model.onnx", 112, 16)
    assert ours.providers == ["CPUExecutionProvider"]


def test_both_ways_of_preparing_make_the_same_vectors(tmp_path: Path, embedder_file: Make) -> None:
    scaled = OnnxEmbedder(embedder_file(tmp_path / "a.onnx"), "cpu")
    raw = OnnxEmbedder(embedder_file(tmp_path / "b.onnx", raw=True), "cpu")
    np.testing.assert_allclose(scaled.embed(IMAGES), raw.embed(IMAGES), atol=2e-6)
    assert scaled.sha256 != raw.sha256


def test_flip_sum_by_hand() -> None:
    straight = np.array([[3, 0], [0, 1]], np.float32)
    mirrored = np.array([[0, 4], [0, 1]], np.float32)
    np.testing.assert_allclose(flip_sum(straight, mirrored, "m"), [[0.6, 0.8], [0, 1]])
    assert flip_sum(straight, mirrored, "m").dtype == np.float32
    large = np.full((1, 2), 3e38, np.float32)  # the square overflows float32, the direction is plain
    np.testing.assert_allclose(flip_sum(large, large, "m"), [[0.5**0.5, 0.5**0.5]], rtol=1e-6)


@pytest.mark.parametrize("value", [np.nan, np.inf, 0])
def test_vectors_without_direction_are_refused(value: float) -> None:
    straight = np.ones((3, 2), np.float32)
    straight[1] = value
    mirrored = straight.copy()
    with pytest.raises(NoVector, match="m: gives values that are not finite, or only zeros") as raised:
        flip_sum(straight, mirrored, "m")
    assert raised.value.indices == (1,)


@given(st.integers(1, 11))
def test_the_mirror_image_has_the_same_vector(tmp_path_factory, embedder_file: Make, count: int) -> None:
    path = tmp_path_factory.getbasetemp() / "mirror.onnx"
    embedder = OnnxEmbedder(path if path.exists() else embedder_file(path), "cpu")
    images = np.random.default_rng(count).integers(0, 256, (count, 112, 112, 3)).astype(np.uint8)
    vectors = embedder.embed(images)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(embedder.embed(images[:, :, ::-1]), vectors, atol=1e-6)
    np.testing.assert_allclose(embedder.embed(images[-1:]), vectors[-1:], atol=1e-6)


@pytest.mark.parametrize("batch", [1, 2, 4])
def test_a_network_that_takes_so_many_images_takes_any_number(
    tmp_path: Path, embedder_file: Make, batch: int
) -> None:
    fixed = OnnxEmbedder(embedder_file(tmp_path / "fixed.onnx", batch=batch), "cpu")
    free = OnnxEmbedder(embedder_file(tmp_path / "free.onnx"), "cpu")
    np.testing.assert_allclose(fixed.embed(IMAGES), free.embed(IMAGES), atol=1e-6)


@pytest.mark.parametrize("raw", [False, True])
def test_a_network_of_colours_last_gives_the_same_vectors(tmp_path: Path, embedder_file: Make, raw: bool) -> None:
    """As Keras exports them: the input [N,R,R,3] is turned first."""
    plain = embedder_file(tmp_path / "plain.onnx", raw=raw)
    model = onnx.load(plain)
    for node in model.graph.node:
        node.input[:] = ["turned" if name == "image" else name for name in node.input]
    model.graph.node.insert(0, helper.make_node("Transpose", ["image"], ["turned"], perm=[0, 3, 1, 2]))
    model.graph.input[0].CopyFrom(helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 112, 112, 3]))
    onnx.save(model, tmp_path / "last.onnx")
    images = np.random.default_rng(0).integers(0, 256, (3, 112, 112, 3)).astype(np.uint8)
    expected = open_embedder(plain).embed(images)
    np.testing.assert_allclose(open_embedder(tmp_path / "last.onnx").embed(images), expected, atol=1e-6)


def test_half_precision(tmp_path: Path, embedder_file: Make) -> None:
    half = OnnxEmbedder(embedder_file(tmp_path / "half.onnx", half=True), "cpu")
    whole = OnnxEmbedder(embedder_file(tmp_path / "whole.onnx"), "cpu")
    assert half.embed(IMAGES).dtype == np.float32
    np.testing.assert_allclose(half.embed(IMAGES), whole.embed(IMAGES), atol=0.01)


def test_images_of_another_size_are_resized(tmp_path: Path, embedder_file: Make) -> None:
    small = OnnxEmbedder(embedder_file(tmp_path / "small.onnx", size=64), "cpu")
    assert small.size == 64
    assert OnnxEmbedder(embedder_file(tmp_path / "any.onnx", size="R"), "cpu").size == 112
    shrunk = np.stack([resized(image, 64) for image in IMAGES])
    np.testing.assert_array_equal(small.embed(IMAGES), small.embed(shrunk))


def test_resizing_keeps_what_is_even_and_does_not_alias() -> None:
    even = np.full((50, 50, 3), 77, np.uint8)
    assert (resized(even, 112) == 77).all()
    stripes = np.zeros((128, 128, 3), np.uint8)
    stripes[:, ::2] = 255
    inner = resized(stripes, 32)[4:-4, 4:-4].astype(int)
    assert np.abs(inner - 127.5).max() < 3
    with pytest.raises(BadInput, match=r"x.jpg: 96 x 112 pixels; an embedder looks at square images"):
        resized(np.zeros((112, 96, 3), np.uint8), 112, "x.jpg")


def test_a_real_format_is_needed(tmp_path: Path, embedder_file: Make) -> None:
    path = tmp_path / "model.onnx"
    with pytest.raises(BadInput, match=r"model.onnx: No such file"):
        open_embedder(path)
    with pytest.raises(BadInput, match="kind of embedder"):
        open_embedder(Path(__file__))
    with pytest.raises(BadInput, match=r"buffalo_l: no such file; give the \.onnx inside the model pack"):
        open_embedder(tmp_path / "buffalo_l")
    whole = embedder_file(path).read_bytes()
    for cut in (0, 1, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:cut])
        with pytest.raises(BadInput, match=r"model.onnx: "):
            open_embedder(path)
    path.write_bytes(b"not a network, but long enough to look like one")
    with pytest.raises(BadInput, match="not an ONNX file"):
        open_embedder(path)


def write_graph(
    path: Path, inputs: dict[str, list], outputs: dict[str, list], nodes: list, kind=TensorProto.FLOAT
):
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info(name, kind, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, kind, shape) for name, shape in outputs.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    path.write_bytes(model.SerializeToString())


FACES = ["N", 3, 16, 16]
FLAT = helper.make_node("Flatten", ["x"], ["y"])
TWICE = helper.make_node("Add", ["y", "y"], ["z"])
COPY = helper.make_node("Identity", ["x"], ["z"])


@pytest.mark.parametrize(
    ("inputs", "outputs", "nodes", "kind", "words"),
    [
        ({"x": FACES, "w": FACES}, {"y": ["N", 768]}, [FLAT], TensorProto.FLOAT, "2 inputs, where"),
        ({"x": FACES}, {"y": ["N", 768], "z": ["N", 768]}, [FLAT, TWICE], TensorProto.FLOAT, r"2,768\], float32"),
        ({"x": ["N", 768]}, {"y": ["N", 768]}, [FLAT], TensorProto.FLOAT, r"\[N,768\], where it should"),
        ({"x": ["N", 16, 24, 3]}, {"y": ["N", 1152]}, [FLAT], TensorProto.FLOAT, r"or \[N,R,R,3\]"),
        ({"x": ["N", 3, 16, 24]}, {"y": ["N", 1152]}, [FLAT], TensorProto.FLOAT, r"\[N,3,R,R\]"),
        ({"x": FACES}, {"y": ["N", 768]}, [FLAT], TensorProto.UINT8, r"tensor\(uint8\)"),
        ({"x": FACES}, {"z": FACES}, [COPY], TensorProto.FLOAT, r"it makes float32 \[2,3,16,16\] of 2 images"),
    ],
)
def test_networks_that_are_no_embedders(tmp_path: Path, inputs, outputs, nodes, kind, words) -> None:
    write_graph(tmp_path / "other.onnx", inputs, outputs, nodes, kind)
    with pytest.raises(BadInput, match=f"other.onnx: not an embedder of faces.*{words}"):
        open_embedder(tmp_path / "other.onnx")


def test_a_network_that_fails_when_it_runs(tmp_path: Path) -> None:
    reshape = [
        helper.make_node("Constant", [], ["s"], value=helper.make_tensor("s", TensorProto.INT64, [2], [1, 7])),
        helper.make_node("Reshape", ["x", "s"], ["y"]),
    ]
    write_graph(tmp_path / "model.onnx", {"x": FACES}, {"y": ["N", 7]}, reshape)
    with pytest.raises(BadInput, match=r"model.onnx: fails on 2 images of 16 x 16 pixels"):
        open_embedder(tmp_path / "model.onnx")


def test_weights_beside_the_file_are_not_followed(tmp_path: Path, embedder_file: Make) -> None:
    path = embedder_file(tmp_path / "model.onnx")
    model = onnx.load(path)
    onnx.save_model(model, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    with pytest.raises(BadInput, match="its weights are in another file; save the network as one file"):
        open_embedder(path)


@pytest.mark.parametrize("device", ["tpu", "cuda:x", "cuda:", "cpu:0", ""])
def test_unknown_devices(tmp_path: Path, embedder_file: Make, device: str) -> None:
    with pytest.raises(BadInput, match="unknown; use auto, cpu, cuda or cuda:1"):
        open_embedder(embedder_file(tmp_path / "model.onnx"), device)


def test_a_gpu_that_is_asked_for_and_not_there(
    tmp_path: Path, embedder_file: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    import onnxruntime

    path = embedder_file(tmp_path / "model.onnx")
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(BadInput, match=r"'cuda:1' is asked for.*install onnxruntime-gpu"):
        open_embedder(path, "cuda:1")
    assert open_embedder(path, "auto").providers == ["CPUExecutionProvider"]  # type: ignore[attr-defined]
    # A build for GPUs whose libraries are missing falls back to the CPU and says nothing.
    fallen_back = SimpleNamespace(get_providers=lambda: ["CPUExecutionProvider"])
    with pytest.raises(BadInput, match="ONNX Runtime cannot use it: install onnxruntime-gpu"):
        check_given(fallen_back, "cuda")
    check_given(fallen_back, "auto")
    check_given(SimpleNamespace(get_providers=lambda: ["CUDAExecutionProvider"]), "cuda")
