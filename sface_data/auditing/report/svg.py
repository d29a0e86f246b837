"""Plots as inline SVG: no library, no script, colours from the page's style, legible on a phone."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray

from sface_data.auditing.plain_words import Measured, bare
from sface_data.errors import shown

WIDTH, HEIGHT = 460, 290
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 12, 10, 42
_MOST_POINTS = 400

Values = NDArray[np.floating] | Sequence[float]


@dataclass(frozen=True)
class Series:
    """One line.

    Attributes:
        name: for the legend.
        x, y: its points.
        style: of the page: `a` to `f`, a colour and a pattern of dashes each.
    """

    name: str
    x: Values
    y: Values
    style: str


@dataclass(frozen=True)
class Axis:
    """From where to where, with ticks at values that have labels."""

    title: str
    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    log: bool = False

    def fraction(self, values: Values) -> NDArray[np.float64]:
        """Where values are between low and high, 0 to 1; beyond is cut off."""
        numbers = np.asarray(values, np.float64)
        low, high = self.low, self.high
        if self.log:
            numbers, low, high = np.log10(np.maximum(numbers, low)), np.log10(low), np.log10(high)
        return np.clip((numbers - low) / (high - low), 0, 1)


@dataclass(frozen=True)
class Plot:
    """An SVG picture with what stands below it."""

    svg: str
    legend: tuple[tuple[str, str], ...]  # style and name
    caption: str


def similarity_axis(low: float, high: float) -> Axis:
    """An axis of cosine similarities."""
    low, high = max(-1.0, np.floor(low * 5) / 5), min(1.0, np.ceil(high * 5) / 5)
    if high <= low:
        high = low + 0.2
    ticks = np.arange(round(low * 5), round(high * 5) + 1) / 5
    return Axis("similarity", float(low), float(high), tuple((float(t), f"{t:g}") for t in ticks))


def rate_axis(title: str, low: float) -> Axis:
    """A logarithmic axis of error rates up to 1."""
    powers = range(round(np.log10(low)), 1)
    labels = {0: "1", -1: "10 %", -2: "1 %", -3: "0.1 %", -4: "0.01 %", -5: "0.001 %", -6: "10⁻⁶"}
    return Axis(title, low, 1.0, tuple((10.0**p, labels.get(p, f"1e{p}")) for p in powers), log=True)


def count_axis(title: str, high: float) -> Axis:
    """An axis from 0, with a handful of ticks."""
    high = high or 1.0
    step = 10 ** np.floor(np.log10(high))
    step *= next(factor for factor in (0.2, 0.5, 1, 2, 5) if high / (step * factor) <= 5.5)
    ticks = np.arange(0, high * 1.0001, step)
    return Axis(title, 0.0, float(high) * 1.04, tuple((float(t), f"{t:g}") for t in ticks))


def percent_axis(title: str, high: float) -> Axis:
    """An axis of shares from 0."""
    axis = count_axis(title, high * 100)
    return Axis(title, 0.0, axis.high / 100, tuple((t / 100, f"{label} %") for t, label in axis.ticks))


def line_plot(
    x: Axis,
    y: Axis,
    series: Sequence[Series],
    caption: str,
    marks: Sequence[tuple[float, str]] = (),
) -> Plot:
    """Lines over two axes.

    Args:
        marks: values of x with a word each, drawn as upright lines.
    """
    parts = _frame(x, y)
    for at, word in marks:
        left = _across(x.fraction([at])[0])
        parts.append(f'<line class="mark" x1="{left:.1f}" x2="{left:.1f}" y1="{_TOP}" y2="{HEIGHT - _BOTTOM}"/>')
        end = left > WIDTH - 110
        parts.append(
            f'<text class="small" x="{left + (-4 if end else 4):.1f}" y="{_TOP + 11}" '
            f'text-anchor="{"end" if end else "start"}">{escape(shown(word))}</text>'
        )
    for line in series:
        every = max(1, len(line.x) // _MOST_POINTS)
        across = _across(x.fraction(np.asarray(line.x)[::every]))
        up = _up(y.fraction(np.asarray(line.y)[::every]))
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(across, up, strict=True))
        parts.append(f'<polyline class="line {line.style}" points="{points}"/>')
    return Plot(_svg(parts, caption), tuple((line.style, line.name) for line in series), caption)


def bar_plot(
    y: Axis,
    groups: Sequence[tuple[str, Sequence[tuple[float, str]]]],
    names: Sequence[tuple[str, str]],
    caption: str,
    spans: Sequence[Sequence[tuple[float, float]]] = (),
) -> Plot:
    """Bars in groups.

    Args:
        groups: a label and the bars (value, style) of each group.
        names: the legend: style and name.
        spans: for each bar of each group, from where to where an interval reaches.
    """
    parts = _frame(Axis("", 0, 1, ()), y)
    width = (WIDTH - _LEFT - _RIGHT) / max(len(groups), 1)
    for g, (label, bars) in enumerate(groups):
        start = _LEFT + g * width
        each = min(0.8 * width / max(len(bars), 1), 42)
        left = start + (width - each * len(bars)) / 2
        for b, (value, style) in enumerate(bars):
            top = _up(y.fraction([value]))[0]
            at = left + b * each
            parts.append(
                f'<rect class="bar {style}" x="{at + 1:.1f}" y="{top:.1f}" width="{max(each - 2, 1):.1f}" '
                f'height="{max(HEIGHT - _BOTTOM - top, 0.8):.1f}"/>'
            )
            if spans:
                low, high = _up(y.fraction(spans[g][b]))
                middle = at + each / 2
                parts.append(
                    f'<line class="span" x1="{middle:.1f}" x2="{middle:.1f}" y1="{low:.1f}" y2="{high:.1f}"/>'
                )
        for row, word in enumerate(label.split("\n")):
            parts.append(
                f'<text x="{start + width / 2:.1f}" y="{HEIGHT - _BOTTOM + 15 + 13 * row}" '
                f'text-anchor="middle">{escape(shown(word))}</text>'
            )
    return Plot(_svg(parts, caption), tuple(names), caption)


def interval_mark(value: float, low: float, high: float, limit: float, verdict: str, shown_as: Measured) -> str:
    """A small picture of an interval and its limit, with a scale; what is far beyond the limit is cut off.

    Args:
        verdict: of the check, which gives the colour.
        shown_as: how values are written on the scale, and where it ends.
    """
    width, height = 168, 32
    reach = [bound for bound in (low, high) if np.isfinite(bound)]
    zero = min([0.0, *(bound for bound in reach if bound > -3 * max(limit, 1e-9))])
    top = max(2.2 * limit, min(max([limit, *reach]), 6 * limit) * 1.1, 1e-6)
    zero, top = max(zero, -top), min(top, shown_as.most)

    def at(number: float) -> float:
        number = top if np.isposinf(number) else zero if not np.isfinite(number) else number
        return 3 + (width - 6) * float(np.clip((number - zero) / (top - zero), 0, 1))

    def word(across: float, anchor: str, text: str) -> str:
        text = escape(shown(bare(text).removesuffix(" times")))
        return f'<text x="{across:.1f}" y="29" text-anchor="{anchor}">{text}</text>'

    scale = [word(at(limit), "middle" if at(limit) > 16 else "start", shown_as.number(limit))]
    if at(limit) > 62:
        scale.append(word(3, "start", shown_as.number(zero)))
    if at(limit) < width - 66:
        scale.append(word(width - 3, "end", shown_as.number(top)))
    return (
        f'<svg class="interval {verdict}" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'aria-hidden="true"><line class="base" x1="3" x2="{width - 3}" y1="9" y2="9"/>'
        f'<line class="reach" x1="{at(low):.1f}" x2="{max(at(high), at(low) + 2):.1f}" y1="9" y2="9"/>'
        f'<circle cx="{at(value):.1f}" cy="9" r="4"/>'
        f'<line class="limit" x1="{at(limit):.1f}" x2="{at(limit):.1f}" y1="1" y2="17"/>{"".join(scale)}</svg>'
    )


def density(scores: NDArray[np.floating], axis: Axis, bins: int = 60) -> tuple[Values, Values]:
    """Share of scores in each bin of an axis."""
    counts, edges = np.histogram(np.clip(scores, axis.low, axis.high), bins, (axis.low, axis.high))
    return (edges[:-1] + edges[1:]) / 2, counts / max(len(scores), 1)


def _frame(x: Axis, y: Axis) -> list[str]:
    bottom, right = HEIGHT - _BOTTOM, WIDTH - _RIGHT
    parts = []
    for value, label in y.ticks:
        up = _up(y.fraction([value]))[0]
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{right}" y1="{up:.1f}" y2="{up:.1f}"/>')
        parts.append(f'<text x="{_LEFT - 5}" y="{up + 4:.1f}" text-anchor="end">{escape(shown(label))}</text>')
    for value, label in x.ticks:
        across = _across(x.fraction([value]))[0]
        parts.append(f'<line class="grid" x1="{across:.1f}" x2="{across:.1f}" y1="{_TOP}" y2="{bottom}"/>')
        parts.append(
            f'<text x="{across:.1f}" y="{bottom + 15}" text-anchor="middle">{escape(shown(label))}</text>'
        )
    parts.append(f'<line class="axis" x1="{_LEFT}" x2="{right}" y1="{bottom}" y2="{bottom}"/>')
    parts.append(f'<line class="axis" x1="{_LEFT}" x2="{_LEFT}" y1="{_TOP}" y2="{bottom}"/>')
    if x.title:
        middle = (_LEFT + right) / 2
        parts.append(
            f'<text class="title" x="{middle}" y="{HEIGHT - 6}" text-anchor="middle">{escape(x.title)}</text>'
        )
    middle = (_TOP + bottom) / 2
    parts.append(
        f'<text class="title" transform="translate(11 {middle}) rotate(-90)" text-anchor="middle">'
        f"{escape(y.title)}</text>"
    )
    return parts


def _svg(parts: Sequence[str], caption: str) -> str:
    inside = "".join(parts)
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(shown(caption))}">{inside}</svg>'


def _across(fractions: NDArray[np.float64]) -> NDArray[np.float64]:
    return _LEFT + fractions * (WIDTH - _LEFT - _RIGHT)


def _up(fractions: NDArray[np.float64]) -> NDArray[np.float64]:
    return HEIGHT - _BOTTOM - fractions * (HEIGHT - _TOP - _BOTTOM)
