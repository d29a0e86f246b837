#!/usr/bin/env python3
"""Privacy against use: what releases of one generator leak, and what recognition learns from them.

Makes releases of one size from the classes that the generator was trained on, from mixtures of 2, 4 and 8 of
them, and from new identities. Each is audited against renders of the training people, with a control group of
others, and a network is trained on each (recipe cls, the same number of images shown) and measured on look-alikes
that nothing was trained on; so are authentic renders, the ceiling, and fresh weights, the floor. The result is
`privacy.json`, and one picture of it, `privacy.png`.

    scripts/bench_privacy.py                                     everything, into out/privacy; result in docs/
    scripts/bench_privacy.py --size half --network other.safetensors --out out/other --page out/other
    scripts/bench_privacy.py --size test --page out              a few minutes' worth of it

Killed at any moment and run again it goes on where it was.
"""

import argparse
import contextlib
import csv
import dataclasses
import multiprocessing
import os
import sys
import textwrap
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mini_benchmarks import Crowd, make_benchmarks
from mini_page import estimate
from numpy.typing import NDArray
from reproduce_mini import PIXELS, PRESET, SEED, STRENGTH, claim, fresh, processor, start_worker
from scipy.stats import binomtest

from sface_data.auditing.certificate import CERTIFICATE, load_certificate
from sface_data.auditing.run import AuditOptions, PreparedAudit
from sface_data.auditing.sets.judged_sets import class_means
from sface_data.biometrics.rates import ErrorRates
from sface_data.biometrics.scores import BINS, ScoreHistogram, edges
from sface_data.dataset.drawn_identities import RELATIONS
from sface_data.embedding.embeddings import EmbeddingSet
from sface_data.embedding.open import DEMO_EMBEDDER
from sface_data.embedding.run import embed
from sface_data.errors import BadInput
from sface_data.faces.base import canonical_class
from sface_data.generator.generator_file import DEMO_GENERATOR, load_generator
from sface_data.io.files import atomic_write, pretty_json, read_json, sha256_of_file, write_text
from sface_data.recognition.evaluation import evaluate_recognition
from sface_data.recognition.run import train_recognition
from sface_data.release.generate import generate
from sface_data.rendered.run import render

ROOT = Path(__file__).resolve().parent.parent
RESULT, PICTURE = "privacy.json", "privacy.png"
CONTROL_SEED = 2  # of people who are in neither training nor benchmarks
RESAMPLES = 2_000
AUDITED = {  # measures taken from the certificate
    "nearest": "nearest-neighbour-1e-2",
    "person": "nearest-person",
    "exposure": "exposure",
}
MEASURES = {
    "same_label": "AUC of images against their training person",
    "linkage": "classes linked to their training person (rank 1)",
    "nearest": "images nearer to training than 1 % of control images, beyond 1 %",
    "person": "classes nearer to a training person than 1 % of control people, beyond 1 %",
    "exposure": "training people with a match",
}


@dataclass(frozen=True)
class Size:
    """How much of everything.

    Attributes:
        classes: of each release, and of the authentic renders.
        images: of each class, and of each person of training and control.
        shown: images that each training of recognition sees.
        seeds: trainings on each release.
        crowd: the people of the benchmarks.
        batch: of every training.
    """

    classes: int
    images: int
    shown: int
    seeds: int
    crowd: Crowd
    batch: int = 64


SIZES = {
    "full": Size(500, 30, 60_000, seeds=3, crowd=Crowd(100)),
    "half": Size(300, 20, 20_000, seeds=3, crowd=Crowd(60)),
    "test": Size(8, 4, 16, seeds=1, crowd=Crowd(10, people=2, images=2, mated=1), batch=8),
}


@dataclass(frozen=True)
class Release:
    """One way of choosing classes; `options` are those of `generate`, given the number of classes."""

    name: str
    title: str
    mix: int | None = None
    new: bool = True

    def options(self, classes: int) -> dict[str, Any]:
        return {"new_identities": classes, "mix": self.mix} if self.new else {"classes": f"0-{classes - 1}"}


RELEASES = (
    Release("trained", "trained classes", new=False),
    *(Release(f"mix{k}", f"mixtures of {k}", mix=k) for k in (2, 4, 8)),
    Release("new", "new identities"),
)
AUTHENTIC, FRESH = "authentic", "fresh"


@dataclass(frozen=True)
class Run:
    """A folder, and what is to be done in it."""

    out: Path
    size: Size
    network: Path
    judge: Path
    people: int  # classes of the network

    def claim(self) -> None:
        """Notes what is done here, and refuses to go on with something else."""
        digests = {"network_sha256": sha256_of_file(self.network), "judge_sha256": sha256_of_file(self.judge)}
        claim(self.out, {**dataclasses.asdict(self.size), **digests})


