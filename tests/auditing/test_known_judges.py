"""Judges that lie on this machine are taken if they are what they are called."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from sface_data.auditing import known_judges
from sface_data.auditing.certificate import load_certificate
from sface_data.auditing.known_judges import INSIGHTFACE, KNOWN, judges_at_hand, known_as
from sface_data.embedding.open import DEMO_EMBEDDER
from sface_data.io.files import sha256_of_file

Run = Callable[..., tuple[int, str, str]]
NAMES = tuple(INSIGHTFACE)


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, embedder_file: Callable[..., Path]) -> Path:
    """A home in which insightface has put three embedders, one of them one folder deeper, and another file."""
    folder = tmp_path / "home" / ".insightface" / "models"
    paths = [folder / name for name in NAMES]
    paths[1] = paths[1].parent / NAMES[1]
    for seed, path in enumerate(paths):
        path.parent.mkdir(parents=True)
        embedder_file(path, seed=seed)
    (folder / "buffalo_l" / "det_10g.onnx").write_bytes(b"a detector")
    digests = {name: sha256_of_file(path) for name, path in zip(NAMES, paths, strict=True)}
    monkeypatch.setattr(known_judges, "INSIGHTFACE", digests)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return folder


def test_the_best_two_that_are_what_they_are_called(models: Path) -> None:
    first, second = models / NAMES[0], models / "antelopev2" / NAMES[1]
    assert judges_at_hand() == [first, second]
    first.write_bytes(b"something else")
    assert judges_at_hand() == [second, models / NAMES[2]]
    shutil.rmtree(models)
    assert judges_at_hand() == []


def test_the_embedder_that_ships_is_known() -> None:
    assert known_as(sha256_of_file(DEMO_EMBEDDER)) is not None
    assert set(INSIGHTFACE.values()) <= KNOWN.keys()


def test_they_judge_where_none_is_named(run: Run, models: Path, dataset: Path, tmp_path: Path) -> None:
    faces, training = (shutil.copytree(dataset, tmp_path / name) for name in ("faces", "training"))
    command = ["audit", faces, "--training", training, "--policy", "paper", "--outdir", tmp_path / "out"]
    assert run(*command, "--device", "cpu")[0] == 1
    assert load_certificate(tmp_path / "out" / "certificate.json").judges == ("w600k_r50.onnx", "glintr100.onnx")
    shutil.rmtree(models)
    code, _, errors = run(*command)
    assert code == 2 and "there is none of those that are known in ~/.insightface/models" in errors
