"""The judge itself: can it tell authentic people apart?"""

from sface_data.audit.check import Finding
from sface_data.audit.evidence import Evidence
from sface_data.biometrics.intervals import Interval

NAME = "judge"


def judge(evidence: Evidence, least_auc: float) -> Finding:
    """How far the judge is from telling authentic people apart without error; it never fails, it disqualifies."""
    finding = Finding(
        NAME,
        evidence.sets.judge,
        "The judge tells the people of the training set apart",
        "1 - AUC of mated and non-mated comparisons within the training set",
        round(1 - least_auc, 12),
        obstacle="no two images of one training person to try the judge on",
    )
    scores = evidence.authentic
    if not scores.mated.total or not scores.nonmated.total:
        return finding
    auc, eer = scores.auc(), scores.eer()
    interval = Interval(1 - auc.value, 1 - auc.high, 1 - auc.low, auc.method, auc.n, flags=auc.flags)
    facts = {
        "auc": auc.value,
        "eer": eer.value,
        "eer_low": eer.low,
        "eer_high": eer.high,
        "mated": scores.mated.total,
        "nonmated": scores.nonmated.total,
        "fdr": scores.fdr().value,
    }
    return Finding(
        finding.name,
        finding.judge,
        finding.claim,
        finding.measure,
        finding.limit,
        interval=interval,
        facts=facts,
    )


def blind(finding: Finding) -> str:
    """Why this judge's word counts for nothing; empty if it does count."""
    if finding.interval is None:
        return f"nothing is known of the judge: {finding.obstacle}"
    if finding.interval.high <= finding.limit:
        return ""
    auc = 1 - finding.interval.value
    return (
        f"the judge does not tell authentic people apart well enough (AUC {auc:.3f}, at least "
        f"{1 - finding.interval.high:.3f}; the policy wants {1 - finding.limit:g})"
    )
