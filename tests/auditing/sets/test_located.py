"""Faces are found where they lie, and brought to where those of training do."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sface_data.auditing.sets.located import MOST_FACES, Located, brought, evened
from sface_data.auditing.sets.views import VIEW_NAMES, ViewedSource
from sface_data.faces.alignment import Pixels, template_in
from sface_data.faces.base import Source
from sface_data.faces.sources import open_source

SIDE, SMALL, SMALLER = 160, 64, 40


@pytest.fixture(scope="module")
def faces(rendered_faces: Path) -> Source:
    """Rendered faces as training has them."""
    return open_source(rendered_faces)


@pytest.fixture(scope="module")
def located(faces: Source) -> Located:
    return Located.of(faces, np.arange(len(faces)))


@pytest.fixture(scope="module")
def scenes(faces: Source, tmp_path_factory: pytest.TempPathFactory) -> Source:
    """A picture with two faces, one with a smaller one, and one with none."""
    folder = tmp_path_factory.mktemp("scenes")
    first, second = (Image.fromarray(faces[i].decode()) for i in (0, 7))
    both, one, none = (Image.new("RGB", (SIDE, SIDE), (120, 120, 120)) for _ in range(3))
    both.paste(second.resize((SMALLER, SMALLER)), (110, 100))
    both.paste(first.resize((SMALL, SMALL)), (16, 8))
    one.paste(second.resize((SMALLER, SMALLER)), (30, 80))
    for name, picture in (("0", both), ("1", one), ("2", none)):
        (folder / name).mkdir()
        picture.save(folder / name / "a.png")
    return open_source(folder)


def alike(image: Pixels, other: Pixels) -> float:
    """Correlation of what is in the middle of two images, each in the size of the smaller ones."""
    one, two = (
        np.asarray(Image.fromarray(each).resize((SMALL, SMALL), Image.Resampling.BOX)) for each in (image, other)
    )
    middle = slice(SMALL // 4, -SMALL // 4)
    return float(np.corrcoef(one[middle, middle].ravel(), two[middle, middle].ravel())[0, 1])


def test_most_renders_show_one_face_near_the_template(located: Located) -> None:
    assert located.one.mean() > 0.9 and located.usual is not None
    assert np.abs(located.usual - (template_in(SIDE) + 0.5) / SIDE).max() < 0.06  # as shares


def test_faces_anywhere_are_counted_and_brought_to_their_place(
    faces: Source, located: Located, scenes: Source
) -> None:
    found = Located.of(scenes, np.arange(3))
    assert found.count.tolist() == [2, 1, 0] and found.landmarks.shape == (3, MOST_FACES, 5, 2)
    assert found.one.tolist() == [False, True, False]
    assert np.isnan(found.landmarks[1, 1]).all() and np.isnan(found.landmarks[2]).all()
    usual = located.usual
    assert usual is not None
    views = ViewedSource(scenes, np.arange(3), found, usual)
    shown = {name: views[VIEW_NAMES.index(name)].decode() for name in VIEW_NAMES}
    first, second = (evened(faces[i].decode()) for i in (0, 7))
    assert alike(shown["largest face"], first) > 0.6 > 0.3 > alike(shown["largest face"], second)
    assert alike(shown["second face"], second) > 0.6 > 0.3 > alike(shown["second face"], first)
    for face in ("largest face", "second face"):  # of a picture without: the whole
        at = 2 * len(VIEW_NAMES) + VIEW_NAMES.index(face)
        assert np.array_equal(views[at].decode(), evened(scenes[2].decode()))


def test_without_a_usual_place_no_face_is_brought_anywhere(scenes: Source) -> None:
    found = Located.of(scenes, np.array([0, 2, 2]))
    assert found.usual is None
    views = ViewedSource(scenes, np.array([0]), found, found.usual)
    whole = evened(scenes[0].decode())
    assert all(np.array_equal(views[-1 - face].decode(), whole) for face in range(MOST_FACES))


def test_how_a_face_lies() -> None:
    usual = ((template_in(112) + 0.5) / 112).astype(np.float32)
    middle = usual.mean(axis=0)
    turned = (usual - middle) @ np.array([[0, -1], [1, 0]]) * 2 + middle + np.array([0.1, -0.2])
    stretched = middle + (usual - middle) * np.array([1.5, 1.0])
    landmarks = np.full((4, MOST_FACES, 5, 2), np.nan, np.float32)
    landmarks[:3, 0] = usual, turned, stretched
    poses = Located(np.array([1, 1, 1, 0]), landmarks).poses(usual)
    np.testing.assert_allclose(poses[0], 0, atol=1e-6)
    np.testing.assert_allclose(poses[1], [0.1, -0.2, np.log(2), -1, 0], atol=1e-5)
    assert poses[2, 4] > 0.02 and abs(poses[2, 3]) < 0.02
    np.testing.assert_array_equal(poses[3], 0)


def test_a_face_is_brought_to_a_larger_place(faces: Source, located: Located) -> None:
    image, usual = faces[5].decode(), located.usual
    assert usual is not None
    assert alike(brought(image, located.landmarks[5, 0], usual), image) > 0.9
