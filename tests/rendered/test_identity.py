import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sface_data.rendered.identity import BEARDS, STYLES, Identity, draw_identity
from sface_data.rendered.variation import EXPRESSIONS, draw_variation

SEEDS = st.integers(0, 2**63)
NUMBERS = st.integers(0, 10**6)


def same(one: object, other: object) -> bool:
    return repr(one) == repr(other)


@settings(max_examples=25, deadline=None)
@given(SEEDS, NUMBERS)
def test_an_identity_is_a_pure_function_of_its_seed_and_lies_within_its_ranges(seed: int, number: int) -> None:
    identity = draw_identity(seed, number)
    again = draw_identity(seed, number)
    assert same(identity, again)
    np.testing.assert_array_equal(identity.shape, again.shape)
    assert 0 <= identity.male <= 1
    assert 0 <= identity.age <= 1
    assert identity.hair.style in STYLES
    assert identity.beard in BEARDS
    assert (identity.skin.colour > 0).all()
    assert (identity.skin.colour < 1.2).all()
    assert identity.brows.outer > identity.brows.inner
    assert (identity.shape >= 0).all()


def shares(identity: Identity) -> float:
    """Sum of the weights of the whole-head targets, which must blend and not add up."""
    from sface_data.rendered import headpack

    names = headpack.load().names
    return float(sum(identity.shape[row] for row, name in enumerate(names) if name.startswith("macro:")))


def test_identities_differ_by_number_and_by_seed() -> None:
    identities = [draw_identity(seed, number) for seed in (0, 1) for number in range(6)]
    assert len({repr(identity.skin) for identity in identities}) == 12
    assert len({identity.shape.tobytes() for identity in identities}) == 12
    assert [shares(identity) for identity in identities] == pytest.approx([1] * 12)


def test_people_are_of_all_kinds() -> None:
    identities = [draw_identity(0, number) for number in range(200)]
    assert {identity.hair.style for identity in identities} == set(STYLES)
    assert {identity.beard for identity in identities} == set(BEARDS)
    assert 0.35 < np.mean([identity.male > 0.5 for identity in identities]) < 0.65
    assert min(identity.age for identity in identities) < 0.05
    assert max(identity.age for identity in identities) > 0.8


@settings(max_examples=25, deadline=None)
@given(SEEDS, NUMBERS, NUMBERS)
def test_a_variation_is_a_pure_function_of_its_seed(seed: int, number: int, index: int) -> None:
    variation = draw_variation(seed, number, index)
    assert same(variation, draw_variation(seed, number, index))
    assert not same(variation, draw_variation(seed, number, index + 1))
    assert not same(variation, draw_variation(seed, number + 1, index))
    assert np.linalg.norm(variation.light.direction) == pytest.approx(1, abs=1e-5)
    assert all(0 <= amount <= 1 for amount in variation.expression.values())


def test_no_strength_is_a_frontal_face_in_frontal_light() -> None:
    variation = draw_variation(0, 0, 0, strength=0)
    camera = variation.camera
    assert (camera.yaw, camera.pitch, camera.roll, camera.zoom) == (0, 0, 0, 1)
    assert variation.light.direction[0] == 0
    assert (variation.film.blur, variation.film.noise) == (0, 0)


def test_every_expression_is_drawn() -> None:
    drawn = [frozenset(draw_variation(0, 0, index).expression) for index in range(60)]
    blink = {"eyeBlinkLeft", "eyeBlinkRight"}
    assert set(drawn) == {frozenset(blink | set(actions)) for actions in EXPRESSIONS.values()}
