"""Sentences and numbers for people who know no statistics, from checks made up by hand."""

from typing import Any

import pytest

from sface_data.auditing.outcome import Outcome
from sface_data.auditing.plain_words import (
    KIND,
    RISKS,
    about,
    findings,
    measured,
    people_with_a_near_image,
    percent,
    undecided,
)
from sface_data.auditing.policy import CHECKS
from sface_data.auditing.verdict import KNOWN_JUDGES, LABEL


def check(
    name: str, value: float, low: Any, high: Any, limit: float, judge: str = "j", **facts: Any
) -> dict[str, Any]:
    statistic = {"value": value, "low": low, "high": high}
    return {
        "name": name,
        "judge": judge,
        "relation": LABEL,
        "limit": limit,
        "statistic": statistic,
        "adjusted_p_value": 1.0,
        "facts": facts,
    }


LINKED = {"probes": 32, "linked": 30, "chance": 1 / 32, "training_people": 500}
EXPOSED = {
    "training_people": 1000,
    "matched": 45,
    "matched_by_control": 10,
    "release_images_per_control_image": 2.0,
    "control_images": 5_000,
    "control_images_matching": 5,
}


def test_what_was_found_is_said_in_people_and_images() -> None:
    checks = [
        check("same-label-eer", 0.374, 0.35, 0.4, 0.05),
        check("linkage-class-rank-1", 0.93, 0.8, 0.98, 0.005, **LINKED),
        check("exposure", 0.03, 0.02, 0.04, 0.01, **EXPOSED),
    ]
    assert findings(checks) == (
        "Of 32 synthetic classes, 30 are traced to the training person of the same label as the nearest of 500; "
        "by chance it would be about 1.",
        "Whether a synthetic image and a photograph carry the same label can be told from the faces with an equal "
        "error rate of 13 %; 50 % would be guessing.",
        # 1 - (1 - 10 / 1000)^2 = 1.99 % of 1,000 people
        "Of 1,000 training people, 45 are shown by a synthetic image that is as near to a photograph as only 1 in "
        "1,000 images of strangers; as many images of strangers would reach about 20.",
    )


def test_the_judge_that_found_most_is_quoted_and_a_blind_one_is_not() -> None:
    seen = check("linkage-class-rank-1", 0.93, 0.8, 0.98, 0.005, judge="a", **LINKED)
    less = check("linkage-class-rank-1", 0.1, 0.0, 0.2, 0.005, judge="b", **{**LINKED, "linked": 4})
    blind = check("linkage-class-rank-1", 0.99, 0.9, 1.0, 0.005, judge="c", **{**LINKED, "linked": 31})
    blind["adjusted_p_value"] = None
    assert findings([less, seen, blind])[0].startswith("Of 32 synthetic classes, 30 are")
    assert list(people_with_a_near_image([less, seen, blind])) == [
        "30 of 32 classes lead to the training person of their label; by chance it would be about 1."
    ]
    assert findings([blind]) == ()


@pytest.mark.parametrize(
    ("made", "value", "reach", "limit"),
    [
        (check("same-label-eer", 0.208, 0.2, 0.21, 0.05), "EER 29 %", "29 % to 30 %", "at least EER 45 %"),
        (check("same-label-auc", 0.78, 0.7, 0.8, 0.55), "AUC 0.780", "0.700 to 0.800", "at most AUC 0.550"),
        (check("same-label-auc", 0.995, 0.98, 1.0, 0.55), "AUC 0.995", "above 0.980", "at most AUC 0.550"),
        (check("judge", 0.02, 0.01, 0.03, 0.1), "AUC 0.980", "0.970 to 0.990", "at least AUC 0.900"),
        (
            check("same-label-ratio-1e-4", 113, 4.73, 1.4e5, 5),
            "113 times",
            "at least 4.73 times",
            "at most 5 times",
        ),
        (check("same-label-ratio-1e-4", 3, 0, "infinite", 5), "3 times", "at most no bound", "at most 5 times"),
        (check("exposure", 0.0123, 0.01, 0.015, 0.01), "1.2 %", "1 % to 1.5 %", "at most 1 %"),
        (check("identical-files", 0.5, 0.5, 0.5, 0), "50 %", "counted", "at most 0 %"),
    ],
)
def test_numbers_have_the_unit_that_readers_know(made: dict[str, Any], value: str, reach: str, limit: str) -> None:
    shown = measured(made)
    assert (shown.value, shown.reach, shown.limit) == (value, reach, limit)


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0, "0 %"),
        (1e-9, "0 %"),
        (0.00012, "0.012 %"),
        (0.1, "10 %"),
        (0.999, "100 %"),
        (1, "100 %"),
        (-0.02, "-2 %"),
    ],
)
def test_per_cent(share: float, text: str) -> None:
    assert percent(share) == text


def test_expected_counts_feign_no_digits() -> None:
    assert (about(0.2), about(0.7), about(1234.4)) == ("none", "about 1", "about 1,234")


def test_every_check_of_a_policy_belongs_to_one_risk() -> None:
    for name in set(CHECKS) - {KIND, KNOWN_JUDGES}:  # which are about the judges
        assert sum(risk.covers({"name": name}) for risk in RISKS) == 1, name


def test_what_is_undecided_for_one_reason_is_said_once() -> None:
    made = [check(name, 0, 0, 1, 0.1) for name in ("a", "b", "c")]
    for each, reason in zip(made, ("few", "few", "none"), strict=True):
        each |= {"needed": True, "verdict": "inconclusive", "reason": reason}
    passed = check("d", 0, 0, 0, 0.1) | {"needed": True, "verdict": "pass", "reason": "few"}
    assert undecided([*made, passed]) == {("j", "few"): ["a", "b"], ("j", "none"): ["c"]}


def test_the_certificate_of_an_audit_has_findings(outcome: Outcome) -> None:
    sentences = outcome.certificate.findings
    assert 1 <= len(sentences) <= 5
    assert any("nearer to a training photograph than any stranger" in sentence for sentence in sentences)
    assert not any("nan" in sentence.split() for sentence in people_with_a_near_image(outcome.certificate.checks))
