"""`sface-data recognition eval`, from an ONNX file and files of pairs to table, record and plot."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from PIL import Image

from sface_data.embedding.backbone_file import save_backbone
from sface_data.embedding.backbones import create_backbone
from sface_data.recognition.evaluation import PLOT, Evaluation
from sface_data.recognition.evaluation_table import comparison
from sface_data.recognition.published import EVALUATION, PUBLISHED, ROWS

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An embedder: the image in 7 x 7 pixels, less its mean, as a vector of 147."""
    layers = [
        onnx.helper.make_node("AveragePool", ["input"], ["small"], kernel_shape=[16, 16], strides=[16, 16]),
        onnx.helper.make_node("Flatten", ["small"], ["flat"]),
        onnx.helper.make_node("ReduceMean", ["flat"], ["mean"], axes=[1], keepdims=1),
        onnx.helper.make_node("Sub", ["flat", "mean"], ["output"]),
    ]
    kind = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        layers,
        "small",
        [onnx.helper.make_tensor_value_info("input", kind, ["N", 3, 112, 112])],
        [onnx.helper.make_tensor_value_info("output", kind, ["N", 147])],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8)
    path = tmp_path_factory.mktemp("network") / "small.onnx"
    onnx.save(model, path)
    return path


@pytest.fixture(scope="module")
def benchmarks(rendered_faces: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """lfw.bin and mine.csv: 40 mated and 40 other pairs of 8 rendered people x 6 faces, in turn."""
    folder = tmp_path_factory.mktemp("benchmarks")
    faces = np.array(sorted(rendered_faces.glob("*/*.jpg"))).reshape(8, 6)
    within = [(faces[person, index], faces[person, index + 1]) for person in range(8) for index in range(5)]
    across = [(faces[person, index], faces[person - 1, index]) for person in range(8) for index in range(5)]
    pairs = [pair for both in zip(within, across, strict=True) for pair in both]
    issame = [True, False] * 40
    images = [face.read_bytes() for pair in pairs for face in pair]
    (folder / "lfw.bin").write_bytes(pickle.dumps((images, issame)))
    rows = [f"{one},{other},{int(same)}" for (one, other), same in zip(pairs, issame, strict=True)]
    (folder / "mine.csv").write_text("\n".join(rows))
    return folder


def test_table_record_and_plot(run: Run, network: Path, benchmarks: Path, tmp_path: Path) -> None:
    arguments = ["--embedder", network, "--benchmarks", benchmarks, "--outdir", tmp_path / "new" / "eval"]
    code, output, errors = run("recognition", "eval", *arguments, "--device", "cpu", "--batch", 7)
    assert code == 0, errors
    record = json.loads((tmp_path / "new" / "eval" / EVALUATION).read_text())
    assert record["embedder"]["file"] == "small.onnx"
    assert (record["embedder"]["size"], record["embedder"]["dimensions"]) == (112, 147)
    lfw, mine = record["benchmarks"]
    assert (lfw["name"], mine["name"]) == ("lfw", "mine")
    for field in ("accuracy_per_fold", "threshold_per_fold", "tar_at_far", "mated", "auc"):
        assert lfw[field] == mine[field]  # the same pairs in both forms
    assert lfw["accuracy"] == pytest.approx(np.mean(lfw["accuracy_per_fold"]))
    assert 0 <= lfw["interval_95"][0] <= lfw["accuracy"] <= lfw["interval_95"][1] <= 1
    assert [point["far"] for point in lfw["tar_at_far"]] == [0.1, 0.01, 0.001, 0.0001]
    assert all(point["few"] for point in lfw["tar_at_far"])  # 40 non-mated pairs are few for every rate
    assert record["average_of_five"] is None

    lines = output.splitlines()
    ours = f"{100 * lfw['accuracy']:.2f} +- {100 * lfw['deviation']:.2f}"
    assert any(line.startswith("LFW ") and ours in line for line in lines)
    assert any(line.startswith("mine ") and ours in line for line in lines)
    (row,) = [line for line in lines if line.startswith("small.onnx")]
    assert row.split() == ["small.onnx", f"{100 * lfw['accuracy']:.2f}", "-", "measured", "here"]
    assert any(line.startswith("SFace, 60 images per class, cls") and "91.87" in line for line in lines)
    assert "arXiv:2206.10520" in output
    assert "known only roughly" in output
    assert "not measured: AgeDB-30, CFP-FP, CALFW, CPLFW" in errors

    with Image.open(tmp_path / "new" / "eval" / PLOT) as picture:
        assert picture.format == "PNG"
        assert picture.size == (1050, 750)
        assert len(picture.convert("RGB").getcolors(1 << 20)) > 50


def test_json(run: Run, network: Path, benchmarks: Path, tmp_path: Path) -> None:
    arguments = ["--embedder", network, "--benchmarks", benchmarks, "--benchmark", "LFW", "--device", "cpu"]
    code, output, errors = run("recognition", "eval", *arguments, "--json", "--outdir", tmp_path)
    assert code == 0, errors
    assert output == (tmp_path / EVALUATION).read_text()
    assert [row["name"] for row in json.loads(output)["benchmarks"]] == ["lfw"]
    assert "not measured" not in errors


def test_no_published_rows_beside_a_benchmark_of_ones_own(run: Run, network: Path, benchmarks: Path) -> None:
    arguments = ["--embedder", network, "--benchmarks", benchmarks, "--benchmark", "mine", "--device", "cpu"]
    code, output, _ = run("recognition", "eval", *arguments)
    assert code == 0
    assert "mine" in output and "arXiv" not in output


def test_weights_of_torch_and_their_export_do_the_same(run: Run, benchmarks: Path, tmp_path: Path) -> None:
    torch.manual_seed(1)
    weights, exported = tmp_path / "weights.safetensors", tmp_path / "network.onnx"
    save_backbone(create_backbone("tiny", 32), "tiny", 32, {}, weights)
    assert run("recognition", "export", "--embedder", weights, "--out", exported)[0] == 0
    records = []
    for path in (weights, exported):
        arguments = ["--embedder", path, "--benchmarks", benchmarks, "--benchmark", "lfw", "--device", "cpu"]
        code, output, errors = run("recognition", "eval", *arguments, "--json")
        assert code == 0, errors
        records.append(json.loads(output))
    torch_record, onnx_record = records
    assert torch_record["embedder"]["dimensions"] == onnx_record["embedder"]["dimensions"] == 32
    assert torch_record["embedder"]["sha256"] != onnx_record["embedder"]["sha256"]
    (one,), (other,) = torch_record["benchmarks"], onnx_record["benchmarks"]
    assert one["auc"] == pytest.approx(other["auc"], abs=1e-3)
    assert one["threshold_per_fold"] == pytest.approx(other["threshold_per_fold"], abs=0.011)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"--benchmark": "calfw"}, "calfw.bin: missing"),
        ({"--benchmarks": "none"}, "none: No such file"),
        ({"--embedder": "none.onnx"}, "none.onnx: No such file"),
        ({"--embedder": "weights.xyz"}, "weights.xyz: "),
        ({"--batch": 0}, "--batch"),
    ],
)
def test_bad_input(
    run: Run,
    network: Path,
    benchmarks: Path,
    change: dict[str, object],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights.xyz").write_bytes(b"x")
    options = {"--embedder": network, "--benchmarks": benchmarks, "--outdir": "eval", "--device": "cpu", **change}
    code, output, errors = run("recognition", "eval", *(part for option in options.items() for part in option))
    assert (code, output) == (2, "")
    assert said in errors
    assert errors.count("\n") == 1
    assert not (tmp_path / "eval").exists()


def test_a_broken_image_ends_with_one_sentence(run: Run, network: Path, tmp_path: Path) -> None:
    (tmp_path / "lfw.bin").write_bytes(pickle.dumps(([b"no image"] * 40, [True, False] * 10)))
    code, _, errors = run(
        "recognition", "eval", "--embedder", network, "--benchmarks", tmp_path, "--device", "cpu"
    )
    assert code == 2
    assert "lfw.bin: image 1 of pair 1, is broken" in errors.splitlines()[-1]


def test_published_rows_are_those_of_the_papers() -> None:
    by_name = {row.data: row for row in ROWS}
    sface = by_name["SFace, 60 images per class, cls"]
    assert sface.accuracy == {"lfw": 91.87, "agedb_30": 71.68, "calfw": 77.93, "cplfw": 73.20, "cfp_fp": 73.86}
    assert by_name["CASIA-WebFace (authentic)"].accuracy["cfp_fp"] == 96.91
    assert by_name["SFace, cls-kt"].accuracy == {"lfw": 99.13}
    assert all(row.source for row in ROWS)
    page = (Path(__file__).parents[2] / "docs" / "benchmarks.md").read_text()
    for row in ROWS:
        figures = [f"{row.accuracy[name]:.2f}" if name in row.accuracy else "" for name in PUBLISHED]
        mean = "" if row.average is None else f"{row.average:.2f}"
        assert f"| {' | '.join([row.data, *figures, mean, row.source])} |" in page


def test_nothing_to_compare_without_results() -> None:
    assert comparison(Evaluation("x", "0", 112, 2, ())) == ""
