#!/usr/bin/env python3
"""The miniature of the paper, on rendered faces, by the project's own commands.

Rendered identities stand in for photographs of people. The generator that was trained on them makes a synthetic
data set; a teacher is trained on the authentic images; students learn from the synthetic images by class labels,
by the teacher's embeddings, or both. All are measured on rendered identities that nothing was trained on.

    scripts/reproduce_mini                  everything, into out/mini; the result goes to docs/mini.md and mini.png
    scripts/reproduce_mini --size test      a minute's worth of it, into out/mini-test
"""

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import t as student_t

from sface_data.cli import main as sface_data
from sface_data.embedding.backbone_file import save_backbone
from sface_data.embedding.backbones import create_backbone
from sface_data.faces.sources import open_source
from sface_data.io.files import pretty_json, read_json, write_text
from sface_data.recognition.benchmark_files import write_bin
from sface_data.recognition.pairing import draw_pairs
from sface_data.recognition.recipe import recipe_of

ROOT = Path(__file__).resolve().parent.parent
PAGE, PLOT = "mini.md", "mini.png"
BEGIN, END = "<!-- made by scripts/reproduce_mini -->", "<!-- up to here -->"
PRESET = "tiny"
STRENGTH = 0.55  # of the variation of the images that the generator that ships was trained on
BENCHMARKS = {"unseen": STRENGTH, "unseen_hard": 1.0}  # strength of the variation of the images
TITLES = {"unseen": "variation as in training", "unseen_hard": "more variation"}
AUTHENTIC_SEED, UNSEEN_SEED = 0, 1  # of the renderer: no identity of one seed is one of another


@dataclass(frozen=True)
class Size:
    """How much of everything.

    Attributes:
        identities: the first ones of the generator's classes, which are the authentic identities of that number.
        authentic, synthetic: images of each.
        unseen, unseen_images: identities of the benchmark and images of each.
        pairs: in each of ten folds, half of them mated.
        pixels: side of the images.
        epochs, batch: of every training run.
    """

    identities: int
    authentic: int
    synthetic: int
    unseen: int
    unseen_images: int
    pairs: int
    pixels: int
    epochs: int
    batch: int


SIZES = {
    "full": Size(32, 60, 60, 120, 6, pairs=300, pixels=112, epochs=20, batch=64),
    "test": Size(4, 4, 4, 20, 2, pairs=4, pixels=64, epochs=1, batch=8),
}


@dataclass(frozen=True)
class Network:
    """One row of the result. Without a recipe it is not trained."""

    name: str
    title: str
    data: str = ""
    recipe: str = ""

    @property
    def taught(self) -> bool:
        return "kt" in self.recipe


NETWORKS = (
    Network("untrained", "not trained: fresh weights"),
    Network("cls", "cls: class labels", "synthetic", "cls"),
    Network("kt", "kt: the teacher's embeddings", "synthetic", "kt"),
    Network("cls-kt", "cls-kt: both", "synthetic", "cls-kt"),
    Network("teacher", "cls: class labels (the teacher)", "authentic", "cls"),
)


class Steps:
    """The steps of a run in its folder; what is done is not done again.

    Args:
        out: folder of the run.
        command: runs `sface-data` with arguments.
    """

    def __init__(self, out: Path, command: Callable[[list[str]], object]) -> None:
        self.out, self.command = out, command
        self._stamps = out / "steps"
        self._stamps.mkdir(parents=True, exist_ok=True)

    def sface_data(self, name: str, *arguments: object) -> None:
        """One command of the project."""
        words = [str(argument) for argument in arguments]
        with self._step(name, words) as needed:
            if needed:
                print(f"\n{name}: sface-data {' '.join(words)}", file=sys.stderr, flush=True)
                self.command(words)

    def python(self, name: str, function: Callable[[], object], *about: object) -> None:
        """Something that there is no command for; `about` says what it depends on."""
        with self._step(name, [str(word) for word in about]) as needed:
            if needed:
                print(f"\n{name}", file=sys.stderr, flush=True)
                function()

    def records(self) -> dict[str, dict[str, Any]]:
        """What is known of each finished step: arguments, seconds, and how busy the machine was."""
        found = {path.stem: read_json(path) for path in sorted(self._stamps.glob("*.json"))}
        return {name: record for name, record in found.items() if record["done"]}

    @contextmanager
    def _step(self, name: str, words: list[str]) -> Iterator[bool]:
        path = self._stamps / f"{name}.json"
        record = read_json(path) if path.exists() else None
        if record is not None and record["words"] == words and record["done"]:
            yield False
            return
        before = record["seconds"] if record is not None and record["words"] == words else 0.0
        start, done = time.monotonic(), False
        try:
            yield True
            done = True
        finally:
            seconds = before + time.monotonic() - start
            load = os.getloadavg()[1]  # of the last five minutes
            write_text(path, pretty_json({"words": words, "done": done, "seconds": seconds, "load": load}))


