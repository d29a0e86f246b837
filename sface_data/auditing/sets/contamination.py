"""Sets that must have nothing in common, and whether they do.

A control group with training people or images of the release in it would make every leak look like chance.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from sface_data.auditing.compare.backend import Backend
from sface_data.auditing.compare.pairs import nearest, prepare
from sface_data.auditing.compare.sweep import Neighbours, PreparedSet
from sface_data.auditing.sets.judged_sets import CONTROL, TRAINING, JudgedSets, class_means, subset
from sface_data.biometrics.extremes import gumbel_tail
from sface_data.biometrics.scores import ScoreHistogram
from sface_data.embedding.embeddings import EmbeddingSet
from sface_data.errors import BadInput

_LIKELY = 1e-3  # more control people that look like training people than this are no accident
_SAME_IMAGE = 0.98
_TWINS = 0.25  # of the control images may be there twice, or look so to a weak judge: little depends on them
_CLOSE = 0.1  # of training people are nearer to another one than this bar
_CROWD = 1 / 3  # of control people nearer to a training person than the bar: no chance of who was chosen


@dataclass(frozen=True)
class Lookalikes:
    """Control people who look like people of another set, by the mean of their images.

    Attributes:
        people: how many do: as much as half of a person's images look like the other half, for most.
        expected: how many would by chance, as far as people of that set look like each other.
        probability: of as many by chance.
        pairs: names of the control class and of the class of the set, the closest first.
        close: control people nearer to someone of the set than 90 % of its people are to each other.
        of: all control people.
        crowd: the probability of so many close ones, if a third of them, or more of few people, were it by chance.
    """

    people: int
    expected: float
    probability: float
    pairs: tuple[tuple[str, str], ...]
    close: int = 0
    of: int = 0
    crowd: float = 1.0


def check_digests(first: Sequence[str], second: Sequence[str], names: tuple[str, str], why: str) -> None:
    """Raises BadInput if two sets have an image in common."""
    common = (set(first) & set(second)) - {""}
    if common:
        raise BadInput(
            f"{len(common):,} images of {names[0]} are also in {names[1]} (such as SHA-256 "
            f"{min(common)[:12]}...); {why}"
        )


def check_disjoint(sets: JudgedSets, role: str, mated: ScoreHistogram, near: Neighbours) -> Lookalikes:
    """Whether the control group holds people or images of the training set, or of the release.

    It would make a leak look like chance. To be asked only of a judge that tells the people of that set apart.

    Args:
        role: training or release.
        mated: comparisons within that set.
        near: of each control image in that set.

    Raises:
        BadInput: if it does.
    """
    control = sets.control
    assert control is not None
    faces, name = (sets.training if role == TRAINING else sets.release), sets.name(role)
    copies = np.flatnonzero(near.score >= max(_SAME_IMAGE, mated.quantile(0.999)))
    if len(copies):
        first = int(copies[0])
        twin = faces.keys[int(near.index[first])]
        raise BadInput(
            f"{sets.name(CONTROL)}: {len(copies):,} of its images are images of {name} in another form (such as "
            f"{control.keys[first]!r} and {twin!r}); a control group has other people"
        )
    found = _lookalikes(control, faces)
    if found.people and found.probability < _LIKELY:
        pairs = ", ".join(f"{a!r} and {b!r}" for a, b in found.pairs[:3])
        raise BadInput(
            f"{sets.name(CONTROL)}: {found.people:,} of its people look like people of {name} ({pairs}); "
            f"chance would give {found.expected:.2g}: a control group has other people"
        )
    if role == TRAINING and found.crowd < _LIKELY:
        raise BadInput(
            f"{sets.name(CONTROL)}: {found.close:,} of its {found.of:,} people are nearer to someone of {name} "
            f"than {1 - _CLOSE:.0%} of the people there are to each other and may be the same: a "
            "control group has other people"
        )
    return found


def check_distinct(sets: JudgedSets, prepared: PreparedSet, mated: ScoreHistogram, backend: Backend) -> int:
    """How many control images are there again in another form, such as saved anew: each counts as one stranger.

    Args:
        prepared: the control group.
        mated: comparisons within training, by which a judge is known to tell images of one person apart.
        backend: where products of matrices are computed.

    Raises:
        BadInput: if they are more than a quarter.
    """
    control = sets.control
    assert control is not None
    found = nearest(prepared, prepared, 2, backend=backend)
    rows = np.arange(len(control))
    other = np.where(found.index == rows, 1, 0)  # the nearest one that is not the image itself
    twins = np.flatnonzero(found.scores[rows, other] >= max(_SAME_IMAGE, mated.quantile(0.9999)))
    if len(twins) > _TWINS * len(control):
        first = int(twins[0])
        twin = control.keys[int(found.indices[first, other[first]])]
        raise BadInput(
            f"{sets.name(CONTROL)}: {len(twins):,} of its {len(control):,} images are there again in another form "
            f"(such as {control.keys[first]!r} and {twin!r}); keep one of each, as each counts as one stranger"
        )
    return len(twins)


def _lookalikes(control: EmbeddingSet, faces: EmbeddingSet) -> Lookalikes:
    same = _halves(faces)
    if not len(same):
        return Lookalikes(0, 0.0, 1.0, ())
    threshold = float(np.median(same))
    people, strangers = class_means(faces), class_means(control)
    gallery = prepare(people)
    inside = nearest(gallery, gallery, 2).scores[:, -1]
    chance = max(float((inside >= threshold).mean()), gumbel_tail(inside, threshold))
    found = nearest(prepare(strangers), gallery)
    alike = np.flatnonzero(found.score >= threshold)
    alike = alike[np.argsort(-found.score[alike], kind="stable")]
    pairs = tuple(
        (
            control.class_names[strangers.class_index[j]],
            faces.class_names[people.class_index[found.index[j]]],
        )
        for j in alike
    )
    probability = float(stats.binom.sf(len(alike) - 1, len(strangers), min(chance, 1.0)))
    close, crowd = _crowd(inside, found.score)
    return Lookalikes(len(alike), chance * len(strangers), probability, pairs, close, len(strangers), crowd)


def _crowd(inside: NDArray[np.float32], strangers: NDArray[np.float32]) -> tuple[int, float]:
    """How many strangers are close, and the probability of so many, see `Lookalikes`.

    Args:
        inside: how near each person of the set is to another one of it; `strangers`: each stranger to one of it.
    """
    close = int((strangers > np.quantile(inside, 1 - _CLOSE)).sum())
    uncertain = _CLOSE + 3 * np.sqrt(_CLOSE / len(inside))  # a bar that few people set may lie anywhere
    return close, float(stats.binom.sf(close - 1, len(strangers), min(max(_CROWD, uncertain), 1.0)))


def _halves(faces: EmbeddingSet) -> NDArray[np.float64]:
    """How alike the means of two halves of the images of each person are."""
    order = np.argsort(faces.class_index, kind="stable")
    rank = np.empty(len(order), np.int64)
    starts = np.searchsorted(faces.class_index[order], faces.class_index[order])
    rank[order] = np.arange(len(order)) - starts
    if not (rank % 2).any():
        return np.zeros(0)
    first, second = (class_means(subset(faces, np.flatnonzero(rank % 2 == half))) for half in (0, 1))
    _, a, b = np.intersect1d(first.class_index, second.class_index, return_indices=True)
    return np.einsum("nd,nd->n", first.vectors[a], second.vectors[b], dtype=np.float64)
