"""The plots of a report: what one judge saw."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sface_data.auditing.checks.linkage import CHECKS as LINKAGE
from sface_data.auditing.checks.neighbours import NEAREST, PIXEL_DUPLICATES
from sface_data.auditing.evidence import COPIES, Evidence, Nearness
from sface_data.auditing.report.svg import (
    Axis,
    Plot,
    Series,
    bar_plot,
    density,
    line_plot,
    percent_axis,
    rate_axis,
    similarity_axis,
)
from sface_data.auditing.sets.judged_sets import CONTROL, RELEASE
from sface_data.auditing.verdict import CLAIM, LABEL, SEARCH, Check
from sface_data.biometrics.rates import ErrorRates
from sface_data.biometrics.subjects import SubjectScores

_NEAREST = "is among those nearest to an image, or to the mean of a class"
_NEAR = f"{_NEAREST}, and as near as 0.1 % of strangers are to somebody"
_LINKAGE_WORDS = {  # of each relation: the person, what the release is held against, what is shown
    LABEL: (
        "the person of its label",
        "labels shuffled (95 % of shuffles)",
        f"the training person of its label {_NEAREST}, against the same with labels dealt out at random",
    ),
    CLAIM: (
        "the claimed person",
        "strangers",
        f"the training person whom the manifest claims {_NEAR}, against strangers and the people nearest to them",
    ),
    SEARCH: (
        "the nearest person",
        "strangers",
        f"the training person whom the judge finds nearest to half of the images of a class {_NEAR}, against "
        "strangers and the people nearest to them",
    ),
}


def plots_of(seen: Evidence, checks: Sequence[Check]) -> tuple[Plot, ...]:
    """Scores, error rates, nearest neighbours and linkage of one judge."""
    linkage = (_linkage_plot(checks, relation) for relation in (LABEL, CLAIM, SEARCH))
    plots = (_scores_plot(seen), _det_plot(seen), nearness_plot(seen, checks), *linkage)
    return tuple(plot for plot in plots if plot is not None)


def _scores_plot(seen: Evidence) -> Plot:
    sides = [
        ("training: same person", seen.authentic.mated, "a"),
        ("training: different people", seen.authentic.nonmated, "b"),
        ("release with training: same label", seen.cross.mated, "c"),
        ("release with training: different label", seen.cross.nonmated, "d"),
        ("release: same label", seen.within.mated, "e"),
        ("release: different label", seen.within.nonmated, "f"),
    ]
    sides = [side for side in sides if side[1].total]
    x = similarity_axis(
        min(side.quantile(0.001) for _, side, _ in sides), max(side.quantile(0.999) for _, side, _ in sides)
    )
    series = []
    for name, side, style in sides:
        counts = side.coarser(100) / side.total
        middles = (np.arange(100) + 0.5) / 50 - 1
        inside = (middles > x.low) & (middles < x.high)
        series.append(Series(name, middles[inside], counts[inside], style))
    top = max(float(np.max(line.y)) for line in series)
    return line_plot(
        x,
        percent_axis("share of comparisons", top),
        series,
        "Similarity scores. Without leakage, the release matches training alike for the same and for different "
        "labels: the two curves of the release with training lie on each other."
        if seen.cross.mated.total
        else "Similarity scores. No class of the release has the label of a training person, so there is one "
        "curve of the release with training.",
    )


def _det_plot(seen: Evidence) -> Plot:
    lowest = 1e-5
    series = []
    curves: list[tuple[str, SubjectScores, str]] = [
        ("training: same and different people", seen.authentic, "a"),
        ("release with training: same and different label", seen.cross, "c"),
        ("release: same and different label", seen.within, "e"),
    ]
    for name, scores, style in curves:
        if scores.mated.total and scores.nonmated.total:
            fmr, fnmr, _ = ErrorRates.of(scores.mated, scores.nonmated).det_curve()
            kept = fmr > 0
            series.append(Series(name, fmr[kept], np.maximum(fnmr[kept], lowest), style))
    chance = np.logspace(-5, 0, 60)
    series.append(Series("no relation at all", chance, 1 - chance, "g"))
    return line_plot(
        rate_axis("FMR", lowest),
        rate_axis("FNMR", 1e-3),
        series,
        "DET curves. The lower a curve, the better the two kinds of comparison are told apart."
        + (" Release with training should lie on the curve of no relation." if seen.cross.mated.total else ""),
    )


def nearness_plot(seen: Nearness, checks: Sequence[Check]) -> Plot:
    """How near images come to training, of the release and of strangers."""
    near = seen.to_training
    sides: list[tuple[str, NDArray[np.float32], str]] = [("images of the release", near[RELEASE].score, "c")]
    if CONTROL in near:
        sides.append(("images of the control group", near[CONTROL].score, "b"))
    if seen.sets.copies is not None:
        simulated = " (simulated)" if seen.sets.copies.simulated else ""
        sides.append((f"altered training images{simulated}", near[COPIES].score, "e"))
    if seen.others is not None:
        sides.append(("other images of training people", seen.others.score, "a"))
    x = similarity_axis(
        float(min(np.quantile(side, 0.001) for _, side, _ in sides)),
        float(max(np.max(side) for _, side, _ in sides)),
    )
    series = [Series(name, *density(side, x), style) for name, side, style in sides]
    top = max(float(np.max(line.y)) for line in series)
    words = zip((*NEAREST, PIXEL_DUPLICATES), ("1 % of control", "0.1 %", "as near as a copy"), strict=True)
    found = {check.finding.name: check.finding.facts for check in checks}
    marks = [
        (float(found[kind.name]["threshold"]), word)
        for kind, word in words
        if "threshold" in found.get(kind.name, {})
    ]
    what = "by pixels" if seen.sets.judge == "pixels" else "by this judge"
    return line_plot(
        x,
        percent_axis("share of images", top),
        series,
        f"Similarity of each image to its nearest training image, {what}. The release should lie on or left of "
        "the control group; images beyond its right end are as near as no stranger is.",
        marks=_apart(marks, x),
    )


def _apart(marks: list[tuple[float, str]], axis: Axis) -> list[tuple[float, str]]:
    """The marks, with words only where they do not cover each other."""
    kept: list[tuple[float, str]] = []
    for at, word in sorted(marks):
        crowded = kept and float(np.diff(axis.fraction([kept[-1][0], at]))[0]) < 0.18
        kept.append((at, "" if crowded else word))
    return kept


def _linkage_plot(checks: Sequence[Check], relation: str) -> Plot | None:
    found = {check.finding.name: check.finding for check in checks if check.finding.relation == relation}
    groups, spans = [], []
    for kind in LINKAGE:
        finding = found.get(kind.name)
        if finding is None or finding.interval is None:
            continue
        facts = finding.facts
        shuffled = [count / facts["probes"] for count in facts["shuffled_linked"]] or [facts["chance"]] * 3
        what = "classes" if kind.by_class else "images"
        groups.append((f"{what}\nrank {kind.rank}", [(facts["share"], "c"), (shuffled[1], "b")]))
        reach = [
            bound * (1 - facts["chance"]) + facts["chance"]
            for bound in (finding.interval.low, finding.interval.high)
        ]
        spans.append([(max(reach[0], 0.0), reach[1]), (shuffled[0], shuffled[2])])
    if not groups:
        return None
    top = max(high for bars in spans for _, high in bars)
    person, others, caption = _LINKAGE_WORDS[relation]
    return bar_plot(
        percent_axis(f"linked to {person}", min(top, 1.0)),
        groups,
        [("c", "this release"), ("b", others)],
        f"Linkage. How often {caption}.",
        spans=spans,
    )
