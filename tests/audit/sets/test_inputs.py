"""What is judged is what is certified."""

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from sface_data.audit import run as module
from sface_data.audit.evidence import Sets
from sface_data.audit.policy import load_policy
from sface_data.audit.run import Request, audit
from sface_data.audit.sets.inputs import Faces
from sface_data.dataset.manifest import Manifest
from sface_data.embedding.embeddings_folder import open_embeddings
from sface_data.errors import BadInput
from tests.audit.conftest import silent


def test_only_the_shards_of_the_manifest_are_judged(dataset: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(dataset, tmp_path / "faces")
    shutil.copy(folder / "data" / "train-000000.tar", folder / "other.tar")
    manifest = Manifest.load(folder)
    assert len(Faces.open(folder)) == manifest.shards[0].num_samples  # what `open_source` would take
    assert len(Faces.open(folder, manifest=manifest)) == manifest.num_samples


def test_a_data_set_with_other_faces_than_its_manifest_counts(dataset: Path) -> None:
    manifest = Manifest.load(dataset)
    first = dataclasses.replace(manifest.shards[0], num_samples=19)
    changed = dataclasses.replace(manifest, shards=(first, *manifest.shards[1:]))
    with pytest.raises(
        BadInput, match=rf"hold {manifest.num_samples} faces, not {changed.num_samples} as its man"
    ):
        Faces.open(dataset, manifest=changed)


def test_embeddings_in_a_data_set_do_not_stand_in_for_its_images(
    run: Callable[..., tuple[int, str, str]],
    dataset: Path,
    small_sets: Sets,
    write_embeddings: Callable[..., Path],
    tmp_path: Path,
) -> None:
    folder = shutil.copytree(dataset, tmp_path / "faces")
    shutil.copytree(write_embeddings(tmp_path / "release", small_sets.synthetic), folder, dirs_exist_ok=True)
    training = write_embeddings(tmp_path / "training", small_sets.training)
    code, _, errors = run("audit", folder, "--training", training, "--outdir", tmp_path / "out")
    assert code == 2
    assert f"{folder}: holds embeddings beside its images" in errors
    assert not (tmp_path / "out" / "certificate.json").exists()


def test_a_release_that_changes_meanwhile_is_not_certified(
    dataset: Path,
    embedder_file: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = shutil.copytree(dataset, tmp_path / "faces")
    examine = module.examine

    def changing(*arguments: object) -> object:
        with (folder / "data" / "train-000001.tar").open("ab") as file:
            file.write(b"\0" * 512)
        return examine(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "examine", changing)
    request = Request(
        directory=folder,
        training=dataset,
        control=None,
        held_out=None,
        models=(embedder_file(tmp_path / "judge.onnx"),),
        policy=load_policy("paper"),
        seed=0,
        device="cpu",
        outdir=tmp_path / "out",
    )
    with pytest.raises(BadInput, match="was changed while it was audited"):
        audit(request, silent)


def test_embeddings_that_name_other_faces_than_they_hold(
    small_sets: Sets, write_embeddings: Callable[..., Path], tmp_path: Path
) -> None:
    folder = write_embeddings(tmp_path / "release", small_sets.synthetic)
    assert len(open_embeddings(folder)) == len(small_sets.synthetic)
    path = folder / "embeddings.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "source_sha256": "0" * 64}))
    with pytest.raises(BadInput, match=r"embeddings.json: names other faces than its parts hold"):
        open_embeddings(folder)
