"""Files of others, in the folder that SFACE_DATA_JUDGES names: embedders and a detector, on real photographs."""

import importlib.util
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sface_data.embedding.embeddings_folder import open_embeddings

Run = Callable[..., tuple[int, str, str]]
JUDGES = Path(os.environ.get("SFACE_DATA_JUDGES", "nowhere"))
pytestmark = pytest.mark.skipif(not JUDGES.is_dir(), reason="SFACE_DATA_JUDGES names no folder of them")


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """Two people, one of them twice: as photographed, and in the mirror of a file of another size."""
    from PIL import Image, ImageOps

    skimage, insightface = (importlib.util.find_spec(name) for name in ("skimage", "insightface"))
    portrait = Path(str(skimage and skimage.origin)).parent / "data" / "astronaut.png"
    group = Path(str(insightface and insightface.origin)).parent / "data" / "images" / "t1.jpg"
    for name in ("collins", "others"):
        (tmp_path / "faces" / name).mkdir(parents=True)
    shutil.copy(portrait, tmp_path / "faces" / "collins" / "0.png")
    picture = ImageOps.mirror(Image.open(portrait).convert("RGB")).resize((300, 300))
    picture.save(tmp_path / "faces" / "collins" / "1.png")
    shutil.copy(group, tmp_path / "faces" / "others" / "0.jpg")
    return tmp_path / "faces"


@pytest.mark.parametrize("judge", ["fr_feature.onnx", "mobileface.onnx"])
@pytest.mark.parametrize("detector", ["mtcnn", "scrfd.onnx"])
def test_they_tell_one_person_from_another(
    run: Run, photographs: Path, tmp_path: Path, judge: str, detector: str
) -> None:
    name = JUDGES / detector if detector.endswith(".onnx") else detector
    command = ["embed", photographs, "--embedder", JUDGES / judge, "--align", "detect", "--detector", name]
    code, _, errors = run(*command, "--device", "cpu", "--outdir", tmp_path / "embeddings")
    assert code == 0 and "3 embeddings of 2 classes" in errors
    first, again, other = open_embeddings(tmp_path / "embeddings").vectors
    assert np.dot(first, again) > 0.6 > 0.4 > max(np.dot(first, other), np.dot(again, other))
