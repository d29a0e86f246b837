"""Same label: is a synthetic class related to the training person of the same name?"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sface_data.audit.checks.positive_control import Scene, missed, plant_classes
from sface_data.audit.policy import FMRS
from sface_data.audit.verdict import Finding
from sface_data.biometrics.clustered import (
    Bounds,
    clustered_share,
    interval_of,
    logit_bounds,
    p_above,
    ratio,
)
from sface_data.biometrics.intervals import FEW_ERRORS, Interval
from sface_data.biometrics.rates import fdr, threshold_at_fmr

NO_LABELS = "the labels of the release are said to have nothing to do with the training identities"
NO_NAMESAKES = "too few classes share a name with a training identity"
_OFTEN = 0.1  # an FMR at which there are matches enough to tell how alike those of a class are


def separability(scene: Scene, name: str) -> Finding:
    """AUC, or 50 % minus EER, of same-label against different-label comparisons of synthetic with authentic."""
    evidence, limit = scene.evidence, scene.limit(name).limit
    is_auc = name == "same-label-auc"
    finding = Finding(
        name,
        evidence.sets.judge,
        "On the whole, images are no nearer to the training person of their label than to others",
        "AUC of same-label against different-label comparisons; 0.5 without relation"
        if is_auc
        else "50 % minus the EER of same-label against different-label comparisons; 0 without relation",
        limit,
    )
    obstacle = _obstacle(scene)
    if obstacle:
        return replace(finding, obstacle=obstacle)
    found = evidence.cross.auc() if is_auc else evidence.cross.eer()
    units = int((evidence.cross.mated_by_subject.sum(axis=1) > 0).sum())
    bounds = logit_bounds(found.value, found.low, found.high, units)
    value = found.value
    if not is_auc:  # the lower the EER, the closer the relation
        value, bounds = 0.5 - found.value, _flipped(bounds)
    low, high = bounds(found.confidence)
    facts = {
        "same_label": evidence.cross.mated.total,
        "different_label": evidence.cross.nonmated.total,
        "fdr": fdr(evidence.cross.mated, evidence.cross.nonmated),
        "power": "by its interval; it speaks of the bulk and is not asked to see planted images",
    }
    return replace(
        finding,
        interval=Interval(value, low, high, found.method, found.n, flags=found.flags),
        p_value=p_above(value, bounds, limit),
        facts=facts,
    )


def match_ratio(scene: Scene, name: str) -> Finding:
    """How many times more often same-label comparisons match than different-label ones, at one threshold."""
    evidence, limit = scene.evidence, scene.limit(name).limit
    fmr = FMRS[name.removeprefix("same-label-ratio-")]
    finding = Finding(
        name,
        evidence.sets.judge,
        f"Images match the training person of their label hardly more often than others, at FMR {100 * fmr:g} %",
        "TMR of same-label over FMR of different-label comparisons; 1 without relation",
        limit,
    )
    obstacle = _obstacle(scene)
    if obstacle:
        return replace(finding, obstacle=obstacle)
    cross, authentic = evidence.cross, evidence.authentic
    bins = cross.mated_by_subject.shape[1]
    # At an edge of the coarse bins, at which the matches of every subject are known exactly.
    edge, often = (_edge(threshold_at_fmr(authentic.nonmated, rate), bins) for rate in (fmr, _OFTEN))
    if edge >= bins:
        return replace(finding, obstacle=f"no threshold has an FMR of {fmr:g} or less")
    same, same_often, same_all = (_tails(cross.mated_by_subject, place) for place in (edge, often, 0))
    other, other_all, other_often = (_tails(cross.nonmated_by_subject, place) for place in (edge, 0, often))
    different = clustered_share(other, other_all, other_often, sides=2)
    matches = clustered_share(same, same_all, same_often)
    if not matches.hits and not different.hits:
        return replace(finding, obstacle="no comparison of release and training reaches the threshold of this FMR")
    value, bounds = ratio(matches, different)
    pool = _tails(authentic.mated_by_subject, edge) / np.maximum(_tails(authentic.mated_by_subject, 0), 1)
    pool = pool[_tails(authentic.mated_by_subject, 0) > 0]
    taking_part = np.flatnonzero(same_all)

    def with_planted(classes: NDArray[np.int64], rng: np.random.Generator) -> Bounds:
        changed, changed_often, places = same.copy(), same_often.copy(), taking_part[classes]
        rates = pool[rng.integers(len(pool), size=len(places))]
        changed[places] = np.rint(rates * same_all[places])
        changed_often[places] = np.maximum(changed[places], changed_often[places])
        return ratio(clustered_share(changed, same_all, changed_often), different)[1]

    plantings = []
    if len(pool):
        plantings = plant_classes(scene, name, limit, pool, len(taking_part), with_planted)
    calibration = authentic.nonmated.total
    facts = {
        "threshold": 2 * edge / bins - 1,
        "fmr": fmr,
        "same_label": matches.n,
        "same_label_matches": matches.hits,
        "same_label_effective": matches.effective,
        "different_label": different.n,
        "different_label_matches": different.hits,
        "calibration_comparisons": calibration,
        "planted": [planting.to_json() for planting in plantings],
    }
    method = f"MOVER of Korn-Graubard over {matches.clusters:,} classes"
    if calibration * fmr < FEW_ERRORS:
        facts["threshold_rests_on_few"] = True  # rule of 30
    return replace(
        finding,
        interval=interval_of(value, bounds, method, matches.n, min(matches.hits, different.hits)),
        p_value=p_above(value, bounds, limit),
        obstacle=missed(plantings),
        facts=facts,
    )


def _obstacle(scene: Scene) -> str:
    evidence = scene.evidence
    if not evidence.sets.labels_related:
        return NO_LABELS
    present = np.unique(evidence.sets.synthetic.class_index)
    if (evidence.namesake[present] >= 0).sum() < 2 or not evidence.cross.nonmated.total:
        return NO_NAMESAKES
    return ""


def _edge(threshold: float, bins: int) -> int:
    """The first edge of the bins that is not below the threshold."""
    return bins if threshold > 1 else int(np.ceil((threshold + 1) * bins / 2 - 1e-6))


def _tails(by_subject: NDArray[np.int64], edge: int) -> NDArray[np.int64]:
    """Scores of each subject from an edge on."""
    return by_subject[:, edge:].sum(axis=1)


def _flipped(bounds: Bounds) -> Bounds:
    def flipped(confidence: float) -> tuple[float, float]:
        low, high = bounds(confidence)
        return 0.5 - high, 0.5 - low

    return flipped
