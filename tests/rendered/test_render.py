from dataclasses import replace

import numpy as np
import pytest

from sface_data.rendered import headpack
from sface_data.rendered.head import Head, bake
from sface_data.rendered.identity import draw_identity
from sface_data.rendered.pose import TEMPLATE, pose
from sface_data.rendered.rasteriser import rasterise
from sface_data.rendered.render import landmarks_of, render
from sface_data.rendered.variation import Variation, draw_variation


@pytest.fixture(scope="module")
def heads() -> list[Head]:
    return [bake(draw_identity(0, number)) for number in range(8)]


def still(number: int, index: int = 0) -> Variation:
    """Frontal, evenly lit, without noise or blur."""
    return draw_variation(0, number, index, strength=0)


def test_rendering_twice_gives_the_same_bytes(heads: list[Head]) -> None:
    variation = draw_variation(0, 1, 2)
    once, again = render(heads[1], variation), render(bake(draw_identity(0, 1)), variation)
    assert once.image.tobytes() == again.image.tobytes()
    assert once.landmarks.tobytes() == again.landmarks.tobytes()


def test_the_surface_seen_at_a_landmark_is_that_part_of_the_face(heads: list[Head]) -> None:
    pack = headpack.load()
    eyes = {headpack.RIGHT_EYE, headpack.LEFT_EYE}
    for number, head in enumerate(heads):
        variation = replace(draw_variation(0, number, 0, strength=0.4), expression={})
        landmarks = landmarks_of(head, variation, 224)
        posed = pose(head, variation)
        fragments = rasterise(posed.points * np.float32(224), posed.depth, head.surface.triangles, 224)
        seen = np.full(224 * 224, -1)
        seen[fragments.pixel] = np.arange(len(fragments.pixel))
        column, row = np.round(landmarks).astype(int).T
        at = seen[row * 224 + column]
        parts = head.surface.part[fragments.triangle[at]]
        assert set(parts[:2]) == eyes
        vertices = fragments.interpolate(head.surface.triangles, head.vertices)[at]
        # The nose's tip and the mouth's corners, within a pixel (0.008 dm) on a surface that slopes away.
        assert np.abs(vertices[2:, :2] - head.vertices[pack.landmarks, :2]).max() < 0.03


def test_landmarks_are_aligned_with_the_template(heads: list[Head]) -> None:
    for number, head in enumerate(heads):
        variation = draw_variation(0, number, 1)
        landmarks = render(head, variation).landmarks
        middle = (TEMPLATE.mean(0) + 0.5 - 56) * variation.camera.zoom + 55.5 + variation.camera.shift
        np.testing.assert_allclose(landmarks.mean(0), middle, atol=1e-3)
        assert np.abs(landmarks - TEMPLATE).max() < 16
        np.testing.assert_array_equal(landmarks, landmarks_of(head, variation))
    frontal = np.stack([landmarks_of(head, still(number)) for number, head in enumerate(heads)])
    assert np.abs(frontal.mean(0) - TEMPLATE).max() < 5


def test_size_scales_the_picture(heads: list[Head]) -> None:
    small, large = render(heads[2], still(2), 64), render(heads[2], still(2), 128)
    np.testing.assert_allclose(large.landmarks, (small.landmarks + 0.5) * 2 - 0.5, atol=1e-3)
    halved = large.image.reshape(64, 2, 64, 2, 3).mean((1, 3))
    assert np.abs(halved - small.image).mean() < 3


def test_the_backdrop_is_seen_beside_the_head_only(heads: list[Head]) -> None:
    variation = still(4)
    other = replace(variation, backdrop=replace(still(5).backdrop, shirt=variation.backdrop.shirt))
    one, two = render(heads[4], variation).image.astype(int), render(heads[4], other).image.astype(int)
    beside = np.abs(one - two).max(2) > 0
    assert beside[5:20, :4].all()
    assert not beside[40:90, 40:72].any()
    assert 0.1 < beside.mean() < 0.7


def test_the_face_is_brighter_on_the_side_of_the_light(heads: list[Head]) -> None:
    variation = still(4)
    brightness = {}
    for side in (-1, 1):
        direction = np.array([side * 0.8, 0, 0.6], np.float32)
        lit = replace(variation, light=replace(variation.light, direction=direction))
        image = render(heads[4], lit).image
        brightness[side] = image[60:85, 30:45].mean() - image[60:85, 67:82].mean()
    assert brightness[-1] > 20
    assert brightness[1] < -20


def test_long_hair_hangs_beside_the_cheeks() -> None:
    heads = (bake(draw_identity(0, number)) for number in range(100))
    head = next(head for head in heads if head.curtain is not None)
    variation = still(0)
    shorn = Head(head.identity, head.vertices[: len(headpack.load().base)], None)
    changed = (render(head, variation).image != render(shorn, variation).image).any(2)
    assert changed[:, :25].mean() > 0.15
    assert changed[:, 87:].mean() > 0.15
    assert not changed[60:85, 45:67].any()


def test_a_simple_eye_tells_the_identities_apart(heads: list[Head]) -> None:
    """The nearest other image, by colours on a coarse grid, is of the same identity."""
    images, labels = [], []
    for number, head in enumerate(heads):
        for index in range(4):
            picture = render(head, draw_variation(0, number, index, strength=0.2), 64, supersampling=1)
            grid = picture.image[8:56, 8:56].reshape(12, 4, 12, 4, 3).mean((1, 3)).ravel()
            images.append((grid - grid.mean()) / grid.std())
            labels.append(number)
    likeness = np.stack(images) @ np.stack(images).T
    np.fill_diagonal(likeness, -np.inf)
    nearest = np.array(labels)[likeness.argmax(1)]
    assert (nearest == labels).mean() > 0.8
