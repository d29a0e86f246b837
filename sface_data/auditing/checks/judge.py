"""The judges themselves: can they tell authentic people apart, do they see the release, and are they known?"""

from collections.abc import Sequence
from dataclasses import replace

from sface_data.auditing.evidence import Evidence
from sface_data.auditing.known_judges import WANTED, count_known
from sface_data.auditing.policy import Policy
from sface_data.auditing.verdict import JUDGE, JUDGE_RELEASE, KNOWN_JUDGES, NOT_BY_JUDGE, Finding
from sface_data.biometrics.intervals import Interval
from sface_data.biometrics.rates import fdr
from sface_data.biometrics.subjects import SubjectScores


def judge(evidence: Evidence, least_auc: float) -> Finding:
    """How far the judge is from telling authentic people apart without error; it never fails, it disqualifies."""
    finding = Finding(
        JUDGE,
        evidence.sets.judge,
        "The judge tells the people of the training set apart",
        "1 - AUC of mated and non-mated comparisons within the training set",
        round(1 - least_auc, 12),
        blocks_pass="no two images of one training person to try the judge on",
    )
    return _measured(finding, evidence.authentic)


def judge_release(evidence: Evidence, least_auc: float) -> Finding:
    """How far it is from telling the classes of the release apart.

    A judge that cannot separate the release's classes cannot find leaked identities in it.
    """
    finding = Finding(
        JUDGE_RELEASE,
        evidence.sets.judge,
        "The judge tells the classes of the release apart",
        "1 - AUC of mated and non-mated comparisons within the release",
        round(1 - least_auc, 12),
        blocks_pass="no two images of one class of the release to try the judge on",
    )
    return _measured(finding, evidence.within)


def known_judges(digests: Sequence[str], policy: Policy) -> Finding:
    """How many judges that are known are missing. It never fails: it says who has not looked.

    Args:
        digests: of the files of all judges.
    """
    known = count_known(digests)
    missing = float(max(WANTED - known, 0))
    looked = f"{known} of the judges that looked {'is' if known == 1 else 'are'} known by the digest of the file"
    return Finding(
        KNOWN_JUDGES,
        NOT_BY_JUDGE[KNOWN_JUDGES],
        f"{WANTED} judges of different make looked that are known by the digests of their files",
        f"how many of {WANTED} known judges are missing",
        policy.checks[KNOWN_JUDGES].limit,
        Interval(missing, missing, missing, "count", len(digests)),
        note=f"{looked}, {WANTED} are asked for; docs/judges.md has which there are" if missing else "",
        facts={"judges": len(digests), "known": known},
    )


def _measured(finding: Finding, scores: SubjectScores) -> Finding:
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
        "mean_nonmated": scores.nonmated.mean,
        "fdr": fdr(scores.mated, scores.nonmated),
    }
    return replace(finding, interval=interval, blocks_pass="", facts=facts)


def blind(finding: Finding) -> str:
    """Why this judge's word counts for nothing; empty if it does count."""
    if finding.interval is None:
        return f"nothing is known of the judge: {finding.blocks_pass}"
    if finding.interval.value <= finding.limit:
        return ""
    return f"the judge does not tell authentic people apart well enough ({_aucs(finding)})"


def doubt(finding: Finding) -> str:
    """Why a pass would mean nothing, though what the judge does find counts; empty if it is known to see."""
    whom = "authentic people" if finding.name == JUDGE else "the classes of the release"
    if finding.interval is None:
        return f"nobody knows whether the judge tells {whom} apart: {finding.blocks_pass}"
    if finding.interval.high <= finding.limit:
        return ""
    return f"the judge is not known to tell {whom} apart well enough to say that it would see ({_aucs(finding)})"


def _aucs(finding: Finding) -> str:
    assert finding.interval is not None
    value, high = finding.interval.value, finding.interval.high
    return f"AUC {1 - value:.3f}, at least {1 - high:.3f}; the policy wants {1 - finding.limit:g}"
