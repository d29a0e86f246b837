"""What a certificate says, in sentences for people who know no statistics.

Everything here is read off the checks as they stand in the certificate: report, card and terminal say the same.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sface_data.auditing.known_judges import WANTED
from sface_data.auditing.verdict import JUDGE, JUDGE_RELEASE, KNOWN_JUDGES, LABEL

KIND = "same-kind"  # it has no p-value, as it never fails
_MOST = 5  # sentences
_WIDE = 20  # from an upper bound so many times the lower one on, only the lower says anything
_UNBOUNDED = 0.98  # of what can at most be reached: an interval that ends there has no end

# A check as it stands in a certificate, see `verdict.Check.to_json`.
StoredCheck = dict[str, Any]


@dataclass(frozen=True)
class Risk:
    """A way in which people could be recognised in data that are called anonymous.

    The three of the Article 29 Working Party, opinion 05/2014 on anonymisation techniques (WP216).

    Attributes:
        name: as the opinion has it.
        question: what it means for a set of synthetic faces.
        checks: which look at it; a trailing `*` stands for any ending.
    """

    name: str
    question: str
    checks: tuple[str, ...]

    def covers(self, check: StoredCheck) -> bool:
        """Whether a check looks at this risk."""
        return any(
            check["name"] == name or (name.endswith("*") and check["name"].startswith(name[:-1]))
            for name in self.checks
        )


RISKS = (
    Risk(
        "Singling out",
        "Does an image show one of the training people, whatever its label says?",
        (
            "nearest-neighbour-*",
            "nearest-view",
            "nearest-person*",
            "near-duplicates*",
            "identical-files",
            "exposure",
        ),
    ),
    Risk(
        "Linkability",
        "Does the label of a class lead to the training person it was learned from?",
        ("same-label-*", "linkage-*"),
    ),
    Risk(
        "Inference",
        "Can it be told from the release whether a photograph was used in training?",
        ("membership-*",),
    ),
)


@dataclass(frozen=True)
class Measured:
    """A statistic in the unit that readers know.

    Attributes:
        value, reach, limit: with unit, in words; `reach` is the interval.
        number: any value of the statistic in that unit, for scales.
        most: the largest value that the statistic can have.
    """

    value: str
    reach: str
    limit: str
    number: Callable[[float], str]
    most: float


def measured(check: StoredCheck) -> Measured:
    """How a check's statistic, interval and limit are shown: shares in per cent, error rates as such."""
    name, limit = check["name"], float(check["limit"])
    number, turned = _number_of(name)
    most = number(limit)
    bound = f"at least {most}" if turned else f"at most {most}"
    if check["statistic"] is None:
        return Measured("not measured", "", bound, number, _most(name))
    low, value, high = (finite(check["statistic"][part]) for part in ("low", "value", "high"))
    return Measured(number(value), _reach(name, low, high, number, turned), bound, number, _most(name))


def undecided(checks: Sequence[StoredCheck]) -> dict[tuple[str, str], list[str]]:
    """The checks that a pass needs and that are inconclusive, by judge and reason."""
    found: dict[tuple[str, str], list[str]] = {}
    for check in checks:
        if check["needed"] and check["verdict"] == "inconclusive":
            found.setdefault((check["judge"], check["reason"]), []).append(check["name"])
    return found


def finite(stored: Any) -> float:
    """A number of a certificate, which has words for those that JSON lacks."""
    return float({"infinite": math.inf, "minus infinite": -math.inf}.get(stored, stored))


def percent(share: float) -> str:
    """A share in per cent, with two digits that matter."""
    value = 100 * share
    if value == 0 or abs(value) < 5e-6:
        return "0 %"
    digits = max(0, 1 - math.floor(math.log10(abs(value))))
    text = f"{value:.{digits}f}"
    return f"{text.rstrip('0').rstrip('.') if '.' in text else text} %"


def _number_of(name: str) -> tuple[Callable[[float], str], bool]:
    """How values of a check are written, and whether what is written falls where the statistic rises."""
    if name in (JUDGE, JUDGE_RELEASE):
        return lambda value: f"AUC {1 - value:.3f}", True
    if name == "same-label-eer":
        return lambda value: f"EER {percent(0.5 - value)}", True
    if name.endswith("-auc"):
        return lambda value: f"AUC {value:.3f}", False
    if name.startswith("same-label-ratio"):
        return _times, False
    if name == KNOWN_JUDGES:
        return lambda value: f"{WANTED - value:.0f} of {WANTED}", True
    return percent, False


def _most(name: str) -> float:
    if name.startswith("same-label-ratio"):
        return math.inf
    return 0.5 if name == "same-label-eer" else 1.0


