"""The evaluation of one embedder on several benchmarks: a record, a table beside published rows, a plot."""

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import floor
from pathlib import Path
from typing import Any, BinaryIO

from sface_data.embedding.embedder import Embedder
from sface_data.embedding.open import open_embedder
from sface_data.io.files import atomic_write, os_errors_as_bad_input, pretty_json, sha256_of_file, write_text
from sface_data.recognition.benchmarks import (
    PUBLISHED,
    Benchmark,
    BenchmarkResult,
    evaluate,
    find_benchmarks,
    open_benchmark,
)
from sface_data.recognition.published import ROWS
from sface_data.runtime.progress import progress_bar

EVALUATION = "evaluation.json"
PLOT = "roc.png"
FORMAT = 1  # of the record; goes up when a field changes its meaning
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")  # Okabe and Ito, 2008
_STYLES = ("-", "--", "-.", ":")


@dataclass(frozen=True)
class Evaluation:
    """What came out for one embedder.

    Attributes:
        name: file name of the embedder.
        sha256: its identity, see `embedding.embedder.Embedder`.
        size: side of its input in pixels.
        dimensions: of its vectors.
    """

    name: str
    sha256: str
    size: int
    dimensions: int
    results: tuple[BenchmarkResult, ...]

    @property
    def average(self) -> float | None:
        """Mean accuracy over the five published benchmarks, if all of them were used."""
        accuracy = {result.benchmark.name: result.verification.accuracy for result in self.results}
        return (
            sum(accuracy[name] for name in PUBLISHED) / len(PUBLISHED)
            if PUBLISHED.keys() <= accuracy.keys()
            else None
        )

    @property
    def absent(self) -> list[str]:
        """The published benchmarks that it was not measured on, as papers write them."""
        measured = {result.benchmark.name for result in self.results}
        return [title for name, title in PUBLISHED.items() if name not in measured]

    def record(self) -> dict[str, Any]:
        """For a file: plain values, rates from 0 to 1, every file with its SHA-256."""
        return {
            "evaluation": FORMAT,
            "embedder": {
                "file": self.name,
                "sha256": self.sha256,
                "size": self.size,
                "dimensions": self.dimensions,
            },
            "protocol": "ten folds, squared distance of unit vectors, thresholds 0 to 4 by 0.01",
            "benchmarks": [_result_record(result) for result in self.results],
            "average_of_five": self.average,
        }


def evaluate_recognition(
    embedder: Path | str,
    benchmarks: Path | str,
    *,
    benchmark: Sequence[str] = (),
    outdir: Path | str | None = None,
    batch: int = 64,
    device: str = "auto",
) -> Evaluation:
    """Measures how well an embedder verifies faces.

    Args:
        embedder: an `.onnx`, the `.safetensors` of a run, or a published `.pth`.
        benchmarks: folder with `.bin` files as InsightFace publishes them, or pairs lists (`.txt`, `.csv`).
        benchmark: names of those that are wanted, as in `lfw`; all by default.
        outdir: folder for `evaluation.json` and `roc.png`; nothing is written by default.
        batch: images that the embedder gets at a time.
        device: `auto`, `cpu`, `cuda` or `cuda:1`.

    Raises:
        BadInput: if embedder or benchmarks cannot be read, or one asked for is missing.
    """
    paths = find_benchmarks(Path(benchmarks), benchmark)
    opened = open_embedder(Path(embedder), device)
    results = tuple(_measured(opened, open_benchmark(path), batch) for path in paths)
    evaluation = Evaluation(opened.name, opened.sha256, opened.size, opened.dimensions, results)
    if outdir is not None:
        write_evaluation(evaluation, Path(outdir))
    return evaluation


def _measured(embedder: Embedder, benchmark: Benchmark, batch: int) -> BenchmarkResult:
    with progress_bar(len(benchmark.images), "images", desc=benchmark.title, smoothing=0.05) as bar:
        return evaluate(embedder, benchmark, batch, threads=os.cpu_count() or 1, progress=bar.update)


