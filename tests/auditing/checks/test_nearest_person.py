"""Classes that are training people under other names, and classes that are not."""

import dataclasses

import numpy as np
import pytest

from sface_data.auditing.checks.kind import CheckContext
from sface_data.auditing.checks.nearest_person import CHECKS
from sface_data.auditing.checks.related import TOO_FEW
from sface_data.auditing.compare.backend import Backend
from sface_data.auditing.evidence import Nearness
from sface_data.auditing.policy import Limit, load_policy
from sface_data.auditing.search import Search
from sface_data.auditing.sets.judged_sets import JudgedSets
from sface_data.auditing.simulation import Leak, World, simulate
from sface_data.auditing.verdict import Finding

WORLD = World(classes=150, images=8, authentic=8, control=300, control_images=16, dimensions=32)
ALPHA = 0.05


def found(sets: JudgedSets, limit: float = 0.0) -> Finding:
    policy = load_policy("strict")
    policy = dataclasses.replace(policy, checks={**policy.checks, "nearest-person": Limit(limit, True)})
    nearness = Nearness(sets, {}, None, Search.of(sets, 0, Backend()))
    return CHECKS[0].find(CheckContext(nearness, policy, seed=0, level=ALPHA, trials=5))[0]


def renamed(sets: JudgedSets, people: int, seed: int) -> JudgedSets:
    """The release with some classes replaced by other photographs of training people of other names."""
    rng = np.random.default_rng(seed)
    vectors, training = sets.release.vectors.copy(), sets.training
    for c in rng.choice(150, people, replace=False):
        own = training.vectors[training.class_index == (c + 1) % 150].mean(axis=0)
        own /= np.linalg.norm(own)
        near = own + 0.9 * rng.standard_normal((8, 32)) / np.sqrt(32)
        vectors[sets.release.class_index == c] = near / np.linalg.norm(near, axis=1, keepdims=True)
    return dataclasses.replace(sets, release=dataclasses.replace(sets.release, vectors=vectors.astype(np.float32)))


def test_clean_releases_alarm_no_more_often_than_stated() -> None:
    alarms = [found(simulate(WORLD, Leak(), seed)).p_value for seed in range(40)]
    assert sum(p is not None and p < ALPHA for p in alarms) <= 5  # of 40, at 5 %: more come in 1 of 100 series


@pytest.mark.parametrize("seed", range(3))
def test_training_people_under_other_names_are_found(seed: int) -> None:
    leak = found(renamed(simulate(WORLD, Leak(), seed), 15, seed), limit=0.005)
    assert leak.p_value is not None and leak.p_value < 1e-3
    assert leak.interval is not None and leak.interval.low > 0.02


def test_images_are_looked_at_wherever_the_publisher_puts_them() -> None:
    # The control group has half as many images, so half of a class are looked at: not the first.
    few = dataclasses.replace(WORLD, control_images=4)
    clean = simulate(few, Leak(), 0)
    leaked = renamed(clean, 60, 0).release.vectors.reshape(150, 8, 32).copy()
    leaked[:, :4] = clean.release.vectors.reshape(150, 8, 32)[:, :4]
    release = dataclasses.replace(clean.release, vectors=leaked.reshape(-1, 32))
    leak = found(dataclasses.replace(clean, release=release))
    assert leak.p_value is not None and leak.p_value < 1e-3


def test_people_are_planted_as_other_photographs_than_those_of_training_show_them() -> None:
    blurred = simulate(dataclasses.replace(WORLD, authentic=4, images=4, control_images=4, spread=3.0), Leak(), 0)
    assert found(blurred).facts["planted"][0]["found"] < 0.3  # all of them, if their own images were there


def test_people_of_few_photographs_are_searched_with_as_few() -> None:
    few = simulate(dataclasses.replace(WORLD, authentic=5), Leak(), 0)
    finding = found(few)
    assert finding.interval is not None and finding.facts["images_of_a_half"] == 2


def test_more_images_of_a_class_make_no_leak() -> None:
    # Twice the images of the control group: means of all of them would be nearer to whomever.
    many = dataclasses.replace(WORLD, images=32)
    alarms = [found(simulate(many, Leak(), seed)).p_value for seed in range(10)]
    assert sum(p is not None and p < ALPHA for p in alarms) <= 2


def test_nothing_is_said_without_a_control_group_or_of_single_images() -> None:
    sets = simulate(WORLD, Leak(), 0)
    assert "control group" in found(dataclasses.replace(sets, control=None)).blocks_pass
    single = simulate(dataclasses.replace(WORLD, images=1), Leak(), 0)
    assert found(single).blocks_pass == TOO_FEW and found(single).interval is None
