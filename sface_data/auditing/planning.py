"""What size a release and a control group must have for an audit to be able to pass: before anything is embedded.

Each check is made of a release without leakage, in which as many images or classes have a near training image as
chance has it: of counts that chance does not exceed nine times in ten. Bounds and the planted leakage are those of
the checks themselves. What is not known before an image was looked at is assumed: how alike the images of one
class are, how often what is planted is recognised, how often strangers match the person nearest to them.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from scipy import stats

from sface_data.auditing.checks.exposure import exposing_fpir
from sface_data.auditing.checks.kind import bonferroni_level
from sface_data.auditing.checks.neighbours import count_at_fpir
from sface_data.auditing.known_judges import WANTED
from sface_data.auditing.policy import Policy
from sface_data.auditing.sets.sampled_images import MOST_SAMPLED
from sface_data.auditing.verdict import BY_RELATION, CLAIM, KNOWN_JUDGES, LABEL, SEARCH
from sface_data.biometrics.clustered import Bounds, ClusteredShare, beyond_chance, excess_risk, ratio
from sface_data.biometrics.intervals import CONFIDENCE

SURE = 0.9  # the probability with which each check of a release without leakage is to pass
ALIKE = 0.1  # correlation of rare matches of two images of one class of the release
STRANGERS_ALIKE = 0.35  # of two images of a stranger: photographs of one person are more alike
RECOGNISED = 0.97  # of what is planted
STRANGERS_MATCH = 0.02  # of comparisons of strangers with the person nearest to them, at FMR 0.1 %
SAMPLED = ("nearest-view", "same-kind")  # checks that look at some images only
CLASSES, IMAGES = (500, 1_000, 2_000, 4_000, 8_000), (5, 10, 20, 50)  # of the table


@dataclass(frozen=True)
class AuditSize:
    """How much there is to compare.

    Attributes:
        classes, images: of the release, and images of each.
        people, photographs: of training, and photographs of each.
        strangers, pictures: of the control group, and pictures of each; 0 without one.
        relations: by which classes are compared with training people, see `relations`.
        judges: how many look.
    """

    classes: int
    images: int
    people: int
    photographs: int
    strangers: int
    pictures: int
    relations: tuple[str, ...] = (LABEL,)
    judges: int = 1

    @property
    def half(self) -> int:
        """Images of a class with which people are searched, and as many with which they are looked at."""
        return min(self.images, self.pictures, self.photographs) // 2


def undecidable(policy: Policy, size: AuditSize) -> tuple[str, ...]:
    """The checks that a pass needs and that are likely to stay inconclusive in a release of this size."""
    of_each = sum(len(size.relations) if name.startswith(BY_RELATION) else 1 for name in policy.checks)
    level = bonferroni_level(of_each * size.judges)
    return tuple(
        name for name in policy.checks if name in policy.needed and not _decides(policy, name, size, level)
    )


def table(policy: Policy, size: AuditSize) -> Iterator[tuple[AuditSize, tuple[str, ...]]]:
    """The given size, then others of release and control group, each with the checks that block it."""
    yield size, undecidable(policy, size)
    for classes in CLASSES:
        for images in IMAGES:
            other = replace(size, classes=classes, images=images, strangers=classes, pictures=images)
            yield other, undecidable(policy, other)


@dataclass(frozen=True)
class _Expected:
    """A share in a release without leakage, and what it becomes of it with planted images.

    Attributes:
        units, clusters: all, and groups of them.
        share: by chance.
        bounds: of the statistic, by the share that is seen.
        shows: which share of the units is hit where this share of the release is planted.
    """

    units: int
    clusters: int
    share: float
    bounds: Callable[[ClusteredShare], Bounds]
    shows: Callable[[float], float] = lambda share: share

    def of(self, extra: float = 0.0, luck: float = SURE) -> ClusteredShare:
        """What is seen, with luck or without, and `extra` of all units more."""
        effect = 1 + (self.units / self.clusters - 1) * ALIKE
        hits = effect * stats.poisson.ppf(luck, self.units * self.share / effect) + extra * self.units
        return ClusteredShare(min(round(hits), self.units), self.units, self.clusters, self.units / effect)


def _decides(policy: Policy, name: str, size: AuditSize, level: float) -> bool:
    if name == KNOWN_JUDGES:
        return size.judges >= WANTED
    if name.startswith("linkage") and size.people < 2 * int(name.rpartition("-")[2]):
        return False
    searched = name == "nearest-person" or (name.startswith(BY_RELATION) and size.relations != (LABEL,))
    if searched and size.strangers and not size.half:
        return False
    expected = _expected(name, size)
    if expected is None:
        return size.strangers > 0 or name.startswith(("identical", "same-label"))
    limit, control = policy.checks[name].limit, policy.positive_control
    passes = expected.bounds(expected.of())(CONFIDENCE)[1] <= limit
    if control is None or not passes or name in SAMPLED:  # what is planted in disguise is recognised or odd
        return passes
    planted = expected.bounds(expected.of(expected.shows(control.share * RECOGNISED), luck=1 - SURE))
    if name.startswith(BY_RELATION) or name == "nearest-person":  # classes are planted, which must not pass
        return planted(CONFIDENCE)[1] > limit or name.startswith("same-label")
    return planted(1 - 2 * level)[0] > limit


def _expected(name: str, size: AuditSize) -> _Expected | None:
    """None for checks of which no rare event is counted: their size is no matter, or the same as for others."""
    if name == "same-kind":
        return _sampled(size, size.people * size.photographs, size.people)
    if not size.strangers and not (name.startswith(BY_RELATION) and size.relations == (LABEL,)):
        return None
    images, pictures = size.classes * size.images, size.strangers * size.pictures
    if name == "nearest-view":
        return _sampled(size, pictures, size.strangers)
    searched = SEARCH in size.relations or CLAIM in size.relations
    if name.startswith("nearest-neighbour") or name == "near-duplicates":
        rate = float(name.rpartition("-1")[2].join(("1", ""))) if name.startswith("nearest-neighbour") else 1e-3
        return _beyond(images, size.classes, rate, pictures, size.strangers)
    if name == "nearest-person":
        return _beyond(size.classes, size.classes, 1e-2, size.strangers, size.strangers)
    if name.startswith("linkage"):
        by_class = "class" in name
        units = size.classes * (1 if by_class else size.half if searched else size.images)
        if searched:
            others = size.strangers * (1 if by_class else size.half)
            return _beyond(units, size.classes, 1e-3, others, size.strangers)
        chance = int(name.rpartition("-")[2]) / size.people
        return _Expected(units, size.classes, chance, lambda share: beyond_chance(share, chance)[1])
    if name.startswith("same-label-ratio"):
        return _matches(float(name.rpartition("-ratio-")[2]), size, searched)
    if name == "exposure":
        return _exposed(size, images, pictures)
    return None


def _sampled(size: AuditSize, others: int, people: int) -> _Expected:
    """Of some images of the release and of another set, a share beyond the 1 % of that one."""
    looked, usual = (min(each, MOST_SAMPLED) for each in (size.classes * size.images, others))
    return _beyond(looked, min(size.classes, looked), 1e-2, usual, min(people, usual))


def _beyond(units: int, clusters: int, rate: float, others: int, strangers: int) -> _Expected:
    """A share beyond that of strangers, of whom this rate, but at least one, sets the threshold."""
    hits = count_at_fpir(rate, others)
    effect = 1 + (others / strangers - 1) * STRANGERS_ALIKE
    control = ClusteredShare(hits, others, strangers, others / effect)
    return _Expected(units, clusters, control.value, lambda share: excess_risk(share, control)[1])


def _matches(fmr: float, size: AuditSize, searched: bool) -> _Expected:
    """Same-label comparisons that match, against those of other labels, or of strangers and their nearest."""
    if not searched:
        units = size.classes * size.images * size.photographs
        others = ClusteredShare(round(fmr * 1e9), 10**9, size.people, 1e9 * fmr)
        return _Expected(units, size.classes, fmr, lambda share: ratio(share, others)[1])
    units, others_units = (c * size.half * size.photographs for c in (size.classes, size.strangers))
    rate = min(1.0, STRANGERS_MATCH * fmr / 1e-3)
    effect = 1 + (others_units / size.strangers - 1) * ALIKE
    others = ClusteredShare(round(rate * others_units), others_units, size.strangers, others_units / effect)
    return _Expected(units, size.classes, rate, lambda share: ratio(share, others)[1])


def _exposed(size: AuditSize, images: int, pictures: int) -> _Expected:
    matched = count_at_fpir(exposing_fpir(size.people, images), pictures)
    control = ClusteredShare(min(matched, size.people), size.people, size.people, size.people)
    trials = images / pictures
    chance = 1 - (1 - min(control.value, 1 - 1e-9)) ** trials
    return _Expected(
        size.people,
        size.people,
        chance,
        lambda share: excess_risk(share, control, trials)[1],
        lambda share: 1 - (1 - 1 / size.people) ** (share * images),
    )
