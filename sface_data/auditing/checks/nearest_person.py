"""The worst case, whatever the labels say: is a class of the release a training person under another name?

What counts is the share of classes whose nearest training person is nearer than strangers find one, see `search`.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sface_data.auditing.checks.kind import CheckContext, CheckKind
from sface_data.auditing.checks.neighbours import own_threshold, threshold_at_fpir
from sface_data.auditing.checks.positive_control import missed, plant_classes
from sface_data.auditing.checks.related import NO_CONTROL, TOO_FEW
from sface_data.auditing.sets.judged_sets import CONTROL, RELEASE, Indices
from sface_data.auditing.verdict import Finding
from sface_data.biometrics.clustered import Bounds, clustered_share, excess_risk, interval_of, p_above


@dataclass(frozen=True)
class NearestPerson(CheckKind):
    """Excess of classes that are nearer to a training person than a share `rate` of the control people are."""

    rate: float
    among_all = True

    def measured(self, context: CheckContext, finding: Finding) -> Finding:
        sets = context.nearness.sets
        if sets.control is None:
            return finding.unable_to_pass(NO_CONTROL)
        search = context.nearness.search
        if search is None or not search.by_role:
            return finding.unable_to_pass(TOO_FEW)
        release, control = (search.similarity(role) for role in (RELEASE, CONTROL))
        planted = search.of_other_photographs()
        threshold = threshold_at_fpir(control, self.rate)
        strangers = clustered_share(*_counts(control >= threshold))
        own = own_threshold(threshold, release, control)
        hit, found = release >= own, planted >= own
        surely = clustered_share(*_counts(release >= threshold))

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
            p_value=p_above(*excess_risk(surely, strangers), finding.limit),
            blocks_pass=missed(plantings),
            facts={
                "threshold": threshold,
                "release_threshold": own,
                "images_of_a_half": search.by_role[RELEASE].rows.shape[1],
                "classes": len(hit),
                "near_classes": int(hit.sum()),
                "near_classes_as_strangers": surely.hits,
                "control_people": len(control),
                "near_control_people": int((control >= threshold).sum()),
                "planted": [planting.to_json() for planting in plantings],
            },
        )


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
