"""The folder of a training run of a generator, and the loop that fills it."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import KW_ONLY, asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

from torch import Tensor

from sface_data.errors import BadInput
from sface_data.faces.base import identity_mark
from sface_data.faces.sources import open_for_training
from sface_data.generator.faces import TrainingFaces
from sface_data.generator.generator_file import TrainedOn, load_generator, save_generator
from sface_data.generator.recipe import recipe_of
from sface_data.generator.train import Settings, Training
from sface_data.generator.watch import pixel_distance, write_sheet
from sface_data.io.files import exists
from sface_data.runtime.arguments import MOST, Count, Positive, Range, Seed, StrPath, takes
from sface_data.runtime.devices import choose_precision
from sface_data.training.distributed import process_group, training_device
from sface_data.training.metrics_log import MetricsLog, crossed_multiple, images_bar
from sface_data.training.run_folder import CHECKPOINT, METRICS, check_run_folder, claimed
from sface_data.training.tensorboard_log import TENSORBOARD, check_tensorboard, tensorboard_log

WEIGHTS = "generator.safetensors"
_OURS = (WEIGHTS, "samples-*.png", TENSORBOARD)
_REPORT = 1000  # images between two lines of metrics
_ADVICE = "start a new run with a larger --gamma or --precision fp32"


@dataclass(frozen=True)
class GeneratorRun:
    """A finished run.

    Attributes:
        weights: the file of the averaged generator, `.safetensors`.
        images: authentic images shown in all, over all processes.
        resolution: side in pixels of the images that the generator makes.
        left_out: images of the data that cannot be decoded, with `skip_broken`.
        rank: of this process among those that torchrun started; the first has 0.
    """

    weights: Path
    images: int
    resolution: int
    left_out: int = 0
    rank: int = 0


@dataclass(frozen=True)
class GeneratorOptions:
    """What a generator is trained with.

    Attributes:
        outdir: folder of the run: new, empty, or one to go on with.
        preset: a small recipe for two CPU cores (`demo`) or a quarter of an hour of a GPU (`demo-gpu`), or that of
            SFace for GPUs, as published or grown from 32 pixels; what is None below is as there.
        resolution: side in pixels of the last stage; a run that ended at a lower one goes on to a higher one.
        kimg: length of the run, all stages, in thousands of images.
        batch: images a step, over all processes, in every stage.
        gamma: weight of the gradient penalty R1, in every stage.
        init: generator to start from, in the stage of its resolution; random weights by default.
        seed: of all random choices.
        skip_broken: leave out images that cannot be decoded, and count them; all are decoded to find them.
        checkpoint_kimg: thousands of images between two checkpoints.
        tensorboard: also write the metrics for TensorBoard, into the folder `tensorboard`.
        device: `auto`, `cpu`, `cuda` or `cuda:1`.
        precision: of the convolutions: `auto`, `fp32` or `bf16`.
    """

    outdir: StrPath
    _: KW_ONLY
    preset: Literal["sface", "sface-grown", "demo", "demo-gpu"] = "demo"
    resolution: Annotated[int, Range(8, MOST)] | None = None
    kimg: Positive | None = None
    batch: Count | None = None
    gamma: Annotated[float, Range(0)] | None = None
    init: StrPath | None = None
    seed: Seed = 0
    skip_broken: bool = False
    checkpoint_kimg: Annotated[float, Range(0.001)] = 10.0
    tensorboard: bool = False
    device: str = "auto"
    precision: Literal["auto", "fp32", "bf16"] = "auto"


@takes(GeneratorOptions)
def train_generator(data: StrPath, options: GeneratorOptions) -> GeneratorRun:
    """Trains a class-conditional generator: StyleGAN2 with adaptive discriminator augmentation, in stages.

    Stopped at any moment and called again with the same arguments, it goes on from the last checkpoint: on a
    CPU, with as many threads and the same versions of libraries, to the same bytes. Under torchrun the processes
    share the work of each step.

    `outdir` gets `generator.safetensors` (float32 weights, for `generate`), `checkpoint.pt`, `metrics.jsonl`, and
    a contact sheet for each checkpoint, `samples-KIMG.png`.

    Args:
        data: labelled square faces, the side a power of two, of any form that `embed` takes.

    Raises:
        BadInput: for faces, files, a folder or settings that do not fit; the last checkpoint is kept.

    Example:
        >>> options = {"resolution": 16, "kimg": 0.008, "batch": 8}
        >>> sface_data.train_generator("authentic", "generator", **options).images
        8
    """
    if options.tensorboard:
        check_tensorboard()
    recipe = recipe_of(options.preset, options.resolution, options.batch, options.gamma)
    where, outdir = training_device(options.device), Path(options.outdir)
    check_run_folder(outdir, _OURS)
    initial = None if options.init is None else load_generator(Path(options.init))
    faces = TrainingFaces(open_for_training(Path(data)), options.skip_broken)
    start = None if initial is None else initial.generator_sha256
    precision = choose_precision(options.precision, where)
    settings = Settings.of(recipe, faces, options.seed, precision, where.type, start)
    with process_group(where) as group:
        training = Training(faces, settings, where, group, None if initial is None else initial.generator)
        run_training(training, outdir, options.kimg, options.checkpoint_kimg, options.tensorboard)
    state, side = training.state, training.stage.resolution
    return GeneratorRun(outdir / WEIGHTS, state.images, side, faces.left_out, group.rank)


def run_training(
    training: Training, outdir: Path, kimg: float | None, checkpoint_kimg: float, tensorboard: bool = False
) -> None:
    """Trains until `kimg` thousand images have been shown, from the checkpoint in `outdir` if there is one.

    See `train_generator` for what it writes.

    Args:
        kimg: rounded up to a whole batch; by default until each stage has had its length.

    Raises:
        BadInput: if the folder holds a run with other settings or another process fills it, if the stage that a
            run begins in is beyond `kimg`, or if a loss is not finite; the last checkpoint is kept then.
    """
    with claimed(outdir, training.group.rank, _OURS):
        begin_or_load(training, outdir / CHECKPOINT, kimg)
        state, rank = training.state, training.group.rank
        before = state.images
        total = training.planned if kimg is None else training.settings.recipe.total(kimg)
        interval = max(round(checkpoint_kimg * 1000), 1)  # images between checkpoints
        facts = {**asdict(training.settings), "length": total, "checkpoints": interval, "progress": before}
        networks = training.generator, training.discriminator, training.averaged
        training.group.check_same(facts, networks, training.device)
        metrics = MetricsLog(outdir / METRICS, training.group, before, _ADVICE)
        with (
            tensorboard_log(outdir, before, tensorboard and rank == 0) as board,
            images_bar(before, total, rank) as bar,
        ):
            for measured in steps(training, total):
                metrics.add(measured)
                bar.update(state.images - before)
                save = state.images >= total or crossed_multiple(before, state.images, interval)
                if save or crossed_multiple(before, state.images, _REPORT):
                    figures = {"resolution": training.stage.resolution, "augment_p": state.augment_p.item()}
                    if save and rank == 0:
                        figures["pixel_distance"] = pixel_distance(training.averaged, training.faces)
                    line = metrics.write(state.images, figures)
                    if board is not None:
                        board.add(line, state.images)
                if save and rank == 0:
                    _save(training, outdir)
                before = state.images


def begin_or_load(training: Training, checkpoint: Path, kimg: float | None) -> None:
    """Goes on from a checkpoint, or begins where there is none. Raises BadInput as `run_training`."""
    if exists(checkpoint):
        training.load(checkpoint)
        return
    start = training.state.images
    if kimg is not None and kimg * 1000 <= start:
        raise BadInput(
            f"the initial generator makes images of {training.stage.resolution} pixels, whose stage begins at "
            f"{start / 1000:g} kimg; ask for more than --kimg {kimg:g}"
        )
    training.begin()


def steps(training: Training, total: int) -> Iterator[dict[str, Tensor]]:
    """Trains until `total` images have been shown, stage after stage; yields what each step measured."""
    while training.state.images < total:
        if training.end is not None and training.state.images >= training.end:
            training.grow()
        end = total if training.end is None else min(total, training.end)
        with closing(training.batches()) as batches:
            while training.state.images < end:
                yield training.step(*next(batches))


def _save(training: Training, outdir: Path) -> None:
    """What belongs to a checkpoint first: when the checkpoint is there, so is that, or it is made again."""
    save_generator(training.averaged, outdir / WEIGHTS, trained_on=_trained_on(training.faces))
    write_sheet(training.averaged, training.faces, outdir / f"samples-{training.state.images / 1000:09.2f}.png")
    training.save(outdir / CHECKPOINT)


def _trained_on(faces: TrainingFaces) -> TrainedOn:
    return TrainedOn(faces.sha256, faces.left_out, tuple(map(identity_mark, faces.class_names)))
