"""The relations between classes and training people, as checks ask for them: see `auditing.relations`."""

import numpy as np

from sface_data.auditing.checks.kind import CheckContext
from sface_data.auditing.verdict import CLAIM, LABEL, SEARCH

NO_CONTROL = "no control group was given, so nobody can say how near strangers come to the training images"
TOO_FEW = "fewer than two classes of the release, of the control group or of training have two images"
NO_NAMESAKES = "too few classes share a name with a training identity"
NO_CLAIMED = "none of the people whom the manifest names is among the training faces"
_WHOM = {
    CLAIM: "their claimed training person (or, for a mixture, its parents)",
    SEARCH: "their nearest training person (found by half of the images, compared by the others)",
}


def unrelated(context: CheckContext, relation: str) -> str:
    """Why nothing can be said of a relation; empty if something can."""
    evidence = context.evidence
    if relation == LABEL:
        present = np.unique(evidence.sets.release.class_index)
        few = (evidence.namesake[present] >= 0).sum() < 2 or not evidence.cross.nonmated.total
        return NO_NAMESAKES if few else ""
    if evidence.sets.control is None:
        return NO_CONTROL
    if relation not in evidence.related:
        return TOO_FEW
    return "" if evidence.related[relation].whole.mated.total else NO_CLAIMED


def unseen(context: CheckContext, relation: str) -> str:
    """Why what a relation shows is not all of it, so that nothing can pass; empty if it is."""
    claimed = context.evidence.sets.claimed
    if relation != CLAIM or claimed is None:
        return ""
    of = claimed[np.unique(context.evidence.sets.release.class_index)]
    unknown = int((of < 0).any(axis=1).sum())
    return f"{unknown:,} of {len(of):,} classes name somebody whose faces were not given" if unknown else ""


def whom(relation: str) -> str:
    """The person to whom classes and images are related, in the words of a claim."""
    return _WHOM[relation]
