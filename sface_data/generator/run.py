"""The folder of a training run of a generator, and the loop that fills it."""

import math
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from sface_data.generator.generator_file import save_generator
from sface_data.generator.networks import Generator
from sface_data.generator.sampler import pixels_of
from sface_data.generator.train import Training
from sface_data.generator.training_checkpoint import load_training, save_training
from sface_data.io.files import atomic_write
from sface_data.training.metrics_log import MetricsLog, crossed_multiple, images_bar
from sface_data.training.run_folder import CHECKPOINT, METRICS, claimed
from sface_data.training.tensorboard_log import TENSORBOARD, tensorboard_log

_OURS = ("generator-*.safetensors", "samples-*.png", TENSORBOARD)
_REPORT = 1000  # images between two lines of metrics
_GRID_ROWS, _GRID_COLUMNS = 16, 10  # classes, images of each
_ADVICE = "start a new run with a lower learning rate, a larger --gamma or --precision fp32"


def run_training(
    training: Training, outdir: Path, kimg: float, checkpoint_kimg: float, tensorboard: bool = False
) -> None:
    """Trains until `kimg` thousand images have been shown, from the checkpoint in `outdir` if there is one.

    Fills the folder with `checkpoint.pt`, `metrics.jsonl`, and for each checkpoint the averaged generator
    (`generator-KIMG.safetensors`) and what it makes (`samples-KIMG.png`: rows are classes).

    Args:
        kimg: rounded up to a whole batch.
        checkpoint_kimg: thousands of images between two checkpoints.
        tensorboard: also write the metrics for TensorBoard, into the folder `tensorboard`.

    Raises:
        BadInput: if the folder holds a run with other settings or another process fills it, or if a loss is
            not finite; the last checkpoint is kept then.
    """
    with claimed(outdir, training.group.rank, _OURS):
        if (outdir / CHECKPOINT).exists():
            load_training(training, outdir / CHECKPOINT)
        progress, batch = training.progress, training.settings.recipe.batch
        total = math.ceil(kimg * 1000 / batch) * batch
        report = MetricsLog(outdir / METRICS, training.group, progress.images, _ADVICE)
        wanted = tensorboard and training.group.rank == 0
        with (
            tensorboard_log(outdir, progress.images, wanted) as board,
            images_bar(progress.images, total, training.group.rank) as bar,
        ):
            while progress.images < total:
                before = progress.images
                report.add(training.step())
                bar.update(batch)
                last = progress.images >= total
                save = last or crossed_multiple(before, progress.images, round(checkpoint_kimg * 1000))
                if save or crossed_multiple(before, progress.images, _REPORT):
                    figures = report.write(progress.images, {"augment_p": progress.augment_p.item()})
                    if board is not None:
                        board.add(figures, progress.images)
                if save and training.group.rank == 0:
                    name = f"{progress.images / 1000:09.2f}"
                    save_generator(training.averaged, outdir / f"generator-{name}.safetensors")
                    write_grid(training.averaged, outdir / f"samples-{name}.png")
                    # Last, so that what belongs to a checkpoint is there, or made again.
                    save_training(training, outdir / CHECKPOINT)


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
        strips.append(np.concatenate(list(pixels_of(images).cpu().numpy()), axis=1))
    with atomic_write(path) as file:
        Image.fromarray(np.concatenate(strips, axis=0)).save(file, "png")
