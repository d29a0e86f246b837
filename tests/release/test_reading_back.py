"""Finished folders, read with the libraries that people use, and by the lines of the card."""

import io
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from sface_data.dataset.manifest import Manifest
from sface_data.dataset.shard_reader import read_shard
from sface_data.io.images import decode_image
from sface_data.release.load import load as load_rows
from tests.release.test_validate import rewrite

pytestmark = [
    # webdataset leaves the closing of shards to the garbage collector.
    pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning"),
    pytest.mark.filterwarnings("ignore:Exception ignored in.*FileIO:pytest.PytestUnraisableExceptionWarning"),
]
Samples = dict[str, tuple[int, dict[str, int], np.ndarray]]  # label, facts and pixels by key


@pytest.fixture(scope="module", params=["jpg", "png", "webp", "classes"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, golden: Path) -> Path:
    """Data sets of each format, and one of some classes only."""
    if request.param == "jpg":
        return request.getfixturevalue("dataset")
    from click.testing import CliRunner

    from sface_data.cli import main

    directory = tmp_path_factory.mktemp(request.param) / "faces"
    options = {
        "png": "--format png --samples-per-class 2 --split validation",
        "webp": "--format webp --quality 80 --samples-per-class 2",
        "classes": "--classes 3,5-7 --samples-per-class 4",
    }[request.param]
    arguments = ["generate", "--network", str(golden / "conditional-32.pkl"), "--outdir", str(directory)]
    arguments += ["--size", "32", "--samples-per-shard", "9", "--device", "cpu", "--precision", "fp32"]
    result = CliRunner().invoke(main, [*arguments, *options.split()], catch_exceptions=False)
    assert result.exit_code == 0, result.stderr
    return directory


@pytest.fixture(scope="module")
def manifest(folder: Path) -> Manifest:
    return Manifest.load(folder)


@pytest.fixture(scope="module")
def expected(folder: Path, manifest: Manifest) -> Samples:
    """What our own reader finds."""
    samples = {}
    for shard in manifest.shards:
        for sample in read_shard(folder / shard.filename):
            members = sample.members
            pixels = decode_image(members[manifest.plan.image.format], "it")
            samples[sample.key] = int(members["cls"]), json.loads(members["json"]), pixels
    assert len(samples) == manifest.num_samples
    return samples


@pytest.fixture(scope="module")
def load(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Any]]:
    """`datasets.load_dataset` of the folder, with its caches in a folder of their own and no network."""
    caches = tmp_path_factory.mktemp("caches")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")
        patch.setenv("HF_HOME", str(caches))
        from datasets import load_dataset

        yield lambda **options: load_dataset(str(folder), cache_dir=str(caches / "datasets"), **options)


def assert_same(found: Samples, expected: Samples) -> None:
    assert found.keys() == expected.keys()
    for key, (label, facts, pixels) in expected.items():
        assert found[key][:2] == (label, facts)
        assert np.array_equal(found[key][2], pixels), key


def of_datasets(rows: Any, image: str, label: str) -> Samples:
    found = {}
    for row in rows:
        assert row["__key__"] not in found
        found[row["__key__"]] = row[label], row["json"], np.asarray(row[image].convert("RGB"))
    return found


def test_our_reader_agrees_with_the_plan(expected: Samples, manifest: Manifest) -> None:
    specs = [spec for number in range(manifest.plan.num_shards) for spec in manifest.plan.shard(number)]
    assert list(expected) == [spec.key for spec in specs]
    for spec in specs:
        label, facts, _ = expected[spec.key]
        assert label == spec.class_index == int(spec.key[:6])
        assert facts == {"class_index": spec.class_index, "index": spec.index, "seed": spec.seed}


