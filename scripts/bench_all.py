#!/usr/bin/env python3
"""Everything that has to be fast, beside what it is measured against and what the machine could do, in one run.

    scripts/bench_all.py                          about twenty minutes on two idle cores; writes docs/performance.*
    scripts/bench_all.py --only embedding start   some sections; prints, and writes nothing
    scripts/bench_all.py --quick                  that it all runs: small sizes, one round; writes nothing

It needs the extra `dev` and faiss-cpu. Pieces take turns, five rounds; a figure is their median, with the lowest
and the highest. Ratios, taken round by round, hold on other machines better than figures. The machine should be
idle: the load at the start is in the table.
"""

import argparse
import dataclasses
import importlib.metadata
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent))
import bench_audit
import bench_recognition
import bench_sampler
from side_by_side import ROUNDS, Figure, Times, Work, in_turns

from sface_data.auditing.compare import first_pass
from sface_data.auditing.compare.pairs import compare_and_nearest, nearest, prepare
from sface_data.embedding.backbone_file import BackboneFile
from sface_data.embedding.backbones import create_backbone
from sface_data.embedding.embed import Embedding, embed_source
from sface_data.embedding.export import export_onnx
from sface_data.embedding.onnx_embedder import OnnxEmbedder
from sface_data.faces.face_list import FaceList
from sface_data.faces.sources import open_source
from sface_data.generator.networks import Generator, SynthesisLayer
from sface_data.generator.sampler import default_batch
from sface_data.io.files import pretty_json, write_text
from sface_data.runtime.devices import DTYPES, choose_precision
from sface_data.runtime.pool import cores
from sface_data.runtime.workers import one_thread

