"""The folder of a training run, and the loop that fills it."""

import json
import math
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock, Timeout
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from sface_data.errors import BadInput
from sface_data.files import atomic_write, explained, write_text
from sface_data.generator.checkpoint import save_generator
from sface_data.generator.networks import Generator
from sface_data.generator.train import Training
from sface_data.generator.training_checkpoint import load_training, save_training

CHECKPOINT = "checkpoint.pt"
METRICS = "metrics.jsonl"
_REPORT = 1000  # images between two lines of metrics
_GRID_ROWS, _GRID_COLUMNS = 16, 10  # classes, images of each


def run_training(training: Training, outdir: Path, kimg: float, checkpoint_kimg: float) -> None:
    """Trains until `kimg` thousand images have been shown, from the checkpoint in `outdir` if there is one.

    Fills the folder with `checkpoint.pt`, `metrics.jsonl`, and for each checkpoint the averaged generator
    (`generator-KIMG.safetensors`) and what it makes (`samples-KIMG.png`: rows are classes).

    Args:
        kimg: rounded up to a whole batch.
        checkpoint_kimg: thousands of images between two checkpoints.

    Raises:
        BadInput: if the folder holds a run with other settings or another process fills it, or if a loss is
            not finite; the last checkpoint is kept then.
    """
    with _claimed(outdir, training.team.rank):
        if (outdir / CHECKPOINT).exists():
            load_training(training, outdir / CHECKPOINT)
        progress, batch = training.progress, training.settings.recipe.batch
        total = math.ceil(kimg * 1000 / batch) * batch
        report = Report(outdir / METRICS, training)
        with _bar(progress.images, total, training.team.rank) as bar:
            while progress.images < total:
                before = progress.images
                report.add(training.step())
                bar.update(batch)
                last = progress.images >= total
                save = last or _passed(before, progress.images, round(checkpoint_kimg * 1000))
                if save or _passed(before, progress.images, _REPORT):
                    report.write()
                if save and training.team.rank == 0:
                    name = f"{progress.images / 1000:09.2f}"
                    save_generator(training.averaged, outdir / f"generator-{name}.safetensors")
                    write_grid(training.averaged, outdir / f"samples-{name}.png")
                    # Last, so that what belongs to a checkpoint is there, or made again.
                    save_training(training, outdir / CHECKPOINT)


class Report:
    """Means of what the steps measure, as lines of JSON; and the check that they are finite.

    Lines of steps behind the checkpoint that a run goes on from are dropped.
    """

    def __init__(self, path: Path, training: Training) -> None:
        self._path = path
        self._training = training
        self._measured: dict[str, list[Tensor]] = {}
        self._since = training.progress.images
        self._clock = time.perf_counter()
        if path.exists() and training.team.rank == 0:
            with explained(path):
                lines = path.read_text().splitlines()
            kept = [line for line in lines if json.loads(line)["kimg"] * 1000 <= training.progress.images]
            write_text(path, "".join(f"{line}\n" for line in kept))

    def add(self, measured: dict[str, Tensor]) -> None:
        """Takes what one step measured, each a tensor []."""
        for name, value in measured.items():
            self._measured.setdefault(name, []).append(value)

    def write(self) -> None:
        """Adds a line of the means since the last one.

        Raises:
            BadInput: if one of them is not finite.
        """
        team, progress = self._training.team, self._training.progress
        means = {name: team.mean(torch.stack(values).mean()).item() for name, values in self._measured.items()}
        kimg = progress.images / 1000
        wrong = [name for name, value in means.items() if not math.isfinite(value)]
        if wrong:
            raise BadInput(
                f"{self._path.parent}: {wrong[0].replace('_', ' ')} is not finite at {kimg:g} kimg; the last good "
                "checkpoint is kept: start a new run with a lower learning rate, a larger --gamma or "
                "--precision fp32"
            )
        now = time.perf_counter()
        speed = (progress.images - self._since) / (now - self._clock)
        self._since, self._clock = progress.images, now
        self._measured = {}
        line = {"kimg": kimg, "images_per_second": speed, "augment_p": progress.augment_p.item(), **means}
        if team.rank == 0:
            with explained(self._path), self._path.open("a") as file:
                file.write(json.dumps({name: float(f"{value:.6g}") for name, value in line.items()}) + "\n")


@torch.no_grad()
def write_grid(generator: Generator, path: Path) -> None:
    """Draws images of a generator into a PNG: rows are classes, columns the same latents in each."""
    config = generator.config
    device = generator.mapping.w_avg.device
    rows = min(_GRID_ROWS, max(config.c_dim, 1))
    z = torch.from_numpy(np.random.RandomState(0).randn(_GRID_COLUMNS, config.z_dim).astype(np.float32)).to(device)
    strips = []
    for row in range(rows):
        classes = torch.full((_GRID_COLUMNS,), row * max(config.c_dim, 1) // rows, device=device)
        images = generator(z, classes)  # [N,3,R,R]
        levels = (images * 127.5 + 128).clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
        strips.append(np.concatenate(list(levels), axis=1))
    with atomic_write(path) as file:
        Image.fromarray(np.concatenate(strips, axis=0)).save(file, "png")


def _passed(before: int, now: int, interval: int) -> bool:
    return before // interval != now // interval


def _bar(images: int, total: int, rank: int) -> tqdm:
    # A log file gets a line now and then, a terminal a living bar. "12.8k" images are 12.8 kimg.
    interval = 0.2 if sys.stderr.isatty() else 30.0
    return tqdm(
        total=total, initial=images, unit="image", unit_scale=True, mininterval=interval, file=sys.stderr,
        disable=rank > 0,
    )  # fmt: skip


@contextmanager
def _claimed(outdir: Path, rank: int) -> Iterator[None]:
    """Makes the folder, and keeps other runs out of it."""
    if rank > 0:
        yield
        return
    with explained(outdir):
        outdir.mkdir(parents=True, exist_ok=True)
    if not (outdir / CHECKPOINT).exists():  # perhaps stopped while it wrote the first
        ours = (METRICS, ".*", "generator-*.safetensors", "samples-*.png")
        astray = [path for path in outdir.iterdir() if not any(path.match(name) for name in ours)]
        if astray:
            raise BadInput(f"{outdir}: not empty, and holds no checkpoint of a run; choose another folder")
    try:
        with FileLock(outdir / ".lock", timeout=0):
            yield
    except Timeout as error:
        raise BadInput(f"{outdir}: another process is training in this folder; wait for it") from error
