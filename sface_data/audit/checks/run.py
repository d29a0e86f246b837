"""The examination: from the faces under every judge to the verdicts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from sface_data.audit.checks import exposure, files, judge, linkage, membership, neighbours, same_label
from sface_data.audit.checks.positive_control import TRIALS, Scene, level_of
from sface_data.audit.evidence import Evidence, Nearness, Sets, gather, gather_mirrored
from sface_data.audit.policy import Policy
from sface_data.audit.sets.contamination import Lookalikes, check_control, check_control_and_release
from sface_data.audit.verdict import Check, Finding, Verdict, decide, overall

PIXEL_CHECK = "near-duplicates-pixels"
_JUDGED: dict[str, Callable[[Scene, str], Finding]] = {
    "same-label-auc": same_label.separability,
    "same-label-eer": same_label.separability,
    "same-label-ratio": same_label.match_ratio,
    "nearest-neighbour": neighbours.nearest_neighbour,
    "near-duplicates": neighbours.near_duplicates,
    "exposure": exposure.exposure,
    "membership": membership.membership,
}
_ANY_IDENTITY = ("nearest-neighbour", "near-duplicates", "exposure")  # looked for among all training images
_MOST_LEFT_OUT = 0.01  # of the images of training or control; a check with a limit of 0.1 % cannot spare many
NO_PIXELS = "there are only embeddings, no images whose pixels could be compared"


@dataclass(frozen=True)
class Examination:
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
        return overall(self.checks)


def examine(
    judges: Sequence[Sets],
    pixels: tuple[Sets, Sets] | None,
    policy: Policy,
    seed: int = 0,
    device: str = "cpu",
    trials: int = TRIALS,
) -> Examination:
    """Makes every check that the policy names, for every judge.

    Args:
        judges: the same faces under each embedder.
        pixels: the faces as pixels, straight and mirrored; None if there are no images.
        trials: of the positive control.

    Raises:
        BadInput: if the control group holds training people, or people of the release.
    """
    names = [name for name in policy.checks if name not in (files.NAME, PIXEL_CHECK)]
    level = level_of(len(names) * len(judges) + len(policy.checks) - len(names))
    findings, evidence, nearness = [], [], None
    for sets in judges:
        seen = gather(sets, seed, device)
        evidence.append(seen)
        findings += _judged(Scene(seen, policy, seed, level, trials), names, device)
    if PIXEL_CHECK in policy.checks:
        if pixels is None:
            findings.append(neighbours.unseen_pixels(policy.checks[PIXEL_CHECK].limit, NO_PIXELS))
        else:
            nearness = gather_mirrored(*pixels, device=device)
            scene = Scene(nearness, policy, seed, level, trials)
            findings.append(neighbours.near_duplicates(scene, PIXEL_CHECK))
    if files.NAME in policy.checks:
        first = judges[0]
        limit = policy.checks[files.NAME].limit
        findings.append(files.identical_files(first.synthetic.image_sha256, first.training.image_sha256, limit))
    checks = decide(findings, policy.needed | {judge.NAME, judge.RELEASE})
    missing = policy.needed - {check.finding.name for check in checks}
    assert not missing, f"checks that were not made: {missing}"
    return Examination(policy, seed, checks, tuple(evidence), nearness)


def _judged(scene: Scene, names: Sequence[str], device: str) -> list[Finding]:
    """The findings of one judge; all of them void if it cannot tell people apart, no pass if it may not see."""
    first = judge.judge(scene.evidence, scene.policy.judge_auc)
    release = judge.judge_release(scene.evidence, scene.policy.release_auc)
    void = judge.blind(first)
    doubt = judge.doubt(first) or judge.doubt(release)
    alike = None if void else check_control(scene.evidence)  # before anything is concluded
    first = _noted(first, "control_people_like_training_people", alike)
    if not (void or doubt):
        alike = check_control_and_release(scene.evidence, device)
        release = _noted(release, "control_people_like_people_of_the_release", alike)
    links = None
    if any(name.startswith("linkage") for name in names):
        links = linkage.link(scene.evidence, scene.seed, device)
    left_out = _left_out(scene.evidence.sets)
    first = replace(first, facts={**first.facts, "without_embedding": left_out})
    missing = _missing(left_out)
    found = [first, release.voided(void) if void else release]
    for name in names:
        if name.startswith("linkage"):
            finding = linkage.linkage(scene, name, links)
        else:
            check = next(_JUDGED[prefix] for prefix in _JUDGED if name.startswith(prefix))
            finding = check(scene, name)
        if name.startswith(_ANY_IDENTITY):
            finding = finding.doubted(missing)
        found.append(finding.voided(void) if void else finding.doubted(doubt))
    return found


def _left_out(sets: Sets) -> dict[str, dict[str, int]]:
    """Of training and control: faces in which the judge was shown nothing, such as those without a face found."""
    groups = {"training": sets.training, "control": sets.control}
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


def _noted(finding: Finding, name: str, alike: Lookalikes | None) -> Finding:
    if alike is None:
        return finding
    facts = {"people": alike.people, "expected_by_chance": alike.expected, "probability": alike.probability}
    return replace(finding, facts={**finding.facts, name: facts})