ROOT = Path(__file__).resolve().parent.parent
RECORD, PAGE = ROOT / "docs/performance.json", ROOT / "docs/performance.md"
BEGIN, END = "<!-- made by scripts/bench_all.py -->", "<!-- up to here -->"
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Attributes:
        what: is done.
        unit: of the figure.
        figure: of ours.
        against: what it is measured against, with its own figure in the same unit.
        beside: how many times that.
        aim: the least of `beside`, or of the figure in seconds the most; None without one.
    """

    section: str
    what: str
    unit: str
    figure: Figure
    against: str = ""
    theirs: Figure | None = None
    beside: Figure | None = None
    aim: float | None = None


@dataclass(frozen=True)
class Size:
    """How much of everything.

    Attributes:
        rounds: of each piece.
        images: that the sampler makes at most.
        faces: that are embedded.
        compared: rows of either side.
    """

    rounds: int
    images: dict[str, int]
    faces: int
    compared: int


FULL = Size(ROUNDS, {"small": 6144, "large": 384}, 2048, 12_500)
QUICK = Size(1, {"small": 128, "large": 8}, 64, 1_000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(SECTIONS), default=list(SECTIONS))
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    if importlib.util.find_spec("faiss") is None:
        sys.exit(
            "bench_all: faiss-cpu is not installed, and neighbours are measured beside it; pip install faiss-cpu"
        )
    about = machine()
    print(", ".join(f"{name} {value}" for name, value in about.items()), flush=True)
    rows: list[Row] = []
    size = QUICK if arguments.quick else FULL
    for name in arguments.only:
        for row in SECTIONS[name](size):
            rows.append(row)
            print(line(row), flush=True)
    if not arguments.quick and arguments.only == list(SECTIONS):
        write_text(RECORD, pretty_json({**about, "rows": [dataclasses.asdict(row) for row in rows]}))
        before, rest = PAGE.read_text("utf-8").split(BEGIN)
        write_text(PAGE, before + BEGIN + "\n\n" + page(about, rows) + "\n" + END + rest.split(END)[1])


def machine() -> dict[str, str]:
    """What the figures depend on."""
    versions = {name: importlib.metadata.version(name) for name in ("torch", "numpy", "onnxruntime", "faiss-cpu")}
    return {
        "processor": f"{cores()} cores, {torch.backends.cpu.get_cpu_capability()}"
        + (", AMX" if torch.cpu._is_amx_tile_supported() else ""),
        "system": f"{platform.system()}, Python {platform.python_version()}",
        **versions,
        "load at the start": f"{os.getloadavg()[0]:.1f}",
    }


def the_machine(size: Size) -> Iterator[Row]:
    """What it could do: products of large matrices, and copies of memory."""
    works = {precision: products(DTYPES[precision]) for precision in dict.fromkeys(["fp32", native()])}
    memory = torch.empty(64 << 20)
    works["copy"] = Work(lambda: memory.clone(), 2 * memory.nbytes)
    for name, times in in_turns(works, size.rounds).items():
        what = "copies of 256 MB, read and written" if name == "copy" else f"products of matrices, {name}"
        rate = times.rate
        figure = Figure(*(value / 1e9 for value in dataclasses.astuple(rate)))
        yield Row("machine", what, "GB/s" if name == "copy" else "GFLOP/s", figure)


def products(dtype: torch.dtype) -> Work:
    n = 2048
    a, b = (torch.randn(n, n).to(dtype) for _ in range(2))
    return Work(lambda: a @ b, 2 * n**3)


def native() -> str:
    """The fastest precision that this CPU has."""
    return choose_precision("auto", CPU)


def the_sampler(size: Size) -> Iterator[Row]:
    """Data sets of two networks, beside the published loop and the products alone."""
    with tempfile.TemporaryDirectory() as temporary:
        for name, config in bench_sampler.NETWORKS.items():
            folder = Path(temporary) / name
            folder.mkdir()
            yield from sampling(name, size, bench_sampler.make_network(config, folder / "n.safetensors"), folder)


def sampling(name: str, size: Size, network: bench_sampler.GeneratorFile, folder: Path) -> Iterator[Row]:
    config, images = network.generator.config, size.images[name]
    batch = default_batch(CPU, config, config.img_resolution)
    looped = min(bench_sampler.IMAGES[name][0], images)
    what = f"{config.img_resolution}x{config.img_resolution}, {config.c_dim:,} classes"
    numbered = (folder / str(number) for number in range(1 << 20))
    works = {
        "loop": Work(
            lambda: bench_sampler.published_procedure(network.generator, next(numbered), looped, CPU), looped
        )
    }
    # Products and sampler each with one thread, as a worker has it, and as many images as take some seconds.
    alone = max(images // 8, batch)
    for precision in dict.fromkeys(["fp32", native()]):
        plan = bench_sampler.plan_for(network, images, precision)
        part = bench_sampler.plan_for(network, alone, precision)
        works[precision] = Work(
            partial(end_to_end, network, plan, numbered, batch), len(plan.classes) * plan.samples_per_class
        )
        works[f"alone {precision}"] = Work(
            with_one_thread(partial(bench_sampler.drain, network, part, CPU, batch)),
            len(part.classes) * part.samples_per_class,
        )
        works[f"products {precision}"] = same_shapes(network.generator, DTYPES[precision])
    times = in_turns(works, size.rounds)
    for precision in dict.fromkeys(["fp32", native()]):
        yield row("sampler", f"{what}, {precision}, end to end, all cores", "images/s", times[precision],
                  "one image at a time, fp32, all cores", times["loop"])  # fmt: skip
        yield row("sampler", f"{what}, {precision}, alone, one core", "images/s", times[f"alone {precision}"],
                  "the products of its convolutions, one core", times[f"products {precision}"],
                  {"fp32": 0.9, "bf16": 0.85}[precision] if name == "large" else None)  # fmt: skip


def end_to_end(
    network: bench_sampler.GeneratorFile, plan: bench_sampler.SamplePlan, folders: Iterator[Path], batch: int
) -> None:
    folder = next(folders)
    bench_sampler.end_to_end(network, plan, folder, CPU, batch, workers=cores())
    shutil.rmtree(folder)


def same_shapes(generator: Generator, dtype: torch.dtype) -> Work:
    """The convolutions of eight images as products of matrices of the same shapes: nothing else, and no blur."""
    images, most = 8, 8192
    pieces = []
    for module in generator.modules():
        if isinstance(module, SynthesisLayer):
            outer, inner = module.weight.shape[:2]
            rows = images * (module.noise_const.shape[0] // (2 if module.up else 1)) ** 2
            shape = (min(rows, most), 9 * inner)
            pieces.append(
                (torch.randn(shape).to(dtype), torch.randn(shape[1], outer).to(dtype), max(rows // most, 1))
            )

    def run() -> None:
        for a, b, times in pieces:
            for _ in range(times):
                a @ b

    return Work(with_one_thread(run), images)


def with_one_thread(run: Callable[[], object]) -> Callable[[], None]:
    def inside() -> None:
        with one_thread():
            run()

    return inside


def comparing(size: Size) -> Iterator[Row]:
    """Histograms and neighbours of all pairs, beside numpy, beside faiss, and beside the products alone."""
    a, b = (bench_audit.faces(size.compared, 512, seed) for seed in (1, 2))
    rows = min(size.compared, 8192)
    part = bench_audit.head(b, rows).vectors
    times = in_turns(
        {
            "ours": Work(
                lambda: compare_and_nearest(prepare(a), prepare(b), bench_audit.NEIGHBOURS), size.compared**2
            ),
            "products": Work(lambda: bench_audit.arithmetic(a.vectors[:rows], part, "cpu"), rows**2),
            "numpy": Work(lambda: bench_audit.plain(a.vectors, part), size.compared * rows),
            "faiss": Work(lambda: neighbours_by_faiss(a.vectors, b.vectors), size.compared**2),
            "nearest": Work(lambda: nearest(prepare(a), prepare(b)), size.compared**2),
            "in one look": Work(lambda: nearest_in_one_look(a, b), size.compared**2),
            "nearest by faiss": Work(lambda: neighbours_by_faiss(a.vectors, b.vectors, 1), size.compared**2),
        },
        size.rounds,
    )
    what = "histograms of all pairs and classes, neighbours of both sides; 512 dimensions"
    for name, against in {
        "numpy": "numpy: one histogram, neighbours of one side, unordered",
        "faiss": "faiss IndexFlatIP: neighbours of one side, nothing else",
        "products": "the products alone, fp32",
    }.items():
        yield row("comparisons", what, "million pairs/s", times["ours"], against, times[name], scale=1e6)
    what, ours = "the nearest of one side, nothing else; 512 dimensions", times["nearest"]
    for name, against, aim in (
        ("in one look", "every product in fp32", 1.6),
        ("nearest by faiss", "faiss IndexFlatIP", None),
    ):
        yield row("comparisons", what, "million pairs/s", ours, against, times[name], aim, scale=1e6)


def nearest_in_one_look(a: bench_audit.Faces, b: bench_audit.Faces) -> None:
    with patch.object(first_pass, "multiplies_bf16", lambda: False):
        nearest(prepare(a), prepare(b))


def neighbours_by_faiss(a: np.ndarray, b: np.ndarray, k: int = bench_audit.NEIGHBOURS) -> None:
    import faiss

    index = faiss.IndexFlatIP(b.shape[1])
    index.add(b)
    index.search(a, k)


def embedding(size: Size) -> Iterator[Row]:
    """From encoded images to embeddings, beside the bare session on images prepared beforehand."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for backbone, count in {"mobilefacenet": size.faces, "iresnet50": size.faces // 16}.items():
            torch.manual_seed(0)
            network = create_backbone(backbone, 512).eval()
            model = folder / f"{backbone}.onnx"
            export_onnx(BackboneFile(network, backbone, 512, "0" * 64, {}), model)
            source = open_source(bench_recognition.write_faces(folder / backbone, max(count, 8)))
            times = in_turns(embedding_works(model, source), size.rounds)
            what = f"{backbone}, {model.stat().st_size / 1e6:,.0f} MB, image and mirror image"
            yield row("embedding", what, "images/s", times["ours"], "bare session of ONNX Runtime", times["bare"],
                      0.95)  # fmt: skip


