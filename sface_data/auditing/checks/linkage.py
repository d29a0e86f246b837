"""Linkage: can the training person of a class be found from its images, among all training people?"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from sface_data.auditing.checks.kind import CheckContext, CheckKind
from sface_data.auditing.checks.positive_control import Planting, missed, plant_classes
from sface_data.auditing.checks.same_label import NO_LABELS, NO_NAMESAKES
from sface_data.auditing.compare.pairs import nearest, prepare
from sface_data.auditing.compare.sweep import PreparedSet
from sface_data.auditing.sets.judged_sets import RELEASE, Indices, class_means, derived, unit
from sface_data.auditing.verdict import Finding
from sface_data.biometrics.clustered import Bounds, ClusteredShare, clustered_share, interval_of, p_above
from sface_data.embedding.embeddings import EmbeddingSet

PERMUTATIONS = 9_999
RANKS = (1, 5, 10)
_MOST_CELLS = 150_000_000  # of the table that labels are shuffled in; with more classes the interval must do
_MOST_PLANTED = 200  # people whose images stand for planted ones


@dataclass(frozen=True)
class Links:
    """For each probe, an image or the mean of a class, the training people nearest to it by the mean of theirs.

    Attributes:
        nearest: int64 [N,R] training people, best first.
        probe_class: [N] the class of the release.
        namesake: [classes] the training person of the same name, or -1.
        planted_rank: [K] at which rank other images of training people find them (0 is the first).
    """

    nearest: Indices
    probe_class: Indices
    namesake: Indices
    planted_rank: Indices


@dataclass(frozen=True)
class Linkage(CheckKind):
    """Excess of probes that have the training person of their label among the `rank` nearest, over chance.

    Attributes:
        by_class: probes are the means of classes, not images.
    """

    by_class: bool
    rank: int

    def measured(self, context: CheckContext, finding: Finding) -> Finding:
        evidence = context.evidence
        present = np.unique(evidence.sets.release.class_index)
        people = len(np.unique(evidence.sets.training.class_index))
        if not evidence.sets.labels_related:
            return finding.unable_to_pass(NO_LABELS)
        if (evidence.namesake[present] >= 0).sum() < 2:
            return finding.unable_to_pass(NO_NAMESAKES)
        if people < 2 * self.rank:
            return finding.unable_to_pass(f"rank {self.rank} says nothing among {people} training people")
        link = links(context, self.by_class)
        own = link.namesake[link.probe_class]
        kept = own >= 0  # a class without namesake has nobody to be linked to
        near, classes = link.nearest[kept, : self.rank], link.probe_class[kept]
        hit = (near == own[kept, None]).any(axis=1)
        sizes = np.bincount(classes, minlength=len(link.namesake))
        hits = np.bincount(classes[hit], minlength=len(sizes))
        shuffled = _shuffled(near, classes, link.namesake, context.seed)
        share = clustered_share(hits, sizes)
        value, bounds = _beyond(share, shuffled.chance)
        p_shuffled = shuffled.p_value(share.hits)
        found = link.planted_rank < self.rank
        plantings = _planted(context, finding, found, (hits, sizes), shuffled.chance)
        return replace(
            finding,
            interval=interval_of(
                value, bounds, f"Korn-Graubard over {share.clusters:,} classes", share.n, share.hits
            ),
            # Above the limit, and not by an accident of which labels go together either.
            p_value=max(p_above(value, bounds, finding.limit), p_shuffled or 0.0),
            blocks_pass=missed(plantings),
            facts={
                "probes": share.n,
                "linked": share.hits,
                "share": share.value,
                "chance": shuffled.chance,
                "training_people": people,
                "p_of_shuffled_labels": p_shuffled,
                "shuffles": len(shuffled.hits),
                "shuffled_linked": shuffled.quantiles(),
                "planted": [planting.to_json() for planting in plantings],
            },
        )


def links(context: CheckContext, by_class: bool) -> Links:
    """Where every image, or the mean of every class, finds its training person among the means of all.

    Each is looked for once for each judge.
    """
    name = "class links" if by_class else "image links"
    if name not in context.kept:
        context.kept[name] = _links(context, by_class)
    found: Links = context.kept[name]
    return found


def _links(context: CheckContext, by_class: bool) -> Links:
    sets = context.evidence.sets
    means = class_means(sets.training)
    people = prepare(means)
    probes, probe_class = context.prepared[RELEASE], sets.release.class_index
    if by_class:
        classes = class_means(sets.release)
        probes, probe_class = prepare(classes), classes.class_index
    found = nearest(probes, people, max(RANKS), device=context.device)
    planted = _planted_ranks(context, means, people, by_class)
    return Links(means.class_index[found.indices], probe_class, context.evidence.namesake, planted)


def _planted_ranks(context: CheckContext, means: EmbeddingSet, people: PreparedSet, by_class: bool) -> Indices:
    """At which rank training people are found from half of their images, or one, by the mean of the others."""
    training = context.evidence.sets.training
    rng = np.random.default_rng(context.seed)
    sizes = np.bincount(training.class_index, minlength=len(training.class_names))
    chosen = np.flatnonzero(sizes > 1)
    if len(chosen) > _MOST_PLANTED:
        chosen = np.sort(rng.choice(chosen, _MOST_PLANTED, replace=False))
    probes, rests = [], []
    for person in chosen:
        vectors = training.vectors[rng.permutation(np.flatnonzero(training.class_index == person))]
        count = max(1, len(vectors) // 2) if by_class else 1
        probes.append(vectors[:count].sum(axis=0, dtype=np.float64))
        rests.append(vectors[count:].sum(axis=0, dtype=np.float64))
    if not probes:
        return np.zeros(0, np.int64)
    seen, own = unit(np.stack(probes)), unit(np.stack(rests))
    found = nearest(prepare(derived(seen, chosen, training)), people, max(RANKS) + 1, device=context.device)
    others = means.class_index[found.indices] != chosen[:, None]
    score = np.einsum("nd,nd->n", seen, own)
    ranks: Indices = ((found.scores >= score[:, None]) & others).sum(axis=1)
    return ranks


def _planted(
    context: CheckContext,
    finding: Finding,
    found: NDArray[np.bool_],
    counts: tuple[Indices, Indices],
    chance: float,
) -> list[Planting]:
    """What the check says when classes are found as other photographs of training people are.

    Args:
        found: [K] whether each of those is.
        counts: linked and all probes of each class.
    """
    hits, sizes = counts
    taking_part = np.flatnonzero(sizes)

    def with_planted(chosen: Indices, rng: np.random.Generator) -> Bounds:
        changed, classes = hits.copy(), taking_part[chosen]
        changed[classes] = rng.binomial(sizes[classes], found.mean())
        return _beyond(clustered_share(changed, sizes), chance)[1]

    return plant_classes(context, finding, found, len(taking_part), with_planted)


@dataclass(frozen=True)
class _Shuffled:
    hits: NDArray[np.int64]  # [B] linked probes when labels are shuffled; none where there are too many classes
    chance: float  # their mean share, exactly

    def p_value(self, linked: int) -> float | None:
        """How often shuffled labels link as many."""
        if not len(self.hits):
            return None
        return (int((self.hits >= linked).sum()) + 1) / (len(self.hits) + 1)

    def quantiles(self) -> list[int]:
        """What 95 % of shuffles lie between, with their median in the middle."""
        return [int(value) for value in np.quantile(self.hits, (0.025, 0.5, 0.975))] if len(self.hits) else []


def _shuffled(near: Indices, classes: Indices, namesake: Indices, seed: int) -> _Shuffled:
    """How many probes are linked when the namesakes are dealt out anew among the classes of the release."""
    present = np.unique(classes)
    dealt = namesake[present]
    row = np.full(len(namesake), -1)
    row[present] = np.arange(len(present))
    column = np.full(int(max(dealt.max(), near.max())) + 1, -1)
    column[dealt] = np.arange(len(dealt))
    rows, columns = np.repeat(row[classes], near.shape[1]), column[near.reshape(-1)]
    rows, columns = rows[columns >= 0], columns[columns >= 0]
    chance = len(rows) / (len(present) * len(near))
    if len(present) ** 2 > _MOST_CELLS:
        return _Shuffled(np.zeros(0, np.int64), chance)
    table = np.bincount(rows * len(present) + columns, minlength=len(present) ** 2).astype(np.int32)
    cells = np.arange(len(present)) * len(present)
    hits = [table[cells + order].sum(axis=1) for order in _orders(len(present), seed)]
    return _Shuffled(np.concatenate(hits).astype(np.int64), chance)


def _orders(classes: int, seed: int) -> list[NDArray[np.int32]]:
    """Permutations of the classes in blocks [b,classes]; all of a small set are too many as well."""
    return _few_orders(classes, seed) if classes <= 2_000 else list(_blocks(classes, seed))


@lru_cache(maxsize=1)
def _few_orders(classes: int, seed: int) -> list[NDArray[np.int32]]:
    return list(_blocks(classes, seed))


def _blocks(classes: int, seed: int) -> Iterator[NDArray[np.int32]]:
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


def _kind(by_class: bool, rank: int) -> Linkage:
    probe = "the mean of a class" if by_class else "an image"
    near = "the nearest" if rank == 1 else f"among the {rank} nearest"
    return Linkage(
        f"linkage-{'class' if by_class else 'image'}-rank-{rank}",
        f"The training person of its label is {near} to {probe} no more often than by chance",
        f"share of {'classes' if by_class else 'images'} linked at rank {rank}, beyond chance",
        by_class,
        rank,
    )


CHECKS = tuple(_kind(by_class, rank) for by_class in (False, True) for rank in RANKS)
