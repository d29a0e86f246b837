"""Same label: is a class of the release nearer to a training person to whom it is related than chance has it?

Related is the person of the same name, where labels are those of training people, or one who was selected, see
`relations`. For labels, chance is what the images of other labels do. For people who were selected, it is what
strangers do with the people who are selected for them: the bulk is judged by means of classes, of which each class
and each stranger has one, for what can be known of a class is in all of its images; the tail by single images, at
the thresholds that a system of recognition would have.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sface_data.auditing.checks.kind import CheckContext, CheckKind
from sface_data.auditing.checks.positive_control import Planting, missed, plant_classes
from sface_data.auditing.checks.related import unrelated, unseen, whom
from sface_data.auditing.sets.judged_sets import Indices
from sface_data.auditing.verdict import LABEL, Finding
from sface_data.biometrics.clustered import (
    Bounds,
    ClusteredShare,
    clustered_share,
    interval_of,
    logit_bounds,
    p_above,
    ratio,
)
from sface_data.biometrics.intervals import FEW_ERRORS, Interval
from sface_data.biometrics.rates import fdr, threshold_at_fmr
from sface_data.biometrics.subjects import SubjectScores

_ENOUGH = 300  # matches that tell how alike those of a class are; 100 tell too little where few classes have most


@dataclass(frozen=True)
class Separability(CheckKind):
    """AUC, or 50 % minus EER, of same-label against different-label comparisons of release with training."""

    by_auc: bool
    by_relation = True

    def words(self, relation: str) -> tuple[str, str]:
        if relation == LABEL:
            return super().words(relation)
        of = "classes with that person against strangers with theirs, by means of images"
        return (
            f"On the whole, classes are no nearer to {whom(relation)} than strangers are to theirs",
            f"AUC of {of}; 0.5 without relation" if self.by_auc else f"50 % minus the EER of {of}",
        )

    def measured(self, context: CheckContext, finding: Finding) -> Finding:
        reason = unrelated(context, finding.relation)
        if reason:
            return finding.unable_to_pass(reason)
        cross = context.evidence.related[finding.relation].whole
        found = cross.auc() if self.by_auc else cross.eer()
        units = int((cross.mated_by_subject.sum(axis=1) > 0).sum())
        value, bounds = found.value, logit_bounds(found, units)
        if not self.by_auc:  # the lower the EER, the closer the relation
            value, bounds = 0.5 - found.value, _flipped(bounds)
        low, high = bounds(found.confidence)
        return replace(
            finding,
            interval=Interval(value, low, high, found.method, found.n, flags=found.flags, degrees=found.degrees),
            p_value=p_above(value, bounds, finding.limit),
            blocks_pass=unseen(context, finding.relation),
            facts={
                "same_label": cross.mated.total,
                "different_label": cross.nonmated.total,
                "fdr": fdr(cross.mated, cross.nonmated),
                "power": "by its interval; it speaks of the bulk and is not asked to see planted images",
            },
        )


@dataclass(frozen=True)
class MatchRatio(CheckKind):
    """How many times more often same-label comparisons match than different-label ones, at one threshold."""

    fmr: float
    by_relation = True

    def words(self, relation: str) -> tuple[str, str]:
        if relation == LABEL:
            return super().words(relation)
        percent = f"{100 * self.fmr:g} %"
        return (
            f"Images match {whom(relation)} hardly more than strangers match theirs, at FMR {percent}",
            "TMR of classes with that person over that of strangers with theirs; 1 without relation",
        )

    def measured(self, context: CheckContext, finding: Finding) -> Finding:
        reason = unrelated(context, finding.relation)
        if reason:
            return finding.unable_to_pass(reason)
        cross, authentic = context.evidence.related[finding.relation].images, context.evidence.authentic
        bins = cross.mated_by_subject.shape[1]
        # At an edge of the coarse bins, at which the matches of every subject are known exactly.
        edge = _edge(threshold_at_fmr(authentic.nonmated, self.fmr), bins)
        if edge >= bins:
            return finding.unable_to_pass(f"no threshold has an FMR of {self.fmr:g} or less")
        different = _matches(cross.nonmated_by_subject, edge, sides=cross.sides)
        same = _matches(cross.mated_by_subject, edge)
        if not same.hits and not different.hits:
            reason = "no comparison of release and training reaches the threshold of this FMR"
            return finding.unable_to_pass(reason)
        value, bounds = ratio(same, different)
        plantings = self._planted(context, finding, edge, different)
        calibration = authentic.nonmated.total
        facts: dict[str, Any] = {
            "threshold": 2 * edge / bins - 1,
            "fmr": self.fmr,
            "same_label": same.n,
            "same_label_matches": same.hits,
            "same_label_effective": same.effective,
            "different_label": different.n,
            "different_label_matches": different.hits,
            "calibration_comparisons": calibration,
            "planted": [planting.to_json() for planting in plantings],
        }
        if calibration * self.fmr < FEW_ERRORS:
            facts["threshold_rests_on_few"] = True  # rule of 30
        method = f"MOVER of Korn-Graubard over {same.clusters:,} classes"
        return replace(
            finding,
            interval=interval_of(value, bounds, method, same.n, min(same.hits, different.hits)),
            p_value=p_above(value, bounds, finding.limit),
            blocks_pass=unseen(context, finding.relation) or missed(plantings),
            facts=facts,
        )

    def _planted(
        self, context: CheckContext, finding: Finding, edge: int, different: ClusteredShare
    ) -> list[Planting]:
        """What the check says when classes of the release match like photographs of training people."""
        authentic: SubjectScores = context.evidence.authentic
        by_class = context.evidence.related[finding.relation].images.mated_by_subject
        hits, often, sizes = (_tails(by_class, each) for each in (edge, _often(by_class, edge), 0))
        own = _tails(authentic.mated_by_subject, 0)
        pool = (_tails(authentic.mated_by_subject, edge) / np.maximum(own, 1))[own > 0]
        taking_part = np.flatnonzero(sizes)

        def with_planted(classes: Indices, rng: np.random.Generator) -> Bounds:
            changed, changed_often, chosen = hits.copy(), often.copy(), taking_part[classes]
            rates = pool[rng.integers(len(pool), size=len(chosen))]
            changed[chosen] = np.rint(rates * sizes[chosen])
            changed_often[chosen] = np.maximum(changed[chosen], changed_often[chosen])
            if changed.sum() >= _ENOUGH:
                changed_often = changed
            return ratio(clustered_share(changed, sizes, changed_often), different)[1]

        def most(share: float) -> float:  # strangers may match their nearest person often
            return 1 - share + share / max(different.value, 1e-12)

        return plant_classes(context, finding, pool, len(taking_part), with_planted, most)


def _matches(by_subject: NDArray[np.int64], edge: int, sides: int = 1) -> ClusteredShare:
    """The share of scores from an edge on."""
    hits, sizes, weaker = (_tails(by_subject, each) for each in (edge, 0, _often(by_subject, edge, sides)))
    return clustered_share(hits, sizes, weaker, sides)


def _often(by_subject: NDArray[np.int64], edge: int, sides: int = 1) -> int:
    """The highest edge up to the given one from which on there are enough scores, or 0.

    The rarer matches are, the less alike are those of a class: a lower edge would make the interval too wide.
    """
    reached = by_subject.sum(axis=0)[::-1].cumsum()[::-1]  # by edge, falling
    return max(min(edge, int((reached >= _ENOUGH * sides).sum()) - 1), 0)


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


_ON_THE_WHOLE = "On the whole, images are no nearer to the training person of their label than to others"
CHECKS = (
    Separability(
        "same-label-auc",
        _ON_THE_WHOLE,
        "AUC of same-label against different-label comparisons; 0.5 without relation",
        by_auc=True,
    ),
    Separability(
        "same-label-eer",
        _ON_THE_WHOLE,
        "50 % minus the EER of same-label against different-label comparisons; 0 without relation",
        by_auc=False,
    ),
    *(
        MatchRatio(
            f"same-label-ratio-{text}",
            f"Images match the training person of their label hardly more often than others, at FMR {percent} %",
            "TMR of same-label over FMR of different-label comparisons; 1 without relation",
            float(text),
        )
        for text, percent in (("1e-3", "0.1"), ("1e-4", "0.01"), ("1e-5", "0.001"))
    ),
)
