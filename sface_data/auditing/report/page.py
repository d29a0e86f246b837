"""The report: one HTML page that explains a certificate. It loads nothing and runs nothing."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sface_data.auditing.checks.linkage import CHECKS as LINKAGE
from sface_data.auditing.checks.neighbours import NEAREST, PIXEL_DUPLICATES
from sface_data.auditing.evidence import COPIES, Evidence, Nearness
from sface_data.auditing.outcome import Outcome
from sface_data.auditing.report.svg import (
    Axis,
    Plot,
    Series,
    bar_plot,
    density,
    interval_mark,
    line_plot,
    percent_axis,
    rate_axis,
    similarity_axis,
)
from sface_data.auditing.sets.face_set import ImageSet
from sface_data.auditing.sets.judged_sets import CONTROL, RELEASE, TRAINING
from sface_data.auditing.verdict import Check
from sface_data.biometrics.rates import ErrorRates
from sface_data.biometrics.scores import ScoreHistogram
from sface_data.biometrics.subjects import SubjectScores
from sface_data.errors import shown
from sface_data.faces.base import Source
from sface_data.io.files import cards_folder, write_text
from sface_data.io.seal import sealed

TEMPLATE = "report.html.j2"
PAIRS = "pairs.html"  # the only page with photographs
_PAIRS = 8
_THUMBNAIL = 112
_WORDS = {
    "pass": "No leakage above the limits was found",
    "fail": "This release leaks identities",
    "inconclusive": "This audit cannot tell",
}
_KINDS = {
    "altered": "altered copies",
    "simulated": "simulated copies",
    "other": "other photographs",
    "classes": "whole classes",
}


@dataclass(frozen=True)
class Row:
    """A check as the page shows it."""

    check: Check
    statistic: str
    reach: str
    limit: str
    picture: str
    flags: str


@dataclass(frozen=True)
class Pair:
    """An image of the release and its nearest training image."""

    image: str  # data URI
    training: str
    similarity: float
    label: str
    person: str


@dataclass(frozen=True)
class JudgePage:
    """What the page shows of one judge."""

    name: str
    rows: tuple[Row, ...]
    plots: tuple[Plot, ...]
    power: tuple[dict[str, Any], ...]
    pairs: tuple[Pair, ...]


def write_report(path: Path, outcome: Outcome, show_pairs: bool = False) -> None:
    """Writes the page.

    Args:
        show_pairs: with the closest pairs of each judge: photographs of people from training are in it then.

    Raises:
        BadInput: if it cannot be written.
    """
    write_text(path, report_text(outcome, show_pairs))


def report_text(outcome: Outcome, show_pairs: bool = False) -> str:
    """The page as HTML, with a seal."""
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(cards_folder()),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=True,
        finalize=lambda value: shown(value) if type(value) is str else value,
    )
    environment.filters["svg"] = Markup  # ours, with every text in it escaped
    certificate, result = outcome.certificate, outcome.result
    pages = [_judge_page(outcome, seen, show_pairs) for seen in result.evidence]
    others = [check for check in result.checks if check.finding.judge in ("pixels", "files")]
    page = environment.get_template(TEMPLATE).render(
        certificate=certificate,
        description=certificate.description,
        predicate=certificate.statement["predicate"],
        subjects=certificate.subjects,
        verdict=certificate.verdict,
        headline=_WORDS[certificate.verdict],
        failed=[check for check in result.checks if check.verdict == "fail"],
        undecided=[c for c in result.checks if c.needed and c.verdict == "inconclusive"],
        passed=[check for check in result.checks if check.verdict == "pass"],
        checks=result.checks,
        judges=pages,
        other_rows=[_row(check) for check in others],
        pixel_plots=[] if result.pixels is None else [_nearness_plot(result.pixels, others)],
        show_pairs=show_pairs,
        no_pairs=show_pairs and not any(page.pairs for page in pages),
    )
    return sealed(page)


def _judge_page(outcome: Outcome, seen: Evidence, show_pairs: bool) -> JudgePage:
    name = seen.sets.judge
    checks = [check for check in outcome.result.checks if check.finding.judge == name]
    plots = [_scores_plot(seen), _det_plot(seen), _nearness_plot(seen, checks)]
    plots += [plot for plot in (_linkage_plot(checks),) if plot is not None]
    pairs = _pairs(outcome, seen) if show_pairs else ()
    return JudgePage(name, tuple(map(_row, checks)), tuple(plots), tuple(_power(checks)), pairs)


def _row(check: Check) -> Row:
    finding = check.finding
    if finding.interval is None:
        return Row(check, "not measured", "", _number(finding.limit), "", "")
    interval = finding.interval
    value, low, high = (_number(number) for number in (interval.value, interval.low, interval.high))
    picture = interval_mark(interval.value, interval.low, interval.high, finding.limit)
    return Row(check, value, f"{low} to {high}", _number(finding.limit), picture, "; ".join(interval.flags))


def _number(value: float) -> str:
    """Up to four digits that matter."""
    if not np.isfinite(value):
        return "-∞" if value < 0 else "∞"
    if abs(value) >= 1e5:
        return f"{value:.1e}"
    if value == 0 or abs(value) < 5e-6:
        return "0"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.4f}".rstrip("0").rstrip(".") if abs(value) < 1 else f"{value:.2f}".rstrip("0").rstrip(".")


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
        min(_quantile(side, 0.001) for _, side, _ in sides), max(_quantile(side, 0.999) for _, side, _ in sides)
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
        "labels: the two curves of the release with training lie on each other.",
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
        "DET curves. The lower a curve, the better the two kinds of comparison are told apart. Release with "
        "training should lie on the curve of no relation.",
    )


def _nearness_plot(seen: Nearness, checks: Sequence[Check]) -> Plot:
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


def _linkage_plot(checks: Sequence[Check]) -> Plot | None:
    found = {check.finding.name: check.finding for check in checks}
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
    return bar_plot(
        percent_axis("linked to the person of its label", min(top, 1.0)),
        groups,
        [("c", "this release"), ("b", "labels shuffled (95 % of shuffles)")],
        "Linkage. How often the training person of its label is among those nearest to an image, or to the mean "
        "of a class, against the same with labels dealt out at random.",
        spans=spans,
    )


def _power(checks: Sequence[Check]) -> list[dict[str, Any]]:
    rows = []
    for check in checks:
        for planting in check.finding.facts.get("planted", []):
            rows.append({**planting, "check": check.finding.name, "kind": _KINDS[planting["kind"]]})
    return rows


def _pairs(outcome: Outcome, seen: Evidence) -> tuple[Pair, ...]:
    """The closest pairs, one of each training image."""
    release, training = (outcome.sets.by_role[role] for role in (RELEASE, TRAINING))
    if not isinstance(release, ImageSet) or not isinstance(training, ImageSet):
        return ()
    sets, near = seen.sets, seen.to_training[RELEASE]
    pairs: dict[int, Pair] = {}
    for index in np.argsort(-near.score, kind="stable"):
        nearest = int(near.index[index])
        if nearest not in pairs:
            pairs[nearest] = Pair(
                _thumbnail(release.source, int(index)),
                _thumbnail(training.source, nearest),
                float(near.score[index]),
                sets.release.class_names[sets.release.class_index[index]],
                sets.training.class_names[sets.training.class_index[nearest]],
            )
        if len(pairs) == _PAIRS:
            break
    return tuple(pairs.values())


def _thumbnail(source: Source, index: int) -> str:
    image = Image.fromarray(source[index].decode())
    image.thumbnail((_THUMBNAIL, _THUMBNAIL))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=88)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()


def _quantile(side: ScoreHistogram, share: float) -> float:
    index = int(np.searchsorted(side.counts.cumsum(), share * side.total))
    return float(side.edges[min(index, side.bins)])
