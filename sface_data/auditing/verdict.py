"""One check: a claim, what was measured, its limit, and the verdict."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:  # reading a certificate needs no statistics
    from sface_data.biometrics.intervals import Interval

Verdict = Literal["pass", "fail", "inconclusive"]
FALSE_ALARMS = 0.05  # of the whole family of checks, over all judges
JUDGE, JUDGE_RELEASE = "judge", "judge-release"  # whether a judge sees, in training and in the release
KNOWN_JUDGES = "known-judges"
LABEL, CLAIM, SEARCH = "label", "claim", "search"  # what relates a class to training people
BY_RELATION = ("same-label-", "linkage-")  # checks that are made for each of those
NOT_BY_JUDGE = {
    "near-duplicates-pixels": "pixels",
    "identical-files": "files",
    KNOWN_JUDGES: "files",
    "same-kind": "pixels",
}  # who makes these checks


@dataclass(frozen=True)
class Finding:
    """What was measured for one claim, before all claims are judged together.

    Attributes:
        name: which check of the policy this is; unique per judge and relation.
        judge: name of the embedder, or `pixels`, or `files`.
        claim: what a pass says, in words.
        measure: what the statistic is, in words.
        limit: the claim holds below it.
        interval: the statistic with its 95 % interval; None if it could not be measured.
        p_value: one-sided, of "the statistic is not above the limit"; None if it could not be measured.
        blocks_pass: why it could not be measured, or why a pass would mean nothing; empty if it may pass.
        invalid_because: why the judge's word counts for nothing, whatever was measured.
        note: what else may have made it so, whatever the verdict; empty if nothing is known.
        facts: figures behind it: thresholds, counts.
        relation: what relates classes to training people, see `auditing.relations`; empty where nothing does.
    """

    name: str
    judge: str
    claim: str
    measure: str
    limit: float
    interval: "Interval | None" = None
    p_value: float | None = None
    blocks_pass: str = ""
    invalid_because: str = ""
    note: str = ""
    facts: dict[str, Any] = field(default_factory=dict)
    relation: str = ""

    def invalid(self, reason: str) -> "Finding":
        """The same, counting for nothing."""
        return dataclasses.replace(self, invalid_because=reason)

    def unable_to_pass(self, reason: str) -> "Finding":
        """The same, unable to pass if there is a reason."""
        return dataclasses.replace(self, blocks_pass=self.blocks_pass or reason)


@dataclass(frozen=True)
class Check:
    """A finding with its verdict.

    `fail`: the statistic is above the limit, also after Holm's correction for the number of checks. `pass`: its
    whole 95 % interval is on the good side of the limit. Else `inconclusive`, and `reason` says what was lacking.
    """

    finding: Finding
    verdict: Verdict
    reason: str
    adjusted_p: float | None
    needed: bool  # a pass of the certificate needs a pass of this check

    def to_json(self) -> dict[str, Any]:
        """As it stands in the certificate."""
        finding = self.finding
        return {
            "name": finding.name,
            "judge": finding.judge,
            "relation": finding.relation,
            "claim": finding.claim,
            "measure": finding.measure,
            "limit": finding.limit,
            "statistic": None if finding.interval is None else dataclasses.asdict(finding.interval),
            "p_value": finding.p_value,
            "adjusted_p_value": self.adjusted_p,
            "verdict": self.verdict,
            "reason": self.reason,
            "needed": self.needed,
            "facts": finding.facts,
        }


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values (Holm, 1979): reject those up to alpha, and at most a share alpha of families errs."""
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted, largest = [1.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def decide(findings: Sequence[Finding], needed: frozenset[str]) -> tuple[Check, ...]:
    """The verdicts of all findings of an audit, judged together.

    Args:
        needed: names of the checks without which the policy knows no pass.
    """
    tested = [finding for finding in findings if finding.p_value is not None and not finding.invalid_because]
    values = holm([finding.p_value for finding in tested if finding.p_value is not None])
    adjusted = {id(finding): value for finding, value in zip(tested, values, strict=True)}
    checks = []
    for finding in findings:
        value = adjusted.get(id(finding))
        verdict, reason = _verdict(finding, value, len(tested))
        reason = "; ".join(filter(None, (reason, finding.note)))
        checks.append(Check(finding, verdict, reason, value, finding.name in needed))
    return tuple(checks)


def _verdict(finding: Finding, adjusted_p: float | None, tests: int) -> tuple[Verdict, str]:
    if finding.interval is None or finding.invalid_because:
        return "inconclusive", finding.invalid_because or finding.blocks_pass
    value, high = finding.interval.value, finding.interval.high
    if adjusted_p is not None and adjusted_p <= FALSE_ALARMS:
        return "fail", f"above the limit beyond chance (p = {adjusted_p:.2g} after Holm's correction)"
    if high <= finding.limit:
        if finding.blocks_pass:
            return "inconclusive", finding.blocks_pass
        return "pass", "the whole interval is on the good side of the limit"
    if value > finding.limit and adjusted_p is None:
        return "inconclusive", "above the limit"
    if value > finding.limit:
        return (
            "inconclusive",
            f"above the limit, but not after Holm's correction for {tests} checks (p = {adjusted_p:.2g}): look at "
            "it with more images",
        )
    return "inconclusive", "the interval reaches over the limit: more images or classes are needed to tell"


def overall(verdicts: Sequence[tuple[Verdict, bool]]) -> Verdict:
    """The verdict of the certificate: no check may fail, and every needed one must pass for every judge.

    Args:
        verdicts: of each check, and whether it is needed.
    """
    if any(verdict == "fail" for verdict, _ in verdicts):
        return "fail"
    needed = [verdict for verdict, is_needed in verdicts if is_needed]
    return "pass" if needed and all(verdict == "pass" for verdict in needed) else "inconclusive"
