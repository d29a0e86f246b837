"""Membership: are training images nearer to the release than other images of the same people?"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sface_data.auditing.checks.kind import CheckContext, CheckKind
from sface_data.auditing.checks.neighbours import threshold_at_fpir
from sface_data.auditing.sets.judged_sets import RELEASE, namesakes
from sface_data.auditing.verdict import Finding
from sface_data.biometrics.clustered import (
    excess_risk,
    interval_of,
    logit_bounds,
    logit_interval,
    p_above,
    share_by_class,
)
from sface_data.biometrics.intervals import Interval

NO_HELD_OUT = "no held-out images of training people were given"
_FPR = 1e-3
_OFTEN = 0.1  # an FPR at which there are matches enough to tell how alike those of a person are


@dataclass(frozen=True)
class Membership(CheckKind):
    """AUC, or TPR at FPR 0.1 % beyond it, of training against held-out images by their nearest in the release."""

    by_auc: bool

    def measured(self, context: CheckContext, finding: Finding) -> Finding:
        evidence, sets = context.evidence, context.evidence.sets
        if evidence.held_out is None or sets.held_out is None:
            return finding.unable_to_pass(NO_HELD_OUT)
        person = namesakes(sets.held_out, sets.training)[sets.held_out.class_index]
        inside = np.isin(sets.training.class_index, person)  # only people of both sides, so that people cancel out
        outside = person >= 0
        members, subjects = evidence.from_training[RELEASE].score[inside], sets.training.class_index[inside]
        others, other_subjects = evidence.held_out.score[outside], person[outside]
        facts: dict[str, float] = {"training_images": len(members), "held_out_images": len(others)}
        if self.by_auc:
            found = clustered_auc(members, subjects, others, other_subjects)
            bounds = logit_bounds(found, len(np.unique(subjects)))
            p_value = p_above(found.value, bounds, finding.limit)
            return replace(finding, interval=found, p_value=p_value, facts=facts)
        threshold = threshold_at_fpir(others, _FPR)
        often = min(threshold_at_fpir(others, _OFTEN), threshold)
        attack = share_by_class(members >= threshold, subjects, members >= often)
        control = share_by_class(others >= threshold, other_subjects, others >= often)
        value, bounds = excess_risk(attack, control)
        facts |= {"threshold": threshold, "training_matches": attack.hits, "held_out_matches": control.hits}
        method = f"MOVER of Korn-Graubard over {attack.clusters:,} people"
        return replace(
            finding,
            interval=interval_of(value, bounds, method, attack.n, min(attack.hits, control.hits)),
            p_value=p_above(value, bounds, finding.limit),
            facts=facts,
        )


def clustered_auc(
    first: NDArray[np.float32],
    first_subject: NDArray[np.int64],
    second: NDArray[np.float32],
    second_subject: NDArray[np.int64],
) -> Interval:
    """How often a score of the first kind is above one of the second, where subjects have scores of both kinds.

    The variance is that of Obuchowski (1997) for clustered data: subjects, not images, are independent.
    """
    a, b = np.sort(first), np.sort(second)
    beats = (np.searchsorted(b, first, "left") + np.searchsorted(b, first, "right")) / (2 * len(b))
    beaten = 1 - (np.searchsorted(a, second, "left") + np.searchsorted(a, second, "right")) / (2 * len(a))
    auc = float(beats.mean())
    people = np.unique(np.concatenate([first_subject, second_subject]))
    person, other = (np.searchsorted(people, subject) for subject in (first_subject, second_subject))
    each = np.bincount(person, beats - auc, len(people)) / len(first)
    each += np.bincount(other, beaten - auc, len(people)) / len(second)
    units = len(people)
    error = float(np.sqrt(units / max(units - 1, 1) * (each**2).sum()))
    return logit_interval(auc, error, units, f"Obuchowski over {units:,} people, log odds", len(first))


_CLAIM = "Training images are no nearer to the release than other images of the same people"
CHECKS = (
    Membership(
        "membership-auc", _CLAIM, "AUC of training against held-out images; 0.5 without memory", by_auc=True
    ),
    Membership(
        "membership-tpr",
        _CLAIM,
        "share of training images above the threshold that 0.1 % of held-out images reach, beyond theirs",
        by_auc=False,
    ),
)