def reproduce(steps: Steps, size: Size, network: Path | None) -> None:
    """Everything from nothing to the evaluation of each network.

    Args:
        network: a generator trained on the authentic identities; None for the one that ships.
    """
    out = steps.out
    pixels = ("--size", size.pixels)
    steps.sface_data(
        "render-authentic",
        *("render", "--outdir", out / "authentic", "--identities", size.identities),
        *("--images-per-identity", size.authentic, "--seed", AUTHENTIC_SEED, "--strength", STRENGTH, *pixels),
    )
    benchmarks = out / "benchmarks"
    for name, strength in BENCHMARKS.items():
        steps.sface_data(
            f"render-{name}",
            *("render", "--outdir", out / name, "--identities", size.unseen),
            *("--images-per-identity", size.unseen_images, "--seed", UNSEEN_SEED, "--strength", strength, *pixels),
        )
        steps.python(
            f"pair-{name}",
            lambda name=name: make_benchmark(out / name, size.pairs, benchmarks / f"{name}.bin"),
            size.pairs,
        )
    steps.sface_data(
        "generate",
        *("generate", "--outdir", out / "synthetic", "--classes", f"0-{size.identities - 1}"),
        *("--samples-per-class", size.synthetic, "--size", size.pixels),
        *(() if network is None else ("--network", network)),
    )
    teacher = out / "runs" / "teacher" / "weights.safetensors"
    for each in sorted(NETWORKS, key=lambda each: each.taught):  # the teacher comes before those it teaches
        folder = out / "runs" / each.name
        weights, exported = folder / "weights.safetensors", folder / "network.onnx"
        if each.recipe:
            steps.sface_data(
                f"train-{each.name}",
                *("recognition", "train", "--recipe", each.recipe, "--preset", PRESET),
                *("--data", out / each.data, "--outdir", folder),
                *("--epochs", size.epochs, "--batch", size.batch, "--seed", 0),
                *(("--teacher", teacher) if each.taught else ()),
            )
        else:
            steps.python("train-untrained", lambda weights=weights: make_untrained(weights))
        steps.sface_data(
            f"export-{each.name}",
            *("recognition", "export", "--embedder", weights, "--out", exported, "--overwrite"),
        )
        steps.sface_data(
            f"eval-{each.name}",
            *("recognition", "eval", "--embedder", exported, "--benchmarks", benchmarks),
            *("--outdir", out / "eval" / each.name),
        )


def make_benchmark(faces: Path, pairs: int, path: Path) -> None:
    """Mated and non-mated pairs of rendered faces, in the published form of benchmarks."""
    source = open_source(faces)
    places, issame = draw_pairs(source.class_indices, pairs)
    path.parent.mkdir(exist_ok=True)
    write_bin(path, [source[int(place)].data for place in places], issame.tolist())


def make_untrained(path: Path) -> None:
    """The network of the preset as it is before training."""
    recipe = recipe_of("cls", PRESET)
    torch.manual_seed(0)
    network = create_backbone(recipe.backbone, recipe.dimensions, recipe.dropout)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_backbone(network, recipe.backbone, recipe.dimensions, {}, path)


# --- the result ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Result:
    """What was measured of a network on a benchmark; rates from 0 to 1."""

    folds: tuple[float, ...]
    accuracy: float
    low: float
    high: float
    eer: float

    @property
    def text(self) -> str:
        """Accuracy and interval in percent."""
        return f"**{100 * self.accuracy:.1f}** ({100 * self.low:.1f} to {100 * self.high:.1f})"


