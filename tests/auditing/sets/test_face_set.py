"""What is judged is what is certified."""

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sface_data.auditing import run as module
from sface_data.auditing.run import AuditOptions, PreparedAudit
from sface_data.auditing.sets.face_set import open_face_set
from sface_data.auditing.sets.judged_sets import JudgedSets
from sface_data.dataset.manifest import Manifest
from sface_data.embedding.embeddings_folder import open_embeddings
from sface_data.embedding.open import open_embedder
from sface_data.errors import BadInput


def test_only_the_shards_of_the_manifest_are_judged(dataset: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(dataset, tmp_path / "faces")
    shutil.copy(folder / "data" / "train-000000.tar", folder / "other.tar")
    manifest = Manifest.load(folder)
    with pytest.raises(BadInput, match=r"holds other\.tar and data/train-000000\.tar"):
        open_face_set(folder)
    assert len(open_face_set(folder, manifest=manifest)) == manifest.num_samples


def test_a_data_set_with_other_faces_than_its_manifest_counts(dataset: Path) -> None:
    manifest = Manifest.load(dataset)
    first = dataclasses.replace(manifest.shards[0], num_samples=19)
    changed = dataclasses.replace(manifest, shards=(first, *manifest.shards[1:]))
    with pytest.raises(
        BadInput, match=rf"hold {manifest.num_samples} faces, not {changed.num_samples} as its man"
    ):
        open_face_set(dataset, manifest=changed)


def test_labels_that_the_manifest_does_not_know(dataset: Path) -> None:
    manifest = Manifest.load(dataset)
    plan = dataclasses.replace(manifest.plan, classes=manifest.plan.classes[1:])
    with pytest.raises(
        BadInput, match=rf"labelled '{manifest.plan.classes[0]}', which is no class of its manifest"
    ):
        open_face_set(dataset, manifest=dataclasses.replace(manifest, plan=plan))


def test_embeddings_in_a_data_set_do_not_stand_in_for_its_images(
    run: Callable[..., tuple[int, str, str]],
    dataset: Path,
    small_sets: JudgedSets,
    write_embeddings: Callable[..., Path],
    tmp_path: Path,
) -> None:
    folder = shutil.copytree(dataset, tmp_path / "faces")
    shutil.copytree(write_embeddings(tmp_path / "release", small_sets.release), folder, dirs_exist_ok=True)
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
    run_checks = module.run_checks

    def changing(*arguments: object) -> object:
        with (folder / "data" / "train-000001.tar").open("ab") as file:
            file.write(b"\0" * 512)
        return run_checks(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "run_checks", changing)
    judge = embedder_file(tmp_path / "judge.onnx")
    options = AuditOptions(
        training=dataset, outdir=tmp_path / "out", embedder=[judge], policy="paper", device="cpu"
    )
    with pytest.raises(BadInput, match="was changed while it was audited"):
        PreparedAudit.of(folder, options).run()


def test_embeddings_that_were_put_into_the_cache_are_not_believed(
    rendered_faces: Path, embedder_file: Callable[..., Path], tmp_path: Path
) -> None:
    faces, judge = open_face_set(rendered_faces), open_embedder(embedder_file(tmp_path / "judge.onnx"), "cpu")
    found = faces.under(judge, tmp_path / "cache")
    assert np.array_equal(faces.under(judge, tmp_path / "cache").vectors, found.vectors)
    (path,) = (tmp_path / "cache").rglob("*.parquet")
    vectors = found.vectors.copy()
    vectors[7] = np.roll(vectors[7], 3)
    dataclasses.replace(found, vectors=vectors).save(path)
    with pytest.raises(BadInput, match=r"its embedding of .* is not what judge.onnx gives; delete the folder"):
        faces.under(judge, tmp_path / "cache")


def test_embeddings_that_name_other_faces_than_they_hold(
    small_sets: JudgedSets, write_embeddings: Callable[..., Path], tmp_path: Path
) -> None:
    folder = write_embeddings(tmp_path / "release", small_sets.release)
    assert len(open_embeddings(folder)) == len(small_sets.release)
    path = folder / "embeddings.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "source_sha256": "0" * 64}))
    with pytest.raises(BadInput, match=r"embeddings.json: names other faces than its parts hold"):
        open_embeddings(folder)