def embedding_works(model: Path, source: bench_recognition.Source) -> dict[str, Work]:
    embedder, batch = OnnxEmbedder(model, "cpu"), 64
    faces = FaceList.of(source)
    runs = bench_recognition.bare_session(embedder, source, batch)
    return {
        "bare": Work(runs, len(source)),
        "ours": Work(lambda: embed_source(source, Embedding(embedder, batch=batch), faces), len(source)),
    }


def reading(size: Size) -> Iterator[Row]:
    """Batches of a training run from a shard, beside webdataset in two worker processes."""
    count = size.faces * 4
    with tempfile.TemporaryDirectory() as temporary:
        shard = bench_recognition.write_shard(Path(temporary) / "faces", count)
        ours = bench_recognition.our_loader(shard, count, 64)
        times = in_turns(
            {
                "ours": Work(ours, count),
                "simplejpeg": Work(
                    partial(bench_recognition.webdataset_loader, shard, 64, 2, "simplejpeg"), count
                ),
                "pillow": Work(partial(bench_recognition.webdataset_loader, shard, 64, 2, "pillow"), count),
            },
            size.rounds,
        )
    what = "shuffled, mirrored batches of 64 from a shard, two threads"
    for name, aim in {"simplejpeg": 1.5, "pillow": None}.items():
        against = f"webdataset with {name} in two worker processes"
        yield row("reading", what, "images/s", times["ours"], against, times[name], aim)


