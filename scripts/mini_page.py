"""The page, figure and record of the miniature, made from its cells and from nothing else.

What the page says of order and trend follows from the figures: a claim is reproduced if its 95 % interval is
above 0.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mini_benchmarks import FOLDS, KINDS, Crowd
from numpy.typing import NDArray
from scipy import stats

from sface_data.io.files import atomic_write, read_json, write_text

CELLS, PAGE, PLOT = "mini.json", "mini.md", "mini.png"
BEGIN, END = "<!-- made by scripts/reproduce_mini -->", "<!-- up to here -->"
CONFIDENCE = 0.95
WELL = 5  # percentage points by which `well above` is meant
ROOM = 98  # percent that the teacher has to stay below, or the benchmarks are too easy
TITLES = {
    "fresh": "fresh weights",
    "cls": "cls: class labels",
    "kt": "kt: the teacher's embeddings",
    "cls-kt": "cls-kt: both",
    "teacher": "the teacher: class labels of authentic images",
}
COLOURS = {"fresh": "0.5", "cls": "#0072b2", "kt": "#009e73", "cls-kt": "#cc79a7", "teacher": "#d55e00"}

Matrix = NDArray[np.float64]  # [seeds,folds] accuracy in percent


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds and folds with its 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def text(self) -> str:
        return f"{self.value:.1f} ({self.low:.1f} to {self.high:.1f})"

    @property
    def signed(self) -> str:
        return f"{self.value:+.1f} ({self.low:+.1f} to {self.high:+.1f})"


def estimate(values: Matrix) -> Estimate:
    """The mean of values [seeds,folds] and its interval, seeds and folds both being samples of many.

    The variance of a mean of two crossed random effects, (MS_seeds + MS_folds - MS_rest) / (seeds * folds), with
    Satterthwaite's degrees of freedom: the analysis of readers and cases of Dorfman, Berbaum and Metz (1992). It
    is at least what folds alone, or seeds alone, give. With one seed it covers the choice of people only.
    """
    seeds, folds = values.shape
    mean, by_seed, by_fold = values.mean(), values.mean(axis=1), values.mean(axis=0)
    squares = [(seeds * by_fold.var(ddof=1), folds - 1)]
    if seeds > 1:
        rest = values - by_seed[:, None] - by_fold + mean
        freedom = (seeds - 1) * (folds - 1)
        squares += [(folds * by_seed.var(ddof=1), seeds - 1), (-np.square(rest).sum() / freedom, freedom)]
    together = sum(square for square, _ in squares)
    largest, freedom = max(squares)
    if together > largest:
        largest, freedom = together, together**2 / sum(square**2 / free for square, free in squares if square)
    reach = stats.t.ppf((1 + CONFIDENCE) / 2, freedom) * np.sqrt(largest / values.size)
    return Estimate(float(mean), float(mean - reach), float(mean + reach))


class Cells:
    """The accuracies of a run in percent.

    Args:
        record: what `reproduce_mini` writes.
    """

    def __init__(self, record: Mapping[str, Any]) -> None:
        self.images: list[int] = record["size"]["images"]
        self._seeds: int = record["size"]["seeds"]
        self._folds = {
            (cell["recipe"], cell["images"], cell["seed"]): cell["accuracy_per_fold"] for cell in record["cells"]
        }

    def matrix(self, recipe: str, images: int, kind: str | None = None) -> Matrix:
        """Of one kind of benchmark, or the mean of all, whose folds are of the same people: [seeds,folds]."""
        images = 0 if recipe == "fresh" else images
        kinds = [each.name for each in KINDS] if kind is None else [kind]
        found = [[self._folds[recipe, images, seed][name] for name in kinds] for seed in range(self._seeds)]
        return 100 * np.array(found).mean(axis=1)

    def slope(self, recipe: str) -> Matrix:
        """Percentage points that twice as many images bring, by least squares: [seeds,folds]."""
        doublings = np.log2(self.images)
        weights = (doublings - doublings.mean()) / np.square(doublings - doublings.mean()).sum()
        return sum(weight * self.matrix(recipe, n) for weight, n in zip(weights, self.images, strict=True))


@dataclass(frozen=True)
class Claim:
    """Something that the paper found, and what it comes to here: reproduced if it is above 0."""

    sentence: str
    measured: Estimate

    @property
    def reproduced(self) -> bool:
        return self.measured.low > 0

    @property
    def verdict(self) -> str:
        if self.reproduced:
            return "**reproduced**"
        return f"**not reproduced** ({'the opposite' if self.measured.high < 0 else 'undecided'})"


def claims(cells: Cells) -> list[Claim]:
    """The order and the trend of the paper, from all benchmarks together."""
    most = cells.images[-1]
    cls, both, teacher = (cells.matrix(recipe, most) for recipe in ("cls", "cls-kt", "teacher"))
    at = f"at {most} images a class"
    return [
        Claim("more images a class are better, cls: points for twice as many", estimate(cells.slope("cls"))),
        Claim(
            f"cls is well above fresh weights {at}: points more than {WELL} above",
            estimate(cls - cells.matrix("fresh", 0) - WELL),
        ),
        Claim(f"the teacher helps {at}: cls-kt less cls", estimate(both - cls)),
        Claim(f"authentic images are better than synthetic ones {at}: teacher less cls", estimate(teacher - cls)),
        Claim(
            f"cls-kt is nearer to the teacher than to cls {at}: points above the middle of the two",
            estimate(both - (cls + teacher) / 2),
        ),
    ]


def page_text(record: Mapping[str, Any]) -> str:
    """The part of the page that comes from a run."""
    cells = Cells(record)
    return "\n\n".join(
        [
            f"![Accuracy over images a class, for each recipe]({PLOT})",
            accuracy_table(cells),
            "Accuracy in percent by the protocol of LFW, mean of benchmarks and seeds, with 95 % intervals.",
            benchmark_table(cells),
            f"The same for each benchmark, at {cells.images[-1]} images a class. {room(cells)}",
            claim_table(cells),
            "In percentage points, mean of the benchmarks. A claim is reproduced if its interval is above 0.",
            method(record),
        ]
    )


def accuracy_table(cells: Cells) -> str:
    """A row for each recipe, a column for each number of images."""
    lines = [line("learns from", *(f"{n} images a class" for n in cells.images)), rule(1 + len(cells.images))]
    for recipe, title in TITLES.items():
        lines.append(line(title, *(estimate(cells.matrix(recipe, n)).text for n in cells.images)))
    return "\n".join(lines)


def benchmark_table(cells: Cells) -> str:
    """A row for each recipe, a column for each benchmark."""
    lines = [line("learns from", *(kind.title for kind in KINDS)), rule(1 + len(KINDS))]
    for recipe, title in TITLES.items():
        found = (estimate(cells.matrix(recipe, cells.images[-1], kind.name)).text for kind in KINDS)
        lines.append(line(title, *found))
    return "\n".join(lines)


def room(cells: Cells) -> str:
    """Whether the benchmarks leave the teacher room."""
    best = max(
        (float(cells.matrix("teacher", n, kind.name).mean()), kind.title, n)
        for kind in KINDS
        for n in cells.images
    )
    found = f"The teacher is at most at {best[0]:.1f} % ({best[1]}, {best[2]} images a class)"
    if best[0] < ROOM:
        return f"{found}, below the {ROOM} % above which a benchmark would be too easy to tell networks apart."
    return f"{found}: above {ROOM} %, so that benchmark is too easy to tell networks apart."


def claim_table(cells: Cells) -> str:
    """What became of each claim."""
    lines = [line("as in the paper?", "measured", ""), rule(3)]
    lines += [line(claim.sentence, claim.measured.signed, claim.verdict) for claim in claims(cells)]
    return "\n".join(lines)


def method(record: Mapping[str, Any]) -> str:
    """Sizes, what the intervals cover, time and machine."""
    size, crowd = record["size"], Crowd(**record["size"]["crowd"])
    if size["seeds"] > 1:
        seeds = f"Every network was trained {size['seeds']} times; intervals cover this and the choice of people"
    else:
        seeds = "Every network was trained once; intervals cover the choice of people, not the chance in training"
    cpu = sum(cell["cpu_seconds"] for cell in record["cells"]) / 60
    return (
        f"{size['classes']:,} classes of the generator `{record['network']['file']}` "
        f"(sha256 {record['network']['sha256'][:12]}); every training saw {size['shown']:,} images, whatever the "
        f"number of different ones.{reduced(size, record['full'])} {seeds}. Each benchmark has "
        f"{2 * crowd.mated * len(crowd):,} pairs, half of them mated, of {len(crowd):,} rendered people x "
        f"{crowd.images} images, in {FOLDS} folds that share nobody. Training and measuring took {cpu:.0f} CPU "
        f"minutes on {record['machine']}. All figures, fold by fold: [{CELLS}]({CELLS})."
    )


def reduced(size: Mapping[str, Any], full: Mapping[str, Any]) -> str:
    """That a run was smaller than the full one, if it was."""
    if all(size[name] >= full[name] for name in ("classes", "seeds", "shown")):
        return ""
    return (
        f" This is a reduced run: the full one has {full['classes']:,} classes, {full['seeds']} seeds and "
        f"{full['shown']:,} images a training."
    )


def line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def rule(columns: int) -> str:
    return "|---" * columns + "|"


def draw(cells: Cells, path: Path) -> None:
    """Accuracy over images a class, a panel for each benchmark."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(KINDS), sharey=True)
    for axes, kind in zip(panels, KINDS, strict=True):
        for offset, recipe in enumerate(TITLES):
            found = [estimate(cells.matrix(recipe, n, kind.name)) for n in cells.images]
            middle = [each.value for each in found]
            reach = [[each.value - each.low for each in found], [each.high - each.value for each in found]]
            x = np.array(cells.images) * 2 ** (0.06 * (offset - 2))  # beside one another
            style = "--" if recipe == "fresh" else "-"
            axes.errorbar(
                x, middle, reach, color=COLOURS[recipe], linestyle=style, marker="o", markersize=4, linewidth=1.5,
                capsize=2, label=TITLES[recipe],
            )  # fmt: skip
        axes.set_xscale("log", base=2)
        axes.set_xticks(cells.images, [str(n) for n in cells.images])
        axes.minorticks_off()
        axes.set_title(kind.title, loc="left", fontsize=10)
        axes.set_xlabel("images a class", fontsize=9)
        axes.grid(axis="y", color="0.9")
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
    panels[0].set_ylabel("verification accuracy, percent", fontsize=9)
    figure.legend(
        *panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False, fontsize=8
    )
    with atomic_write(path) as file:
        figure.savefig(file, format="png", metadata={"Software": None})


def write_result(record: Path, folder: Path) -> None:
    """Page, figure and record in a folder; of a page that is there only what is between the marks changes."""
    found = read_json(record)
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / CELLS, record.read_text())
    draw(Cells(found), folder / PLOT)
    path = folder / PAGE
    page = path.read_text(encoding="utf-8") if path.exists() else f"# The miniature\n\n{BEGIN}\n{END}\n"
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise SystemExit(f"{path}: the marks {BEGIN} and {END} are gone; put them where the result belongs")
    write_text(path, f"{before}{BEGIN}\n\n{page_text(found)}\n{END}{after}")
