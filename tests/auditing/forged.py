"""Certificates, made up."""

from typing import Any

from sface_data.auditing.certificate_words import IN_WORDS, NOT_SAID, in_words
from sface_data.auditing.policy import Policy
from sface_data.auditing.verdict import BY_RELATION, JUDGE, JUDGE_RELEASE, LABEL, NOT_BY_JUDGE, Verdict

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
    },
    "nearest-neighbour-1e-3": {
        "release_images": 10,
        "release_matches": 0,
        "control_images": 10,
        "control_matches": 1,
    },
    "nearest-view": {"release_images": 10, "release_matches": 0, "beyond_strangers": {"images": 0}},
    "same-kind": {"release": {"images": 10, "odd": 0}},
    "nearest-person": {"classes": 10, "near_classes": 0, "control_people": 10, "near_control_people": 1},
}


def made_up_checks(policy: Policy, judge: str, verdict: Verdict = "pass") -> list[dict[str, Any]]:
    """All checks that a policy names, of one judge, with numbers that bear the verdict."""
    limits = {
        JUDGE: (round(1 - policy.judge_auc, 12), True),
        JUDGE_RELEASE: (round(1 - policy.release_auc, 12), True),
        **{name: (limit.limit, limit.needed) for name, limit in policy.checks.items()},
    }
    checks = []
    for name, (limit, needed) in limits.items():
        by, sees = NOT_BY_JUDGE.get(name, judge), name in (JUDGE, JUDGE_RELEASE)
        checks.append(
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
        )
    last = checks[-1 if verdict == "fail" else 2]
    if verdict == "fail":
        bound = last["limit"] + 1.0
        last["statistic"] = {"value": bound, "low": bound, "high": bound, "method": "", "n": 1}
        last |= {"p_value": 1e-12, "adjusted_p_value": 1e-12 * (len(checks) - 2), "verdict": verdict}
    if verdict == "inconclusive":
        last |= {"statistic": None, "p_value": None, "adjusted_p_value": None, "verdict": verdict}
    return checks


def made_up_predicate(
    policy: Policy, judge: str, verdict: Verdict = "pass", training: str = "the same"
) -> dict[str, Any]:
    """What a certificate says of an audit that was not made."""
    predicate: dict[str, Any] = {
        "policy": {"content": policy.to_json(), "sha256": policy.sha256, "shipped": policy.shipped},
        "inputs": {
            "labels_related": True,
            "relations": {LABEL: IN_WORDS[LABEL]},
            "training": {"named_by_generator": training},
        },
        "judges": [{"name": judge, "sha256": "0" * 64, "dimensions": 2, "known_as": None}],
        "checks": made_up_checks(policy, judge, verdict),
        "verdict": verdict,
        "not_said": list(NOT_SAID),
    }
    return predicate | {"in_words": in_words(predicate)}
