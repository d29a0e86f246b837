"""`croissant.json`, checked and read back by the library of those who made the format."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sface_data.dataset.manifest import Manifest
from sface_data.dataset.shard_reader import read_shard
from sface_data.io.images import decode_image

# In a process of its own: mlcroissant caches what it unpacks by the name of the file, for all data sets.
READ = """
import sys, warnings, logging
import mlcroissant, numpy
warnings.simplefilter("ignore")
dataset = mlcroissant.Dataset(jsonld=sys.argv[1])
assert not dataset.metadata.issues.errors, dataset.metadata.issues.report()
print("\\n".join(sorted(dataset.metadata.issues.warnings)))
rows = list(dataset.records("images"))
labels = list(mlcroissant.Dataset(jsonld=sys.argv[1]).records("labels"))  # anew: one cannot read two record sets
numpy.savez(
    sys.argv[2],
    keys=[row["images/key"].decode() for row in rows],
    labels=[row["images/label"] for row in rows],
    images=[numpy.asarray(row["images/image"].convert("RGB")) for row in rows],
    other={row["labels/key"].decode(): row["labels/label"] for row in labels},
)
"""


@pytest.fixture(scope="module")
def read(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, np.ndarray]]:
    """What mlcroissant warns of, and what it reads."""
    folder = tmp_path_factory.mktemp("croissant")
    environment = {**os.environ, "CROISSANT_CACHE": str(folder / "cache")}
    command = [sys.executable, "-c", READ, str(dataset / "croissant.json"), str(folder / "read.npz")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Could not match" not in done.stderr
    return done.stdout, dict(np.load(folder / "read.npz", allow_pickle=True))


def test_labels_and_pixels_are_those_of_the_shards(dataset: Path, read: tuple[str, dict[str, np.ndarray]]) -> None:
    _, found = read
    expected = {}
    for shard in Manifest.load(dataset).shards:
        for sample in read_shard(dataset / shard.filename):
            expected[sample.key] = int(sample.members["cls"]), decode_image(sample.members["jpg"], "it")
    assert sorted(found["keys"]) == sorted(expected)
    for key, label, image in zip(found["keys"], found["labels"], found["images"], strict=True):
        assert label == expected[key][0]
        assert np.array_equal(image, expected[key][1])
    assert found["other"].item() == {key: label for key, (label, _) in expected.items()}


def test_it_leaves_out_only_when_and_where_it_was_published(read: tuple[str, dict[str, np.ndarray]]) -> None:
    warnings = read[0].split("\n")
    assert all('"https://schema.org/datePublished"' in w or '"https://schema.org/url"' in w for w in warnings if w)


def test_it_describes_every_shard_the_licence_and_the_risks(dataset: Path) -> None:
    value = json.loads((dataset / "croissant.json").read_text())
    manifest = Manifest.load(dataset)
    files = {item["contentUrl"]: item for item in value["distribution"] if item["@type"] == "cr:FileObject"}
    assert {name: item["sha256"] for name, item in files.items()} == {
        s.filename: s.sha256 for s in manifest.shards
    }
    assert {item["encodingFormat"] for item in files.values()} == {"application/x-tar"}
    assert value["license"] == "https://spdx.org/licenses/CC-BY-NC-SA-4.0.html"
    assert "60 images of 10 classes" in value["description"]
    fields = {name for name in value if name.startswith("rai:")}
    wanted = {"dataCollection", "dataUseCases", "personalSensitiveInformation", "dataBiases", "dataLimitations"}
    assert {f"rai:{name}" for name in wanted} <= fields
    assert all(value[name] and "\n" not in value[name] and "{" not in value[name] for name in fields)


def test_one_shard_of_png(tmp_path: Path, golden: Path, run) -> None:
    folder = tmp_path / "faces"
    command = ["generate", "--network", golden / "conditional-32.pkl", "--outdir", folder, "--device", "cpu"]
    assert run(*command, "--samples-per-class", 1, "--classes", "2,7", "--size", 32, "--format", "png")[0] == 0
    environment = {**os.environ, "CROISSANT_CACHE": str(tmp_path / "cache")}
    command = [sys.executable, "-c", READ, str(folder / "croissant.json"), str(tmp_path / "read.npz")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert np.load(tmp_path / "read.npz")["labels"].tolist() == [2, 7]
