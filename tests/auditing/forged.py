"""Certificates, made up."""

from collections.abc import Sequence
from typing import Any

from sface_data.auditing.certificate_words import IN_WORDS, NOT_SAID, in_words
from sface_data.auditing.known_judges import KNOWN, known_as
from sface_data.auditing.policy import Policy
from sface_data.auditing.verdict import (
    BY_RELATION,
    JUDGE,
    JUDGE_RELEASE,
    KNOWN_JUDGES,
    LABEL,
    NOT_BY_JUDGE,
    Verdict,
)

OTHER_JUDGE = "other.onnx"
# What the sentences of a certificate speak of.
_FACTS: dict[str, dict[str, Any]] = {
    JUDGE: {"without_embedding": {"training": {"left_out": 1, "faces": 200}}},
    "identical-files": {"identical": 0},
    "linkage-class-rank-1": {"probes": 10, "linked": 1, "chance": 0.1, "training_people": 10},
    "exposure": {
        "training_people": 10,
        "matched": 0,
        "matched_by_control": 0,
        "release_images_per_control_image": 1.0,
        "control_images": 10,
        "control_images_matching": 1,
    },
    "nearest-neighbour-1e-3": {
        "release_images": 10,
        "release_matches": 0,
        "control_images": 10,
        "control_matches": 1,
    },
    "nearest-view": {
        "release_images": 10,
        "release_matches": 0,
        "control_images": 10,
        "beyond_strangers": {"images": 0},
    },
    "same-kind": {"release": {"images": 10, "odd": 0}},
    "nearest-person": {"classes": 10, "near_classes": 0, "control_people": 10, "near_control_people": 1},
}


def made_up_checks(policy: Policy, judges: Sequence[str], verdict: Verdict = "pass") -> list[dict[str, Any]]:
    """All checks that a policy names, of each judge, with numbers that bear the verdict."""
    limits = {
        JUDGE: (round(1 - policy.judge_auc, 12), True),
        JUDGE_RELEASE: (round(1 - policy.release_auc, 12), True),
        **{name: (limit.limit, limit.needed) for name, limit in policy.checks.items()},
    }
    checks = []
    for name, (limit, needed) in limits.items():
        sees = name in (JUDGE, JUDGE_RELEASE)
        checks += [
            {
                "name": name,
                "judge": by,
                "relation": LABEL if name.startswith(BY_RELATION) else "",
                "claim": "",
                "measure": "",
                "limit": limit,
                "statistic": {"value": 0.0, "low": 0.0, "high": 0.0, "method": "", "n": 1},
                "p_value": None if sees else 1.0,
                "adjusted_p_value": None if sees else 1.0,
                "verdict": "pass",
                "reason": "",
                "needed": needed,
                "facts": _FACTS.get(name, {}),
            }
            for by in ([NOT_BY_JUDGE[name]] if name in NOT_BY_JUDGE else judges)
        ]
    tested = [check for check in checks if check["p_value"] is not None]
    last = [check for check in tested if check["judge"] in judges][-1 if verdict == "fail" else 0]
    if verdict == "fail":
        bound = last["limit"] + 1.0
        last["statistic"] = {"value": bound, "low": bound, "high": bound, "method": "", "n": 1}
        last |= {"p_value": 1e-12, "adjusted_p_value": 1e-12 * len(tested), "verdict": verdict}
    if verdict == "inconclusive":
        last |= {"statistic": None, "p_value": None, "adjusted_p_value": None, "verdict": verdict}
    return checks


def made_up_predicate(
    policy: Policy, judge: str, verdict: Verdict = "pass", training: str = "the same"
) -> dict[str, Any]:
    """What a certificate says of an audit that was not made."""
    judges = {judge: "0" * 64}
    if KNOWN_JUDGES in policy.checks:
        judges = dict(zip((judge, OTHER_JUDGE), KNOWN, strict=False))
    predicate: dict[str, Any] = {
        "policy": {"content": policy.to_json(), "sha256": policy.sha256, "shipped": policy.shipped},
        "inputs": {
            "labels_related": True,
            "relations": {LABEL: IN_WORDS[LABEL]},
            "training": {"named_by_generator": training},
        },
        "judges": [
            {"name": name, "sha256": sha256, "dimensions": 2, "known_as": known_as(sha256)}
            for name, sha256 in judges.items()
        ],
        "checks": made_up_checks(policy, list(judges), verdict),
        "verdict": verdict,
        "not_said": list(NOT_SAID),
    }
    return predicate | {"in_words": in_words(predicate)}
