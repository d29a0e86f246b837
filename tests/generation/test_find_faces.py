"""Aligned data sets: every image shows a face, and which images those are depends on nothing but the class."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from sface_data.dataset.found_faces import ALIGNMENT, FoundFaces, found_faces
from sface_data.dataset.manifest import Manifest
from sface_data.dataset.plan import Alignment, ImageFormat, SamplePlan, spec_of
from sface_data.dataset.shard_reader import read_shard
from sface_data.errors import BadInput
from sface_data.faces.alignment import warp
from sface_data.faces.detector import Detector
from sface_data.faces.insightface_detector import InsightfaceDetector
from sface_data.generation.image_maker import ImageMaker
from sface_data.generator.generator_file import load_generator
from sface_data.generator.sampler import Sampler
from sface_data.io.images import decode_image
from sface_data.release.contents import foreign_files, release_files
from sface_data.runtime import pool
from tests.killing import killed_again_and_again, tree

Make = Callable[..., Path]
Run = Callable[..., tuple[int, str, str]]
DIGEST = "0" * 64


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory, detector_file: Make) -> Path:
    """Finds a face in about half of the images of the recorded network: the bright ones."""
    return detector_file(tmp_path_factory.mktemp("detector") / "det.onnx", colour=(1, 1, 1), threshold=2.0)


@pytest.fixture(scope="module")
def command(golden: Path, detector: Path) -> list[object]:
    network = golden / "conditional-32.pkl"
    common = ["generate", "--network", network, "--device", "cpu", "--precision", "fp32", "--classes", "0,4-6"]
    small = ["--samples-per-class", 7, "--size", 32, "--format", "png", "--samples-per-shard", 9]
    return [*common, *small, "--align", "detect", "--detector", detector]


@pytest.fixture(scope="module")
def aligned(tmp_path_factory: pytest.TempPathFactory, command: list[object]) -> Path:
    """A finished data set. For reading only."""
    from click.testing import CliRunner

    from sface_data.cli import main

    directory = tmp_path_factory.mktemp("aligned") / "faces"
    arguments = [str(argument) for argument in (*command, "--outdir", directory)]
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.stderr
    return directory


def images_in(directory: Path) -> dict[str, np.ndarray]:
    return {
        sample.key: decode_image(sample.members["png"], "it").astype(int)
        for path in sorted((directory / "data").glob("*.tar"))
        for sample in read_shard(path)
    }


def test_each_class_has_its_first_images_with_a_face(
    aligned: Path, golden: Path, detector: Path, run: Run
) -> None:
    manifest = Manifest.load(aligned)
    network, finder = load_generator(golden / "conditional-32.pkl").generator, InsightfaceDetector(detector, "cpu")
    sampler = Sampler(network, replace(manifest.plan, align=None), torch.device("cpu"), 20)
    images, keys, drawn = images_in(aligned), [], 0
    for c in manifest.plan.classes:
        specs = [spec_of(0, c, i) for i in range(40)]
        made = [image for batch in sampler.batches(specs) for image in batch.images]
        found = [(s, image, finder.landmarks(image)) for s, image in zip(specs, made, strict=True)]
        kept = [(s, image, points) for s, image, points in found if points is not None][:7]
        for spec, image, points in kept:
            assert np.abs(images[spec.key] - warp(image, points, 32)).max() <= 2
        keys += [spec.key for spec, _, _ in kept]
        drawn += kept[-1][0].index + 1
    assert set(images) == set(keys)
    assert manifest.aligned is not None
    assert not foreign_files(aligned, release_files(aligned, manifest))
    assert (manifest.aligned.drawn, manifest.aligned.detector) == (drawn, "det.onnx")
    assert drawn > 28, "no image was without a face, and nothing is tested"
    assert run("validate", aligned)[0] == 0
    card = (aligned / "README.md").read_text()
    assert f"of {drawn} images drawn, the {drawn - 28} without a face found were passed over" in card


def test_of_several_gpus_a_worker_finds_faces_on_its_own(
    aligned: Path, golden: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def opened(device: str) -> Detector:
        raise BadInput(f"opened on {device}")

    monkeypatch.setattr(pool, "_number", 3)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    network, plan = load_generator(golden / "conditional-32.pkl").generator, Manifest.load(aligned).plan
    with pytest.raises(BadInput, match="opened on cuda:1"):
        ImageMaker(network, plan, torch.device("cuda"), 1, detector=opened).find((5,))


def test_it_depends_on_no_other_option(aligned: Path, command: list[object], tmp_path: Path, run: Run) -> None:
    other = ["--batch", 3, "--samples-per-shard", 100, "--classes", "5-6,9", "--samples-per-class", 5]
    code, _, errors = run(*command, *other, "--outdir", tmp_path / "faces")
    assert code == 0, errors
    plan = Manifest.load(tmp_path / "faces").plan
    here, there = found_faces(tmp_path / "faces", plan), found_faces(aligned, Manifest.load(aligned).plan)
    assert here is not None
    assert there is not None
    np.testing.assert_array_equal(here.indices[:2], there.indices[2:, :5])
    np.testing.assert_array_equal(here.landmarks[:2], there.landmarks[2:, :5])
    images, others = images_in(tmp_path / "faces"), images_in(aligned)
    both = sorted(set(images) & set(others))
    assert len(both) == 10
    assert max(np.abs(images[key] - others[key]).max() for key in both) <= 2


def test_killed_at_its_writes_it_ends_in_the_same_bytes(command: list[object], tmp_path: Path) -> None:
    more = ["--classes", "0-4", "--samples-per-shard", 20]
    whole, killed = killed_again_and_again(lambda outdir: [*command, *more, "--outdir", outdir], tmp_path)
    assert tree(killed) == tree(whole)


def test_a_class_without_faces_is_named(
    tmp_path: Path, command: list[object], detector_file: Make, run: Run
) -> None:
    blind = detector_file(tmp_path / "blind.onnx", colour=(0, 0, 0))
    arguments = [*command, "--detector", blind, "--samples-per-class", 3, "--outdir", tmp_path / "faces"]
    code, output, errors = run(*arguments)
    assert (code, output) == (2, "")
    assert "blind.onnx: finds a face in 0 of the first 30 images of class 0, where 3 are wanted; leave" in errors
    assert not (tmp_path / "faces" / "manifest.json").exists()


def test_a_detector_that_is_missing_leaves_nothing_behind(
    tmp_path: Path, command: list[object], run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    code, _, errors = run(*command, "--detector", "buffalo_l", "--outdir", tmp_path / "faces")
    assert code == 2
    assert "no detector of this name" in errors
    assert "non-commercial research" in errors
    assert list(tmp_path.iterdir()) == []


def test_what_was_lost_is_made_again(aligned: Path, command: list[object], tmp_path: Path, run: Run) -> None:
    import shutil

    folder = tmp_path / "faces"
    shutil.copytree(aligned, folder)
    (folder / ALIGNMENT).unlink()
    assert f"{ALIGNMENT}: missing" in run("validate", folder)[2]
    assert run(*command, "--outdir", folder)[0] == 0
    assert tree(folder) == tree(aligned)
    # Landmarks that somebody changed vouch for nothing: neither do the shards, then.
    plan = Manifest.load(folder).plan
    faces = found_faces(folder, plan)
    assert faces is not None
    FoundFaces(faces.classes, faces.indices, faces.landmarks + 1).save(folder / ALIGNMENT, plan)
    assert f"{ALIGNMENT}: its SHA-256 is " in run("validate", folder)[2]
    assert run(*command, "--outdir", folder)[0] == 0
    assert tree(folder) == tree(aligned)
    code, _, errors = run(*[a for a in command if a not in ("--align", "detect")], "--outdir", folder)
    assert code == 2
    assert "align.draws: None, not 10" in errors


def test_a_manifest_that_says_both(aligned: Path, tmp_path: Path) -> None:
    value = json.loads((aligned / "manifest.json").read_text())
    for change in ({"aligned": None}, {"aligned": {**value["aligned"], "drawn": "many"}}, {"aligned": [1]}):
        (tmp_path / "manifest.json").write_text(json.dumps({**value, **change}))
        with pytest.raises(BadInput, match=r"manifest\.json: (the plan aligns and|aligned)"):
            Manifest.load(tmp_path)


PLAN = SamplePlan(DIGEST, 10, (2, 5), 3, image=ImageFormat(32), align=Alignment(DIGEST))


def faces_of(plan: SamplePlan) -> FoundFaces:
    indices = np.array([[0, 4, 5], [2, 3, 29]])
    landmarks = np.arange(60, dtype=np.float32).reshape(2, 3, 5, 2)
    return FoundFaces(plan.classes, indices, landmarks)


def test_faces_there_and_back(tmp_path: Path) -> None:
    faces = faces_of(PLAN)
    faces.save(tmp_path / "a", PLAN)
    read = FoundFaces.load(tmp_path / "a", PLAN)
    np.testing.assert_array_equal(read.indices, faces.indices)
    np.testing.assert_array_equal(read.landmarks, faces.landmarks)
    assert (read.classes, read.drawn) == ((2, 5), 6 + 30)
    specs = list(PLAN.shard(0, read.indices))
    assert [spec.key for spec in specs] == [
        "000002_000000",
        "000005_000002",
        "000002_000004",
        "000005_000003",
        "000002_000005",
        "000005_000029",
    ]
    np.testing.assert_array_equal(read.landmarks_of(specs[3]), faces.landmarks[1, 1])
    faces.save(tmp_path / "b", PLAN)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize(
    ("indices", "landmark"),
    [
        ([[0, 4, 4], [2, 3, 29]], 0.0),
        ([[0, 5, 4], [2, 3, 29]], 0.0),
        ([[-1, 4, 5], [2, 3, 29]], 0.0),
        ([[0, 4, 5], [2, 3, 30]], 0.0),  # ten draws for each of three
        ([[0, 4], [2, 3]], 0.0),
        ([[0, 4, 5], [2, 3, 29]], np.nan),
    ],
)
def test_faces_that_cannot_be(tmp_path: Path, indices: list[list[int]], landmark: float) -> None:
    landmarks = np.full((*np.shape(indices), 5, 2), landmark, np.float32)
    FoundFaces(PLAN.classes, np.array(indices), landmarks).save(tmp_path / "a", PLAN)
    with pytest.raises(BadInput, match="a: not faces of the plan"):
        FoundFaces.load(tmp_path / "a", PLAN)


def test_files_of_other_kinds(tmp_path: Path) -> None:
    path = tmp_path / "a"
    faces_of(PLAN).save(path, PLAN)
    with pytest.raises(BadInput, match="of another plan"):
        FoundFaces.load(path, replace(PLAN, base_seed=1))
    whole = path.read_bytes()
    for cut in (0, 4, 8, 100, len(whole) - 1):
        path.write_bytes(whole[:cut])
        with pytest.raises(BadInput, match="a: not a list of faces"):
            FoundFaces.load(path, PLAN)
    with pytest.raises(BadInput, match="No such file"):
        FoundFaces.load(tmp_path / "b", PLAN)


def test_plans_that_align() -> None:
    plain = replace(PLAN, align=None)
    assert "align" not in plain.to_json()
    assert plain.fingerprint == "1dff5338cb5f7425319142a77ea3d296864750e1ae33d25a72266a2c1c9e9ed5", (
        "a plan of an earlier version is another one"
    )
    assert SamplePlan.from_json(json.loads(json.dumps(PLAN.to_json()))) == PLAN
    assert SamplePlan.from_json(json.loads(json.dumps(plain.to_json()))) == plain
    assert PLAN.fingerprint not in (plain.fingerprint, replace(PLAN, align=Alignment(DIGEST, 11)).fingerprint)
    assert (PLAN.most_draws, plain.most_draws) == (30, 3)
    for plan, indices in ((PLAN, None), (plain, np.zeros((2, 3), np.int64))):
        with pytest.raises(ValueError, match="only with those"):
            next(plan.shard(0, indices))
    with pytest.raises(BadInput, match="0 draws"):
        Alignment(DIGEST, 0)
    for align in (
        {"detector_sha256": 5, "draws": 10},
        {"detector_sha256": DIGEST, "draws": 1.5},
        {"draws": 1},
        [1],
    ):
        with pytest.raises(BadInput, match="not a plan"):
            SamplePlan.from_json({**PLAN.to_json(), "align": align})


def test_the_card_says_that_a_detector_selected(aligned: Path, dataset: Path) -> None:
    assert "A detector selected" in (aligned / "README.md").read_text()
    assert "Nothing was selected by hand or by a model" in (dataset / "README.md").read_text()
