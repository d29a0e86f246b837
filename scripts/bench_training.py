#!/usr/bin/env python3
"""How fast training of a generator is, by stage of the recipe `demo`, against what the step was, in one run.

now: the recipe as it is. before: what it replaced: residual discriminator, path lengths, style mixing, new fakes
for the discriminator, square wavelet filters, and augmentation of strength 0.2, which the old rule came to after
40 kimg. naive: that in fp32, with weights modulated per image and applied in one grouped convolution, and both
regularisers in every step.

    scripts/bench_training.py                  random faces, 1,000 classes; about five minutes on two idle cores
    scripts/bench_training.py --processes      one process of one thread against two under torchrun, at 64 pixels

Forms take turns, and medians count, as other work on the machine comes and goes. On a CPU, seconds are those that
this process had it, over its threads; with --processes they are those of a clock, for which the machine must be
idle. The share is that of the rate at which this machine multiplies matrices in the same precision and run. Ratios
hold on other machines better than figures.
"""

import argparse
import dataclasses
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from sface_data.faces.sources import open_source
from sface_data.generator import augment
from sface_data.generator.faces import TrainingFaces
from sface_data.generator.networks import SynthesisLayer
from sface_data.generator.ops import LRELU_GAIN, activate_, blur
from sface_data.generator.recipe import PRESETS, Recipe
from sface_data.generator.train import Settings, Training
from sface_data.runtime.devices import DTYPES, choose_device, choose_precision
from sface_data.training.distributed import ProcessGroup, process_group

CLASSES, FACES = 1000, 2  # a class
TURN = 16  # steps from one gradient penalty to the next


@dataclass(frozen=True)
class Form:
    """A way to train: a recipe of one stage, and what is put in place of functions of the package."""

    name: str
    recipe: Recipe
    precision: str
    steps: int
    augment_p: float = 0.0
    patches: tuple[tuple[Any, str, Callable[..., Any]], ...] = field(default=())


def forms(side: int, precision: str) -> list[Form]:
    """now, before and naive at a resolution."""
    demo = PRESETS["demo"]
    stage = next(stage for stage in demo.stages if stage.resolution == side)
    now = dataclasses.replace(demo, stages=(stage,), class_codes="random")
    before = dataclasses.replace(
        now, architecture="resnet", path_weight=2.0, style_mixing=0.9, reuse_fakes=False, augment_after=0.0
    )
    naive = dataclasses.replace(before, r1_interval=1, path_interval=1)
    square = ((augment, "_double", square_double), (augment, "_halve", square_halve))
    grouped = (*square, (SynthesisLayer, "forward", grouped_layer))
    return [
        Form("now", now, precision, TURN),
        Form("before", before, precision, TURN, 0.2, square),
        Form("naive", naive, "fp32", 2, 0.2, grouped),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each form")
    parser.add_argument("--processes", action="store_true", help="one process against two")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    device = choose_device(arguments.device)
    precision = choose_precision("auto", device, conv_clamp=None)
    if arguments.worker:
        worker(Path(arguments.worker), device, precision)
        return
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"{device}, {torch.get_num_threads()} threads, torch {torch.__version__}, load {load} at the start")
    with tempfile.TemporaryDirectory() as folder:
        write_faces(Path(folder))
        if arguments.processes:
            one_against_two(folder, arguments.rounds, arguments.device)
            return
        faces = TrainingFaces(open_source(Path(folder)))
        for side in sorted({stage.resolution for stage in PRESETS["demo"].stages}, reverse=True):
            compare(faces, forms(side, precision), device, arguments.rounds)
    print(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MB at most")


def compare(faces: TrainingFaces, chosen: list[Form], device: torch.device, rounds: int) -> None:
    """Times the forms in turns, and prints a line for each."""
    speeds: dict[str, list[float]] = {form.name: [] for form in chosen}
    rates: dict[str, list[float]] = {form.precision: [] for form in chosen}
    runs = {form.name: training(faces, form, device) for form in chosen}
    # Of grouped convolutions torch counts the derivatives as if they were dense, so naive has no share.
    work = {form.name: flops_per_image(runs[form.name], form) for form in chosen if form.name != "naive"}
    for _ in range(rounds):
        for form in chosen:
            speeds[form.name].append(images_per_second(runs[form.name], form, clock_of(device)))
        for precision, found in rates.items():
            found.append(gemm_rate(device, DTYPES[precision]))
    median = {name: statistics.median(found) for name, found in speeds.items()}
    for form in chosen:
        speed, stage = median[form.name], form.recipe.stages[0]
        share = ""
        if form.name in work:
            rate = speed * work[form.name] / statistics.median(rates[form.precision])
            share = f"{work[form.name] / 1e9:.2f} GFLOP an image, {rate:.0%} of GEMM; "
        spread = f"{min(speeds[form.name]):.1f} to {max(speeds[form.name]):.1f}"
        print(
            f"{stage.resolution:3} px, batch {stage.batch}: {form.name:6} {form.precision} {speed:6.1f} images/s "
            f"({spread}); {share}now is {median['now'] / speed:.2f} times as fast",
            flush=True,
        )


def one_against_two(folder: str, rounds: int, device: str) -> None:
    """Images/s of `now` at 64 pixels, in turns."""
    found: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(rounds):
        for processes, speeds in found.items():
            command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(processes), __file__,
                       "--worker", folder, "--device", device]  # fmt: skip
            env = {**os.environ, "OMP_NUM_THREADS": "1"}
            output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=env).stdout
            speeds.append(float(output.split()[-1]))
    one, two = (statistics.median(speeds) for speeds in found.values())
    print(f"one process {one:.1f} images/s {found[1]}, two {two:.1f} {found[2]}: {two / one:.2f} times as fast")


