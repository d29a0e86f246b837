"""The data set card: what the hub's parser makes of it, results of recognition, thousands of class names."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sface_data.io.seal import sealed, unedited
from tests.release.certificates import certify

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def folder(dataset: Path, tmp_path: Path) -> Path:
    return shutil.copytree(dataset, tmp_path / "faces")


def test_the_hub_understands_it(dataset: Path) -> None:
    from huggingface_hub import DatasetCard

    card = DatasetCard.load(dataset / "README.md")
    assert card.data.annotations_creators == ["machine-generated"]
    assert card.data.source_datasets == ["original"]
    assert card.data.size_categories == ["n<1K"]
    assert card.data.task_categories == ["image-classification", "image-feature-extraction"]
    assert card.data.license == "cc-by-nc-sa-4.0"
    assert "synthetic" in card.data.to_dict()["tags"]
    for name in ("preview.png", "LICENSE", "DATASHEET.md", "croissant.json", "manifest.json"):
        assert name in card.text
        assert (dataset / name).is_file()


def test_it_has_the_sections_of_the_hubs_template(dataset: Path) -> None:
    from importlib.resources import files

    template = (files("huggingface_hub") / "templates" / "datasetcard_template.md").read_text()
    card = (dataset / "README.md").read_text().lower()
    for line in template.splitlines():
        heading = line.strip("# ").replace("[optional]", "").strip().lower()
        if (
            not line.startswith("#")
            or line.startswith("# ")
            or heading.startswith(("dataset card", "dataset desc"))
        ):
            continue
        if heading not in ("annotation process", "who are the annotators?", "dataset sources", "uses"):
            assert f" {heading}\n" in card, line
    assert "[more information needed]" not in card


def record(*rows: tuple[str, float, float]) -> dict[str, Any]:
    """As `sface-data recognition eval` writes it, as far as the card reads it."""
    benchmarks = [
        {"name": n, "accuracy": a, "deviation": d, "interval_95": [a - 0.01, a + 0.01]} for n, a, d in rows
    ]
    embedder = {"file": "model.safetensors", "sha256": "ab" * 32, "size": 112, "dimensions": 512}
    return {"evaluation": 1, "embedder": embedder, "benchmarks": benchmarks, "average_of_five": None}


def test_results_of_recognition_become_a_table(folder: Path, run: Run) -> None:
    assert "## Evaluation" not in (folder / "README.md").read_text()
    value = record(("lfw", 0.9187, 0.0123), ("own", 0.7168, 0.02))
    (folder / "evaluation.json").write_text(json.dumps(value))
    assert run("card", folder)[0] == 0
    card = (folder / "README.md").read_text()
    rows = "| LFW | 91.87 % | 90.87 to 92.87 % | 1.23 % |\n| own | 71.68 % | 70.68 to 72.68 % | 2.00 % |\n"
    assert f"|---|---|---|---|\n{rows}<!-- sface-data:end -->\n\n## Bias" in card
    assert "`model.safetensors` (`sha256:abababababab`)" in card
    assert run("validate", folder)[0] == 0
    (folder / "evaluation.json").write_text(json.dumps(record(("lfw", 0.5, 0.1))))
    assert "its block `evaluation` is not what" in run("validate", folder)[2]
    assert run("card", folder)[0] == 0
    assert "| own |" not in (folder / "README.md").read_text()
    (folder / "evaluation.json").write_text((folder / "evaluation.json").read_text() + " ")  # no figure changes
    assert "its block `evaluation` is not what" in run("validate", folder)[2]


def test_it_reads_what_the_evaluation_writes(folder: Path, tmp_path: Path) -> None:
    import numpy as np

    from sface_data.recognition.benchmarks import Benchmark, BenchmarkResult
    from sface_data.recognition.evaluation import Evaluation
    from sface_data.recognition.verification import roc, tar_at_far, ten_fold
    from sface_data.release.recognition_results import read_results

    generator = np.random.default_rng(0)
    vectors = generator.normal(size=(400, 8)).astype(np.float32)
    vectors[1::4] = vectors[::4] + 0.1  # every other pair is alike
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    issame = np.arange(200) % 2 == 0
    (tmp_path / "lfw.bin").write_bytes(b"")
    benchmark = Benchmark("lfw", tmp_path / "lfw.bin", [], issame)
    points = tar_at_far(vectors, issame)
    result = BenchmarkResult(benchmark, ten_fold(vectors, issame), points, roc(vectors, issame))
    evaluation = Evaluation("model.onnx", "cd" * 32, 112, 8, (result,))
    (folder / "evaluation.json").write_text(json.dumps(evaluation.record()))
    found = read_results(folder)
    assert found is not None
    assert (found.network, found.sha256) == ("model.onnx", "cd" * 32)
    [row] = found.rows
    assert (row.benchmark, row.accuracy) == ("LFW", result.verification.accuracy)
    assert row.low <= row.accuracy <= row.high


BROKEN = {
    "{": "not a JSON file",
    "[]": "not a record of `sface-data recognition eval`",
    '{"evaluation": 99}': "a record of another version",
    '{"evaluation": 1}': "not a record of `sface-data recognition eval` (KeyError('embedder'))",
    json.dumps(
        record(("a|b", 0.5, 0))
    ): "not a record of `sface-data recognition eval` (ValueError(\"'a|b' is not a name",
    json.dumps(
        record(("lfw", 91.87, 0))
    ): "not a record of `sface-data recognition eval` (ValueError('91.87 is not",
    json.dumps(
        record(("lfw", 0.5, True))
    ): "not a record of `sface-data recognition eval` (ValueError('True is not",
}


@pytest.mark.parametrize("text", BROKEN)
def test_results_that_cannot_be_used(folder: Path, run: Run, text: str) -> None:
    (folder / "evaluation.json").write_text(text)
    before = (folder / "README.md").read_bytes()
    code, _, errors = run("card", folder)
    assert code == 2
    assert errors.startswith(f"sface-data: {folder / 'evaluation.json'}: {BROKEN[text]}")
    assert len(errors.splitlines()) == 1
    assert (folder / "README.md").read_bytes() == before


def test_names_of_others_stay_names(dataset: Path, golden: Path, tmp_path: Path, run: Run) -> None:
    """A file named like markup, a mark of a block or a command to the terminal is shown, and does nothing."""
    name = "x`|<b>\u202e\x1b[2J\n<!-- sface-data:end -->\n# Owned\n.pkl"
    shutil.copy(golden / "conditional-32.pkl", tmp_path / name)
    command = ["generate", "--network", tmp_path / name, "--size", 32, "--samples-per-class", 1, "--device", "cpu"]
    code, _, errors = run(*command, "--outdir", tmp_path / "faces")
    assert code == 0, errors
    text = (tmp_path / "faces" / "README.md").read_text()
    found = r"`x\x60\x7c\x3cb\x3e\u202e\x1b[2J\n\x3c!-- sface-data:end --\x3e\n# Owned\n.pkl`"
    assert f"| generator (file) | {found}, `sha256:" in text
    assert all(character.isprintable() for character in text.replace("\n", ""))
    assert run("validate", tmp_path / "faces")[0] == 0
    assert run("card", tmp_path / "faces")[2] == f"{tmp_path / 'faces'}: everything is up to date\n"


def test_words_of_a_certificate_stay_words(folder: Path, run: Run) -> None:
    certify(folder, judge="`</code>|\n<!-- sface-data:end -->\n\u202e# Owned")
    text = (folder / "README.md").read_text()
    assert r"`</code>|\n<!-- sface-data:end -->\n\u202e# Owned was not shown 1 of 200 faces of training" in text
    assert "\n# Owned" not in text and "\u202e" not in text
    assert run("validate", folder)[0] == 0


def test_a_seal() -> None:
    page = sealed("one\n\ntwo ä\n")
    assert page.startswith("one\n\ntwo ä\n\n<!-- written by sface-data")
    assert unedited(page.encode())
    for offset in range(len(page.encode())):
        data = bytearray(page.encode())
        data[offset] ^= 4
        assert not unedited(bytes(data))
    for data in (page.encode() + b"\n", b"more\n" + page.encode(), b"", b"without a seal\n"):
        assert not unedited(data)


def test_ten_thousand_class_names(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many classes as SFace has, from a network with next to nothing else."""
    from sface_data.generator.config import GeneratorConfig
    from sface_data.generator.generator_file import save_generator
    from sface_data.generator.networks import Generator

    config = GeneratorConfig(4, 10_572, 4, 8, mapping_layers=1, channel_base=8, channel_max=2)
    save_generator(Generator(config), tmp_path / "many.safetensors")
    network = ["--network", tmp_path / "many.safetensors", "--device", "cpu", "--precision", "fp32"]
    folder = tmp_path / "faces"
    code, _, errors = run(
        "generate", *network, "--outdir", folder, "--classes", "5,10571", "--samples-per-class", 2, "--size", 8
    )
    assert code == 0, errors
    assert run("validate", folder)[0] == 0
    assert (folder / "README.md").stat().st_size < 400_000  # bytes; the hub shows cards of a few megabytes
    assert (folder / "DATASHEET.md").stat().st_size < 10_000
    assert (folder / "croissant.json").stat().st_size < 10_000
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    from datasets import load_dataset

    dataset = load_dataset(str(folder), split="train", cache_dir=str(tmp_path / "cache"))
    names = dataset.features["cls"].names
    assert (len(names), names[5], names[-1]) == (10_572, "class_000005", "class_010571")
    assert sorted(dataset["cls"]) == [5, 5, 10_571, 10_571]
