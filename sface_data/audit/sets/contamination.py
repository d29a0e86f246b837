"""Sets that must have nothing in common, and whether they do.

A control group with training people or images of the release in it would make every leak look like chance.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from sface_data.audit.compare.pairs import Neighbours, nearest
from sface_data.audit.evidence import Evidence, Sets, centroids, part
from sface_data.biometrics.scores import ScoreHistogram
from sface_data.embedding.embeddings import EmbeddingSet
from sface_data.errors import BadInput

_LIKELY = 1e-3  # more control people that look like training people than this are no accident
_SAME_IMAGE = 0.98
_EULER = float(np.euler_gamma)


@dataclass(frozen=True)
class Lookalikes:
    """Control people who look like people of another set, by the mean of their images.

    Attributes:
        people: how many do: as much as half of a person's images look like the other half, for most.
        expected: how many would by chance, as far as people of that set look like each other.
        probability: of as many by chance.
        pairs: names of the control class and of the class of the set, the closest first.
    """

    people: int
    expected: float
    probability: float
    pairs: tuple[tuple[str, str], ...]


def check_digests(first: Sequence[str], second: Sequence[str], names: tuple[str, str], why: str) -> None:
    """Raises BadInput if two sets have an image in common."""
    common = (set(first) & set(second)) - {""}
    if common:
        raise BadInput(
            f"{len(common):,} images of {names[0]} are also in {names[1]} (such as SHA-256 "
            f"{min(common)[:12]}...); {why}"
        )


def check_control(evidence: Evidence) -> Lookalikes | None:
    """Whether the control group holds training people or their images; None without a control group.

    To be asked only of a judge that tells people apart.

    Raises:
        BadInput: if it does.
    """
    sets = evidence.sets
    if sets.control is None or evidence.control_best is None or evidence.control_place is None:
        return None
    near = Neighbours(evidence.control_best[:, None], evidence.control_place[:, None])
    return _strangers(sets, sets.training, sets.training_name, evidence.authentic.mated, near)


def check_control_and_release(evidence: Evidence, device: str = "cpu") -> Lookalikes | None:
    """Whether the control group holds people of the release, or its images; None without a control group.

    It would be as near to training as the release is, and make a leak look like chance. To be asked only of a
    judge that tells the classes of the release apart.

    Raises:
        BadInput: if it does.
    """
    sets = evidence.sets
    if sets.control is None:
        return None
    near = nearest(sets.control, sets.synthetic, 1, device=device)
    return _strangers(sets, sets.synthetic, sets.release_name, evidence.within.mated, near)


def _strangers(sets: Sets, faces: EmbeddingSet, name: str, mated: ScoreHistogram, near: Neighbours) -> Lookalikes:
    """Lookalikes between the control group and a set; BadInput if it holds people or images of that set.

    Args:
        mated: comparisons within the set.
        near: of each control image in the set.
    """
    assert sets.control is not None
    control = sets.control_name
    copies = np.flatnonzero(near.scores[:, 0] >= max(_SAME_IMAGE, _quantile(mated, 0.999)))
    if len(copies):
        place = int(copies[0])
        twin = faces.keys[int(near.places[place, 0])]
        raise BadInput(
            f"{control}: {len(copies):,} of its images are images of {name} in another form (such as "
            f"{sets.control.keys[place]!r} and {twin!r}); a control group has other people"
        )
    found = _lookalikes(sets.control, faces)
    if found.people and found.probability < _LIKELY:
        pairs = ", ".join(f"{a!r} and {b!r}" for a, b in found.pairs[:3])
        raise BadInput(
            f"{control}: {found.people:,} of its people look like people of {name} ({pairs}); "
            f"chance would give {found.expected:.2g}: a control group has other people"
        )
    return found


def _quantile(mated: ScoreHistogram, share: float) -> float:
    """The similarity that all but this share of mated comparisons stay below."""
    place = int(np.searchsorted(mated.counts.cumsum(), share * mated.total))
    return float(mated.edges[min(place + 1, mated.bins)])


def _lookalikes(control: EmbeddingSet, faces: EmbeddingSet) -> Lookalikes:
    same = _halves(faces)
    if not len(same):
        return Lookalikes(0, 0.0, 1.0, ())
    threshold = float(np.median(same))
    people, strangers = centroids(faces), centroids(control)
    inside = nearest(people, people, 2).scores[:, -1]
    chance = max(float((inside >= threshold).mean()), _gumbel_tail(inside, threshold))
    found = nearest(strangers, people, 1)
    alike = np.flatnonzero(found.scores[:, 0] >= threshold)
    alike = alike[np.argsort(-found.scores[alike, 0], kind="stable")]
    pairs = tuple(
        (
            control.class_names[strangers.class_index[j]],
            faces.class_names[people.class_index[found.places[j, 0]]],
        )
        for j in alike
    )
    probability = float(stats.binom.sf(len(alike) - 1, len(strangers), min(chance, 1.0)))
    return Lookalikes(len(alike), chance * len(strangers), probability, pairs)


def _halves(faces: EmbeddingSet) -> NDArray[np.float64]:
    """How alike the means of two halves of the images of each person are."""
    order = np.argsort(faces.class_index, kind="stable")
    rank = np.empty(len(order), np.int64)
    starts = np.searchsorted(faces.class_index[order], faces.class_index[order])
    rank[order] = np.arange(len(order)) - starts
    if not (rank % 2).any():
        return np.zeros(0)
    first, second = (centroids(part(faces, np.flatnonzero(rank % 2 == half))) for half in (0, 1))
    _, a, b = np.intersect1d(first.class_index, second.class_index, return_indices=True)
    return np.einsum("nd,nd->n", first.vectors[a], second.vectors[b], dtype=np.float64)


def _gumbel_tail(values: NDArray[np.floating], threshold: float) -> float:
    """How probable a value above the threshold is, going by the distribution of maxima."""
    scale = max(float(values.std()) * np.sqrt(6) / np.pi, 1e-6)
    place = float(values.mean()) - _EULER * scale
    exponent = -(threshold - place) / scale
    return float(-np.expm1(-np.exp(min(exponent, 50.0)))) if exponent > -700 else float(special.expit(-700))
