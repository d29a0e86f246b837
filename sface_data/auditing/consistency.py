"""Whether a certificate follows from its own numbers and from its policy.

Who forges one can make up the numbers as well: against that only a signature helps. What is caught here is a
verdict that its numbers do not bear, a check that was left out, a limit that is not the policy's, other words.
"""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

from sface_data.auditing.certificate_words import IN_WORDS, NOT_SAID, in_words
from sface_data.auditing.known_judges import WANTED, count_known
from sface_data.auditing.policy import Limit, Policy
from sface_data.auditing.verdict import (
    BY_RELATION,
    FALSE_ALARMS,
    JUDGE,
    JUDGE_RELEASE,
    KNOWN_JUDGES,
    NOT_BY_JUDGE,
    SEARCH,
    holm,
    overall,
)
from sface_data.errors import BadInput

CONFIDENCE = 0.95  # of the intervals of a certificate
_DIGITS = 1e-6  # numbers of a certificate have eight digits; relative
_INFINITE = {"infinite": math.inf, "minus infinite": -math.inf}


def contradiction(predicate: dict[str, Any]) -> str:
    """What contradicts itself in the predicate of a certificate, in words; empty if nothing does.

    Raises:
        KeyError, TypeError, AttributeError, ValueError, ArithmeticError: where something is missing, of another
            type, or zero though it counts something.
    """
    try:
        policy = Policy.from_json(predicate["policy"]["content"])
    except BadInput as error:
        return f"its policy is none ({error})"
    checks = predicate["checks"]
    return (
        _wrong_policy(policy, predicate["policy"])
        or _wrong_checks(policy, checks, [judge["name"] for judge in predicate["judges"]], predicate["inputs"])
        or _wrong_count(checks, [judge["sha256"] for judge in predicate["judges"]])
        or _wrong_holm(checks)
        or next(filter(None, (_wrong_verdict(check, policy) for check in checks)), "")
        or _wrong_overall(predicate["verdict"], checks)
        or _wrong_words(predicate)
    )


def _wrong_policy(policy: Policy, stated: dict[str, Any]) -> str:
    if stated["sha256"] != policy.sha256:
        return "its policy has another digest"
    if stated["shipped"] is not policy.shipped:
        return f"its policy {policy.name!r} {'ships' if policy.shipped else 'is not the one that ships'}"
    return ""


def _wrong_checks(
    policy: Policy, checks: Sequence[dict[str, Any]], judges: Sequence[str], inputs: dict[str, Any]
) -> str:
    """Each check of the policy once, for each judge and relation where there are, with the limit of the policy."""
    relations = list(inputs["relations"])
    if not relations or inputs["labels_related"] is not (SEARCH not in relations):
        return f"it relates classes and training people by {', '.join(relations) or 'nothing'}"
    by_judge = [JUDGE, JUDGE_RELEASE, *(name for name in policy.checks if name not in NOT_BY_JUDGE)]
    expected = Counter(
        (judge, name, relation)
        for judge in judges
        for name in by_judge
        for relation in (relations if name.startswith(BY_RELATION) else [""])
    )
    expected.update((by, name, "") for name, by in NOT_BY_JUDGE.items() if name in policy.checks)
    found = Counter((check["judge"], check["name"], check["relation"]) for check in checks)
    for difference, words in ((expected - found, "missing"), (found - expected, "not of its policy")):
        for judge, name, _ in difference:
            return f"the check {name!r} by {judge!r} is {words}"
    demanded = {
        **policy.checks,
        JUDGE: Limit(round(1 - policy.judge_auc, 12), True),
        JUDGE_RELEASE: Limit(round(1 - policy.release_auc, 12), True),
    }
    for check in checks:
        limit = demanded[check["name"]]
        if not _same(check["limit"], limit.limit) or check["needed"] is not limit.needed:
            return f"the check {check['name']!r} has another limit than in its policy"
    return ""


