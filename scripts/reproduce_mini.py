#!/usr/bin/env python3
"""The paper in miniature, on rendered people, by the package's own functions.

Rendered people stand in for photographs. A generator that was trained on them makes synthetic data sets of 10, 20,
40 and 60 images a class; a teacher learns from as many authentic renders of the same people; students learn from
the synthetic images by class labels, by the teacher's embeddings, or both. All of them, and fresh weights, are
measured on look-alikes that nothing was trained on, see `mini_benchmarks.py`.

    scripts/reproduce_mini                         everything, into out/mini; the result goes to docs/mini.*
    scripts/reproduce_mini --size half             a part of it, into out/mini-half; to docs/mini.* as well
    scripts/reproduce_mini --size test --page out  a minute's worth of it

Killed at any moment and run again it goes on where it was. `--classes`, `--seeds` and `--shown` change a size; the
page says what was done.
"""

import argparse
import contextlib
import dataclasses
import json
import multiprocessing
import os
import platform
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mini_benchmarks import Crowd, make_benchmarks
from mini_page import CELLS, write_result

from sface_data.embedding.backbone_file import save_backbone
from sface_data.embedding.backbones import create_backbone
from sface_data.errors import BadInput
from sface_data.generator.generator_file import DEMO_GENERATOR
from sface_data.io.files import pretty_json, read_json, sha256_of_file, write_text
from sface_data.recognition.evaluation import evaluate_recognition
from sface_data.recognition.recipe import recipe_of
from sface_data.recognition.run import train_recognition
from sface_data.release.generate import generate
from sface_data.rendered.folder import image_name
from sface_data.rendered.run import render
from sface_data.runtime.progress import progress_bar
from sface_data.training.metrics_log import read_lines
from sface_data.training.run_folder import METRICS

ROOT = Path(__file__).resolve().parent.parent
PRESET = "tiny"
STRENGTH, PIXELS, SEED = 0.55, 64, 0  # of the renders that the generator was trained on
TRAINED = ("teacher", "cls", "kt", "cls-kt")


@dataclass(frozen=True)
class Size:
    """How much of everything.

    Attributes:
        classes: the first ones of the generator, which are the authentic people of that number.
        images: of each class, one experiment for each number.
        seeds: trainings of everything.
        shown: images that each training sees, whatever the number of images there are.
        crowd: the people of the benchmarks.
        batch: of every training.
    """

    classes: int
    images: tuple[int, ...]
    seeds: int
    shown: int
    crowd: Crowd
    batch: int = 64


SIZES = {
    "full": Size(500, (10, 20, 40, 60), seeds=3, shown=120_000, crowd=Crowd(150)),
    "half": Size(200, (10, 20, 40, 60), seeds=3, shown=24_000, crowd=Crowd(80)),
    "test": Size(2, (2, 4), seeds=1, shown=32, crowd=Crowd(10, people=2, images=2, mated=1), batch=8),
}


@dataclass(frozen=True)
class Cell:
    """One network: how it learns, from how many images of each class (0: fresh weights), with which seed."""

    recipe: str
    images: int
    seed: int

    @property
    def name(self) -> str:
        return f"{self.recipe}-{self.images}-{self.seed}"

    @property
    def taught(self) -> bool:
        """Whether a teacher of the same number of images and the same seed has to be there first."""
        return "kt" in self.recipe


def cells_of(size: Size) -> list[Cell]:
    """All networks, teachers before those that they teach."""
    trained = [Cell(recipe, n, seed) for seed in range(size.seeds) for n in size.images for recipe in TRAINED]
    fresh = [Cell("fresh", 0, seed) for seed in range(size.seeds)]
    return fresh + sorted(trained, key=lambda cell: cell.taught)


@dataclass(frozen=True)
class Run:
    """A folder, and what is to be done in it."""

    out: Path
    size: Size
    network: Path

    def folder(self, cell: Cell) -> Path:
        return self.out / "cells" / cell.name

    def claim(self) -> None:
        """Notes what is done here, and refuses to go on with something else."""
        claim(self.out, {**dataclasses.asdict(self.size), "network_sha256": sha256_of_file(self.network)})


def claim(out: Path, settings: dict[str, Any]) -> None:
    """Notes in a folder what is done in it, and refuses to go on with something else."""
    request = json.loads(json.dumps(settings))
    path = out / "request.json"
    if path.exists() and (there := read_json(path)) != request:
        changed = ", ".join(f"{name} {there.get(name)}" for name in request if there.get(name) != request[name])
        raise BadInput(f"{out}: holds a run with other settings ({changed}); choose another --out")
    out.mkdir(parents=True, exist_ok=True)
    write_text(path, pretty_json(request))


def make_data(run: Run) -> None:
    """Benchmarks, authentic renders and synthetic images; what is there is not made again."""
    size, renders = run.size, run.out / "renders"
    make_benchmarks(run.out / "benchmarks", size.crowd, PIXELS)
    render(
        renders, identities=size.classes, images_per_identity=max(size.images), size=PIXELS, seed=SEED,
        strength=STRENGTH,
    )  # fmt: skip
    for images in size.images:
        link_first(renders, run.out / "authentic" / str(images), size.classes, images)
        generate(
            run.out / "synthetic" / str(images), network=run.network, classes=f"0-{size.classes - 1}",
            samples_per_class=images, seed=SEED, size=PIXELS,
        )  # fmt: skip


def link_first(renders: Path, folder: Path, people: int, images: int) -> None:
    """A folder of the first images of each person."""
    for person in range(people):
        for name in (image_name(person, index) for index in range(images)):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            if not (folder / name).exists():
                os.link(renders / name, folder / name)


