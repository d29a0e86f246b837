"""The manifest: saved, read again, and refused where it cannot be used."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sface_data.dataset.manifest import MANIFEST, ClassCenters, Manifest, ShardInfo
from sface_data.dataset.plan import SamplePlan
from sface_data.errors import BadInput
from sface_data.io.files import sha256_of_file

ENVIRONMENT = {"device": "cpu", "batch": 2, "versions": {}, "network": {"file": "n.pkl", "sha256": "ab" * 32}}


@pytest.fixture
def manifest() -> Manifest:
    plan = SamplePlan("00" * 32, 4, (1, 3), 5, samples_per_shard=6)
    shards = (
        ShardInfo("data/train-000000.tar", 6, 100, "aa" * 32),
        ShardInfo("data/train-000001.tar", 4, 80, "bb" * 32),
    )
    return Manifest(plan, shards, (ENVIRONMENT,), ClassCenters("class_w_avg.safetensors", "cc" * 32))


def test_saved_and_read_again(manifest: Manifest, tmp_path: Path) -> None:
    manifest.save(tmp_path)
    assert Manifest.load(tmp_path) == manifest
    assert [path.name for path in tmp_path.iterdir()] == [MANIFEST]
    first = (tmp_path / MANIFEST).read_bytes()
    Manifest.load(tmp_path).save(tmp_path)
    assert (tmp_path / MANIFEST).read_bytes() == first


def test_sums(manifest: Manifest) -> None:
    assert (manifest.num_samples, manifest.num_bytes) == (10, 180)


def test_what_other_readers_look_for(manifest: Manifest) -> None:
    """timm joins the names with the folder that `_info.json` is in."""
    names = ["data/train-000000.tar", "data/train-000001.tar"]
    split = {"name": "train", "num_samples": 10, "filenames": names, "shard_lengths": [6, 4]}
    assert manifest.timm_info() == {"splits": {"train": split}}


def test_the_manifest_tells_what_is_on_disk(dataset: Path) -> None:
    manifest = Manifest.load(dataset)
    assert [shard.num_samples for shard in manifest.shards] == [25, 25, 10]
    for shard in manifest.shards:
        assert (dataset / shard.filename).stat().st_size == shard.num_bytes
        assert sha256_of_file(dataset / shard.filename) == shard.sha256


def test_no_manifest(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"no finished data set, as it has no manifest\.json"):
        Manifest.load(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "\xff", '{"format": NaN'])
def test_no_json(tmp_path: Path, text: str) -> None:
    (tmp_path / MANIFEST).write_bytes(text.encode("latin-1"))
    with pytest.raises(BadInput, match=r"manifest\.json: not a JSON file"):
        Manifest.load(tmp_path)


def test_what_the_generator_was_trained_on_is_kept_where_it_is_known(manifest: Manifest, tmp_path: Path) -> None:
    manifest.save(tmp_path)
    assert "training_faces_sha256" not in (tmp_path / MANIFEST).read_text()
    known = replace(manifest, training_faces_sha256="ab" * 32)
    known.save(tmp_path)
    assert Manifest.load(tmp_path) == known


def _without(name: str) -> Callable[[dict[str, Any]], object]:
    return lambda value: value.pop(name)


BROKEN: dict[str, Callable[[dict[str, Any]], object]] = {
    "other format": lambda v: v.update(format="sface-data manifest 99"),
    "no format": _without("format"),
    "no plan": _without("plan"),
    "no shards": _without("shards"),
    "no environments": _without("environments"),
    "class centres are a list": lambda v: v.update(class_centers=[]),
    "a field too many": lambda v: v.update(colour="red"),
    "plan is a list": lambda v: v.update(plan=[]),
    "plan without classes": lambda v: v["plan"].pop("classes"),
    "plan with another field": lambda v: v["plan"].update(colour="red"),
    "classes are a number": lambda v: v["plan"].update(classes=3),
    "samples per class are text": lambda v: v["plan"].update(samples_per_class="5"),
    "psi is text": lambda v: v["plan"]["truncation"].update(psi="1"),
    "size too large": lambda v: v["plan"]["image"].update(size=10**6),
    "shards are a number": lambda v: v.update(shards=3),
    "shard is text": lambda v: v["shards"].append("data/train-000002.tar"),
    "shard without digest": lambda v: v["shards"][0].pop("sha256"),
    "shard in another folder": lambda v: v["shards"][0].update(filename="../a.tar"),
    "shard at the root": lambda v: v["shards"][0].update(filename="/etc/passwd"),
    "shard of a name too long": lambda v: v["shards"][0].update(filename="data/" + "n" * 300),
    "shard of a name that no file has": lambda v: v["shards"][0].update(filename="data/a\0.tar"),
    "class centres in another folder": lambda v: v["class_centers"].update(filename="../a"),
    "digest is null": lambda v: v["shards"][0].update(sha256=None),
    "size is text": lambda v: v["shards"][0].update(num_bytes="100"),
    "number of samples is a fraction": lambda v: v["shards"][0].update(num_samples=6.0),
    "environment that is not there": lambda v: v["shards"][0].update(environment=1),
    "environment before the first": lambda v: v["shards"][0].update(environment=-1),
    "environment without network": lambda v: v["environments"][0].pop("network"),
    "versions that are a list": lambda v: v["environments"][0].update(versions=["1"]),
    "detector without file": lambda v: v["environments"][0].update(detector={"sha256": "0"}),
    "network without name": lambda v: v["environments"][0]["network"].update(file=None),
    "class centres without digest": lambda v: v["class_centers"].pop("sha256"),
    "name of class centres is a number": lambda v: v["class_centers"].update(filename=1),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_manifest_that_cannot_be_used_is_named(manifest: Manifest, tmp_path: Path, case: str) -> None:
    manifest.save(tmp_path)
    path = tmp_path / MANIFEST
    value = json.loads(path.read_text())
    BROKEN[case](value)
    path.write_text(json.dumps(value))
    with pytest.raises(BadInput) as error:
        Manifest.load(tmp_path)
    assert str(error.value).count(str(path)) == 1


@pytest.mark.parametrize("value", [[], "text", 3, None])
def test_other_json(tmp_path: Path, value: object) -> None:
    (tmp_path / MANIFEST).write_text(json.dumps(value))
    with pytest.raises(BadInput, match=r"manifest\.json: not a manifest"):
        Manifest.load(tmp_path)
