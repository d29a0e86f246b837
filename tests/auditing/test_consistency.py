"""A certificate whose digest was computed anew is none if it contradicts its policy or its own numbers."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from sface_data.auditing.checks.run import AuditResult
from sface_data.auditing.consistency import contradiction
from sface_data.auditing.policy import load_policy
from tests.auditing.forged import made_up_predicate
from tests.auditing.test_certificate import certificate_of


def predicate_of(verdict: Any, policy: str = "strict") -> dict[str, Any]:
    return made_up_predicate(load_policy(policy), "judge.onnx", verdict)


def check(predicate: dict[str, Any], name: str) -> dict[str, Any]:
    return next(check for check in predicate["checks"] if check["name"] == name)


def corrected_for(predicate: dict[str, Any]) -> int:
    """How many checks are corrected for."""
    return sum(check["p_value"] is not None for check in predicate["checks"])


@pytest.mark.parametrize("policy", ["strict", "standard", "paper"])
@pytest.mark.parametrize("verdict", ["pass", "fail", "inconclusive"])
def test_what_follows_from_its_numbers_is_accepted(verdict: str, policy: str) -> None:
    assert contradiction(predicate_of(verdict, policy)) == ""


def test_what_an_audit_makes_does_not_contradict_itself(sound: AuditResult, simulated: Callable) -> None:
    from sface_data.auditing.simulation import Leak

    for result in (sound, simulated(Leak(copies=0.05, related=0.2), seed=1)):
        predicate = certificate_of(result, {"a": "0"}).statement["predicate"]
        assert contradiction(predicate) == ""


FORGERIES: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "left out": (
        lambda p: p["checks"].remove(check(p, "near-duplicates")),
        "'near-duplicates' by 'judge.onnx' is missing",
    ),
    "left out, not needed": (lambda p: p["checks"].remove(check(p, "membership-auc")), "is missing"),
    "without the judge": (lambda p: p["checks"].pop(0), "the check 'judge' by 'judge.onnx' is missing"),
    "a judge that is not known": (
        lambda p: p["judges"][1].update(sha256="0" * 64),
        "it counts other judges as known",
    ),
    "one judge of two": (lambda p: p["judges"].append({"name": "second.onnx"}), "by 'second.onnx' is missing"),
    "twice": (lambda p: p["checks"].append(check(p, "exposure")), "is not of its policy"),
    "without a relation": (
        lambda p: p["inputs"]["relations"].clear(),
        "it relates classes and training people by",
    ),
    "labels that mean nothing": (lambda p: p["inputs"].update(labels_related=False), "by label"),
    "one relation of two": (lambda p: p["inputs"]["relations"].update(claim=""), "is missing"),
    "another check": (lambda p: p["checks"].append({**check(p, "exposure"), "name": "x"}), "'x' by"),
    "another limit": (lambda p: check(p, "exposure").update(limit=0.5), "another limit than in its policy"),
    "not needed": (lambda p: check(p, "exposure").update(needed=False), "another limit than in its policy"),
    "above the limit": (
        lambda p: check(p, "exposure")["statistic"].update(high=0.5),
        "'exposure' passes though its interval reaches above the limit",
    ),
    "fails": (
        lambda p: check(p, "exposure").update(p_value=1e-9, adjusted_p_value=1e-9 * corrected_for(p)),
        "numbers of 'exposure' contradict each other",
    ),
    "beyond chance, and inconclusive": (
        lambda p: check(p, "exposure").update(
            statistic={"low": 0.2, "value": 0.3, "high": 0.4}, verdict="inconclusive", p_value=0.4
        ),
        "numbers of 'exposure' contradict each other",
    ),
    "not corrected": (
        lambda p: check(p, "exposure").update(adjusted_p_value=0.5),
        "is not corrected for the number",
    ),
    "nothing measured": (lambda p: check(p, "exposure").update(statistic=None), "a verdict on nothing measured"),
    "bounds": (lambda p: check(p, "exposure")["statistic"].update(low=0.005), "contradict each other"),
    "void": (lambda p: check(p, "exposure").update(adjusted_p_value=None), "its judge counts for nothing"),
    "blind": (
        lambda p: check(p, "exposure").update(facts={"planted": [{"demand": "fail", "caught": 0.5}]}),
        "did not find what was planted",
    ),
    "copies listed": (
        lambda p: check(p, "near-duplicates").update(facts={"beyond_strangers": {"images": 1}}),
        "it lists images that no stranger comes as near as",
    ),
    "overall": (
        lambda p: check(p, "exposure").update(verdict="inconclusive"),
        "its verdict is 'pass' where its checks say 'inconclusive'",
    ),
    "other words": (lambda p: p.update(in_words="All is well."), "its words do not follow from its checks"),
    "other words for a relation": (lambda p: p["inputs"]["relations"].update(label="nobody"), "its words do not"),
    "less left unsaid": (lambda p: p["not_said"].pop(), "it leaves out or changes what it does not say"),
    "no policy": (lambda p: p["policy"]["content"].update(more=1), "its policy is none (unknown key 'more'"),
    "a wider policy": (
        lambda p: p["policy"]["content"]["checks"]["exposure"].update(limit=0.5),
        "its policy has another digest",
    ),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_what_does_not_is_named(name: str) -> None:
    change, words = FORGERIES[name]
    predicate = copy.deepcopy(predicate_of("pass"))
    change(predicate)
    assert words in contradiction(predicate)


def test_a_policy_that_only_says_that_it_ships() -> None:
    predicate = predicate_of("pass", "paper")
    predicate["policy"]["shipped"] = False
    assert "ships" in contradiction(predicate)