def _times(value: float) -> str:
    if not math.isfinite(value):
        return "no bound"
    return f"{value:,.0f} times" if value >= 100 else f"{value:.3g} times"


def _reach(name: str, low: float, high: float, number: Callable[[float], str], turned: bool) -> str:
    if name in ("identical-files", KNOWN_JUDGES):
        return "counted"
    if name.startswith("same-label-ratio") and (high > _WIDE * max(low, 1e-9) or not math.isfinite(high)):
        return f"at least {number(low)}" if low > 0 else f"at most {number(high)}"
    if name.endswith("-auc") and high > _UNBOUNDED:
        return f"above {bare(number(low))}"
    first, last = (high, low) if turned else (low, high)
    return f"{bare(number(first))} to {bare(number(last))}"


def bare(text: str) -> str:
    """A number in words without the name of what it is."""
    return text.removeprefix("AUC ").removeprefix("EER ")


def findings(checks: Sequence[StoredCheck]) -> tuple[str, ...]:
    """At most five sentences with the numbers that matter most, where they could be measured.

    Where several judges looked, those of the one that found most.
    """
    return tuple(_sentences(checks))[:_MOST]


def _sentences(checks: Sequence[StoredCheck]) -> Iterator[str]:
    for name, sentence in (
        ("identical-files", _identical),
        ("near-duplicates", _copies),
        ("near-duplicates-pixels", _copies),
        ("linkage-class-rank-1", _linked),
        ("same-label-eer", _told_apart),
        ("same-label-ratio-1e-3", _matching),
        ("nearest-view", _in_view),
        ("same-kind", _odd),
        ("exposure", _exposed),
        ("nearest-neighbour-1e-3", _nearest),
        ("nearest-person", _nearest_person),
    ):
        check = _worst(checks, name)
        text = "" if check is None else sentence(check)
        if text:
            yield text


def _worst(checks: Sequence[StoredCheck], name: str) -> StoredCheck | None:
    """A check by the judge that found most, of those whose word counts."""
    found = [check for check in checks if check["name"] == name and check["statistic"] is not None]
    counting = [check for check in found if check["adjusted_p_value"] is not None or name == KIND]
    return max(counting, key=lambda check: finite(check["statistic"]["value"]), default=None)


def _identical(check: StoredCheck) -> str:
    count = check["facts"]["identical"]
    return (
        f"{_images(count)} {'is' if count == 1 else 'are'} a training photograph, byte for byte." if count else ""
    )


def _copies(check: StoredCheck) -> str:
    beyond = check["facts"].get("beyond_strangers", {})
    if not beyond.get("images"):
        return ""
    return (
        f"{_images(beyond['images'])} {'is' if beyond['images'] == 1 else 'are'} nearer to a training photograph "
        "than any stranger comes by chance: likely a copy."
    )


def _in_view(check: StoredCheck) -> str:
    facts = check["facts"]
    beyond = facts["beyond_strangers"]["images"]
    if not beyond and check["verdict"] != "fail":
        return ""
    more = f"; {beyond:,} as near as no stranger" if beyond else ""
    return (
        f"Of {_images(facts['release_images'])} that were looked at turned, cut and recoloured, "
        f"{_verb(facts['release_matches'])} as near to a training photograph as only "
        f"{_one_in(100, facts['control_images'])} images of strangers is{more}."
    )


def _odd(check: StoredCheck) -> str:
    facts = check["facts"]["release"]
    if check["verdict"] == "pass" or not facts["odd"]:
        return ""
    return (
        f"Of {_images(facts['images'])} that were measured, {_verb(facts['odd'])} unlike those of training in "
        "light, colour, sharpness, faces or their place: whom those show, the judges may not see."
    )


def _linked(check: StoredCheck) -> str:
    facts = check["facts"]
    if check["relation"] != LABEL:
        return (
            f"Of {_many(facts['probes'], 'synthetic class', 'synthetic classes')}, {_verb(facts['linked'])} "
            f"traced to the training person nearest to it, as near as only {_one_in(1000, facts['strangers'])} "
            "strangers is to somebody; by chance it would be "
            f"{about(facts['chance'] * facts['probes'])}."
        )
    return (
        f"Of {_many(facts['probes'], 'synthetic class', 'synthetic classes')}, {_verb(facts['linked'])} traced to "
        f"the training person of the same label as the nearest of {facts['training_people']:,}; by chance it "
        f"would be {about(facts['chance'] * facts['probes'])}."
    )


