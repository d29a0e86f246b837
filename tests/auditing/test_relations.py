"""Releases whose labels mean nothing: classes are held against the people who are nearest to them."""

import dataclasses

import numpy as np
import pytest

from sface_data.auditing.checks.run import AuditResult, run_checks
from sface_data.auditing.policy import Limit, load_policy
from sface_data.auditing.sets.judged_sets import JudgedSets
from sface_data.auditing.simulation import Leak, World, simulate
from sface_data.auditing.verdict import Check
from sface_data.biometrics.subjects import SubjectScores

WORLD = World(classes=120, images=6, authentic=6, control=150, control_images=6, dimensions=32)
CHECKS = {"same-label-auc": 0.6, "same-label-ratio-1e-3": 2.0, "linkage-class-rank-1": 0.05}


def audited(sets: JudgedSets) -> AuditResult:
    policy = load_policy("strict")
    limits = {name: Limit(limit, True) for name, limit in CHECKS.items()}
    return run_checks([sets], None, dataclasses.replace(policy, checks=limits), trials=2)


def found(sets: JudgedSets) -> dict[tuple[str, str], Check]:
    checks = [check for check in audited(sets).checks if check.finding.name in CHECKS]
    return {(check.finding.name, check.finding.relation): check for check in checks}


def unrelated(sets: JudgedSets, prefix: str = "new_") -> JudgedSets:
    """The same release, said to have labels without meaning, and under names of its own."""
    names = tuple(prefix + name for name in sets.release.class_names)
    renamed = dataclasses.replace(sets.release, class_names=names)
    return dataclasses.replace(sets, release=renamed, labels_related=False)


@pytest.fixture(scope="module")
def clean() -> JudgedSets:
    return simulate(WORLD, Leak(), 0)


@pytest.fixture(scope="module")
def leaking() -> JudgedSets:
    return simulate(WORLD, Leak(related=0.7), 0)


def test_a_relation_is_found_whatever_the_classes_are_called(clean: JudgedSets, leaking: JudgedSets) -> None:
    checks = found(unrelated(leaking))
    assert {relation for _, relation in checks} == {"search"}
    assert {check.verdict for check in checks.values()} == {"fail"}
    checks = found(unrelated(clean))
    assert "fail" not in {check.verdict for check in checks.values()}
    auc = checks["same-label-auc", "search"].finding.interval
    assert auc is not None and auc.low < 0.5 < auc.high and auc.high - auc.low < 0.2


def test_names_of_training_people_are_looked_at_whatever_they_are_said_to_mean(leaking: JudgedSets) -> None:
    checks = found(unrelated(leaking, prefix=""))
    assert {relation for _, relation in checks} == {"label", "search"}
    assert checks["same-label-auc", "label"].verdict == "fail"
    plain = found(leaking)
    assert {relation for _, relation in plain} == {"label"}
    by_label, again = (each["same-label-auc", "label"].finding.interval for each in (plain, checks))
    assert by_label == again


def test_people_whom_the_manifest_names_are_looked_at(clean: JudgedSets, leaking: JudgedSets) -> None:
    own = np.arange(WORLD.classes)[:, None]
    checks = found(dataclasses.replace(unrelated(leaking), claimed=own))
    assert {relation for _, relation in checks} == {"claim", "search"}
    assert {check.verdict for check in checks.values()} == {"fail"}
    parents = np.stack([np.arange(WORLD.classes), (np.arange(WORLD.classes) + 1) % WORLD.classes], axis=1)
    mixed = found(dataclasses.replace(unrelated(clean), claimed=parents))["same-label-auc", "claim"].finding
    assert mixed.facts["same_label"] == 2 * WORLD.classes and mixed.facts["different_label"] == 2 * WORLD.control


def test_a_claim_about_somebody_who_is_not_there_cannot_pass(clean: JudgedSets) -> None:
    claimed = np.arange(WORLD.classes)[:, None].copy()
    sets = dataclasses.replace(unrelated(clean), claimed=claimed)
    assert found(sets)["same-label-auc", "claim"].verdict == "pass"
    claimed[:3] = -1
    check = found(sets)["same-label-auc", "claim"]
    assert check.verdict == "inconclusive"
    assert check.reason == "3 of 120 classes name somebody whose faces were not given"


def test_a_relation_that_was_selected_needs_a_control_group(clean: JudgedSets) -> None:
    checks = found(dataclasses.replace(unrelated(clean), control=None))
    assert {check.verdict for check in checks.values()} == {"inconclusive"}
    assert all("no control group" in check.reason for check in checks.values())


def test_scores_of_subjects_apart_have_the_interval_of_two_independent_samples() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(0.1, 0.1, 400).clip(-1, 1), rng.normal(0, 0.1, 300).clip(-1, 1)
    auc = SubjectScores.apart(first[:, None], second[:, None], 0).auc()
    exact = float((first[:, None] > second).mean())
    assert auc.value == pytest.approx(exact, abs=1e-3)
    above, below = (first[:, None] > second).mean(axis=1), (first[:, None] > second).mean(axis=0)
    error = np.sqrt(above.var() / 400 + below.var() / 300)  # DeLong's
    assert auc.high - auc.low == pytest.approx(2 * 1.96 * error, rel=0.15)
