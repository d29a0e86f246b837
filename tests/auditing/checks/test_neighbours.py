"""A release that lies farther from training than strangers do: that is no leak, and it hides none."""

import dataclasses

import numpy as np
import pytest

from sface_data.auditing.checks.neighbours import own_threshold
from sface_data.auditing.checks.run import run_checks
from sface_data.auditing.policy import Limit, load_policy
from sface_data.auditing.sets.judged_sets import JudgedSets, derived
from sface_data.auditing.simulation import Leak, World, simulate
from sface_data.auditing.verdict import Check
from sface_data.embedding.embeddings import EmbeddingSet

WORLD = World(classes=100, images=20, authentic=6, control=100, control_images=20)
COSINE = 0.8  # of an image of the release with what it would be as a photograph


def farther(sets: JudgedSets, cosine: float = COSINE, ordinary: int = 0) -> JudgedSets:
    """The same with one more dimension, in which the release is unlike photographs, but for some classes."""

    def with_one(faces: EmbeddingSet, soft_cosine: float, ordinary: int = 0) -> EmbeddingSet:
        cosine = np.where(faces.class_index < ordinary, 1, soft_cosine)[:, None]
        last = np.sqrt(1 - cosine**2)
        vectors = np.concatenate([cosine * faces.vectors, last], axis=1).astype(np.float32)
        return derived(vectors, faces.class_index, faces)

    assert sets.control is not None and sets.copies is not None
    return dataclasses.replace(
        sets,
        release=with_one(sets.release, cosine, ordinary),
        training=with_one(sets.training, 1),
        control=with_one(sets.control, 1),
        copies=dataclasses.replace(sets.copies, faces=with_one(sets.copies.faces, 1)),
    )


def nearest(sets: JudgedSets, name: str = "nearest-neighbour-1e-2") -> Check:
    policy = load_policy("strict")
    only = dataclasses.replace(policy, checks={name: Limit(0.001, True)})
    checks = run_checks([sets], None, only, trials=10).checks
    return next(check for check in checks if check.finding.name == name)


def test_a_clean_release_that_is_farther_is_no_blinder_than_one_that_is_not() -> None:
    caught = []
    for sets in (simulate(WORLD, Leak(), 0), farther(simulate(WORLD, Leak(), 0))):
        check = nearest(sets)
        assert check.verdict != "fail"
        planted = check.finding.facts["planted"]
        caught.append(next(p["caught"] for p in planted if p["demand"] == "fail" and p["kind"] == "simulated"))
    assert caught[1] >= caught[0] - 0.2 and caught[1] > 0.5


def test_being_farther_hides_no_copies() -> None:
    check = nearest(farther(simulate(WORLD, Leak(copies=0.04), 0)))
    facts = check.finding.facts
    assert check.verdict == "fail"
    assert facts["release_threshold"] < facts["threshold"]


@pytest.mark.parametrize("name", ["nearest-neighbour-1e-2", "exposure"])
def test_strangers_among_images_that_lie_farther_are_no_leak(name: str) -> None:
    check = nearest(farther(simulate(WORLD, Leak(), 0), 0.4, 9), name)
    assert check.finding.interval is not None and check.finding.interval.low > check.finding.limit
    assert check.verdict == "inconclusive"


def test_the_threshold_of_a_release_follows_its_bulk_and_never_rises() -> None:
    control = np.random.default_rng(0).normal(0.5, 0.05, 5_000).astype(np.float32)
    assert own_threshold(0.65, control, control) == pytest.approx(0.65)
    assert own_threshold(0.65, 0.9 * control - 0.1, control) == pytest.approx(0.9 * 0.65 - 0.1, abs=1e-5)
    assert own_threshold(0.65, control + 0.1, control) == 0.65
    leaking = np.concatenate([control[:4_750] - 0.1, np.full(250, 0.9, np.float32)])
    assert own_threshold(0.65, leaking, control) < 0.65
