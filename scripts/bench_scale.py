#!/usr/bin/env python3
"""What a data set costs by its size: time, memory and files of each command, and what that makes of larger ones.

Runs `generate`, `validate` and `embed` in processes of their own with the generator and the embedder that ship, at
a thousand images, ten thousand, and so on. A straight line through the two smallest says what the largest should
take; it is held against what that took, and then drawn on to sizes that nobody waits for here. Beside it, the rate
of the sampler alone, which is what generating could reach at most.

    scripts/bench_scale.py                     to 10,000 images: some minutes on two idle cores
    scripts/bench_scale.py --largest 100000    a quarter of an hour

Prints Markdown. Time is of a clock, for which the machine should be idle; seconds of processor are given, too.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import bench_sampler
import torch

from sface_data.generator.generator_file import DEMO_GENERATOR, load_generator
from sface_data.generator.sampler import default_batch
from sface_data.runtime.devices import choose_precision

SMALLEST, STEP = 1_000, 10
DRAWN_ON = (10**6, 10**8, 10**9)
CLASSES = 1_000


@dataclass(frozen=True)
class Cost:
    """What a command took, and left.

    Attributes:
        seconds: of a clock; `processor` of all processes.
        memory: MB of the largest process.
        files, bytes: in the folder that it wrote.
    """

    seconds: float
    processor: float
    memory: float
    files: int
    bytes: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--largest", type=int, default=10_000)
    arguments = parser.parse_args()
    sizes = [SMALLEST]
    while sizes[-1] * STEP <= arguments.largest:
        sizes.append(sizes[-1] * STEP)
    print(f"{os.cpu_count()} cores, torch {torch.__version__}, load {os.getloadavg()[0]:.1f} at the start\n")
    found: dict[str, list[Cost]] = {"generate": [], "validate": [], "embed": []}
    with tempfile.TemporaryDirectory() as temporary:
        for size in sizes:
            faces, vectors = Path(temporary) / f"faces-{size}", Path(temporary) / f"embeddings-{size}"
            per_class = str(size // CLASSES)
            found["generate"].append(cost(faces, "generate", "--outdir", faces, "--samples-per-class", per_class))
            found["validate"].append(cost(faces, "validate", faces))
            found["embed"].append(cost(vectors, "embed", faces, "--embedder", "demo", "--outdir", vectors))
        print_measured(sizes, found)
        print_drawn_on(sizes, found)
        print_classes(Path(temporary))
    print_sampler()


def cost(folder: Path, *command: object) -> Cost:
    """Runs a command of the package, and looks at the folder that it wrote or read."""
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "sface_data", *map(str, command)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, used = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"bench_scale: {command[0]} ended with exit code {process.returncode}")
    files = [path for path in folder.rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files)
    return Cost(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, len(files), size)


def print_measured(sizes: list[int], found: dict[str, list[Cost]]) -> None:
    print("| command | images | seconds | of processor | largest process | files | size |")
    print("|---|---|---|---|---|---|---|")
    for name, costs in found.items():
        for size, one in zip(sizes, costs, strict=True):
            print(
                f"| {name} | {size:,} | {one.seconds:.1f} | {one.processor:.1f} | {one.memory:,.0f} MB "
                f"| {one.files} | {one.bytes / 1e6:,.1f} MB |",
                flush=True,
            )


def print_drawn_on(sizes: list[int], found: dict[str, list[Cost]]) -> None:
    """The line through the two smallest sizes, against the largest, then beyond."""
    print("\n| command | seconds | and for 1,000 images | " + " | ".join(f"{size:,}" for size in DRAWN_ON) + " |")
    print("|---|---|---|" + "---|" * len(DRAWN_ON))
    for name, costs in found.items():
        slope = (costs[1].seconds - costs[0].seconds) / (sizes[1] - sizes[0])
        fixed = costs[0].seconds - slope * sizes[0]
        beyond = " | ".join(duration(fixed + slope * size) for size in DRAWN_ON)
        print(f"| {name} | {fixed:.1f} | {1000 * slope:.2f} | {beyond} |")
        if len(sizes) > 2:
            line, took = fixed + slope * sizes[-1], costs[-1].seconds
            print(
                f"| | | {sizes[-1]:,} images: {line:.0f} s by the line, {took:.0f} s measured |"
                + " |" * len(DRAWN_ON)
            )


def duration(seconds: float) -> str:
    """As one reads it."""
    for unit, length in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:,.0f} {unit}"
    return f"{seconds:,.0f} s"


def print_classes(folder: Path) -> None:
    """As many images of few classes and of many."""
    few = cost(
        folder / "few", "generate", "--outdir", folder / "few", "--classes", "0-9", "--samples-per-class", "100"
    )
    many = cost(folder / "many", "generate", "--outdir", folder / "many", "--samples-per-class", "1")
    card = (folder / "many" / "README.md").stat().st_size - (folder / "few" / "README.md").stat().st_size
    print(
        f"\n1,000 images of 10 classes take {few.processor:.1f} s of processor, of 1,000 classes "
        f"{many.processor:.1f}; the card grows by {card / (CLASSES - 10):.0f} bytes for each class."
    )


def print_sampler() -> None:
    """Images/s of the sampler alone."""
    network, cpu = load_generator(DEMO_GENERATOR), torch.device("cpu")
    config = network.generator.config
    plan = bench_sampler.plan_for(network, 4_000, choose_precision("auto", cpu, config.conv_clamp))
    batch = default_batch(cpu, config, config.img_resolution)
    seconds = bench_sampler.timed(bench_sampler.drain, network, plan, cpu, batch)
    images = len(plan.classes) * plan.samples_per_class
    print(
        f"\nSampler alone, {torch.get_num_threads()} threads, {plan.precision}: {images / seconds:,.0f} images/s."
    )


if __name__ == "__main__":
    main()
