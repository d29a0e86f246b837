"""Linkage: can the training person of a class be found from its images, among all training people?"""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from sface_data.audit.checks.positive_control import Scene, missed, plant_classes
from sface_data.audit.checks.same_label import NO_LABELS, NO_NAMESAKES
from sface_data.audit.compare.pairs import compare_linkage, nearest
from sface_data.audit.evidence import Evidence, centroids, plain_set, unit
from sface_data.audit.verdict import Finding
from sface_data.biometrics.clustered import (
    Bounds,
    ClusteredShare,
    clustered_share,
    interval_of,
    p_above,
)
from sface_data.embedding.embeddings import EmbeddingSet

PERMUTATIONS = 9_999
_MOST_RANKS = 10
_MOST_CELLS = 150_000_000  # of the table that labels are shuffled in; with more classes the interval must do
_MOST_PLANTED = 200  # people whose images stand for planted ones


@dataclass(frozen=True)
class Links:
    """For each probe, an image or the mean of a class, the training people nearest to it by the mean of theirs.

    Attributes:
        places: int64 [N,R] training people, best first.
        probe_class: [N] the class of the release.
        namesake: [classes] the training person of the same name, or -1.
        planted_rank: [K] at which rank other images of training people find them (0 is the first).
    """

    places: NDArray[np.int64]
    probe_class: NDArray[np.int64]
    namesake: NDArray[np.int64]
    planted_rank: NDArray[np.int64]


def link(evidence: Evidence, seed: int, device: str = "cpu") -> dict[str, Links] | None:
    """Looks for every image, and for the mean of every class, among the means of all training people.

    None if labels are not related or fewer than two classes have a namesake.
    """
    sets = evidence.sets
    present = np.unique(sets.synthetic.class_index)
    if not sets.labels_related or (evidence.namesake[present] >= 0).sum() < 2:
        return None
    found = compare_linkage(sets.synthetic, sets.training, _MOST_RANKS, device=device)
    people = centroids(sets.training)
    namesake = found.label_of_class
    planted = [_planted_ranks(sets.training, people, by_class, seed, device) for by_class in (False, True)]
    return {
        "image": Links(found.image_top.places, found.class_of_image, namesake, planted[0]),
        "class": Links(found.class_top.places, np.arange(len(namesake)), namesake, planted[1]),
    }


def linkage(scene: Scene, name: str, links: dict[str, Links] | None) -> Finding:
    """Excess of probes that have the training person of their label among the `rank` nearest, over chance."""
    evidence, limit = scene.evidence, scene.limit(name).limit
    by_class, rank = name.startswith("linkage-class"), int(name.rpartition("-")[2])
    what = "the mean of a class" if by_class else "an image"
    near = "the nearest" if rank == 1 else f"among the {rank} nearest"
    finding = Finding(
        name,
        evidence.sets.judge,
        f"The training person of its label is {near} to {what} no more often than by chance",
        f"share of {'classes' if by_class else 'images'} linked at rank {rank}, beyond chance",
        limit,
    )
    people = len(np.unique(evidence.sets.training.class_index))
    if links is None:
        return replace(finding, obstacle=NO_NAMESAKES if evidence.sets.labels_related else NO_LABELS)
    if people < 2 * rank:
        return replace(finding, obstacle=f"rank {rank} says nothing among {people} training people")
    link = links["class" if by_class else "image"]
    own = link.namesake[link.probe_class]
    kept = own >= 0  # a class without namesake has nobody to be linked to
    hit = (link.places[kept, :rank] == own[kept, None]).any(axis=1)
    classes = link.probe_class[kept]
    sizes = np.bincount(classes, minlength=len(link.namesake))
    hits = np.bincount(classes[hit], minlength=len(sizes))
    shuffled = _shuffled(link.places[kept, :rank], classes, link.namesake, scene)
    chance = shuffled.chance
    share = clustered_share(hits, sizes)
    value, bounds = _beyond(share, chance)
    beyond = int((shuffled.hits >= int(hits.sum())).sum())
    p_shuffled = (beyond + 1) / (len(shuffled.hits) + 1) if len(shuffled.hits) else None
    pool = link.planted_rank < rank
    taking_part = np.flatnonzero(sizes)

    def with_planted(chosen: NDArray[np.int64], rng: np.random.Generator) -> Bounds:
        changed, places = hits.copy(), taking_part[chosen]
        changed[places] = rng.binomial(sizes[places], pool.mean())
        return _beyond(clustered_share(changed, sizes), chance)[1]

    plantings = []
    if len(pool):
        plantings = plant_classes(scene, name, limit, pool, len(taking_part), with_planted)
    return replace(
        finding,
        interval=interval_of(value, bounds, f"Korn-Graubard over {share.clusters:,} classes", share.n, share.hits),
        # Above the limit, and not by an accident of which labels go together either.
        p_value=max(p_above(value, bounds, limit), p_shuffled or 0.0),
        obstacle=missed(plantings),
        facts={
            "probes": share.n,
            "linked": share.hits,
            "share": share.value,
            "chance": chance,
            "training_people": people,
            "p_of_shuffled_labels": p_shuffled,
            "shuffles": len(shuffled.hits),
            "shuffled_linked": [int(value) for value in np.quantile(shuffled.hits, (0.025, 0.5, 0.975))]
            if len(shuffled.hits)
            else [],
            "planted": [planting.to_json() for planting in plantings],
        },
    )