def starting(size: Size) -> Iterator[Row]:
    """Commands from nothing to their end, in a process of their own; beside what Python and torch take alone."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        ours = [sys.executable, "-m", "sface_data"]
        people = ["--classes", "0-31", "--samples-per-class", "8"]
        call([*ours, "generate", "--outdir", "faces", *people], folder)
        for name, seed in {"training": "0", "control": "1"}.items():
            many = ["--identities", "32", "--images-per-identity", "20", "--size", "64", "--seed", seed]
            call([*ours, "render", "--outdir", name, *many], folder)
        audit = [*ours, "audit", "faces", "--training", "training", "--control", "control", "--embedder", "demo"]
        fresh = (str(number) for number in range(1 << 20))
        works = {
            "python": Work(lambda: call([sys.executable, "-c", "pass"], folder)),
            "torch": Work(lambda: call([sys.executable, "-c", "import torch"], folder)),
            "--help": Work(lambda: call([*ours, "--help"], folder)),
            "validate of 256 images": Work(lambda: call([*ours, "validate", "faces"], folder)),
            "generate of 64 images": Work(
                lambda: call(
                    [*ours, "generate", "--outdir", next(fresh), "--classes", "0-7", "--samples-per-class", "8"],
                    folder,
                )
            ),
            "audit of 256 images, 640 of training and 640 of control": Work(
                lambda: call([*audit, "--outdir", next(fresh)], folder, allowed=(0, 1))
            ),
        }
        times = in_turns(works, size.rounds)
    aims = dict(zip(list(works)[2:], (0.15, 1.0, 3.0, 10.0), strict=True))
    for name, aim in aims.items():
        bare = "python" if name in ("--help", "validate of 256 images") else "torch"
        against = {"python": "python -c pass", "torch": 'python -c "import torch"'}[bare]
        yield Row("start", name, "s", times[name].took, against, times[bare].took, None, aim)


def call(command: list[str], folder: Path, allowed: tuple[int, ...] = (0,)) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode not in allowed:
        sys.exit(f"bench_all: {' '.join(command)} ended with {done.returncode}: {done.stderr}")


SECTIONS: dict[str, Callable[[Size], Iterator[Row]]] = {
    "machine": the_machine,
    "sampler": the_sampler,
    "comparisons": comparing,
    "embedding": embedding,
    "reading": reading,
    "start": starting,
}


def row(section: str, what: str, unit: str, ours: Times, against: str, theirs: Times, aim: float | None = None,
        scale: float = 1.0) -> Row:  # fmt: skip
    """A line of two rates."""
    figures = (Figure(*(value / scale for value in dataclasses.astuple(times.rate))) for times in (ours, theirs))
    mine, other = figures
    return Row(section, what, unit, mine, against, other, ours.beside(theirs), aim)


def page(about: dict[str, str], rows: list[Row]) -> str:
    """The tables."""
    lines = [f"{name}: {value}  " for name, value in about.items()]
    for section in dict.fromkeys(row.section for row in rows):
        lines += ["", f"### {section.capitalize()}", "", "| what | ours | beside | theirs | ratio | aim |",
                  "|---|---|---|---|---|---|"]  # fmt: skip
        lines += [line(row) for row in rows if row.section == section]
    return "\n".join(lines) + "\n"


def line(row: Row) -> str:
    theirs = "" if row.theirs is None else shown(row.theirs, row.unit)
    beside = "" if row.beside is None else f"{shown(row.beside)}"
    aim = "" if row.aim is None else (f"at most {row.aim:g} s" if row.beside is None else f"{row.aim:g}")
    return f"| {row.what} | {shown(row.figure, row.unit)} | {row.against} | {theirs} | {beside} | {aim} |"


def shown(figure: Figure, unit: str = "") -> str:
    value, low, high = (
        f"{number:,.3g}" if number < 1000 else f"{number:,.0f}" for number in dataclasses.astuple(figure)
    )
    return f"{value} {unit} ({low} to {high})".replace("  ", " ").replace(" (", " (")


if __name__ == "__main__":
    main()