def _wrong_count(checks: Sequence[dict[str, Any]], judges: Sequence[str]) -> str:
    """Judges that are known are counted by their digests."""
    missing = max(WANTED - count_known(judges), 0)
    counts = [check["statistic"]["value"] for check in checks if check["name"] == KNOWN_JUDGES]
    return "" if counts in ([], [missing]) else "it counts other judges as known than this version knows"


def _wrong_holm(checks: Sequence[dict[str, Any]]) -> str:
    """P-values that count are corrected for each other."""
    tested = [check for check in checks if check["adjusted_p_value"] is not None]
    adjusted = holm([check["p_value"] for check in tested])
    for check, value in zip(tested, adjusted, strict=True):
        if not _same(check["adjusted_p_value"], value):
            return f"the p-value of {check['name']!r} is not corrected for the number of checks"
    return ""


def _wrong_verdict(check: dict[str, Any], policy: Policy) -> str:
    """A verdict that the numbers of the check do not bear."""
    name, verdict, limit = check["name"], check["verdict"], check["limit"]
    if check["statistic"] is None:
        return "" if verdict == "inconclusive" else f"the check {name!r} has a verdict on nothing measured"
    low, value, high = (_number(check["statistic"][bound]) for bound in ("low", "value", "high"))
    p_value, adjusted = check["p_value"], check["adjusted_p_value"]
    if not low <= value <= high or not _bears(low, value, limit, check):
        return f"the numbers of {name!r} contradict each other"
    if (verdict == "fail") != (adjusted is not None and adjusted <= FALSE_ALARMS):
        return f"the verdict of {name!r} is not that of its p-value"
    if verdict != "pass":
        return ""
    if high > limit * (1 + _DIGITS):
        return f"the check {name!r} passes though its interval reaches above the limit"
    if check["facts"].get("beyond_strangers", {}).get("images"):
        return f"the check {name!r} passes though it lists images that no stranger comes as near as"
    if p_value is not None and adjusted is None:
        return f"the check {name!r} passes though its judge counts for nothing"
    control = policy.positive_control
    for planted in check["facts"].get("planted", ()):
        if control and planted["demand"] and planted["caught"] < control.caught * (1 - _DIGITS):
            return f"the check {name!r} passes though it did not find what was planted"
    for row in check["facts"].get("disguises", ()):
        if control and row["stopped"]["1"] < control.caught * (1 - _DIGITS):
            return f"the check {name!r} passes though a release could hide in a disguise"
    return ""


def _bears(low: float, value: float, limit: float, check: dict[str, Any]) -> bool:
    """Whether interval and p-value say the same of the limit."""
    p_value = check["p_value"]
    if p_value is None:
        return True
    if value <= limit:
        return bool(p_value == 1)
    tail = max((1 - CONFIDENCE) / 2, check["facts"].get("p_of_shuffled_labels") or 0)
    return low <= limit * (1 + _DIGITS) or p_value <= tail * (1 + _DIGITS)


def _wrong_overall(verdict: str, checks: Sequence[dict[str, Any]]) -> str:
    expected = overall([(check["verdict"], check["needed"]) for check in checks])
    return "" if verdict == expected else f"its verdict is {verdict!r} where its checks say {expected!r}"


def _wrong_words(predicate: dict[str, Any]) -> str:
    """Sentences that are others than those that its checks give, or that every certificate has."""
    relations = predicate["inputs"]["relations"]
    if predicate["in_words"] != in_words(predicate) or relations != {name: IN_WORDS[name] for name in relations}:
        return "its words do not follow from its checks"
    return "" if predicate["not_said"] == list(NOT_SAID) else "it leaves out or changes what it does not say"


def _number(value: Any) -> float:
    return float(_INFINITE.get(value, value) if isinstance(value, str) else value)


def _same(a: float, b: float) -> bool:
    return math.isclose(a, b, rel_tol=_DIGITS, abs_tol=1e-12)