def make_cell(run: Run, cell: Cell) -> None:
    """Trains a network and measures it, unless that is done; leaves `cell.json` in its folder."""
    folder, start = run.folder(cell), time.process_time()
    if (folder / "cell.json").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "log.txt").open("a") as log, contextlib.redirect_stderr(log):
        weights = fresh(folder, cell.seed) if cell.recipe == "fresh" else trained(run, cell)
        evaluation = evaluate_recognition(weights, run.out / "benchmarks")
    accuracy = {each.benchmark.name: each.verification.accuracy_per_fold for each in evaluation.results}
    cpu_seconds = time.process_time() - start
    write_text(
        folder / "cell.json",
        pretty_json({**dataclasses.asdict(cell), "accuracy_per_fold": accuracy, "cpu_seconds": cpu_seconds}),
    )


def trained(run: Run, cell: Cell) -> Path:
    """The weights of a network after its training, which goes on if it was stopped."""
    size, data = run.size, "authentic" if cell.recipe == "teacher" else "synthetic"
    teacher = run.folder(dataclasses.replace(cell, recipe="teacher")) / "run" / "weights.safetensors"
    epochs = size.shown / (size.classes * cell.images)
    return train_recognition(
        run.out / data / str(cell.images),
        run.folder(cell) / "run",
        "cls" if cell.recipe == "teacher" else cell.recipe,
        preset=PRESET,
        teacher=teacher if cell.taught else None,
        epochs=epochs,
        batch=size.batch,
        seed=cell.seed,
        checkpoint_epochs=epochs / 8,
        threads=1,
    ).weights


def fresh(folder: Path, seed: int) -> Path:
    """The network of the preset as it is before training."""
    recipe = recipe_of("cls", PRESET)
    torch.manual_seed(seed)
    network = create_backbone(recipe.backbone, recipe.dimensions, recipe.dropout)
    save_backbone(network, recipe.backbone, recipe.dimensions, {}, folder / "weights.safetensors")
    return folder / "weights.safetensors"


def make_cells(run: Run, jobs: int) -> None:
    """All networks, in processes of one thread each; those of a teacher when all teachers are there."""
    cells = cells_of(run.size)
    total = run.size.shown * sum(cell.images > 0 for cell in cells)
    watch, done = threading.Event(), sum(shown(run, cell) for cell in cells)
    with progress_bar(total, "images", initial=done, unit_scale=True, desc="training", smoothing=0.05) as bar:

        def show() -> None:
            while not watch.wait(2):
                bar.update(sum(shown(run, cell) for cell in cells) - bar.n)

        threading.Thread(target=show, daemon=True).start()
        with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), start_worker) as pool:
            for taught in (False, True):
                tasks = [pool.submit(make_cell, run, cell) for cell in cells if cell.taught == taught]
                for task in tasks:
                    task.result()
        watch.set()
        bar.update(total - bar.n)


def start_worker() -> None:
    """One thread for each process, and none outlives the first one."""
    torch.set_num_threads(1)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def end_with_parent() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()


def shown(run: Run, cell: Cell) -> int:
    """Images that a network has learned from so far."""
    if cell.images and (run.folder(cell) / "cell.json").exists():
        return run.size.shown
    metrics = run.folder(cell) / "run" / METRICS
    lines = read_lines(metrics) if metrics.exists() else []
    return min(round(lines[-1][1]["kimg"] * 1000), run.size.shown) if lines else 0


def result(run: Run) -> dict[str, Any]:
    """Everything that the page is made of."""
    torch_version = torch.__version__.partition("+")[0]
    return {
        "size": dataclasses.asdict(run.size),
        "full": dataclasses.asdict(SIZES["full"]),
        "network": {"file": run.network.name, "sha256": sha256_of_file(run.network)},
        "machine": f"{os.cpu_count()} cores of {processor()}, {gpu()}, torch {torch_version}",
        "cells": [read_json(run.folder(cell) / "cell.json") for cell in cells_of(run.size)],
    }


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


def chosen(size: Size, changes: Iterable[tuple[str, int | None]]) -> Size:
    """A size with some of its numbers changed."""
    return dataclasses.replace(size, **{name: value for name, value in changes if value is not None})


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=list(SIZES), default="full")
    for name in ("classes", "seeds", "shown"):
        parser.add_argument(f"--{name}", type=int, help="in place of that of the size")
    parser.add_argument("--network", type=Path, default=DEMO_GENERATOR, help="generator  [default: the shipped]")
    parser.add_argument("--out", type=Path, help="folder of the run  [default: out/mini, out/mini-SIZE]")
    parser.add_argument("--page", type=Path, default=ROOT / "docs", help=f"folder of mini.md, mini.png, {CELLS}")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="trainings at a time  [default: cores]")
    options = parser.parse_args(arguments)
    suffix = "" if options.size == "full" else f"-{options.size}"
    size = chosen(SIZES[options.size], ((name, getattr(options, name)) for name in ("classes", "seeds", "shown")))
    run = Run((options.out or ROOT / "out" / f"mini{suffix}").resolve(), size, options.network)
    try:
        run.claim()
        make_data(run)
        make_cells(run, options.jobs)
    except BadInput as error:
        sys.exit(f"Error: {error}")
    write_text(run.out / CELLS, pretty_json(result(run)))
    write_result(run.out / CELLS, options.page)
    print(f"{options.page / 'mini.md'}: written", file=sys.stderr)


if __name__ == "__main__":
    main()
