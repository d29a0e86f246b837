"""Any identity: are synthetic images nearer to training images than images of strangers are?

What is compared is the share of images with a near training image, in the release and in the control group. A
threshold on similarity alone would mislead: with enough training images everybody has a double among them.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sface_data.audit.checks.positive_control import Scene, missed, plant_images
from sface_data.audit.policy import FPIRS
from sface_data.audit.verdict import Finding
from sface_data.biometrics.clustered import (
    Bounds,
    excess_risk,
    interval_of,
    p_above,
    share_by_class,
)

NO_CONTROL = "no control group was given, so nobody can say how near strangers come to the training images"
_FAR_APART = 0.1  # of the control images lie on one side of the median image of the release
_OFTEN = 0.1  # the share of control images whose nearest image tells how alike images of a class are


def nearest_neighbour(scene: Scene, name: str) -> Finding:
    """Excess of images with a training image nearer than a share `FPIR` of the control images have one."""
    fpir = FPIRS[name.removeprefix("nearest-neighbour-")]
    finding = Finding(
        name,
        scene.seen.sets.judge,
        f"Images are no more often as near to a training image as the nearest {100 * fpir:g} % of strangers",
        "share of synthetic images above the threshold, beyond the share of control images",
        scene.limit(name).limit,
    )
    if scene.seen.control_best is None:
        return replace(finding, obstacle=NO_CONTROL)
    return _compared(scene, finding, threshold_at_fpir(scene.seen.control_best, fpir), fpir)


def near_duplicates(scene: Scene, name: str) -> Finding:
    """Excess of images that are as near to a training image as an altered copy of it."""
    evidence = scene.seen
    finding = _near_duplicates(name, evidence.sets.judge, scene.limit(name).limit)
    if evidence.control_best is None:
        return replace(finding, obstacle=NO_CONTROL)
    if evidence.copies_best is None:
        return replace(finding, obstacle="no training image could be altered to see how near a copy is")
    copies = float(np.quantile(evidence.copies_best, 0.05))
    # A threshold that strangers reach more often would only blur the picture.
    threshold = max(copies, threshold_at_fpir(evidence.control_best, FPIRS["1e-3"]))
    return _compared(scene, finding, threshold, None)


def unseen_pixels(limit: float, reason: str) -> Finding:
    """The finding on near-duplicates by pixels where there are no pixels."""
    return replace(_near_duplicates("near-duplicates-pixels", "pixels", limit), obstacle=reason)


def _near_duplicates(name: str, judge: str, limit: float) -> Finding:
    return Finding(
        name,
        judge,
        "Images are as near to a training image as an altered copy of it no more often than strangers are",
        "share of synthetic images above the threshold, beyond the share of control images",
        limit,
    )


def threshold_at_fpir(best: NDArray[np.float32], fpir: float) -> float:
    """The similarity that this share of probes reaches with their nearest image, at least one of them."""
    count = max(1, int(fpir * len(best) + 1e-9))
    return float(np.partition(best, len(best) - count)[len(best) - count])


def _compared(scene: Scene, finding: Finding, threshold: float, fpir: float | None) -> Finding:
    evidence = scene.seen
    sets = evidence.sets
    assert evidence.control_best is not None and sets.control is not None
    often = min(threshold, threshold_at_fpir(evidence.control_best, _OFTEN))
    control = share_by_class(
        evidence.control_best >= threshold, sets.control.class_index, evidence.control_best >= often
    )
    hit, near = evidence.synthetic_best >= threshold, evidence.synthetic_best >= often
    classes = sets.synthetic.class_index
    attack = share_by_class(hit, classes, near)
    value, bounds = excess_risk(attack, control)
    pools = planted_pools(scene, threshold, images_only=fpir is None)

    def with_planted(places: NDArray[np.int64], members: NDArray[np.int64], kind: str) -> Bounds:
        changed, changed_near = hit.copy(), near.copy()
        changed[places] = changed_near[places] = pools[kind][members]
        return excess_risk(share_by_class(changed, classes, changed_near), control)[1]

    plantings = plant_images(scene, finding.name, finding.limit, pools, len(hit), len(hit), with_planted)
    bulk, caveat = compared_in_bulk(evidence.synthetic_best, evidence.control_best)
    method = f"MOVER of Korn-Graubard over {attack.clusters:,} and {control.clusters:,} classes"
    return replace(
        finding,
        interval=interval_of(value, bounds, method, attack.n, min(attack.hits, control.hits)),
        p_value=p_above(value, bounds, finding.limit),
        obstacle=missed(plantings),
        caveat=caveat,
        facts={
            "threshold": threshold,
            "synthetic_images": attack.n,
            "synthetic_matches": attack.hits,
            "synthetic_effective": attack.effective,
            "control_images": control.n,
            "control_matches": control.hits,
            "control_effective": control.effective,
            "bulk": bulk,
            "planted": [planting.to_json() for planting in plantings],
        },
    )


def compared_in_bulk(best: NDArray[np.float32], control_best: NDArray[np.float32]) -> tuple[dict[str, float], str]:
    """How near the bulk of the release and of the control group are, and what that says of comparing them."""
    median = float(np.median(best))
    below = float((control_best < median).mean() + (control_best == median).mean() / 2)
    facts = {
        "median": median,
        "control_median": float(np.median(control_best)),
        "control_share_below": below,
    }
    if _FAR_APART <= below <= 1 - _FAR_APART:
        return facts, ""
    if below > 0.5:
        what = f"nearer to training than {below:.0%} of the control images are: a leak, or"
    else:
        what = f"farther from training than {1 - below:.0%} of the control images are:"
    return facts, f"half of the release is {what} the control group is not comparable"


def planted_pools(scene: Scene, threshold: float, images_only: bool = False) -> dict[str, NDArray[np.bool_]]:
    """Of each kind of image that can be planted, whether it is above the threshold.

    Args:
        images_only: leave out other images of the same people, which are no copies.
    """
    evidence = scene.seen
    pools = {}
    if evidence.copies_best is not None:
        assert evidence.sets.copies is not None
        pools[evidence.sets.copies.kind] = evidence.copies_best >= threshold
    if evidence.others is not None and not images_only:
        pools["other"] = evidence.others.best >= threshold
    return pools
