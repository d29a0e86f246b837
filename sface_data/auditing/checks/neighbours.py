"""Any identity: are images of the release nearer to training images than images of strangers are?

What is compared is the share of images with a near training image, in the release and in the control group. A
threshold on similarity alone would mislead: with enough training images everybody has a double among them.

A generator's images look different from photographs, which lowers all their similarities: a copy among them would
then be no nearer than a stranger's photograph. So what is asked of an image of the release is to be as far out of
the bulk of the release as the threshold is out of that of the control group, never more than the threshold itself:
being farther on the whole hides nothing, and what is planted is seen beside what the release shows of itself. That
stops a pass. It makes no failure: in a release of two kinds of images those of the smaller kind may be out of its
bulk without showing anybody, so only what is above the threshold itself counts for the p-value.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sface_data.auditing.checks.kind import CheckContext, CheckKind
from sface_data.auditing.checks.positive_control import missed, plant_images
from sface_data.auditing.checks.related import NO_CONTROL
from sface_data.auditing.compare.sweep import Neighbours
from sface_data.auditing.evidence import COPIES
from sface_data.auditing.sets.judged_sets import CONTROL, RELEASE, Indices
from sface_data.auditing.verdict import Finding
from sface_data.biometrics.clustered import Bounds, excess_risk, interval_of, p_above, share_by_class
from sface_data.biometrics.extremes import gumbel_tail

NO_COPIES = "no training image could be altered to see how near a copy is"
RARELY = 1e-3  # the FPIR at which a near-duplicate or a person who is shown would be a rare accident
_ACCIDENT = 1e-3  # images that may come as near by chance, in the whole release
_LISTED = 20  # of them, by name
_FAR_APART = 0.1  # of the control images lie on one side of the median image of the release
_OFTEN = 0.1  # the share of control images whose nearest image tells how alike images of a class are


@dataclass(frozen=True)
class NearestNeighbour(CheckKind):
    """Excess of images with a training image nearer than a share `fpir` of the control images have one."""

    fpir: float
    among_all = True

    def measured(self, context: CheckContext, finding: Finding) -> Finding:
        near = context.nearness.to_training
        if CONTROL not in near:
            return finding.unable_to_pass(NO_CONTROL)
        threshold = threshold_at_fpir(near[CONTROL].score, self.fpir)
        return _compared(context, finding, threshold, own_threshold(threshold, *scores_of(near)), ("other",))


@dataclass(frozen=True)
class NearDuplicates(CheckKind):
    """Excess of images that are as near to a training image as an altered copy of it."""

    among_all = True

    def measured(self, context: CheckContext, finding: Finding) -> Finding:
        near = context.nearness.to_training
        if CONTROL not in near:
            return finding.unable_to_pass(NO_CONTROL)
        if COPIES not in near:
            return finding.unable_to_pass(NO_COPIES)
        copies = float(np.quantile(near[COPIES].score, 0.05))
        # A threshold that strangers reach more often would only blur the picture.
        threshold = threshold_at_fpir(near[CONTROL].score, RARELY)
        own = own_threshold(threshold, *scores_of(near))
        keys = context.nearness.sets.release.keys
        facts, reason = beyond_strangers(near[RELEASE].score, near[CONTROL].score, keys, copies)
        # Other images of the same people are no copies.
        found = _compared(context, finding, max(copies, threshold), max(copies, own)).unable_to_pass(reason)
        return replace(found, facts={**found.facts, "beyond_strangers": facts})


def count_at_fpir(fpir: float, probes: int) -> int:
    """How many of the probes set a threshold at this FPIR: at least one."""
    return max(1, int(fpir * probes + 1e-9))


def threshold_at_fpir(score: NDArray[np.float32], fpir: float) -> float:
    """The similarity that this share of probes reaches with their nearest image, at least one of them."""
    count = count_at_fpir(fpir, len(score))
    return float(np.partition(score, len(score) - count)[len(score) - count])


def own_threshold(threshold: float, score: NDArray[np.float32], control: NDArray[np.float32]) -> float:
    """What the release must reach where the control group must reach a threshold, see the head of this file.

    The bulk is described by its median and its 90 % quantile: a leak that moves those is above the threshold
    itself.
    """
    (middle, high), (middle_c, high_c) = (np.quantile(side, (0.5, 0.9)) for side in (score, control))
    spread = (high - middle) / max(float(high_c - middle_c), 1e-6)
    return float(min(threshold, middle + (threshold - middle_c) * spread))


def scores_of(near: dict[str, Neighbours]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Similarities to the nearest one, of release and control group."""
    return near[RELEASE].score, near[CONTROL].score


def compared_in_bulk(score: NDArray[np.float32], control: NDArray[np.float32]) -> tuple[dict[str, float], str]:
    """How near the bulk of the release and of the control group are, and what that says of comparing them."""
    median = float(np.median(score))
    below = float((control < median).mean() + (control == median).mean() / 2)
    facts = {
        "median": median,
        "control_median": float(np.median(control)),
        "control_share_below": below,
    }
    if _FAR_APART <= below <= 1 - _FAR_APART:
        return facts, ""
    if below > 0.5:
        what = f"nearer to training than {below:.0%} of the control images are: a leak, or"
    else:
        what = f"farther from training than {1 - below:.0%} of the control images are:"
    return facts, f"half of the release is {what} the control group is not comparable"


