"""Exposure: how many training people does the release show?

At one threshold a release that grows shows ever more people by chance, in the end all of them, and nothing can be
told. So the threshold rises with the release: as many images of strangers would show a small share of the people.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sface_data.auditing.checks.kind import CheckContext, CheckKind
from sface_data.auditing.checks.neighbours import (
    RARELY,
    compared_in_bulk,
    own_threshold,
    planted_pools,
    scores_of,
    threshold_at_fpir,
)
from sface_data.auditing.checks.positive_control import Planting, missed, plant_images
from sface_data.auditing.checks.related import NO_CONTROL
from sface_data.auditing.compare.sweep import Neighbours
from sface_data.auditing.evidence import COPIES
from sface_data.auditing.sets.judged_sets import CONTROL, RELEASE, Indices
from sface_data.auditing.verdict import Finding
from sface_data.biometrics.clustered import Bounds, ClusteredShare, excess_risk, interval_of, p_above
from sface_data.embedding.embeddings import EmbeddingSet

_BY_CHANCE = 2e-3  # of the training people, shown by as many strangers: a fifth of the limit of `strict`


def exposing_fpir(people: int, images: int) -> float:
    """The share of strangers' images that may match somebody, where a release has so many images."""
    return min(RARELY, _BY_CHANCE * people / images)


@dataclass(frozen=True)
class Exposure(CheckKind):
    """Excess of training people whom an image matches, over those that as many control images would match."""

    among_all = True

    def measured(self, context: CheckContext, finding: Finding) -> Finding:
        evidence, sets = context.evidence, context.evidence.sets
        if sets.control is None:
            return finding.unable_to_pass(NO_CONTROL)
        near = evidence.to_training
        people, subject = np.unique(sets.training.class_index, return_inverse=True)
        threshold = threshold_at_fpir(near[CONTROL].score, exposing_fpir(len(people), len(sets.release)))
        own = own_threshold(threshold, *scores_of(near))
        shown, attack = _shown(subject, evidence.from_training[RELEASE], own, sets.release)
        _, surely = _shown(subject, evidence.from_training[RELEASE], threshold, sets.release)
        _, control = _shown(subject, evidence.from_training[CONTROL], threshold, sets.control)
        trials = len(sets.release) / len(sets.control)
        value, bounds = excess_risk(attack, control, trials)

        def with_shown(planted: Indices) -> Bounds:
            changed = shown.copy()
            changed[np.searchsorted(people, planted)] = True
            return excess_risk(replace(attack, hits=int(changed.sum())), control, trials)[1]

        plantings = _planted(context, finding, own, len(people), with_shown)
        bulk, note = compared_in_bulk(near[RELEASE].score, near[CONTROL].score)
        method = "MOVER of Korn-Graubard over training people"
        return replace(
            finding,
            interval=interval_of(value, bounds, method, len(people), min(attack.hits, control.hits)),
            p_value=p_above(*excess_risk(surely, control, trials), finding.limit),
            blocks_pass=missed(plantings),
            note=note,
            facts={
                "threshold": threshold,
                "release_threshold": own,
                "training_people": len(people),
                "matched": attack.hits,
                "matched_as_by_strangers": surely.hits,
                "matched_by_control": control.hits,
                "release_images_per_control_image": trials,
                "control_images": len(sets.control),
                "control_images_matching": int((near[CONTROL].score >= threshold).sum()),
                "bulk": bulk,
                "planted": [planting.to_json() for planting in plantings],
            },
        )


def _shown(
    subject: Indices, found: Neighbours, threshold: float, probes: EmbeddingSet
) -> tuple[NDArray[np.bool_], ClusteredShare]:
    """Which training people are shown [P], and their share.

    Those shown by one class of probes are not independent of each other.

    Args:
        subject: [N] the person of each training image.
        found: of each training image the nearest probe.
    """
    matched = found.score >= threshold
    shown = np.bincount(subject[matched], minlength=int(subject.max()) + 1) > 0
    classes = len(np.unique(probes.class_index[found.index[matched]]))
    effect = max(1.0, int(shown.sum()) / max(classes, 1))
    return shown, ClusteredShare(int(shown.sum()), len(shown), len(shown), len(shown) / effect)


def _planted(
    context: CheckContext, finding: Finding, threshold: float, people: int, with_shown: Callable[[Indices], Bounds]
) -> list[Planting]:
    """What the check says when planted images show whom they match."""
    evidence, sets = context.evidence, context.evidence.sets
    pools = planted_pools(context, threshold)
    whom = {}
    if sets.copies is not None:
        whom[sets.copies.kind] = sets.training.class_index[evidence.to_training[COPIES].index]
    if evidence.others is not None:
        whom["other"] = evidence.others.nearest_subject

    def with_planted(_: Indices, members: Indices, kind: str) -> Bounds:
        return with_shown(whom[kind][members[pools[kind][members]]])

    return plant_images(context, finding, pools, len(sets.release), people, with_planted)


CHECKS = (
    Exposure(
        "exposure",
        "No more training people are matched by an image than as many images of strangers would match",
        "share of training people matched by a synthetic image, beyond what chance gives as many images",
    ),
)
