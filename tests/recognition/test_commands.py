"""`sface-data recognition` from shards of `generate` to ONNX, and data sets that contradict themselves."""

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sface_data.embedding.open import open_embedder
from sface_data.faces.sources import open_source

Run = Callable[..., tuple[int, str, str]]


def train(run: Run, data: Path, outdir: Path, recipe: str, *more: object) -> tuple[int, str]:
    length = ("--preset", "tiny", "--epochs", 1, "--device", "cpu")
    code, _, stderr = run(
        "recognition", "train", "--recipe", recipe, "--data", data, "--outdir", outdir, *length, *more
    )
    return code, stderr


def test_from_generated_shards_to_onnx_and_a_student(dataset: Path, tmp_path: Path, run: Run) -> None:
    code, stderr = train(run, dataset, tmp_path / "cls", "cls")
    assert code == 0, stderr
    weights, onnx = tmp_path / "cls" / "weights.safetensors", tmp_path / "embedder.onnx"
    code, _, stderr = run("recognition", "export", "--embedder", weights, "--out", onnx)
    assert code == 0, stderr
    code, stderr = train(run, dataset, tmp_path / "student", "cls-kt", "--teacher", onnx)
    assert code == 0, stderr
    (line,) = (tmp_path / "student" / "metrics.jsonl").read_text().splitlines()
    assert json.loads(line)["teacher_distance"] > 0
    pixels = np.random.default_rng(0).integers(0, 256, (4, 112, 112, 3)).astype(np.uint8)
    torch_made, onnx_made = (open_embedder(path, "cpu").embed(pixels) for path in (weights, onnx))
    assert (torch_made * onnx_made).sum(axis=1).min() > 0.9999
    code, _, stderr = run("recognition", "export", "--embedder", weights, "--out", onnx)
    assert (code, "exists" in stderr) == (2, True)
    code, _, stderr = run("recognition", "export", "--embedder", weights, "--out", tmp_path / "embedder.pt")
    assert (code, "must end in .onnx" in stderr) == (2, True)


def test_a_network_is_measured_while_it_learns_as_it_is_afterwards(
    rendered_faces: Path, tmp_path: Path, run: Run
) -> None:
    source = open_source(rendered_faces)  # 8 identities x 6
    issame = [bool(pair % 2) for pair in range(20)]
    places = [place for pair in range(20) for place in (pair, pair + 1 if issame[pair] else pair + 12)]
    truth = [
        source[a].class_index == source[b].class_index for a, b in zip(places[::2], places[1::2], strict=True)
    ]
    (tmp_path / "benchmarks").mkdir()
    pairs = [source[place].data for place in places], truth
    (tmp_path / "benchmarks" / "lfw.bin").write_bytes(pickle.dumps(pairs))
    assert {True, False} == set(truth)
    benchmarks = ("--benchmarks", tmp_path / "benchmarks")
    code, stderr = train(
        run, rendered_faces, tmp_path / "run", "cls", "--batch", 16, *benchmarks, "--eval-every", 2
    )
    assert code == 0, stderr
    lines = [json.loads(line) for line in (tmp_path / "run" / "evaluations.jsonl").read_text().splitlines()]
    assert [line["kimg"] for line in lines] == [0.032, 0.048]
    weights = tmp_path / "run" / "weights.safetensors"
    code, stdout, stderr = run(
        "recognition", "eval", "--embedder", weights, *benchmarks, "--device", "cpu", "--json"
    )
    assert code == 0, stderr
    (result,) = json.loads(stdout)["benchmarks"]
    assert lines[-1]["accuracy_lfw"] == pytest.approx(result["accuracy"], rel=1e-5)


@pytest.fixture
def changed(dataset: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(dataset, tmp_path / "changed"))


def test_a_missing_shard_is_noticed(changed: Path, tmp_path: Path, run: Run) -> None:
    next(iter(sorted((changed / "data").glob("*.tar")))).unlink()
    code, stderr = train(run, changed, tmp_path / "run", "cls")
    assert code == 2
    assert "manifest.json: says 60 faces, and the shards hold" in stderr
    (changed / "manifest.json").unlink()
    code, stderr = train(run, changed, tmp_path / "run", "cls")
    assert code == 2
    assert "README.md: says 60 faces, and the shards hold" in stderr


def test_labels_beyond_the_classes_are_noticed(changed: Path, tmp_path: Path, run: Run) -> None:
    shard = sorted((changed / "data").glob("*.tar"))[0]
    data = shard.read_bytes()
    place = data.index(b"000001_000000.cls")
    data = data[: place + 512] + b"77" + data[place + 514 :]
    size = place + 124  # of the member, in octal
    shard.write_bytes(with_checksum(data[:size] + b"00000000002\0" + data[size + 12 :], place))
    for file, classes in (("manifest.json", 10), ("README.md", 10)):
        code, stderr = train(run, changed, tmp_path / "run", "cls")
        assert code == 2
        assert f"{file}: names {classes} classes, and the class '77' of the shards is none of them" in stderr
        (changed / file).unlink()


def with_checksum(data: bytes, place: int) -> bytes:
    """The tar `data` with the checksum of the header at `place` computed anew."""
    header = data[place : place + 148] + b" " * 8 + data[place + 156 : place + 512]
    return data[: place + 148] + b"%06o\0 " % sum(header) + data[place + 156 :]


def test_shards_without_labels(tmp_path: Path, run: Run) -> None:
    import webdataset

    with webdataset.TarWriter(str(tmp_path / "faces.tar"), mtime=0) as writer:
        writer.write({"__key__": "photo", "jpg": b"\xff\xd8\xff"})
    code, stderr = train(run, tmp_path / "faces.tar", tmp_path / "run", "cls")
    assert code == 2
    assert "does not tell its class: it has no other member" in stderr
    assert len(stderr.splitlines()) == 1