def beyond_strangers(
    score: NDArray[np.float32], strangers: NDArray[np.float32], keys: Sequence[str], copies: float
) -> tuple[dict[str, Any], str]:
    """Images of the release that are as near to a training image as a copy, and as no stranger comes by chance.

    Of those not one is tolerated: a share of them could be of any size in a large release.

    Args:
        score: [N] of each image of the release; `strangers`: of the images of the control group.
        keys: of the images of the release.
        copies: the similarity that altered copies reach.

    Returns:
        What a certificate lists of them, and why nothing can pass; empty if there is none.
    """
    nearest = float(strangers.max())
    candidates = np.flatnonzero(score > max(copies, nearest))
    candidates = candidates[np.argsort(-score[candidates], kind="stable")]
    found = [i for i in candidates.tolist() if gumbel_tail(strangers, float(score[i])) * len(score) < _ACCIDENT]
    facts = {
        "images": len(found),
        "nearest_stranger": nearest,
        "listed": [{"key": keys[i], "similarity": float(score[i])} for i in found[:_LISTED]],
    }
    if not found:
        return facts, ""
    return facts, (
        f"{len(found):,} images are as near to a training image as no stranger comes by chance (such as "
        f"{keys[found[0]]!r} with a similarity of {score[found[0]]:.3f}; the nearest stranger has {nearest:.3f})"
    )


def planted_pools(context: CheckContext, threshold: float) -> dict[str, NDArray[np.bool_]]:
    """Of each kind of image that can be planted, whether it is above the threshold."""
    nearness, pools = context.nearness, {}
    if nearness.sets.copies is not None:
        pools[nearness.sets.copies.kind] = nearness.to_training[COPIES].score >= threshold
    if nearness.others is not None:
        pools["other"] = nearness.others.score >= threshold
    return pools


def _compared(
    context: CheckContext, finding: Finding, threshold: float, own: float, others: tuple[str, ...] = ()
) -> Finding:
    """The excess of images of the release above their threshold over those of the control group above its.

    Args:
        others: kinds of planted images beside copies.
    """
    sets = context.nearness.sets
    assert sets.control is not None
    release, strangers = scores_of(context.nearness.to_training)
    pools = planted_pools(context, own)
    pools = {kind: pool for kind, pool in pools.items() if kind != "other" or kind in others}
    often = min(threshold, threshold_at_fpir(strangers, _OFTEN))
    near_own = min(own, own_threshold(often, release, strangers))
    control = share_by_class(strangers >= threshold, sets.control.class_index, strangers >= often)
    hit, near = release >= own, release >= near_own
    attack = share_by_class(hit, sets.release.class_index, near)
    value, bounds = excess_risk(attack, control)
    surely = share_by_class(release >= threshold, sets.release.class_index, release >= often)

    def with_planted(replaced: Indices, members: Indices, kind: str) -> Bounds:
        changed, changed_near = hit.copy(), near.copy()
        changed[replaced] = changed_near[replaced] = pools[kind][members]
        return excess_risk(share_by_class(changed, sets.release.class_index, changed_near), control)[1]

    plantings = plant_images(context, finding, pools, len(hit), len(hit), with_planted)
    bulk, note = compared_in_bulk(release, strangers)
    method = f"MOVER of Korn-Graubard over {attack.clusters:,} and {control.clusters:,} classes"
    return replace(
        finding,
        interval=interval_of(value, bounds, method, attack.n, min(attack.hits, control.hits)),
        p_value=p_above(*excess_risk(surely, control), finding.limit),
        blocks_pass=missed(plantings),
        note=note,
        facts={
            "threshold": threshold,
            "release_threshold": own,
            "release_images": attack.n,
            "release_matches": attack.hits,
            "release_matches_as_strangers": surely.hits,
            "release_effective": attack.effective,
            "control_images": control.n,
            "control_matches": control.hits,
            "control_effective": control.effective,
            "bulk": bulk,
            "planted": [planting.to_json() for planting in plantings],
        },
    )


_SHARE = "share of synthetic images above the threshold, beyond the share of control images"
_AS_A_COPY = "Images are as near to a training image as an altered copy of it no more often than strangers are"
NEAREST = tuple(
    NearestNeighbour(
        f"nearest-neighbour-{text}",
        f"Images are no more often as near to a training image as the nearest {percent} % of strangers",
        _SHARE,
        float(text),
    )
    for text, percent in (("1e-2", "1"), ("1e-3", "0.1"))
)
DUPLICATES = NearDuplicates("near-duplicates", _AS_A_COPY, _SHARE)
PIXEL_DUPLICATES = NearDuplicates("near-duplicates-pixels", _AS_A_COPY, _SHARE)
CHECKS = (*NEAREST, DUPLICATES)
