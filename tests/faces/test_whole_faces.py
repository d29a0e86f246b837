"""Images that cannot be decoded are left out of every command that reads faces, if that is asked for."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from sface_data.errors import BadInput
from sface_data.faces.face_list import FaceList
from sface_data.faces.sources import open_source
from sface_data.faces.whole_faces import WholeFaces
from sface_data.generator.generator_file import load_generator
from sface_data.generator.run import train_generator
from sface_data.io.images import BrokenImage
from sface_data.recognition.run import train_recognition


@pytest.fixture
def damaged(rendered_faces: Path, tmp_path: Path) -> Path:
    """Four classes, of which the first image of the second is cut short."""
    folder = tmp_path / "faces"
    for source in sorted(path for path in rendered_faces.iterdir() if path.is_dir())[:4]:
        shutil.copytree(source, folder / source.name)
    broken = sorted(sorted(folder.iterdir())[1].iterdir())[0]
    broken.write_bytes(broken.read_bytes()[:200])
    return folder


def test_what_cannot_be_decoded_is_left_out_and_classes_keep_their_numbers(damaged: Path) -> None:
    source = open_source(damaged)
    whole = WholeFaces(source)
    assert (whole.left_out, len(whole)) == (1, len(source) - 1)
    assert whole.class_names == source.class_names
    broken = next(index for index in range(len(source)) if source.class_indices[index] == 1)
    kept = [index for index in range(len(source)) if index != broken]
    assert [face.key for face in whole] == [source[index].key for index in kept]
    assert whole.class_indices.tolist() == source.class_indices[kept].tolist()
    with pytest.raises(BrokenImage):
        source[broken].decode()


def test_a_class_of_which_nothing_is_left_is_named(damaged: Path) -> None:
    folder = sorted(damaged.iterdir())[2]
    for image in folder.iterdir():
        image.write_bytes(b"nothing")
    with pytest.raises(BadInput, match=f"no image of the class '{folder.name}' can be decoded"):
        WholeFaces(open_source(damaged))


def test_recognition_is_trained_without_them_and_goes_on(damaged: Path, tmp_path: Path) -> None:
    options = {"recipe": "cls", "preset": "tiny", "epochs": 1, "batch": 8, "device": "cpu"}
    with pytest.raises(BadInput):
        train_recognition(damaged, tmp_path / "stops", **options)
    for _ in range(2):
        run = train_recognition(damaged, tmp_path / "run", **options, skip_broken=True)
        assert run.left_out == 1
    with safe_open(run.weights, "pt") as file:
        (about,) = map(json.loads, file.metadata().values())
    assert about["faces_left_out"] == 1
    assert about["faces_sha256"] == FaceList.of(open_source(damaged)).sha256


def test_a_generator_is_trained_without_them(damaged: Path, tmp_path: Path) -> None:
    options = {"resolution": 16, "kimg": 0.008, "batch": 4, "device": "cpu"}
    with pytest.raises(BadInput):
        train_generator(damaged, tmp_path / "stops", **options)
    run = train_generator(damaged, tmp_path / "run", **options, skip_broken=True)
    assert run.left_out == 1
    file = load_generator(run.weights)
    assert file.trained_on.faces_left_out == 1
    assert file.trained_on.faces_sha256 == FaceList.of(open_source(damaged)).sha256
    assert all(torch.isfinite(value).all() for value in file.generator.state_dict().values())
