"""Exposure: how many training people does the release show?"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sface_data.audit.checks.neighbours import NO_CONTROL, compared_in_bulk, planted_pools, threshold_at_fpir
from sface_data.audit.checks.positive_control import Scene, missed, plant_images
from sface_data.audit.policy import FPIRS
from sface_data.audit.verdict import Finding
from sface_data.biometrics.clustered import (
    Bounds,
    ClusteredShare,
    excess_risk,
    interval_of,
    p_above,
)
from sface_data.embedding.embeddings import EmbeddingSet

NAME = "exposure"


def exposure(scene: Scene, name: str = NAME) -> Finding:
    """Excess of training people whom an image matches, over those that as many control images would match."""
    evidence, limit = scene.evidence, scene.limit(name).limit
    sets = evidence.sets
    finding = Finding(
        name,
        sets.judge,
        "No more training people are matched by an image than as many images of strangers would match",
        "share of training people matched by a synthetic image, beyond what chance gives as many images",
        limit,
    )
    if evidence.control_best is None or evidence.training_best_control is None or sets.control is None:
        return replace(finding, obstacle=NO_CONTROL)
    assert evidence.training_place_control is not None
    threshold = threshold_at_fpir(evidence.control_best, FPIRS["1e-3"])
    people, subject = np.unique(sets.training.class_index, return_inverse=True)
    shown = _shown(subject, evidence.training_best >= threshold, len(people))
    shown_control = _shown(subject, evidence.training_best_control >= threshold, len(people))
    attack = _share(shown, evidence.training_best >= threshold, evidence.training_place, sets.synthetic)
    control = _share(
        shown_control,
        evidence.training_best_control >= threshold,
        evidence.training_place_control,
        sets.control,
    )
    trials = len(sets.synthetic) / len(sets.control)
    value, bounds = excess_risk(attack, control, trials)
    pools = planted_pools(scene, threshold)
    whom = _whom(scene)
    bulk, caveat = compared_in_bulk(evidence.synthetic_best, evidence.control_best)

    def with_planted(places: NDArray[np.int64], members: NDArray[np.int64], kind: str) -> Bounds:
        changed = shown.copy()
        matched = whom[kind][members[pools[kind][members]]]
        changed[np.searchsorted(people, matched)] = True
        return excess_risk(replace(attack, hits=int(changed.sum())), control, trials)[1]

    plantings = plant_images(scene, name, limit, pools, len(sets.synthetic), len(people), with_planted)
    return replace(
        finding,
        interval=interval_of(
            value,
            bounds,
            "MOVER of Korn-Graubard over training people",
            len(people),
            min(attack.hits, control.hits),
        ),
        p_value=p_above(value, bounds, limit),
        obstacle=missed(plantings),
        caveat=caveat,
        facts={
            "threshold": threshold,
            "training_people": len(people),
            "matched": int(shown.sum()),
            "matched_by_control": int(shown_control.sum()),
            "synthetic_images_per_control_image": trials,
            "bulk": bulk,
            "planted": [planting.to_json() for planting in plantings],
        },
    )


def _shown(subject: NDArray[np.int64], matched: NDArray[np.bool_], people: int) -> NDArray[np.bool_]:
    return np.bincount(subject[matched], minlength=people) > 0


def _share(
    shown: NDArray[np.bool_], matched: NDArray[np.bool_], places: NDArray[np.int64], probes: EmbeddingSet
) -> ClusteredShare:
    """The share of people shown. Those shown by one class of probes are not independent of each other."""
    classes = len(np.unique(probes.class_index[places[matched]]))
    effect = max(1.0, int(shown.sum()) / max(classes, 1))
    return ClusteredShare(int(shown.sum()), len(shown), len(shown), len(shown) / effect)


def _whom(scene: Scene) -> dict[str, NDArray[np.int64]]:
    """Which training person each image that can be planted matches, if it matches."""
    evidence = scene.evidence
    found = {}
    if evidence.copies_place is not None:
        assert evidence.sets.copies is not None
        found[evidence.sets.copies.kind] = evidence.sets.training.class_index[evidence.copies_place]
    if evidence.others is not None:
        found["other"] = evidence.others.nearest_subject
    return found
