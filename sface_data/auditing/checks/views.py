"""Leaks in disguise: is somebody from training there whom a judge sees only in another view, or not at all?

A judge knows upright faces of one size and ordinary light. An image that was turned, cut, framed or recoloured
still shows people whom it shows. Two checks answer that together: `nearest-view` looks for the training people in
every view of an image, and `same-kind` counts images that are not like those of training. A disguise hides nobody
if either stops a pass; training images in twenty disguises are planted to see whether one does.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sface_data.auditing.checks.kind import CheckContext, CheckKind
from sface_data.auditing.checks.neighbours import NO_CONTROL, NO_COPIES, beyond_strangers, threshold_at_fpir
from sface_data.auditing.evidence import COPIES
from sface_data.auditing.sets.judged_sets import CONTROL, DISGUISED, RELEASE, TRAINING, Indices, JudgedSets, Sample
from sface_data.auditing.verdict import NOT_BY_JUDGE, Finding
from sface_data.biometrics.clustered import Bounds, excess_risk, interval_of, p_above, share_by_class
from sface_data.biometrics.intervals import CONFIDENCE

NO_VIEWS = "there are only embeddings, or too few training images: nobody could look at images in other views"
PLANTED_SHARES = (0.01, 0.1, 1.0)  # of the release; the whole must not pass in any disguise
_OFTEN = 0.1
_NAMED = 10  # images without one face

Events = NDArray[np.bool_]


@dataclass(frozen=True)
class NearestView(CheckKind):
    """Excess of images with a training image nearer in some view than a share `fpir` of control images have."""

    fpir: float
    among_all = True

    def measured(self, context: CheckContext, finding: Finding) -> Finding:
        evidence, viewed = context.evidence, context.evidence.sets.viewed
        if viewed is None:
            return finding.unable_to_pass(NO_VIEWS)
        if CONTROL not in evidence.in_view:
            return finding.unable_to_pass(NO_CONTROL)
        if COPIES not in evidence.to_training:
            return finding.unable_to_pass(NO_COPIES)
        release, strangers = (evidence.in_view[role].score for role in (RELEASE, CONTROL))
        threshold = threshold_at_fpir(strangers, self.fpir)
        often = min(threshold, threshold_at_fpir(strangers, _OFTEN))
        classes = {role: _classes(evidence.sets, role) for role in (RELEASE, CONTROL)}
        control = share_by_class(strangers >= threshold, classes[CONTROL], strangers >= often)
        hit = release >= threshold
        attack = share_by_class(hit, classes[RELEASE], release >= often)
        value, bounds = excess_risk(attack, control)

        def with_planted(changed: Events) -> Bounds:
            return excess_risk(share_by_class(changed, classes[RELEASE], changed | (release >= often)), control)[1]

        found = evidence.in_view[DISGUISED].score >= threshold
        disguises = _disguises(context, hit, found, (finding.limit, with_planted))
        keys = [evidence.sets.release.keys[i] for i in viewed.sample.indices[RELEASE]]
        copies = float(np.quantile(evidence.to_training[COPIES].score, 0.05))
        beyond, reason = beyond_strangers(release, strangers, keys, copies)
        method = f"MOVER of Korn-Graubard over {attack.clusters:,} and {control.clusters:,} classes"
        return replace(
            finding,
            interval=interval_of(value, bounds, method, attack.n, min(attack.hits, control.hits)),
            p_value=p_above(value, bounds, finding.limit),
            blocks_pass=reason or _hidden(context, disguises),
            facts={
                "threshold": threshold,
                "views": list(viewed.views),
                "release_images": attack.n,
                "release_matches": attack.hits,
                "control_images": control.n,
                "control_matches": control.hits,
                "beyond_strangers": beyond,
                "disguises": disguises,
            },
        )


@dataclass(frozen=True)
class SameKind(CheckKind):
    """Excess of images as odd as only 1 % of training images. It never fails: it says that judges may be blind."""

    def measured(self, context: CheckContext, finding: Finding) -> Finding:
        sets, by = context.evidence.sets, NOT_BY_JUDGE[self.name]
        finding = replace(finding, judge=by)
        if sets.viewed is None:
            return finding.unable_to_pass(NO_VIEWS)
        value, bounds = _beyond_training(sets, RELEASE)
        odd = sets.viewed.sample.odd
        reason = ""
        if CONTROL in odd and _beyond_training(sets, CONTROL)[1](CONFIDENCE)[0] > finding.limit:
            reason = (
                f"{odd[CONTROL].mean():.0%} of the images of the control group are unlike those of training in "
                "light, colour, sharpness, faces or their place: they cannot say how near strangers come"
            )
        elif bounds(CONFIDENCE)[0] > finding.limit:
            reason = (
                f"{odd[RELEASE].mean():.0%} of the images are unlike those of training in light, colour, "
                "sharpness, faces or their place: judges may not see who is there"
            )
        method = "MOVER of Korn-Graubard over classes of the release and of training"
        return replace(
            finding,
            interval=interval_of(value, bounds, method, len(odd[RELEASE]), int(odd[RELEASE].sum())),
            note=reason if value > finding.limit else "",
            blocks_pass=reason,
            facts=_looks(sets, sets.viewed.sample),
        )


def _looks(sets: JudgedSets, sample: Sample) -> dict[str, Any]:
    """Of each set how many images are odd, and how many do not show one face; some of the release that do not."""
    facts: dict[str, Any] = {
        role: {"images": len(odd), "odd": int(odd.sum())} for role, odd in sample.odd.items() if role != DISGUISED
    }
    if sample.one_face is None:
        return facts
    for role, seen in facts.items():
        seen["without_one_face"] = int((~sample.one_face[role]).sum())
    others = sample.indices[RELEASE][~sample.one_face[RELEASE]]
    return facts | {"release_without_one_face": [sets.release.keys[i] for i in others[:_NAMED]]}


def _classes(sets: JudgedSets, role: str) -> NDArray[np.int64]:
    """The class of each sampled image."""
    assert sets.viewed is not None
    faces = {RELEASE: sets.release, TRAINING: sets.training, CONTROL: sets.control}[role]
    assert faces is not None
    return faces.class_index[sets.viewed.sample.indices[role]]


def _beyond_training(sets: JudgedSets, role: str) -> tuple[float, Bounds]:
    """The share of odd images of a set beyond that of training."""
    assert sets.viewed is not None
    odd = sets.viewed.sample.odd
    attack, usual = (share_by_class(odd[each], _classes(sets, each)) for each in (role, TRAINING))
    return excess_risk(attack, usual)


def _disguises(
    context: CheckContext, hit: Events, found: Events, by_view: tuple[float, Callable[[Events], Bounds]]
) -> list[dict[str, Any]]:
    """For each disguise: how many are recognised, how many odd, and in which share of trials they stop a pass.

    Args:
        hit: [M] images of the release that are found; `found`: disguised training images that are.
        by_view: limit of the check, and its bounds for other hits.
    """
    sets = context.evidence.sets
    assert sets.viewed is not None
    if context.policy.positive_control is None:
        return []
    sample, (limit, with_planted) = sets.viewed.sample, by_view
    kind = context.policy.checks.get(KIND.name)
    rng, names = context.rng("disguises"), np.array(sample.disguises)
    classes, usual = _classes(sets, RELEASE), share_by_class(sample.odd[TRAINING], _classes(sets, TRAINING))

    def stops(pool: Indices, share: float) -> bool:
        replaced = rng.choice(len(hit), max(1, round(share * len(hit))), replace=False)
        members = rng.choice(pool, len(replaced))
        changed, strange = hit.copy(), sample.odd[RELEASE].copy()
        changed[replaced], strange[replaced] = found[members], sample.odd[DISGUISED][members]
        if with_planted(changed)(CONFIDENCE)[1] > limit:
            return True
        if kind is None or not kind.needed:
            return False
        return excess_risk(share_by_class(strange, classes), usual)[1](CONFIDENCE)[1] > kind.limit

    rows = []
    for name in dict.fromkeys(sample.disguises):
        pool = np.flatnonzero(names == name)
        rows.append(
            {
                "disguise": name,
                "images": len(pool),
                "recognised": float(found[pool].mean()),
                "odd": float(sample.odd[DISGUISED][pool].mean()),
                "stopped": {
                    f"{share:g}": sum(stops(pool, share) for _ in range(context.trials)) / context.trials
                    for share in PLANTED_SHARES
                },
            }
        )
    return rows


def _hidden(context: CheckContext, disguises: list[dict[str, Any]]) -> str:
    """Why a pass would mean nothing: a whole release could hide so; empty if none could."""
    control = context.policy.positive_control
    hidden = [row["disguise"] for row in disguises if control and row["stopped"]["1"] < control.caught - 1e-9]
    if not hidden:
        return ""
    return f"no power: a release of nothing but training images in disguise ({', '.join(hidden)}) passes"


VIEW = NearestView(
    "nearest-view",
    "Turned, cut or recoloured, images are no nearer to training images than the nearest 1 % of strangers",
    "share of sampled images above the threshold in any view, beyond the share of control images",
    1e-2,
)
KIND = SameKind(
    "same-kind",
    "Images are like those of training in light, colour and sharpness, with one face in its place: judges can see",
    "share of images as odd as only 1 % of training images, or without one face, beyond the share of these",
)
CHECKS = (VIEW,)
