"""The words of a certificate that follow from the rest of it: its verdict in sentences, and what it does not say.

All is read off the predicate as it stands in the file, so that whoever reads one can compare.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from sface_data.auditing.verdict import CLAIM, LABEL, SEARCH

IN_WORDS = {
    LABEL: "the training person of the same name",
    CLAIM: "the training person whom the manifest names as nearest to it, or the parents of a mixture",
    SEARCH: "the training person whom the judge finds nearest to half of its images, seen by the other half",
}
_FOUND = 0.95  # of trials in which a disguise stops a pass
# What the generator's own file says of the training faces that were given.
_NAMED = {
    "the same": "The training faces given are those that the generator's file names.",
    "others": "The training faces given are not those that the generator's file names: it may know others.",
    "none": "No file of the generator names the faces that it was trained on: they were taken to be those given.",
}
NOT_SAID = (
    "It speaks of the identities of the training set that was given. Whether that is all the generator was "
    "trained on, it cannot know.",
    "It relies on the control group being what it is said to be: people who were not in training, of a like "
    "population, photographed under like conditions.",
    "It takes labels on trust: a class of the release is the training identity of the same name, and numbers are "
    "compared without leading zeros and `class_` (0000045, 45 and class_45 are one). Where labels are said to "
    "mean nothing, it looks at the training people who are nearest, as found by the judge and as claimed by the "
    "manifest, against what strangers have: a weaker relation shows only where labels tell of it.",
    "That a judge tells the classes of the release apart does not prove that it recognises the people in them. "
    "Some images were looked at in other views, and compared with training in light, colour, sharpness, faces and "
    "their place; a disguise that is none of those listed, or is rare, may hide somebody all the same.",
    "It says what the named judges see. A judge that served as teacher or identity loss in training may be the "
    "one that the generator learned to deceive; another judge may see more. Any file can be a judge: of each it "
    "says whether this version knows it.",
    "It does not speak of attributes, of places or of anything but identity; nor of what can be done with the "
    "generator itself, or with other images of it.",
    "A pass is no proof of anonymity, and no legal opinion: it says that leakage above the limits of the policy "
    "was looked for and not found; with what power, the planted images of each check tell.",
    "Without a signature that you check, nothing protects it against being forged.",
)


def in_words(predicate: dict[str, Any]) -> str:
    """The verdict in sentences; `Certificate.headline` comes before it."""
    inputs = predicate["inputs"]
    related = ", and with ".join(IN_WORDS[name] for name in sorted(inputs["relations"]))
    sentences = (
        _verdict(predicate),
        f"Each class was compared with {related}.",
        _NAMED[inputs["training"]["named_by_generator"]],
        *disclosed(predicate["checks"]),
    )
    return " ".join(sentences)


def _verdict(predicate: dict[str, Any]) -> str:
    """What the verdict rests on."""
    verdict, checks, policy = predicate["verdict"], predicate["checks"], predicate["policy"]
    if verdict == "fail":
        failed = [check for check in checks if check["verdict"] == "fail"]
        return (
            f"{len(failed)} of {len(checks)} checks found more than the policy allows, beyond chance. The release "
            "should not be published as free of the people whose photographs its generator was trained on."
        )
    called = f"{'' if policy['shipped'] else 'custom '}policy {policy['content']['name']}"
    if verdict == "pass":
        return f"Every check that the {called} needs passes. {_shown(checks)}"
    open_ = dict.fromkeys(check["name"] for check in checks if check["needed"] and check["verdict"] != "pass")
    names = _listed(list(open_))
    return f"No check failed, but {len(open_)} that the {called} needs could not be passed ({names}): no pass."


def _shown(checks: Sequence[dict[str, Any]]) -> str:
    """Which of the checks that a pass needs were shown to find leakage, in a sentence."""
    needed = [check for check in checks if check["needed"]]
    blind = [check for check in needed if not any(p["demand"] for p in check["facts"].get("planted", ()))]
    if len(blind) == len(needed):
        return "None of its checks was shown to find leakage that is planted."
    found = f"{len(needed) - len(blind)} of the {len(needed)} checks that it needs were shown to find leakage"
    but = f" (all but {_listed([check['name'] for check in blind], len(blind))})" if blind else ""
    return f"{found} that is planted{but}."


def disclosed(checks: Sequence[dict[str, Any]]) -> Iterator[str]:
    """What a reader of the verdict must know of how it was come by, in sentences."""
    plantings = [planting for check in checks for planting in check["facts"].get("planted", ())]
    if any(planting["kind"] == "simulated" for planting in plantings):
        yield "The copies that were planted were simulated from embeddings, not made from images."
    rows = [row for check in checks for row in check["facts"].get("disguises", ())]
    if rows:
        names = dict.fromkeys(row["disguise"] for row in rows)
        found = [n for n in names if all(row["stopped"]["0.1"] >= _FOUND for row in rows if row["disguise"] == n)]
        yield (
            f"Of {len(names)} disguises in which training images were planted, {len(found)} would have stopped a "
            "pass with one image in ten."
        )
    for check in checks:
        for role, count in sorted(check["facts"].get("without_embedding", {}).items()):
            if count["left_out"]:
                share = f"{count['left_out']:,} of {count['faces']:,}"
                yield f"{check['judge']} was not shown {share} faces of {role}, which have no embedding."


def _listed(names: list[str], most: int = 4) -> str:
    unique = list(dict.fromkeys(names))
    more = f" and {len(unique) - most} more" if len(unique) > most else ""
    return ", ".join(unique[:most]) + more