Results = Mapping[str, Mapping[str, Result]]  # by network and benchmark


def read_results(out: Path) -> Results:
    """The evaluations in the folder of a run."""
    results: dict[str, dict[str, Result]] = {}
    for network in NETWORKS:
        for found in read_json(out / "eval" / network.name / "evaluation.json")["benchmarks"]:
            low, high = found["interval_95"]
            measured = Result(tuple(found["accuracy_per_fold"]), found["accuracy"], low, high, found["eer"])
            results.setdefault(network.name, {})[found["name"]] = measured
    return results


def difference(result: Result, other: Result) -> tuple[float, float, float]:
    """How much more accurate one is than the other, with the 95 % interval: Student's t over the folds."""
    each = np.subtract(result.folds, other.folds)
    reach = float(student_t.ppf(0.975, len(each) - 1) * each.std(ddof=1) / len(each) ** 0.5)
    return float(each.mean()), float(each.mean()) - reach, float(each.mean()) + reach


def page_text(steps: Steps, size: Size, results: Results, command: str) -> str:
    """The part of the page that comes from a run: plot, tables, time and machine."""
    return "\n\n".join(
        [
            f"![Accuracy of each network with its interval]({PLOT})",
            accuracy_table(size, results),
            f"Accuracy in percent by the protocol of LFW, with 95 % intervals, on {10 * size.pairs:,} pairs, half "
            f"of them mated, of {size.unseen} rendered identities x {size.unseen_images} images that nothing was "
            f"trained on; variation of strength {BENCHMARKS['unseen']} as in training, or "
            f"{BENCHMARKS['unseen_hard']}.",
            difference_table(results),
            "Differences in percentage points, fold by fold. All intervals are Student's t over the ten folds, of "
            "which no two have an identity in common. They cover the choice of the faces that are compared, not "
            "the chance in training: each network was trained once, with seed 0.",
            effort(steps, command),
        ]
    )


def accuracy_table(size: Size, results: Results) -> str:
    """A row for each network."""
    images = {"authentic": size.identities * size.authentic, "synthetic": size.identities * size.synthetic}
    titles = [TITLES[name] for name in BENCHMARKS]
    lines = [table_line("trained on", "recipe", *titles, *(f"EER, {title}" for title in titles)), "|---" * 6 + "|"]
    for network in NETWORKS:
        measured = [results[network.name][name] for name in BENCHMARKS]
        data = f"{images[network.data]:,} {network.data} images" if network.data else "nothing"
        eers = [f"{100 * result.eer:.1f}" for result in measured]
        lines.append(table_line(data, network.title, *(result.text for result in measured), *eers))
    return "\n".join(lines)


def difference_table(results: Results) -> str:
    """What each recipe changes."""
    pairs = [("kt", "cls"), ("cls-kt", "cls"), ("cls-kt", "kt"), ("teacher", "cls-kt"), ("cls", "untrained")]
    lines = [table_line("difference", *(TITLES[name] for name in BENCHMARKS)), "|---" * 3 + "|"]
    for one, other in pairs:
        cells = [
            "{:+.1f} ({:+.1f} to {:+.1f})".format(
                *(100 * value for value in difference(results[one][name], results[other][name]))
            )
            for name in BENCHMARKS
        ]
        lines.append(table_line(f"{one} less {other}", *cells))
    return "\n".join(lines)


def table_line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def effort(steps: Steps, command: str) -> str:
    """How long each part took, and on what."""
    parts: dict[str, float] = {}
    records = steps.records()
    for name, record in records.items():
        kind, _, which = name.partition("-")
        part = {"render": "rendering", "generate": "generating", "train": f"training {which}"}.get(
            kind, "the rest"
        )
        parts[part] = parts.get(part, 0.0) + record["seconds"] / 60
    total = sum(parts.values())
    cores, threads = os.cpu_count() or 1, torch.get_num_threads()
    text = (
        f"Made by `{command}` in {total:.0f} minutes on {cores} cores of {processor()}, {gpu()}, "
        f"torch {torch.__version__.partition('+')[0]} on {threads} thread{'s' if threads > 1 else ''}: "
        + ", ".join(f"{part} {minutes:.1f}" for part, minutes in sorted(parts.items()))
        + "."
    )
    load = sum(record["load"] * record["seconds"] for record in records.values()) / 60 / total
    if load > 1.25 * cores:
        text += (
            f" The machine did other work besides (on average {load:.1f} threads wanted its {cores} cores), so "
            "the times are longer than they would be alone."
        )
    return text