def make_faces(run: Run) -> None:
    """Benchmarks, renders and releases; what is there is not made again."""
    size, people = run.size, run.people
    make_benchmarks(run.out / "benchmarks", size.crowd, PIXELS)
    for name, identities, seed in (
        ("training", people, SEED),
        ("control", people, CONTROL_SEED),
        (AUTHENTIC, size.classes, SEED),
    ):
        render(
            run.out / name,
            identities=identities,
            images_per_identity=size.images,
            size=PIXELS,
            seed=seed,
            strength=STRENGTH,
        )
    for release in RELEASES:
        generate(
            run.out / release.name,
            network=run.network,
            samples_per_class=size.images,
            size=PIXELS,
            precision="fp32",
            **release.options(size.classes),
        )


def leakage(run: Run, release: Release) -> dict[str, Any]:
    """What one release leaks, measure by measure, each with a 95 % interval; kept beside its certificate."""
    folder = run.out / "audits" / release.name
    if (folder / "leakage.json").exists():
        return dict(read_json(folder / "leakage.json"))
    vectors = {
        name: embed(run.out / name, run.out / "embeddings" / name, embedder=run.judge)
        for name in ("training", "control", release.name)
    }
    folders = {name: run.out / "embeddings" / name for name in vectors}
    if not (folder / Path(CERTIFICATE).name).exists():
        audited, training, control = (folders[name] for name in (release.name, "training", "control"))
        options = AuditOptions(training=training, outdir=folder, control=control, unrelated_labels=release.new)
        PreparedAudit.of(audited, options).run()
    checks = {check["name"]: check for check in load_certificate(folder / Path(CERTIFICATE).name).checks}
    related = relations(run.out / release.name, vectors[release.name], vectors["training"])
    found: dict[str, Any] = {
        "same_label": same_label(vectors[release.name], vectors["training"], related),
        "linkage": linkage(vectors[release.name], vectors["training"], related),
    }
    for measure, name in AUDITED.items():
        statistic = checks[name]["statistic"]
        found[measure] = statistic and {key: statistic[key] for key in ("value", "low", "high")}
    write_text(folder / "leakage.json", pretty_json(found))
    return found


def relations(folder: Path, release: EmbeddingSet, training: EmbeddingSet) -> list[list[int]]:
    """Of each class of a release, indices of the training people that it is said to come from or be nearest to."""
    people = {canonical_class(name): index for index, name in enumerate(training.class_names)}
    if not (folder / RELATIONS).exists():
        return [[people[canonical_class(name)]] for name in release.class_names]
    with (folder / RELATIONS).open() as file:
        rows = {row["class_index"]: row for row in csv.DictReader(file)}
    listed = (rows[canonical_class(name)] for name in release.class_names)
    return [[people[c] for c in (row["parents"].split() or [row["nearest_training_class"]])] for row in listed]


def same_label(release: EmbeddingSet, training: EmbeddingSet, related: list[list[int]]) -> dict[str, float]:
    """AUC of comparisons with the related training people against those with all others, bootstrapped by class."""
    counts = np.zeros((2, len(related), BINS), np.int64)  # of [related, other] people
    for c, people in enumerate(related):
        scores = release.vectors[release.class_index == c] @ training.vectors.T
        own = np.isin(training.class_index, people)
        for kind, chosen in enumerate((scores[:, own], scores[:, ~own])):
            counts[kind, c] = ScoreHistogram.from_scores(chosen).counts

    def auc(weights: NDArray[np.int64]) -> float:
        return ErrorRates(np.append(edges()[:-1], np.inf), *(weights @ counts)).auc

    rng = np.random.default_rng(0)
    draws = rng.multinomial(len(related), np.full(len(related), 1 / len(related)), RESAMPLES)
    low, high = np.quantile([auc(draw) for draw in draws], (0.025, 0.975))
    return {"value": auc(np.ones(len(related), np.int64)), "low": float(low), "high": float(high)}


def linkage(release: EmbeddingSet, training: EmbeddingSet, related: list[list[int]]) -> dict[str, float]:
    """Share of classes whose nearest training person, mean to mean, is one that they are related to."""
    classes, people = class_means(release), class_means(training)
    nearest = people.class_index[(classes.vectors @ people.vectors.T).argmax(axis=1)]
    hits = sum(person in related[c] for c, person in zip(classes.class_index, nearest, strict=True))
    found = binomtest(hits, len(nearest))
    interval = found.proportion_ci(method="wilson")
    chance = float(np.mean([len(each) for each in related])) / len(people)
    return {"value": hits / len(nearest), "low": interval.low, "high": interval.high, "chance": chance}


def learn(run: Run, name: str, seed: int) -> None:
    """Trains recognition on one set of faces and measures it, unless that is done; leaves `cell.json`."""
    size, folder = run.size, run.out / "cells" / f"{name}-{seed}"
    if (folder / "cell.json").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "log.txt").open("a") as log, contextlib.redirect_stderr(log):
        if name == FRESH:
            weights = fresh(folder, seed)
        else:
            weights = train_recognition(
                run.out / name,
                folder / "run",
                "cls",
                preset=PRESET,
                epochs=size.shown / (size.classes * size.images),
                batch=size.batch,
                seed=seed,
                threads=1,
            ).weights
        results = evaluate_recognition(weights, run.out / "benchmarks").results
    accuracy = {each.benchmark.name: each.verification.accuracy_per_fold for each in results}
    write_text(folder / "cell.json", pretty_json({"faces": name, "seed": seed, "accuracy_per_fold": accuracy}))


