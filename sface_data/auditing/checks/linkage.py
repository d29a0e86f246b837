"""Linkage: can the training person of a class be found from its images, among all training people?

Of the same name, where labels are those of training people: by chance, as shuffled labels find one. Where the
person was selected for being near, see `relations`, the nearest one is found by construction. What counts then is
what open sets are identified by: the person must be among the nearest and as near as only 0.1 % of strangers, or
of their images, find anybody.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from sface_data.auditing.checks.kind import CheckContext, CheckKind
from sface_data.auditing.checks.neighbours import RARELY, own_threshold, scores_of, threshold_at_fpir
from sface_data.auditing.checks.positive_control import Planting, missed, plant_classes
from sface_data.auditing.checks.related import unrelated, unseen, whom
from sface_data.auditing.compare.pairs import nearest, prepare
from sface_data.auditing.compare.sweep import Neighbours
from sface_data.auditing.sets.judged_sets import CONTROL, RELEASE, Indices, class_means, derived, unit
from sface_data.auditing.verdict import LABEL, Finding
from sface_data.biometrics.clustered import (
    Bounds,
    ClusteredShare,
    beyond_chance,
    clustered_share,
    excess_risk,
    interval_of,
    p_above,
)

PERMUTATIONS = 9_999
RANKS = (1, 5, 10)
_MOST_CELLS = 150_000_000  # of the table that labels are shuffled in; with more classes the interval must do
_MOST_PLANTED = 200  # people whose images stand for planted ones


@dataclass(frozen=True)
class Links:
    """For each probe, an image or the mean of a class, the training people nearest to it by the mean of theirs.

    Attributes:
        found: of each probe the rows of the gallery, see `search`, and similarities.
        probe_class: [N] the class of the release, or of the control group.
    """

    found: Neighbours
    probe_class: Indices


@dataclass(frozen=True)
class Linkage(CheckKind):
    """Excess of probes that have their person among the `rank` nearest, over chance.

    Attributes:
        by_class: probes are the means of classes, not images.
    """

    by_class: bool
    rank: int
    by_relation = True

    def words(self, relation: str) -> tuple[str, str]:
        if relation == LABEL:
            return super().words(relation)
        near = "as the nearest" if self.rank == 1 else f"among the {self.rank} nearest"
        probes, of = ("Means of classes", "classes") if self.by_class else ("Images", "images")
        return (
            f"{probes} lead to {whom(relation)} {near} no more often than strangers lead to somebody",
            f"share of {of} linked at rank {self.rank}, as near as 0.1 % of strangers, beyond theirs",
        )

    def measured(self, context: CheckContext, finding: Finding) -> Finding:
        people = len(context.search.gallery)
        reason = unrelated(context, finding.relation)
        if reason:
            return finding.unable_to_pass(reason)
        if people < 2 * self.rank:
            return finding.unable_to_pass(f"rank {self.rank} says nothing among {people} training people")
        if finding.relation == LABEL:
            return self._by_label(context, finding)
        return self._beyond_strangers(context, finding)

    def _by_label(self, context: CheckContext, finding: Finding) -> Finding:
        """Of the people of the same names, over chance and shuffled labels."""
        evidence = context.evidence
        link = links(context, RELEASE, self.by_class)
        own = evidence.namesake[link.probe_class]
        kept = own >= 0  # a class without namesake has nobody to be linked to
        near = context.search.gallery.class_index[link.found.indices[kept, : self.rank]]
        classes = link.probe_class[kept]
        counts = _counts((near == own[kept, None]).any(axis=1), classes, len(evidence.namesake))
        shuffled = _shuffled(near, classes, evidence.namesake, context.seed)
        share = clustered_share(*counts)
        value, bounds = beyond_chance(share, shuffled.chance)
        p_shuffled = shuffled.p_value(share.hits)
        ranks, _ = planted_links(context, self.by_class)
        plantings = _planted(
            context, finding, ranks < self.rank, counts, lambda share: beyond_chance(share, shuffled.chance)[1]
        )
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
                "training_people": len(context.search.gallery),
                "p_of_shuffled_labels": p_shuffled,
                "shuffles": len(shuffled.hits),
                "shuffled_linked": shuffled.quantiles(),
                "planted": [planting.to_json() for planting in plantings],
            },
        )

    def _beyond_strangers(self, context: CheckContext, finding: Finding) -> Finding:
        """Of people who were selected, over what strangers have with those selected for them."""
        related, search = context.evidence.related[finding.relation], context.search
        assert related.people is not None and related.strangers is not None
        found_by = {role: links(context, role, self.by_class).found for role in (RELEASE, CONTROL)}
        threshold = threshold_at_fpir(found_by[CONTROL].score, RARELY)
        own_bar = own_threshold(threshold, *scores_of(found_by))
        counts = self._linked(context, RELEASE, related.people, own_bar)
        share, surely, control = (
            clustered_share(*each)
            for each in (
                counts,
                self._linked(context, RELEASE, related.people, threshold),
                self._linked(context, CONTROL, related.strangers, threshold),
            )
        )
        value, bounds = excess_risk(share, control)
        ranks, scores = planted_links(context, self.by_class)
        found = (ranks < self.rank) & (scores >= own_bar)
        plantings = _planted(context, finding, found, counts, lambda share: excess_risk(share, control)[1])
        method = f"MOVER of Korn-Graubard over {share.clusters:,} classes and {control.clusters:,} people"
        return replace(
            finding,
            interval=interval_of(value, bounds, method, share.n, min(share.hits, control.hits)),
            p_value=p_above(*excess_risk(surely, control), finding.limit),
            blocks_pass=unseen(context, finding.relation) or missed(plantings),
            facts={
                "threshold": threshold,
                "release_threshold": own_bar,
                "probes": share.n,
                "linked": share.hits,
                "linked_as_strangers": surely.hits,
                "share": share.value,
                "chance": control.value,
                "strangers": control.n,
                "linked_strangers": control.hits,
                "training_people": len(search.gallery),
                "shuffled_linked": [],
                "planted": [planting.to_json() for planting in plantings],
            },
        )

    def _linked(self, context: CheckContext, role: str, people: Indices, bar: float) -> tuple[Indices, Indices]:
        """Linked and all probes of each class, where one is linked that finds one of its people [C,K] so near."""
        link, classes = links(context, role, self.by_class), context.search.by_role[role].classes
        own = people[np.searchsorted(classes, link.probe_class)]  # [N,K]
        near = (link.found.indices[:, : self.rank, None] == own[:, None]).any(axis=2)
        hit = (near & (link.found.scores[:, : self.rank] >= bar)).any(axis=1)
        kept = (own >= 0).any(axis=1)
        return _counts(hit[kept], link.probe_class[kept], int(classes.max()) + 1)


def links(context: CheckContext, role: str, by_class: bool) -> Links:
    """Whom the images of a set, or the means of its classes, find among the means of all training people.

    Where there was a search, the images are those of second halves, and the means theirs. Each is looked for once
    for each judge.
    """
    name = f"links of {role} by {'class' if by_class else 'image'}"
    if name not in context.kept:
        context.kept[name] = _links(context, role, by_class)
    found: Links = context.kept[name]
    return found


def _links(context: CheckContext, role: str, by_class: bool) -> Links:
    search, sets = context.search, context.evidence.sets
    faces = sets.release if role == RELEASE else sets.control
    assert faces is not None
    if LABEL in sets.relations and role == RELEASE:  # all images: nobody was chosen by half of them
        probes, probe_class = context.prepared[role], faces.class_index
        if by_class:
            classes = class_means(faces)
            probes, probe_class = prepare(classes), classes.class_index
    else:
        searched = search.by_role[role]
        probe_class, vectors = searched.classes, searched.second
        if not by_class:
            rows = np.sort(searched.rows.ravel())
            probe_class, vectors = faces.class_index[rows], faces.vectors[rows]
        probes = prepare(derived(vectors, probe_class, faces))
    return Links(nearest(probes, search.prepared, max(RANKS), backend=context.backend), probe_class)


def planted_links(context: CheckContext, by_class: bool) -> tuple[Indices, NDArray[np.float64]]:
    """At which rank training people are found from half of their images, or one, by the mean of the others.

    Returns:
        int64 [K], 0 for the first, and their similarities [K].
    """
    name = f"planted links by {'class' if by_class else 'image'}"
    if name not in context.kept:
        context.kept[name] = _planted_links(context, by_class)
    found: tuple[Indices, NDArray[np.float64]] = context.kept[name]
    return found


def _planted_links(context: CheckContext, by_class: bool) -> tuple[Indices, NDArray[np.float64]]:
    training, search = context.evidence.sets.training, context.search
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
        return np.zeros(0, np.int64), np.zeros(0)
    seen, own = unit(np.stack(probes)), unit(np.stack(rests))
    depth = max(RANKS) + 1
    found = nearest(prepare(derived(seen, chosen, training)), search.prepared, depth, backend=context.backend)
    others = search.gallery.class_index[found.indices] != chosen[:, None]
    score = np.einsum("nd,nd->n", seen, own)
    ranks: Indices = ((found.scores >= score[:, None]) & others).sum(axis=1)
    return ranks, score


def _counts(hit: NDArray[np.bool_], classes: Indices, number: int) -> tuple[Indices, Indices]:
    """Linked and all probes of each class."""
    return np.bincount(classes[hit], minlength=number), np.bincount(classes, minlength=number)


def _planted(
    context: CheckContext,
    finding: Finding,
    found: NDArray[np.bool_],
    counts: tuple[Indices, Indices],
    bounds_of: Callable[[ClusteredShare], Bounds],
) -> list[Planting]:
    """What the check says when classes are found as other photographs of training people are.

    Args:
        found: [K] whether each of those is.
        counts: linked and all probes of each class.
        bounds_of: of the statistic, by the share that is linked.
    """
    hits, sizes = counts
    taking_part = np.flatnonzero(sizes)

    def with_planted(chosen: Indices, rng: np.random.Generator) -> Bounds:
        changed, classes = hits.copy(), taking_part[chosen]
        changed[classes] = rng.binomial(sizes[classes], found.mean())
        return bounds_of(clustered_share(changed, sizes))

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


def _in_words(by_class: bool, rank: int) -> tuple[str, str]:
    """The probe, and how near it must find the person."""
    return (
        "the mean of a class" if by_class else "an image",
        "the nearest" if rank == 1 else f"among the {rank} nearest",
    )


def _kind(by_class: bool, rank: int) -> Linkage:
    probe, near = _in_words(by_class, rank)
    return Linkage(
        f"linkage-{'class' if by_class else 'image'}-rank-{rank}",
        f"The training person of its label is {near} to {probe} no more often than by chance",
        f"share of {'classes' if by_class else 'images'} linked at rank {rank}, beyond chance",
        by_class,
        rank,
    )


CHECKS = tuple(_kind(by_class, rank) for by_class in (False, True) for rank in RANKS)
