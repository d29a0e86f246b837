"""All checks: from the faces under every judge to the verdicts."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sface_data.auditing.checks import (
    exposure,
    judge,
    linkage,
    membership,
    nearest_person,
    neighbours,
    same_label,
    views,
)
from sface_data.auditing.checks.files import IDENTICAL_FILES
from sface_data.auditing.checks.kind import TRIALS, CheckContext, CheckKind, bonferroni_level
from sface_data.auditing.checks.neighbours import PIXEL_DUPLICATES
from sface_data.auditing.checks.views import KIND
from sface_data.auditing.compare.backend import HERE, Backend
from sface_data.auditing.compare.pairs import nearest
from sface_data.auditing.evidence import Evidence, Nearness, gather, gather_mirrored, prepare_sets
from sface_data.auditing.policy import Policy
from sface_data.auditing.sets.contamination import Lookalikes, check_disjoint, check_distinct
from sface_data.auditing.sets.judged_sets import CONTROL, RELEASE, TRAINING, JudgedSets
from sface_data.auditing.verdict import (
    JUDGE,
    JUDGE_RELEASE,
    KNOWN_JUDGES,
    NOT_BY_JUDGE,
    Check,
    Finding,
    Verdict,
    decide,
    overall,
)

# What each judge is asked, in the order of certificates. `policy.CHECKS` has the names of these, and of those of
# pixels and files.
JUDGED: tuple[CheckKind, ...] = (
    *same_label.CHECKS,
    *neighbours.CHECKS,
    *views.CHECKS,
    *nearest_person.CHECKS,
    *linkage.CHECKS,
    *exposure.CHECKS,
    *membership.CHECKS,
)
_MOST_LEFT_OUT = 0.01  # of the images of training or control; a check with a limit of 0.1 % cannot spare many
NO_PIXELS = "there are only embeddings, no images whose pixels could be compared"


@dataclass(frozen=True)
class AuditResult:
    """What was seen and what follows from it.

    Attributes:
        evidence: of each judge, in order.
        pixels: nearness by pixels; None where it was not looked at.
    """

    policy: Policy
    seed: int
    checks: tuple[Check, ...]
    evidence: tuple[Evidence, ...]
    pixels: Nearness | None

    @property
    def verdict(self) -> Verdict:
        """That of the certificate."""
        return overall([(check.verdict, check.needed) for check in self.checks])


def run_checks(
    judges: Sequence[JudgedSets],
    pixels: JudgedSets | None,
    policy: Policy,
    seed: int = 0,
    backend: Backend = HERE,
    trials: int = TRIALS,
) -> AuditResult:
    """Makes every check that the policy names, for every judge.

    Args:
        judges: the same faces under each embedder.
        pixels: the faces under the pixel embedder; None if there are no images.
        trials: of the positive control.

    Raises:
        BadInput: if the control group holds training people, people of the release, or images many times.
    """
    kinds = [kind for kind in JUDGED if kind.name in policy.checks]
    of_each = sum(len(judges[0].relations) if kind.by_relation else 1 for kind in kinds)
    level = bonferroni_level(of_each * len(judges) + len(policy.checks) - len(kinds))
    findings: list[Finding] = []
    evidence: list[Evidence] = []
    nearness = None
    for sets in judges:
        prepared = prepare_sets(sets)
        evidence.append(gather(sets, prepared, seed, backend))
        findings += _judged(CheckContext(evidence[-1], policy, seed, level, trials, prepared, backend), kinds)
    if PIXEL_DUPLICATES.name in policy.checks:
        if pixels is None:
            findings.append(PIXEL_DUPLICATES.unmeasured(NOT_BY_JUDGE[PIXEL_DUPLICATES.name], policy, NO_PIXELS))
        else:
            nearness = gather_mirrored(pixels, backend)
            findings += PIXEL_DUPLICATES.find(CheckContext(nearness, policy, seed, level, trials))
    if IDENTICAL_FILES.name in policy.checks:
        findings += IDENTICAL_FILES.find(CheckContext(evidence[0], policy, seed, level))
    if KIND.name in policy.checks:
        findings += KIND.find(CheckContext(evidence[0], policy, seed, level))
    if KNOWN_JUDGES in policy.checks:
        findings.append(judge.known_judges([sets.training.embedder_sha256 for sets in judges], policy))
    checks = decide(findings, policy.needed | {JUDGE, JUDGE_RELEASE})
    return AuditResult(policy, seed, checks, tuple(evidence), nearness)


def _judged(context: CheckContext, kinds: Sequence[CheckKind]) -> list[Finding]:
    """Findings of one judge.

    If the judge cannot separate training identities, all are invalid; if it might not, none can pass.
    """
    evidence, policy = context.evidence, context.policy
    first, release = judge.judge(evidence, policy.judge_auc), judge.judge_release(evidence, policy.release_auc)
    blind = judge.blind(first)
    doubt = judge.doubt(first) or judge.doubt(release)
    if CONTROL in context.prepared and not blind:  # before anything is concluded
        near = evidence.to_training[CONTROL]
        alike = check_disjoint(evidence.sets, TRAINING, evidence.authentic.mated, near)
        first = _noted(first, "control_people_like_training_people", alike)
        twins = check_distinct(evidence.sets, context.prepared[CONTROL], evidence.authentic.mated, context.backend)
        first = replace(first, facts={**first.facts, "control_images_there_twice": twins})
    if CONTROL in context.prepared and not (blind or doubt):
        near = nearest(context.prepared[CONTROL], context.prepared[RELEASE], backend=context.backend)
        alike = check_disjoint(evidence.sets, RELEASE, evidence.within.mated, near)
        release = _noted(release, "control_people_like_people_of_the_release", alike)
    left_out = _left_out(evidence.sets)
    first = replace(first, facts={**first.facts, "without_embedding": left_out})
    missing = _missing(left_out)
    found = [first, release.invalid(blind) if blind else release]
    for kind in kinds:
        for finding in kind.find(context):
            among = finding.unable_to_pass(missing if kind.among_all else "")
            found.append(among.invalid(blind) if blind else among.unable_to_pass(doubt))
    return found


def _left_out(sets: JudgedSets) -> dict[str, dict[str, int]]:
    """Of training and control: faces in which the judge was shown nothing, such as those without a face found."""
    groups = {TRAINING: sets.training, CONTROL: sets.control}
    return {
        role: {"left_out": len(faces.left_out), "faces": len(faces) + len(faces.left_out)}
        for role, faces in groups.items()
        if faces is not None
    }


def _missing(left_out: dict[str, dict[str, int]]) -> str:
    for role, count in left_out.items():
        if count["left_out"] > _MOST_LEFT_OUT * count["faces"]:
            return (
                f"{count['left_out']:,} of {count['faces']:,} faces of {role} have no embedding (more than "
                f"{_MOST_LEFT_OUT:.0%}), so that nobody was looked for among them"
            )
    return ""


def _noted(finding: Finding, name: str, alike: Lookalikes) -> Finding:
    facts = {"people": alike.people, "expected_by_chance": alike.expected, "probability": alike.probability}
    return replace(finding, facts={**finding.facts, name: facts})
