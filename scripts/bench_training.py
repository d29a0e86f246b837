#!/usr/bin/env python3
"""How fast training is, against the same step in naive form, in one run.

Naive: fp32, weights modulated per image and applied in one grouped convolution, both regularisers in every step.
Ours: convolutions shared by the batch, regularisers when they are due, bf16 where the processor has it.

    scripts/bench_training.py                  random faces of 64x64, 32 classes; about two minutes on two cores

Prints images/s, the ratio, and peak memory of the process. Ratios hold on other machines better than figures.
"""

import argparse
import dataclasses
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from sface_data.faces.sources import open_source
from sface_data.generator.faces import TrainingFaces
from sface_data.generator.networks import SynthesisLayer
from sface_data.generator.ops import LRELU_GAIN, activate_, blur
from sface_data.generator.recipe import PRESETS
from sface_data.generator.train import Settings, Training
from sface_data.runtime.devices import choose_device, choose_precision
from sface_data.training.distributed import ProcessGroup

WARM_UP = 2  # steps
STEPS = 16  # one turn of the gradient penalty


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--steps", type=int, default=STEPS, help="timed steps of each form")
    arguments = parser.parse_args()
    device = choose_device(arguments.device)
    print(f"{device}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    with tempfile.TemporaryDirectory() as folder:
        faces = random_faces(Path(folder))
        precision = choose_precision("auto", device, conv_clamp=None)
        ours = images_per_second(training(faces, device, precision, naive=False), arguments.steps)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"ours, {precision}: {ours:.1f} images/s, {memory:,.0f} MB at most")
        plain = images_per_second(training(faces, device, "fp32", naive=False), arguments.steps)
        print(f"ours, fp32: {plain:.1f} images/s")
        ordinary = SynthesisLayer.forward
        SynthesisLayer.forward = naive_layer  # type: ignore[method-assign]
        naive = images_per_second(training(faces, device, "fp32", naive=True), max(arguments.steps // 4, 1))
        SynthesisLayer.forward = ordinary  # type: ignore[method-assign]
        print(f"naive, fp32: {naive:.1f} images/s")
        print(f"ratio: {ours / naive:.2f} ({precision}), {plain / naive:.2f} (fp32)")


def random_faces(folder: Path) -> TrainingFaces:
    """Noise of 64x64 in 32 classes: speed does not depend on what the images show."""
    rng = np.random.default_rng(0)
    for c in range(32):
        (folder / f"{c:02d}").mkdir()
        for i in range(4):
            pixels = rng.integers(0, 256, (64, 64, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"{c:02d}" / f"{i}.png")
    return TrainingFaces(open_source(folder))


def training(faces: TrainingFaces, device: torch.device, precision: str, naive: bool) -> Training:
    """A run of the demo recipe."""
    recipe = PRESETS["demo"]
    if naive:
        recipe = dataclasses.replace(recipe, r1_interval=1, path_interval=1)
    settings = Settings(
        recipe, 0, precision, device.type, faces.resolution, len(faces.class_names), len(faces), faces.sha256
    )
    return Training(faces, settings, device, ProcessGroup())


def images_per_second(run: Training, steps: int) -> float:
    """Over some steps, behind a few that are not timed."""
    for _ in range(WARM_UP):
        run.step()
    finish(run.device)
    start = time.perf_counter()
    for _ in range(steps):
        run.step()
    finish(run.device)
    return steps * run.settings.recipe.batch / (time.perf_counter() - start)


def finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def naive_layer(layer: SynthesisLayer, x: Tensor, w: Tensor, noise: Tensor | None) -> Tensor:
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