def processor() -> str:
    """What the machine calls its processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def gpu() -> str:
    """The GPU that training used, if there is one."""
    return torch.cuda.get_device_name(0) if torch.cuda.is_available() else "no GPU"


def draw(results: Results, path: Path) -> None:
    """Dots with their intervals, two for each network."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    colours = {"": "0.5", "synthetic": "#0072b2", "authentic": "#d55e00"}
    figure = Figure(figsize=(7.5, 0.7 * len(NETWORKS) + 1.3), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for place, network in enumerate(reversed(NETWORKS)):
        colour = colours[network.data]
        for name, shift in zip(BENCHMARKS, (0.17, -0.17), strict=True):
            result = results[network.name][name]
            middle, low, high = (100 * value for value in (result.accuracy, result.low, result.high))
            axes.errorbar(
                middle,
                place + shift,
                xerr=[[middle - low], [high - middle]],
                fmt="o",
                color=colour,
                markerfacecolor=colour if name == "unseen" else "white",
                markersize=7,
                linewidth=1.8,
                capsize=3,
            )
            axes.annotate(
                f"{middle:.1f}",
                (high, place + shift),
                xytext=(6, 0),
                textcoords="offset points",
                va="center",
                color=colour,
                fontsize=9,
            )
    for name, face in (("unseen", "0.3"), ("unseen_hard", "white")):
        axes.plot([], [], "o", color="0.3", markerfacecolor=face, markersize=7, label=TITLES[name])
    axes.axvline(50, color="0.6", linewidth=1, linestyle=(0, (1, 2)), label="chance")
    labels = [f"{network.title}\n{network.data or 'no'} images" for network in reversed(NETWORKS)]
    axes.set_yticks(range(len(NETWORKS)), labels, fontsize=9)
    axes.set_ylim(-0.6, len(NETWORKS) - 0.4)
    axes.set_xlim(48, 104)
    axes.set_xticks(range(50, 101, 10))
    axes.set_xlabel("Verification accuracy on unseen rendered identities, percent (95 % interval)", fontsize=9)
    axes.grid(axis="x", color="0.9")
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    figure.legend(loc="outside upper right", ncols=3, frameon=False, fontsize=9)
    figure.savefig(path, format="png", metadata={"Software": None})


def write_page(path: Path, text: str) -> None:
    """Puts the result between the two marks of a page, which keeps what people wrote around it."""
    page = path.read_text(encoding="utf-8") if path.exists() else f"# The miniature\n\n{BEGIN}\n{END}\n"
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        sys.exit(f"{path}: the marks {BEGIN} and {END} are gone; put them where the result belongs")
    write_text(path, f"{before}{BEGIN}\n\n{text}\n{END}{after}")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=list(SIZES), default="full")
    parser.add_argument("--out", type=Path, help="folder of the run; out/mini or out/mini-test by default")
    parser.add_argument(
        "--network", type=Path, help="generator of the authentic identities; else the one that ships"
    )
    options = parser.parse_args(arguments)
    full = options.size == "full"
    out = (options.out or ROOT / "out" / ("mini" if full else "mini-test")).resolve()
    steps, size = Steps(out, lambda words: sface_data(words, standalone_mode=False)), SIZES[options.size]
    reproduce(steps, size, options.network)
    pages = ROOT / "docs" if full else out
    results = read_results(out)
    text = page_text(steps, size, results, "scripts/reproduce_mini" + ("" if full else f" --size {options.size}"))
    draw(results, pages / PLOT)
    write_page(pages / PAGE, text)
    print(f"\n{text}\n\n{pages / PAGE}: written", file=sys.stderr)


if __name__ == "__main__":
    main()