def test_mapped(load: Callable[..., Any], manifest: Manifest, expected: Samples) -> None:
    from datasets import ClassLabel, Value
    from datasets import Image as ImageFeature

    form = manifest.plan.image.format
    dataset = load(split=manifest.plan.split)
    assert dataset.num_rows == manifest.num_samples
    integer = Value("int64")
    assert dict(dataset.features) == {
        "cls": ClassLabel(names=[f"class_{i:06d}" for i in range(10)]),
        form: ImageFeature(),
        "json": {"class_index": integer, "index": integer, "seed": integer},
        "__key__": Value("string"),
        "__url__": Value("string"),
    }
    renamed = dataset.rename_columns({form: "image", "cls": "label"})
    assert_same(of_datasets(renamed, "image", "label"), expected)
    assert renamed.features["label"].int2str(3) == "class_000003"
    assert list(load()) == [manifest.plan.split]


def test_streamed_and_shuffled(load: Callable[..., Any], manifest: Manifest, expected: Samples) -> None:
    form = manifest.plan.image.format
    dataset = load(split=manifest.plan.split, streaming=True)
    assert set(dataset.features) == {"cls", form, "json", "__key__", "__url__"}
    found = of_datasets(dataset.shuffle(seed=0, buffer_size=10), form, "cls")
    assert_same(found, expected)
    assert list(found) != list(expected)


def shards_of(folder: Path, manifest: Manifest) -> list[str]:
    return [str(folder / shard.filename) for shard in manifest.shards]


def of_webdataset(samples: Any, form: str) -> Samples:
    found = {}
    for sample in samples:
        assert sample["__key__"] not in found
        with Image.open(io.BytesIO(sample[form])) as image:
            pixels = np.asarray(image.convert("RGB"))
        found[sample["__key__"]] = int(sample["cls"]), json.loads(sample["json"]), pixels
    return found


def test_webdataset(folder: Path, manifest: Manifest, expected: Samples) -> None:
    import webdataset

    dataset = webdataset.WebDataset(shards_of(folder, manifest), shardshuffle=False)
    found = of_webdataset(dataset, manifest.plan.image.format)
    assert list(found) == list(expected)
    assert_same(found, expected)


def test_webdataset_decodes_by_itself(folder: Path, manifest: Manifest, expected: Samples) -> None:
    import webdataset

    dataset = webdataset.WebDataset(shards_of(folder, manifest), shardshuffle=False).decode("rgb8")
    found = {s["__key__"]: (s["cls"], s["json"], s[manifest.plan.image.format]) for s in dataset}
    assert_same(found, expected)


@pytest.mark.filterwarnings("ignore:This DataLoader will create 2 worker processes")  # more than cores
def test_two_workers_of_a_data_loader(dataset: Path) -> None:
    import webdataset

    shards = shards_of(dataset, Manifest.load(dataset))
    samples = webdataset.WebDataset(shards, shardshuffle=False, workersplitter=webdataset.split_by_worker)
    loader = torch.utils.data.DataLoader(samples, batch_size=None, num_workers=2)
    assert len(of_webdataset(loader, "jpg")) == 60  # each once


def test_what_timm_looks_for(folder: Path, manifest: Manifest) -> None:
    """timm opens the folder, the split of `_info.json`, and there each name joined to the folder."""
    split = json.loads((folder / "_info.json").read_text())["splits"][manifest.plan.split]
    assert split["name"] == manifest.plan.split
    counts = [sum(1 for _ in read_shard(Path(os.path.join(folder, name)))) for name in split["filenames"]]  # noqa: PTH118
    assert counts == split["shard_lengths"]
    assert sum(counts) == split["num_samples"] == manifest.num_samples


