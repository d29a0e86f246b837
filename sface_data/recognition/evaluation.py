"""The evaluation of one embedder on several benchmarks, and its record."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sface_data.embedding.embedder import Embedder
from sface_data.embedding.open import open_embedder
from sface_data.io.files import atomic_write, os_errors_as_bad_input, pretty_json, sha256_of_file, write_text
from sface_data.recognition.benchmarks import (
    Benchmark,
    BenchmarkResult,
    evaluate,
    find_benchmarks,
    open_benchmark,
)
from sface_data.recognition.published import EVALUATION, FORMAT, PUBLISHED
from sface_data.recognition.roc_plot import draw_roc
from sface_data.runtime.arguments import Count, StrPath, checks_arguments
from sface_data.runtime.pool import cores
from sface_data.runtime.progress import progress_bar

PLOT = "roc.png"


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


@checks_arguments
def evaluate_recognition(
    embedder: StrPath,
    benchmarks: StrPath,
    *,
    benchmark: Sequence[str] = (),
    outdir: StrPath | None = None,
    batch: Count = 64,
    device: str = "auto",
) -> Evaluation:
    """Measures how well an embedder verifies faces.

    Args:
        embedder: an `.onnx`, the `.safetensors` of a run, or a published `.pth`; or `demo`, which ships.
        benchmarks: folder with `.bin` files as InsightFace publishes them, tables of pairs (`.parquet`), or pairs
            lists (`.txt`, `.csv`).
        benchmark: names of those that are wanted, as in `lfw`; all by default.
        outdir: folder for `evaluation.json` and `roc.png`; nothing is written by default.
        batch: images that the embedder gets at a time.
        device: `auto`, `cpu`, `cuda` or `cuda:1`.

    Raises:
        BadInput: if embedder or benchmarks cannot be read, or one asked for is missing.

    Example:
        >>> pairs = [  # of images in the folder `authentic`, and whether both show one person
        ...     f"{k % 8:06d}/000000.jpg {(k + other) % 8:06d}/{1 + k // 8:06d}.jpg {1 - other}"
        ...     for k in range(10)
        ...     for other in (0, 1)
        ... ]
        >>> with open("authentic.txt", "w") as file:
        ...     print(*pairs, sep="\\n", file=file)
        >>> network = "run/weights.safetensors"
        >>> evaluation = sface_data.evaluate_recognition(network, ".", benchmark=["authentic"])
        >>> [result.benchmark.name for result in evaluation.results]
        ['authentic']
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
        return evaluate(embedder, benchmark, batch, threads=cores(), progress=bar.update)


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