def _told_apart(check: StoredCheck) -> str:
    value = finite(check["statistic"]["value"])
    if check["relation"] != LABEL:
        return (
            "Whether a face is a synthetic class or a stranger can be told from how near it is to the training "
            f"person nearest to it with an equal error rate of {percent(0.5 - value)}; 50 % would be guessing, "
            "and more means that synthetic classes are farther from training people than strangers are."
        )
    return (
        "Whether a synthetic image and a photograph carry the same label can be told from the faces with an equal "
        f"error rate of {percent(0.5 - value)}; 50 % would be guessing."
    )


def _matching(check: StoredCheck) -> str:
    low, value = (finite(check["statistic"][part]) for part in ("low", "value"))
    many = f"at least {_times(low)}" if low > 1 else f"{_times(value)} (which may be chance)"
    if value <= 1:
        return ""
    if check["relation"] != LABEL:
        return (
            "At a threshold that 1 in 1,000 strangers pass, a synthetic image matches the training person nearest "
            f"to its class {many} as often as images of strangers match theirs."
        )
    return (
        f"At a threshold that 1 in 1,000 strangers pass, a synthetic image matches the person of its label {many} "
        "as often as others."
    )


def _exposed(check: StoredCheck) -> str:
    facts = check["facts"]
    return (
        f"Of {facts['training_people']:,} training people, {_verb(facts['matched'])} shown by a synthetic image "
        f"that is as near to a photograph as only {_exposing(facts)} images of strangers; "
        f"as many images of strangers would reach {about(by_chance(facts))}."
    )


def _exposing(facts: dict[str, Any]) -> str:
    """How rare a match that shows somebody is among strangers' images."""
    strangers = facts["control_images"]
    return _one_in(strangers // max(facts["control_images_matching"], 1), strangers)


def by_chance(facts: dict[str, Any]) -> float:
    """How many training people as many images of strangers as the release has would match."""
    people, trials = facts["training_people"], facts["release_images_per_control_image"]
    return float(people * (1 - (1 - facts["matched_by_control"] / people) ** trials))


def _nearest(check: StoredCheck) -> str:
    facts = check["facts"]
    expected = facts["release_images"] * facts["control_matches"] / max(facts["control_images"], 1)
    return (
        f"Of {_images(facts['release_images'])}, {_verb(facts['release_matches'])} as near to a training "
        f"photograph as only {_one_in(1000, facts['control_images'])} images of strangers is; by chance it would "
        f"be {about(expected)}."
    )


def _nearest_person(check: StoredCheck) -> str:
    facts = check["facts"]
    expected = facts["classes"] * facts["near_control_people"] / max(facts["control_people"], 1)
    return (
        f"Of {_many(facts['classes'], 'synthetic class', 'synthetic classes')}, {_verb(facts['near_classes'])} as "
        f"near to a training person as only {_one_in(100, facts['control_people'])} strangers is; by chance it "
        f"would be {about(expected)}."
    )


def _one_in(rarity: int, strangers: int) -> str:
    """How rare what only the nearest strangers reach is: no rarer than one of all of them."""
    return f"1 in {min(rarity, strangers):,}"


def about(count: float) -> str:
    """An expected number of people or images, in words that do not feign digits."""
    if count < 0.5:
        return "none"
    return f"about {count:,.0f}"


def _images(count: int) -> str:
    return _many(count, "synthetic image", "synthetic images")


def _many(count: int, one: str, more: str) -> str:
    return f"{count:,} {one if count == 1 else more}"


def _verb(count: int) -> str:
    return f"{count:,} {'is' if count == 1 else 'are'}"


def people_with_a_near_image(checks: Sequence[StoredCheck]) -> Iterator[str]:
    """How many training people the release may show or lead to, never who, by the judge that found most."""
    exposed, linked = _worst(checks, "exposure"), _worst(checks, "linkage-class-rank-1")
    if exposed is not None:
        facts = exposed["facts"]
        yield (
            f"{facts['matched']:,} of {facts['training_people']:,} training people "
            f"{'has' if facts['matched'] == 1 else 'have'} a synthetic image as near as only "
            f"{_exposing(facts)} images of strangers; as many images of strangers would "
            f"give {about(by_chance(facts))}."
        )
    if linked is not None:
        facts = linked["facts"]
        one = facts["linked"] == 1
        whose = "its" if one else "their"
        what = (
            f"{'leads' if one else 'lead'} to the training person of {whose} label; by chance it would be"
            if linked["relation"] == LABEL
            else f"{'is' if one else 'are'} as near to {whose} training person as only "
            f"{_one_in(1000, facts['strangers'])} strangers is to somebody; of as many strangers it would be"
        )
        chance = about(facts["chance"] * facts["probes"])
        yield f"{facts['linked']:,} of {facts['probes']:,} classes {what} {chance}."