def worker(folder: Path, device: torch.device, precision: str) -> None:
    """One of several processes; the first prints images/s."""
    form = forms(64, precision)[0]
    with process_group(device) as group:
        run = training(TrainingFaces(open_source(folder)), form, device, group)
        speed = images_per_second(run, form, time.perf_counter)
        if group.rank == 0:
            print(speed)


def write_faces(folder: Path) -> None:
    """Noise of 64x64: speed does not depend on what the images show."""
    rng = np.random.default_rng(0)
    for c in range(CLASSES):
        (folder / f"{c:04d}").mkdir()
        for i in range(FACES):
            pixels = rng.integers(0, 256, (64, 64, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"{c:04d}" / f"{i}.png")


def training(
    faces: TrainingFaces,
    form: Form,
    device: torch.device,
    group: ProcessGroup = ProcessGroup(),  # noqa: B008
) -> Training:
    """A run of a form, with the strength of augmentation that it has."""
    settings = Settings.of(form.recipe, faces, 0, form.precision, device.type)
    run = Training(faces, settings, device, group)
    run.begin()
    run.state.augment_p.fill_(form.augment_p)
    run._adapt_augmentation = lambda: None  # type: ignore[method-assign]
    return run


def images_per_second(run: Training, form: Form, clock: Callable[[], float]) -> float:
    """Over some steps, after one that is not timed."""
    with closing(run.batches()) as batches, patched(form):
        run.step(*next(batches))
        finish(run.device)
        start = clock()
        for _ in range(form.steps):
            run.step(*next(batches))
        finish(run.device)
        return form.steps * run.stage.batch / (clock() - start)


def flops_per_image(run: Training, form: Form) -> float:
    """Multiplications and additions of convolutions and matrix products, regularisers as often as they are due."""
    with closing(run.batches()) as batches, patched(form), FlopCounterMode(display=False) as counter:
        for _ in range(form.steps):
            run.step(*next(batches))
    return counter.get_total_flops() / (form.steps * run.stage.batch)


def gemm_rate(device: torch.device, dtype: torch.dtype) -> float:
    """FLOP/s of products of square matrices."""
    side = 8192 if device.type == "cuda" else 1024
    a = torch.randn(side, side, device=device).to(dtype)
    a @ a
    finish(device)
    clock = clock_of(device)
    count, start = 0, clock()
    while clock() - start < 0.5:
        a @ a
        finish(device)
        count += 1
    return count * 2 * side**3 / (clock() - start)


def clock_of(device: torch.device) -> Callable[[], float]:
    """Seconds: on a CPU, those that this process had each of its threads."""
    if device.type == "cuda":
        return time.perf_counter
    return lambda: time.process_time() / torch.get_num_threads()


def patched(form: Form) -> ExitStack:
    """Puts what the form has in place of functions of the package, until it is closed."""
    stack = ExitStack()
    for owner, name, function in form.patches:
        stack.enter_context(mock.patch.object(owner, name, function))
    return stack


def finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def square_double(images: Tensor) -> Tensor:
    """`augment._double` with the wavelet filter as a square."""
    n, c, height, width = images.shape
    line = torch.tensor(augment._SYM6, device=images.device) * 2**0.5
    x = augment._padded(images, 3).reshape(n * c, 1, height + 6, width + 6)
    x = F.conv_transpose2d(x, torch.outer(line, line)[None, None], stride=2)
    return x[:, :, 11 : 11 + 2 * height, 11 : 11 + 2 * width].reshape(n, c, 2 * height, 2 * width)


def square_halve(images: Tensor) -> Tensor:
    """`augment._halve` with the wavelet filter as a square."""
    n, c, height, width = images.shape
    line = torch.tensor(augment._SYM6, device=images.device) / 2**0.5
    x = F.conv2d(images.reshape(n * c, 1, height, width), torch.outer(line, line)[None, None], stride=2)
    return x.reshape(n, c, x.shape[2], x.shape[3])


def grouped_layer(layer: SynthesisLayer, x: Tensor, w: Tensor, noise: Tensor | None) -> Tensor:
    """The layer as the equations stand: weights [N,O,I,3,3], one group per image."""
    n, channels, height, width = x.shape
    style = layer.affine(w)
    weight = layer.weight[None] * style[:, None, :, None, None]  # [N,O,I,3,3]
    weight = weight * (weight.square().sum(dim=(2, 3, 4), keepdim=True) + 1e-8).rsqrt()
    x = x.reshape(1, n * channels, height, width)
    if layer.up:
        weight = weight.transpose(1, 2).flatten(0, 1)  # [N*I,O,3,3]
        x = F.conv_transpose2d(x, weight, stride=2, groups=n)
    else:
        x = F.conv2d(x, weight.flatten(0, 1), padding=1, groups=n)
    x = x.reshape(n, -1, x.shape[2], x.shape[3])
    if layer.up:
        x = blur(x, padding=1, gain=4.0)
    if noise is not None:
        x = x + noise * layer.noise_strength
    return activate_(x + layer.bias[:, None, None], gain=LRELU_GAIN, clamp=layer.clamp)


if __name__ == "__main__":
    main()
