#!/usr/bin/env python3
"""How fast all pairs of two sets are compared, against the arithmetic alone and a plain numpy loop, in one run.

Ours: histograms of all scores and of each class on both sides, sums, the five best neighbours of every row and the
best of every column.
Arithmetic: torch.mm in fp32 on all threads, blocks of the shape that is fastest here.
Plain: numpy matmul, np.histogram and np.argpartition by blocks; no classes, no order of neighbours.

    scripts/bench_audit.py                   12,500 x 12,500 of 512 dimensions; a few minutes on two slow cores
    scripts/bench_audit.py --size 50000      the full measurement

Times are of the wall; on a machine that does other work, compare the ratios of processor time. Memory is that of a
process that does nothing but ours. Growth is measured at a quarter, a half and the whole of the size.
"""

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from sface_data.auditing.compare.backend import Backend
from sface_data.auditing.compare.pairs import compare_and_nearest, prepare
from sface_data.biometrics.scores import BINS

IMAGES = 50  # of each class
NEIGHBOURS = 5
PLAIN_BLOCK = 1024


@dataclass
class Faces:
    class_names: tuple[str, ...]
    class_index: NDArray[np.int64]
    vectors: NDArray[np.float32]


@dataclass
class Spent:
    wall: float  # seconds
    processor: float

    def each(self, pairs: int) -> str:
        wall, processor = (seconds / pairs * 1e9 for seconds in (self.wall, self.processor))
        return f"{wall:6.2f} ns a pair ({processor:6.2f} of processor time)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=12_500, help="rows of each set")
    parser.add_argument("--dimensions", type=int, default=512)
    parser.add_argument("--block", type=int, help="columns of a block")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=2, help="each is timed so often, in turns; the best counts")
    parser.add_argument("--memory-only", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    a, b = (faces(arguments.size, arguments.dimensions, seed) for seed in (1, 2))

    def ours(size: int) -> None:
        first, second = prepare(head(a, size)), prepare(head(b, size))
        compare_and_nearest(first, second, NEIGHBOURS, block=arguments.block, backend=Backend(arguments.device))
        if arguments.device != "cpu":
            torch.cuda.synchronize()

    if arguments.memory_only:
        ours(arguments.size)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
        return
    print(f"{arguments.device}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    size, part = arguments.size, min(arguments.size, 8192)
    pairs = size * size
    # each in turns, so that a busy machine slows all
    best: dict[str, Spent] = {}
    for _ in range(arguments.rounds):
        for name, work in {
            "arithmetic": lambda: arithmetic(a.vectors[:part], b.vectors[:part], arguments.device),
            "ours": lambda: ours(size),
            "plain": lambda: plain(a.vectors, b.vectors[:part]),
        }.items():
            took = spent(work)
            if name not in best or took.wall < best[name].wall:
                best[name] = took
    numbers = {"arithmetic": part * part, "ours": pairs, "plain": size * part}
    for name, took in best.items():
        print(f"{name:11s} {took.each(numbers[name])}, {numbers[name] / took.wall / 1e6:,.0f} million pairs/s")
    rate = 2e-9 * arguments.dimensions * numbers["arithmetic"] / best["arithmetic"].wall
    print(f"arithmetic  {rate:.1f} GFLOP/s")
    for name, word in (("arithmetic", "of the rate of arithmetic"), ("plain", "times the rate of plain numpy")):
        by = [
            getattr(best[name], clock) / numbers[name] * pairs / getattr(best["ours"], clock)
            for clock in ("wall", "processor")
        ]
        shown = [f"{x:.0%}" if name == "arithmetic" else f"{x:.1f}" for x in by]
        print(f"ours        {shown[0]} {word} ({shown[1]} by processor time)")
    for share in (4, 2, 1):
        took = spent(lambda share=share: ours(size // share))  # type: ignore[misc]
        print(f"{size // share:7,} x {size // share:<7,} {took.wall:7.1f} s, {took.each((size // share) ** 2)}")
    sets = 2 * a.vectors.nbytes / 1e6
    print(f"peak memory of ours: {peak_memory():,.0f} MB, of which the two sets are {sets:,.0f}")


def faces(number: int, dimensions: int, seed: int) -> Faces:
    """Rows scattered around the direction of their class, in no order of classes."""
    rng = np.random.default_rng(seed)
    classes = max(number // IMAGES, 1)
    centres = rng.standard_normal((classes, dimensions), np.float32)
    index = rng.permutation(np.arange(number) % classes)
    vectors = rng.standard_normal((number, dimensions), np.float32)
    for start in range(0, number, 4096):
        vectors[start : start + 4096] += centres[index[start : start + 4096]]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return Faces(tuple(map(str, range(classes))), index, vectors)


def head(faces: Faces, size: int) -> Faces:
    return Faces(faces.class_names, faces.class_index[:size], faces.vectors[:size])


def spent(work: Callable[[], object]) -> Spent:
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return Spent(time.perf_counter() - wall, time.process_time() - processor)


def arithmetic(a: NDArray[np.float32], b: NDArray[np.float32], device: str) -> None:
    """Only the products, in large blocks with memory at hand."""
    first, second = (torch.from_numpy(side).to(device) for side in (a, b))
    out = torch.empty(2048, len(b), device=device)
    for rows in first.split(2048):
        torch.mm(rows, second.T, out=out[: len(rows)])
    if device != "cpu":
        torch.cuda.synchronize()


def plain(a: NDArray[np.float32], b: NDArray[np.float32]) -> None:
    counts = np.zeros(BINS, np.int64)
    for top in range(0, len(a), PLAIN_BLOCK):
        scores = a[top : top + PLAIN_BLOCK] @ b.T
        counts += np.histogram(scores, BINS, (-1, 1))[0]
        np.argpartition(scores, -NEIGHBOURS, axis=1)[:, -NEIGHBOURS:]


def peak_memory() -> float:
    """MB, of a process of its own with the same arguments."""
    command = [sys.executable, *sys.argv, "--memory-only"]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout) / 1024


if __name__ == "__main__":
    main()
