"""Which training people the classes of a release are held against, and what that is compared with.

Where labels are those of training identities, each class is compared with the person of its name, and by chance
its images are no nearer to that person than to others: the images of all other labels are what it is held against.

Where they are not, the worst case counts: the person whom the manifest names as nearest in the generator's class
space (of a mixture, all its parents), and the person whom the judge itself finds nearest. Either was selected for
being near, so that comparisons with others are no measure: everybody, strangers too, is nearer to whom they are
nearest to. So they are held against the people of the control group and those whom the same search finds for them.
It is the judge's own search also where the manifest made a claim, for strangers have no place in the generator's
class space; no other choice finds nearer people, so that what a claim has beyond it is no work of the choice.
"""

from dataclasses import dataclass

import numpy as np

from sface_data.auditing.compare.sweep import PreparedSet
from sface_data.auditing.search import Search, scores_of_images
from sface_data.auditing.sets.judged_sets import (
    CONTROL,
    RELEASE,
    TRAINING,
    Indices,
    JudgedSets,
)
from sface_data.auditing.verdict import CLAIM, LABEL, SEARCH
from sface_data.biometrics.subjects import SubjectScores


@dataclass(frozen=True)
class Related:
    """Comparisons of the classes of a release with the people to whom they are related.

    Attributes:
        whole: those that the bulk is judged by: of images for labels; of the mean of a class with the mean of a
            person for people who were selected, each of whom has one such comparison.
        images: of images. In both, what they are held against are the non-mated ones.
        people, strangers: int64 [C,K] rows of the gallery to which the classes of the release that were searched
            for, and the people of the control group, are related; -1 for nobody. None for labels.
    """

    whole: SubjectScores
    images: SubjectScores
    people: Indices | None = None
    strangers: Indices | None = None


def relate(
    sets: JudgedSets, search: Search, cross: SubjectScores, prepared: dict[str, PreparedSet], seed: int
) -> dict[str, Related]:
    """What there is of the relations of a release, by name: those of people who are selected need a control group.

    Args:
        cross: all comparisons of release and training, mated where labels are the same.
        seed: of the bootstrap.
    """
    related = {LABEL: Related(cross, cross)} if LABEL in sets.relations else {}
    if not search.by_role:
        return related
    release, control = search.by_role[RELEASE], search.by_role[CONTROL]
    people = {SEARCH: release.people[:, :1]}
    if sets.claimed is not None:
        row = np.full(len(sets.training.class_names) + 1, -1)  # and of nobody, who is the last
        row[search.gallery.class_index] = np.arange(len(search.gallery))
        people[CLAIM] = row[sets.claimed[release.classes]]
    for name in (CLAIM, SEARCH):
        if name in sets.relations:
            whom = {RELEASE: people[name], CONTROL: control.people[:, : people[name].shape[1]]}
            means = {role: search.similarities(role, chosen) for role, chosen in whom.items()}
            images = {
                role: scores_of_images(search.by_role[role], chosen, prepared[role], prepared[TRAINING])
                for role, chosen in whom.items()
            }
            whole = SubjectScores.apart(means[RELEASE], means[CONTROL], seed, cross.replicates)
            parts = SubjectScores.apart(images[RELEASE], images[CONTROL], seed, cross.replicates)
            related[name] = Related(whole, parts, whom[RELEASE], whom[CONTROL])
    return related
