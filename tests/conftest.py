"""What many tests share: recorded networks, and one small data set made from them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from sface_data.faces.rendered.folder import RenderRequest, fill_folder

GOLDEN = Path(__file__).parent / "golden"
RENDERED = RenderRequest(identities=8, images_per_identity=6, size=64)


@pytest.fixture(scope="session", autouse=True)
def _threads() -> None:
    torch.set_num_threads(2)


@pytest.fixture(scope="session")
def golden() -> Path:
    """The folder with recorded snapshots (`NAME.pkl`) and what the published code makes of them (`NAME.npz`)."""
    return GOLDEN


@pytest.fixture
def run() -> Callable[..., tuple[int, str, str]]:
    """Runs `sface-data` in this process: exit code, standard output, standard error."""
    from click.testing import CliRunner

    from sface_data.cli import main

    def call(*args: object) -> tuple[int, str, str]:
        result = CliRunner().invoke(main, [str(arg) for arg in args])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, result.stdout, result.stderr

    return call


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory, golden: Path) -> Path:
    """A finished data set of 10 classes x 6 in 3 shards. Tests read it, and copy it to change it."""
    from click.testing import CliRunner

    from sface_data.cli import main

    directory = tmp_path_factory.mktemp("dataset") / "faces"
    arguments = [
        "generate",
        "--network",
        golden / "conditional-32.pkl",
        "--outdir",
        directory,
        "--precision",
        "fp32",
    ]
    arguments += ["--samples-per-class", 6, "--samples-per-shard", 25, "--size", 32, "--device", "cpu"]
    result = CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.stderr
    return directory


@pytest.fixture(scope="session")
def rendered_faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `sface-data render` makes of 8 identities x 6 images of 64 x 64 pixels. For reading only."""
    outdir = tmp_path_factory.mktemp("rendered") / "faces"
    for _ in fill_folder(outdir, RENDERED, workers=1):
        pass
    return outdir


@pytest.fixture(scope="session")
def embedder_file() -> Callable[..., Path]:
    """Writes a small embedder: an average over squares of 8x8, then random numbers; `seed` makes another.

    Args:
        size, batch: of the input; a text for any.
        raw: its first nodes prepare the input, which is 0 to 255.
        half: it computes in float16.
        log: it gives the logarithm: minus infinity for a black image, if raw.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    def write(
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
            constants["mean"] = np.array(0.0)
        initializers = [numpy_helper.from_array(v.astype(numbers), k) for k, v in constants.items()]
        initializers.append(numpy_helper.from_array(np.array([1, dimensions], np.int64), "wide"))
        graph = helper.make_graph(
            nodes,
            "embedder",
            [helper.make_tensor_value_info("image", kind, [batch, 3, size, size])],
            [helper.make_tensor_value_info("vector", kind, [batch, dimensions])],
            initializers,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
        path.write_bytes(model.SerializeToString())
        onnx.checker.check_model(path)
        return path

    return write