def test_two_data_sets_in_folders_of_one_name(
    tmp_path: Path, golden: Path, run: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`datasets` keeps what it read under the name of the folder: each has to be loaded as itself all the same."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    from datasets import load_dataset

    command = ["generate", "--network", golden / "conditional-32.pkl", "--size", 32, "--samples-per-class", 1]
    command += ["--classes", "0-3", "--device", "cpu"]
    rows, sizes = {}, set()
    for seed in (1, 2, 3):
        folder = tmp_path / ("b" if seed == 2 else "a") / "faces"  # the third replaces the first
        assert run(*command, "--outdir", folder, "--seed", seed, "--overwrite")[0] == 0
        sizes.add((folder / "data" / "train-000000.tar").stat().st_size)
        loaded = load_dataset(str(folder), split="train", cache_dir=str(tmp_path / "cache"))
        rows[seed] = [row["json"]["seed"] for row in loaded]
        specs = Manifest.load(folder).plan.shard(0)
        assert rows[seed] == [spec.seed for spec in specs]
    assert len(sizes) == 1, "sizes differ, which tells the data sets apart already, and nothing is tested"


def test_load_gives_colours_whatever_is_in_a_file(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    folder, clear = shutil.copytree(dataset, tmp_path / "faces"), io.BytesIO()
    Image.new("RGBA", (32, 32), (9, 9, 9, 9)).save(clear, "PNG")
    rewrite(folder, lambda m: [(n, clear.getvalue() if n.endswith("jpg") else d) for n, d in m], listed=True)
    assert {row["image"].mode for row in load_rows(folder)} == {"RGB"}


PATHS = {"a[1]": "'['", "a*": "'*'", "a?": "'?'", "a::b": "'::'", "plain (1) {2} #3 é": None}


@pytest.mark.parametrize("name", PATHS)
def test_paths_that_datasets_takes_for_patterns(
    dataset: Path, tmp_path: Path, run: Callable[..., tuple[int, str, str]], name: str
) -> None:
    from datasets import load_dataset

    folder = shutil.copytree(dataset, tmp_path / name / "faces")
    errors = run("validate", folder)[2]
    assert errors == run("validate", dataset)[2].replace(str(dataset), str(folder)) or PATHS[name] is not None
    if PATHS[name] is not None:
        assert f"{folder}: has {PATHS[name]} in its path, which `datasets` reads as part of a pattern" in errors
        assert "reads as part of a pattern" in run("card", folder)[2]
    else:
        assert load_dataset(str(folder), split="train", cache_dir=str(tmp_path / "cache")).num_rows == 60


def test_the_lines_of_the_card_work(
    folder: Path, tmp_path: Path, expected: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each block of Python as it stands, in the folder, then a look at what it leaves."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path)
    one, two = re.findall(r"^```python\n(.*?)^```$", (folder / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    label = next(iter(expected.values()))[0]
    left: dict[str, Any] = {}
    exec(compile(one, "README.md", "exec"), left)
    dataset = left["dataset"]
    assert dataset.num_rows == len(expected)
    assert [dataset.features["label"].int2str(n) for n in dataset["label"][:1]] == [f"class_{label:06d}"]
    assert dataset[0]["image"].size == (32, 32)
    left = {}
    exec(compile(two, "README.md", "exec"), left)
    assert left["image"].size == (32, 32) and left["label"] == label
    assert len(list(left["dataset"])) == len(expected)


@pytest.mark.parametrize("classes", ["3,5-7"])
def test_parts_made_separately_fit_together(
    tmp_path: Path, golden: Path, dataset: Path, run: Callable[..., tuple[int, str, str]], classes: str
) -> None:
    """A data set of some classes has the labels and images of the one of all classes."""
    arguments = ["--size", 32, "--samples-per-class", 6, "--device", "cpu", "--precision", "fp32"]
    part = tmp_path / "part"
    code, _, errors = run(
        "generate",
        *("--network", golden / "conditional-32.pkl", "--outdir", part, "--classes", classes, *arguments),
    )
    assert code == 0, errors
    whole = {s.key: s for path in sorted((dataset / "data").glob("*.tar")) for s in read_shard(path)}
    found = list(read_shard(part / "data" / "train-000000.tar"))
    assert len(found) == 24
    for sample in found:
        assert sample.members["cls"] == whole[sample.key].members["cls"]
        assert sample.members["json"] == whole[sample.key].members["json"]
        image, same = (decode_image(each.members["jpg"], "it") for each in (sample, whole[sample.key]))
        difference = image.astype(int) - same
        assert np.abs(difference).max() <= 8  # at most one grey level before the JPEG