def write_evaluation(evaluation: Evaluation, outdir: Path) -> None:
    """Writes `evaluation.json` and `roc.png` into a folder, which is made.

    Raises:
        BadInput: if they cannot be written.
    """
    with os_errors_as_bad_input(outdir):
        outdir.mkdir(parents=True, exist_ok=True)
    with atomic_write(outdir / PLOT) as file:
        draw_roc(evaluation.results, evaluation.name, file)
    write_text(outdir / EVALUATION, pretty_json(evaluation.record()))


def _result_record(result: BenchmarkResult) -> dict[str, Any]:
    verification, low_high = result.verification, result.verification.interval
    return {
        "name": result.benchmark.name,
        "file": result.benchmark.path.name,
        "sha256": sha256_of_file(result.benchmark.path),
        "mated": verification.mated,
        "nonmated": verification.nonmated,
        "accuracy": verification.accuracy,
        "deviation": verification.deviation,
        "interval_95": list(low_high),
        "accuracy_per_fold": list(verification.accuracy_per_fold),
        "threshold_per_fold": list(verification.threshold_per_fold),
        "auc": result.roc.auc,
        "eer": result.roc.eer,
        "tar_at_far": [asdict(point) for point in result.tar_at_far],
    }


# --- for people ---------------------------------------------------------------------------------------------


def summary(evaluation: Evaluation) -> str:
    """What was measured, a benchmark a line, rates in percent."""
    head = ["benchmark", "pairs", "accuracy", "95 % interval", "EER"]
    head += [f"TAR@{_rate(point.far)}" for point in evaluation.results[0].tar_at_far]
    rows = []
    few = False
    for result in evaluation.results:
        verification = result.verification
        low, high = verification.interval
        rows.append(
            [
                result.benchmark.title,
                f"{len(result.benchmark):,}",
                f"{_percent(verification.accuracy)} +- {_percent(verification.deviation)}",
                f"{_percent(low)} to {_percent(high)}",
                _percent(result.roc.eer),
                *(_percent(point.tar) + ("*" if point.few else " ") for point in result.tar_at_far),
            ]
        )
        few = few or any(point.few for point in result.tar_at_far)
    notes = ["Accuracy: mean and standard deviation over ten folds, in percent."]
    if few:
        notes.append("* this false accept rate is less than 30 of the non-mated pairs: known only roughly.")
    return "\n".join([*_aligned(head, rows), *notes])


def comparison(evaluation: Evaluation) -> str:
    """Our accuracies and published ones, in percent, where a published benchmark was used; else nothing."""
    ours = {
        result.benchmark.name: 100 * result.verification.accuracy
        for result in evaluation.results
        if result.benchmark.name in PUBLISHED
    }
    if not ours:
        return ""
    head = ["accuracy in percent", *(PUBLISHED[name] for name in ours), "average of 5", "source"]
    average = None if evaluation.average is None else 100 * evaluation.average
    rows = [[evaluation.name, *(f"{value:.2f}" for value in ours.values()), _given(average), "measured here"]]
    for row in ROWS:
        values = [_given(row.accuracy.get(name)) for name in ours]
        rows.append([row.data, *values, _given(row.average), row.source])
    note = "Published rows: networks, data and alignment of the papers; - is not known here."
    return "\n".join([*_aligned(head, rows), note])


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
            label=f"{result.benchmark.title}: {_percent(result.verification.accuracy)} % accuracy",
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


def _aligned(head: list[str], rows: list[list[str]]) -> list[str]:
    """Lines of a table: the first column to the left, text columns too, figures to the right."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = []
    for row in [head, ["-" * width for width in widths], *rows]:
        cells = [
            cell.ljust(width) if index == 0 or head[index] == "source" else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return lines


def _percent(rate: float) -> str:
    return f"{100 * rate:.2f}"


def _given(percent: float | None) -> str:
    return "-" if percent is None else f"{percent:.2f}"


def _rate(rate: float) -> str:
    return f"{rate:.0e}".replace("e-0", "e-")