@dataclass(frozen=True)
class _Shuffled:
    hits: NDArray[np.int64]  # [B] linked probes when labels are shuffled
    chance: float  # their mean share, exactly


def _shuffled(
    places: NDArray[np.int64], classes: NDArray[np.int64], namesake: NDArray[np.int64], scene: Scene
) -> _Shuffled:
    """How many probes are linked when the namesakes are dealt out anew among the classes of the release."""
    present = np.unique(classes)
    dealt = namesake[present]
    row = np.full(len(namesake), -1)
    row[present] = np.arange(len(present))
    column = np.full(int(max(dealt.max(), places.max())) + 1, -1)
    column[dealt] = np.arange(len(dealt))
    rows, columns = np.repeat(row[classes], places.shape[1]), column[places.reshape(-1)]
    rows, columns = rows[columns >= 0], columns[columns >= 0]
    chance = len(rows) / (len(present) * len(places))
    if len(present) ** 2 > _MOST_CELLS:
        return _Shuffled(np.zeros(0, np.int64), chance)
    table = np.bincount(rows * len(present) + columns, minlength=len(present) ** 2).astype(np.int32)
    hits = []
    for order in _orders(len(present), scene.seed):
        hits.append(table[np.arange(len(present)) * len(present) + order].sum(axis=1))
    return _Shuffled(np.concatenate(hits).astype(np.int64), chance)


def _orders(classes: int, seed: int) -> list[NDArray[np.int32]]:
    """Permutations of the classes in blocks [b,classes]; all of a small set are too many as well."""
    return _few_orders(classes, seed) if classes <= 2_000 else list(_blocks(classes, seed))


@lru_cache(maxsize=1)
def _few_orders(classes: int, seed: int) -> list[NDArray[np.int32]]:
    return list(_blocks(classes, seed))


def _blocks(classes: int, seed: int):  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(seed)
    block = max(1, 4_000_000 // classes)
    for start in range(0, PERMUTATIONS, block):
        count = min(block, PERMUTATIONS - start)
        yield rng.permuted(np.tile(np.arange(classes, dtype=np.int32), (count, 1)), axis=1)


def _beyond(share: ClusteredShare, chance: float) -> tuple[float, Bounds]:
    """(share - chance) / (1 - chance) and its bounds; chance is known."""

    def bounds(confidence: float) -> tuple[float, float]:
        low, high = share.bounds(confidence)
        return (low - chance) / (1 - chance), (high - chance) / (1 - chance)

    return (share.value - chance) / (1 - chance), bounds


def _planted_ranks(
    training: EmbeddingSet, people: EmbeddingSet, by_class: bool, seed: int, device: str
) -> NDArray[np.int64]:
    """At which rank training people are found from half of their images, or one, by the mean of the others."""
    rng = np.random.default_rng(seed)
    sizes = np.bincount(training.class_index, minlength=len(training.class_names))
    chosen = np.flatnonzero(sizes > 1)
    if len(chosen) > _MOST_PLANTED:
        chosen = np.sort(rng.choice(chosen, _MOST_PLANTED, replace=False))
    probes, means = [], []
    for person in chosen:
        vectors = training.vectors[rng.permutation(np.flatnonzero(training.class_index == person))]
        count = max(1, len(vectors) // 2) if by_class else 1
        probes.append(vectors[:count].sum(axis=0, dtype=np.float64))
        means.append(vectors[count:].sum(axis=0, dtype=np.float64))
    if not probes:
        return np.zeros(0, np.int64)
    seen, own = unit(np.stack(probes)), unit(np.stack(means))
    ranks = min(_MOST_RANKS + 1, len(people))
    found = nearest(
        plain_set(seen, chosen, training.class_names, training.embedder_sha256, training.detector_sha256),
        people,
        ranks,
        device=device,
    )
    others = people.class_index[found.places] != chosen[:, None]
    score = np.einsum("nd,nd->n", seen, own)
    return ((found.scores >= score[:, None]) & others).sum(axis=1)
