"""A plot of true over false accept rates."""

from collections.abc import Sequence
from math import floor
from typing import BinaryIO

from sface_data.recognition.benchmarks import BenchmarkResult

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")  # Okabe and Ito, 2008
_STYLES = ("-", "--", "-.", ":")


def draw_roc(results: Sequence[BenchmarkResult], title: str, file: BinaryIO) -> None:
    """A PNG of the true over the false accept rate, the latter on a logarithmic axis."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import PercentFormatter

    figure = Figure(figsize=(7, 5), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    smallest = min(1 / result.verification.nonmated for result in results)
    for index, result in enumerate(results):
        axes.step(
            result.roc.far.clip(min=smallest / 2),
            result.roc.tar,
            where="post",
            color=_COLOURS[index % len(_COLOURS)],
            linestyle=_STYLES[index // len(_COLOURS) % len(_STYLES)],
            linewidth=1.8,
            label=f"{result.benchmark.title}: {100 * result.verification.accuracy:.2f} % accuracy",
        )
    chance = [smallest * (1 / smallest) ** (step / 99) for step in range(100)]
    axes.plot(chance, chance, color="0.6", linewidth=1, linestyle=(0, (1, 2)), label="chance")
    axes.set_xscale("log")
    axes.set_xlim(smallest, 1)
    lowest = min(float(result.roc.tar[result.roc.far <= smallest].max()) for result in results)
    axes.set_ylim(max(0, floor(10 * lowest - 1) / 10) if lowest > 0.5 else 0, 1.005)
    axes.set_xlabel("False accept rate (non-mated pairs accepted)")
    axes.set_ylabel("True accept rate (mated pairs accepted)")
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.grid(which="major", color="0.88", linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.set_title(title, loc="left", fontsize=11)
    axes.legend(frameon=False, fontsize=9, loc="best")
    figure.savefig(file, format="png", metadata={"Software": None})
