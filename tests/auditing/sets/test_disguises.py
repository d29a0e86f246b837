"""Training images that people recognise and judges may not: what is planted, and how it is looked at."""

from pathlib import Path

import numpy as np
import pytest

from sface_data.auditing.sets.disguises import DISGUISES, DisguisedSource
from sface_data.auditing.sets.located import Located, evened
from sface_data.auditing.sets.views import VIEW_NAMES, VIEWS, ViewedSource, part, turned
from sface_data.faces.base import Source
from sface_data.faces.sources import open_source


@pytest.fixture
def faces(rendered_faces: Path) -> Source:
    """Rendered faces of a few identities."""
    return open_source(rendered_faces)


def test_every_disguise_changes_the_image_and_keeps_its_size(faces: Source) -> None:
    image = faces[0].decode()
    for name, disguise in DISGUISES.items():
        altered = disguise(image, np.random.default_rng(0))
        assert altered.shape == image.shape and altered.dtype == np.uint8, name
        assert np.abs(altered.astype(int) - image).mean() > 1, name


def test_disguises_are_drawn_by_a_text_alone(faces: Source) -> None:
    one, again, other = (DisguisedSource(faces, text, 4) for text in ("a", "a", "b"))
    assert len(one) == 4 * len(DISGUISES)
    assert all(one.names.count(name) == 4 for name in DISGUISES)
    fewer = DisguisedSource(faces, "a", 1)
    assert [fewer[i].data for i in range(len(fewer))] == [one[i].data for i in range(len(fewer))]
    chosen = range(0, len(one), 17)
    assert [one[i].data for i in chosen] == [again[i].data for i in chosen]
    assert [one[i].data for i in chosen] != [other[i].data for i in chosen]
    assert set(one.class_indices.tolist()) <= set(faces.class_indices.tolist())


def test_views_undo_what_was_turned_cut_and_inverted() -> None:
    image = np.random.default_rng(0).integers(60, 196, (16, 16, 3), dtype=np.uint8)
    assert np.array_equal(VIEWS["upside down"](image[::-1, ::-1]), image)
    assert np.array_equal(VIEWS["negative"](255 - image), image)
    assert np.array_equal(turned(turned(image, 90), -90), image)
    canvas = np.zeros((32, 32, 3), np.uint8)
    canvas[:16, 16:] = image
    assert np.array_equal(VIEWS["top right"](canvas), part(canvas, 0.5, 0.0))
    assert np.abs(VIEWS["top right"](canvas)[::2, ::2].astype(int) - image).mean() < 40
    faint = (image * 0.1 + 100).astype(np.uint8)
    assert np.abs(evened(faint).astype(int) - evened(image)).mean() < 12


def test_a_view_shows_what_lies_in_single_pixels_of_a_larger_image() -> None:
    hidden = np.random.default_rng(0).integers(0, 256, (112, 112, 3), dtype=np.uint8)
    large = np.kron(255 - hidden, np.ones((3, 3, 1), np.uint8))
    large[1::3, 1::3] = hidden
    assert np.array_equal(VIEWS["sampled"](large), hidden)


def test_views_of_an_image_stand_together(faces: Source) -> None:
    chosen = np.array([3, 11])
    viewed = ViewedSource(faces, chosen, Located.of(faces, chosen), None)
    assert len(viewed) == 2 * len(VIEW_NAMES)
    at = len(VIEW_NAMES) + VIEW_NAMES.index("upside down")
    assert np.array_equal(viewed[at].decode(), evened(faces[11].decode())[::-1, ::-1])
    assert viewed[at].class_index == faces[11].class_index and viewed[at].key.startswith(faces[11].key)