def make_cells(run: Run, jobs: int) -> None:
    """All trainings, in processes of one thread each."""
    names = [FRESH, AUTHENTIC, *(release.name for release in RELEASES)]
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), start_worker) as pool:
        tasks = [pool.submit(learn, run, name, seed) for seed in range(run.size.seeds) for name in names]
        for task in tasks:
            task.result()


def accuracy(run: Run, name: str) -> dict[str, float]:
    """Mean accuracy over benchmarks, seeds and folds, with its 95 % interval over seeds and folds."""
    cells = [read_json(run.out / "cells" / f"{name}-{seed}" / "cell.json") for seed in range(run.size.seeds)]
    folds = np.array([np.mean(list(cell["accuracy_per_fold"].values()), axis=0) for cell in cells])
    found = estimate(folds)
    return {"value": found.value, "low": found.low, "high": found.high}


def result(run: Run) -> dict[str, Any]:
    """Everything that the picture is made of."""
    rows = [
        {"name": each.name, "title": each.title, **leakage(run, each), "accuracy": accuracy(run, each.name)}
        for each in RELEASES
    ]
    return {
        "size": dataclasses.asdict(run.size),
        "network": {"file": run.network.name, "sha256": sha256_of_file(run.network)},
        "judge": {"file": run.judge.name, "sha256": sha256_of_file(run.judge)},
        "machine": processor(),
        "releases": rows,
        "authentic": accuracy(run, AUTHENTIC),
        "fresh": accuracy(run, FRESH),
    }


def draw(record: dict[str, Any], path: Path) -> None:
    """One panel for each measure of leakage: leakage to the right, accuracy upwards, 95 % intervals."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 7), layout="constrained")
    FigureCanvasAgg(figure)
    top = max(record[AUTHENTIC]["value"], *(row["accuracy"]["high"] for row in record["releases"]))
    *panels, last = figure.subplots(2, 3, sharey=True).flat
    for axes, (measure, title) in zip(panels, MEASURES.items(), strict=True):
        for number, row in enumerate(record["releases"]):
            x, y = row[measure], row["accuracy"]
            if x is not None:
                spans = {"xerr": span(x), "yerr": span(y, 100)}
                color = f"C{number}"
                axes.errorbar(x["value"], 100 * y["value"], **spans, fmt="o", color=color, label=row["title"])
        for name, shown, style in ((AUTHENTIC, "authentic renders", "--"), (FRESH, "untrained weights", ":")):
            axes.axhline(100 * record[name]["value"], color="grey", linestyle=style, linewidth=1)
            place = {"transform": axes.get_yaxis_transform(), "va": "bottom"}
            axes.text(0.01, 100 * record[name]["value"], shown, color="grey", **place)
        axes.set_xlabel(textwrap.fill(title, 44))
        axes.set_ylabel("accuracy on unseen people, %")
        axes.grid(alpha=0.3)
        axes.set_ylim(100 * record[FRESH]["value"] - 2, 100 * top + 2.5)  # room for the words over the lines
    last.axis("off")
    last.legend(*panels[0].get_legend_handles_labels(), loc="center", fontsize="large", frameon=False)
    with atomic_write(path) as file:
        figure.savefig(file, format="png", dpi=110, metadata={"Software": None})


def span(found: dict[str, float], scale: float = 1.0) -> list[list[float]]:
    """How far an interval reaches below and above its value, as matplotlib takes it."""
    return [[scale * max(found["value"] - found["low"], 0)], [scale * max(found["high"] - found["value"], 0)]]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=list(SIZES), default="full")
    parser.add_argument("--network", type=Path, default=DEMO_GENERATOR, help="generator  [default: the shipped]")
    parser.add_argument("--judge", type=Path, default=DEMO_EMBEDDER, help="embedder  [default: the shipped]")
    parser.add_argument("--out", type=Path, help="folder of the run  [default: out/privacy, out/privacy-SIZE]")
    parser.add_argument("--page", type=Path, default=ROOT / "docs", help=f"folder of {RESULT} and {PICTURE}")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="trainings at a time  [default: cores]")
    options = parser.parse_args(arguments)
    suffix = "" if options.size == "full" else f"-{options.size}"
    out = (options.out or ROOT / "out" / f"privacy{suffix}").resolve()
    try:
        people = load_generator(options.network).generator.config.c_dim
        size = SIZES[options.size]
        size = dataclasses.replace(size, classes=min(size.classes, people))  # of a small network
        run = Run(out, size, options.network, options.judge, people)
        run.claim()
        make_faces(run)
        for release in RELEASES:
            leakage(run, release)
        make_cells(run, options.jobs)
        record = result(run)
    except BadInput as error:
        sys.exit(f"Error: {error}")
    options.page.mkdir(parents=True, exist_ok=True)
    write_text(options.page / RESULT, pretty_json(record))
    draw(record, options.page / PICTURE)
    print(f"{options.page / PICTURE}: written", file=sys.stderr)


if __name__ == "__main__":
    main()
