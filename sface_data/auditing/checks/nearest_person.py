"""The worst case, whatever the labels say: is a class of the release a training person under another name?

For each class the training person nearest to one half of its images is chosen, and looked at with the other half:
what is chosen by the noise of the first half is not confirmed by the second. The same is done with the people of
the control group, who have a nearest training person as well, with as many images each: a mean of more images has
less noise, and would be nearer for that alone. What counts is the share of classes beyond that of control people.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sface_data.auditing.checks.kind import CheckContext, CheckKind
from sface_data.auditing.checks.neighbours import NO_CONTROL, threshold_at_fpir
from sface_data.auditing.checks.positive_control import missed, plant_classes
from sface_data.auditing.compare.pairs import nearest, prepare
from sface_data.auditing.sets.judged_sets import Indices, class_means, derived, unit
from sface_data.auditing.verdict import Finding
from sface_data.biometrics.clustered import Bounds, clustered_share, excess_risk, interval_of, p_above
from sface_data.embedding.embeddings import EmbeddingSet

TOO_FEW = "fewer than two classes of the release, of the control group or of training have two images"


@dataclass(frozen=True)
class NearestPerson(CheckKind):
    """Excess of classes that are nearer to a training person than a share `rate` of the control people are."""

    rate: float
    among_all = True

    def measured(self, context: CheckContext, finding: Finding) -> Finding:
        sets = context.nearness.sets
        if sets.control is None:
            return finding.unable_to_pass(NO_CONTROL)
        images = min(_usual_size(faces) for faces in (sets.release, sets.control))
        halves = [_halves(faces, images // 2) for faces in (sets.release, sets.control, sets.training)]
        if min(len(first) for first, _ in halves) < 2:
            return finding.unable_to_pass(TOO_FEW)
        people = class_means(sets.training)
        gallery = prepare(people)
        found_by = (nearest(prepare(first), gallery, device=context.device).index for first, _ in halves)
        release, control, planted = (
            _confirmed(second, people.vectors[index]) for (_, second), index in zip(halves, found_by, strict=True)
        )
        threshold = threshold_at_fpir(control, self.rate)
        strangers = clustered_share(*_counts(control >= threshold))
        hit, found = release >= threshold, planted >= threshold

        def with_planted(chosen: Indices, rng: np.random.Generator) -> Bounds:
            changed = hit.copy()
            changed[chosen] = found[rng.integers(len(found), size=len(chosen))]
            return excess_risk(clustered_share(*_counts(changed)), strangers)[1]

        value, bounds = excess_risk(clustered_share(*_counts(hit)), strangers)
        plantings = plant_classes(context, finding, found, len(hit), with_planted)
        method = f"MOVER of Korn-Graubard over {len(hit):,} classes and {len(control):,} people"
        return replace(
            finding,
            interval=interval_of(
                value, bounds, method, len(hit), int(min(hit.sum(), (control >= threshold).sum()))
            ),
            p_value=p_above(value, bounds, finding.limit),
            blocks_pass=missed(plantings),
            facts={
                "threshold": threshold,
                "images_of_a_half": images // 2,
                "classes": len(hit),
                "near_classes": int(hit.sum()),
                "control_people": len(control),
                "near_control_people": int((control >= threshold).sum()),
                "planted": [planting.to_json() for planting in plantings],
            },
        )


def _usual_size(faces: EmbeddingSet) -> int:
    """How many images at least nine in ten classes have."""
    sizes = np.bincount(faces.class_index)
    return int(np.quantile(sizes[sizes > 0], 0.1, method="lower"))


def _halves(faces: EmbeddingSet, images: int) -> tuple[EmbeddingSet, NDArray[np.float32]]:
    """Means of the first `images` of each class, and of as many after them [C,D]; without classes of fewer."""
    images = max(images, 1)
    order = np.argsort(faces.class_index, kind="stable")
    sizes = np.bincount(faces.class_index)
    starts = np.cumsum(sizes) - sizes
    chosen = np.flatnonzero(sizes >= 2 * images)
    rows = order[starts[chosen, None] + np.arange(2 * images)]  # [C,2*images]
    first, second = (
        unit(faces.vectors[half].sum(axis=1, dtype=np.float64)) for half in (rows[:, :images], rows[:, images:])
    )
    return derived(first, chosen, faces), second


def _confirmed(second: NDArray[np.float32], people: NDArray[np.float32]) -> NDArray[np.float32]:
    """Similarity [C] of the second halves to the people [C,D] who are nearest to the first ones."""
    return np.asarray(np.einsum("cd,cd->c", second, people), np.float32)


def _counts(hit: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Classes as clusters of one: with the event, and all."""
    return hit.astype(np.int64), np.ones(len(hit), np.int64)


CHECKS = (
    NearestPerson(
        "nearest-person",
        "Classes are no more often as near to a training person as the nearest 1 % of strangers",
        "share of classes above the threshold, beyond the share of control people",
        1e-2,
    ),
)
