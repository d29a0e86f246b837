"""Runs of training: from faces on disk to a folder with the weights, which can be stopped and gone on with."""

from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

import torch
from torch import nn

from sface_data.embedding.backbone_file import save_backbone
from sface_data.embedding.backbone_names import Backbone
from sface_data.errors import BadInput
from sface_data.faces.face_list import FaceList
from sface_data.faces.sources import open_for_training
from sface_data.faces.whole_faces import WholeFaces
from sface_data.io.files import exists
from sface_data.recognition.benchmarks import accuracy_on, find_benchmarks, open_benchmark
from sface_data.recognition.check_dataset import check_counts_and_labels
from sface_data.recognition.curves import draw_curves
from sface_data.recognition.recipe import Recipe, adjusted, recipe_of
from sface_data.recognition.teacher import open_teacher
from sface_data.recognition.train import Settings, Training, check_teacher
from sface_data.runtime.arguments import MOST, Count, Positive, Range, Seed, StrPath, takes
from sface_data.runtime.devices import choose_precision
from sface_data.training.distributed import process_group, training_device
from sface_data.training.metrics_log import MetricsLog, crossed_multiple, images_bar
from sface_data.training.run_folder import CHECKPOINT, METRICS, check_run_folder, claimed

WEIGHTS = "weights.safetensors"
EVALUATIONS = "evaluations.jsonl"
CURVES = "curves.png"
_OURS = (WEIGHTS, EVALUATIONS, CURVES)
_REPORT = 1000  # images between two lines of metrics, at least
_MOST_LINES = 2000  # of metrics
_ADVICE = "start a new run with a lower --learning-rate or --precision fp32"

Evaluate = Callable[[nn.Module], Mapping[str, float]]


@dataclass(frozen=True)
class RecognitionRun:
    """A finished run.

    Attributes:
        weights: the file of the network, `.safetensors`.
        images: shown in all, over all processes.
        epochs: how many times all faces were shown.
        left_out: images of the data that cannot be decoded, with `skip_broken`.
        rank: of this process among those that torchrun started; the first has 0.
    """

    weights: Path
    images: int
    epochs: float
    left_out: int = 0
    rank: int = 0


@dataclass(frozen=True)
class RecognitionOptions:
    """What a network that embeds faces is trained with.

    Attributes:
        outdir: folder of the run: new, empty, or one to go on with; gets `weights.safetensors`, `checkpoint.pt`,
            `metrics.jsonl`, `curves.png`, and `evaluations.jsonl` with `benchmarks`.
        recipe: what is learned: the classes (`cls`), the embeddings of a teacher (`kt`), or both (`cls-kt`).
        preset: how: as published (`sface`: iResNet-50, 64 epochs, for GPUs), or `tiny`, for two CPU cores; what is
            None below is as there.
        teacher: of kt and cls-kt: weights of a run, a published .pth, or an .onnx of [N,3,112,112] to [N,D]; or
            `demo`, which ships and knows rendered faces.
        teacher_channels: order of colours that the teacher was trained with; an .onnx says so itself.
        backbone: the network.
        dimensions: of the embedding; a teacher must have as many.
        margin: of the head: CosFace 0.35, ArcFace 0.5, ElasticFace-Cos 0.35 and 0.05, or AdaFace 0.4.
        epochs: length of the run; the schedule follows in proportion.
        batch: images a step, over all processes; the learning rate follows.
        learning_rate: for a batch of 512.
        augment: on top of mirroring: `strong` changes pose, light, resolution and compression.
        seed: of initial weights, order and mirroring of the faces, augmentation and dropout.
        skip_broken: leave out images that cannot be decoded, and count them; all are decoded to find them.
        checkpoint_epochs: epochs between two checkpoints.
        benchmarks: folder of benchmarks, as for `evaluate_recognition`, that the network is measured on.
        eval_every: steps between two measurements; at the end there is always one.
        device: `auto`, `cpu`, `cuda` or `cuda:1`.
        precision: of the backbone: `auto`, `fp32` or `bf16`.
        threads: that read and decode ahead, in each process.
    """

    outdir: StrPath
    recipe: Literal["cls", "kt", "cls-kt"]
    _: KW_ONLY
    preset: Literal["sface", "tiny"] = "sface"
    teacher: StrPath | None = None
    teacher_channels: Literal["rgb", "bgr"] = "rgb"
    backbone: Backbone | None = None
    dimensions: Annotated[int, Range(2, 65536)] | None = None
    margin: Literal["cosface", "arcface", "elasticface", "adaface"] | None = None
    epochs: Positive | None = None
    batch: Annotated[int, Range(2, MOST)] | None = None
    learning_rate: Positive | None = None
    augment: Literal["none", "strong"] = "none"
    seed: Seed = 0
    skip_broken: bool = False
    checkpoint_epochs: Annotated[float, Range(0.0001)] = 1.0
    benchmarks: StrPath | None = None
    eval_every: Annotated[int, Range(0, MOST)] = 0
    device: str = "auto"
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    threads: Count = 2


@takes(RecognitionOptions)
def train_recognition(data: StrPath, options: RecognitionOptions) -> RecognitionRun:
    """Trains a network that embeds faces; goes on from the last checkpoint in `outdir` if there is one.

    Args:
        data: labelled, aligned faces of any form that `embed` takes, but on this machine, resized to 112 pixels.

    Raises:
        BadInput: if arguments do not fit together, faces cannot be read, the folder holds another run, or
            training diverges.

    Example:
        >>> options = {"recipe": "cls", "preset": "tiny", "epochs": 1, "batch": 8}
        >>> sface_data.train_recognition("authentic", "run", **options).images
        32
    """
    chosen = _recipe(options)
    check_teacher(chosen, options.teacher is not None)
    if options.eval_every and options.benchmarks is None:
        raise BadInput("--eval-every says how often the network is measured; name what on with --benchmarks")
    where, outdir = training_device(options.device), Path(options.outdir)
    check_run_folder(outdir, _OURS)
    source = open_for_training(Path(data))
    check_counts_and_labels(Path(data), source)
    listed = FaceList.of(source)
    if options.skip_broken:
        source = WholeFaces(source)
    path = options.teacher
    teacher = None if path is None else open_teacher(Path(path), where, options.teacher_channels)
    precision = choose_precision(options.precision, where)
    settings = Settings.of(chosen, source, teacher, options.seed, precision, where, listed)
    measure = None if options.benchmarks is None else _measure(Path(options.benchmarks), where)
    with process_group(where) as group:
        training = Training(source, settings, where, group, teacher, options.threads)
        run_training(training, outdir, options.checkpoint_epochs, measure, options.eval_every)
    return RecognitionRun(outdir / WEIGHTS, training.images, training.epoch, settings.left_out, group.rank)


def _recipe(options: RecognitionOptions) -> Recipe:
    """The recipe of the preset, with what was asked for in its place."""
    return adjusted(
        recipe_of(options.recipe, options.preset),
        backbone=options.backbone,
        dimensions=options.dimensions,
        margin=options.margin,
        epochs=options.epochs,
        batch=options.batch,
        learning_rate=options.learning_rate,
        augment=options.augment,
    )


def _measure(benchmarks: Path, device: torch.device) -> Evaluate:
    return accuracy_on([open_benchmark(path) for path in find_benchmarks(benchmarks)], device)


def run_training(
    training: Training,
    outdir: Path,
    checkpoint_epochs: float = 1.0,
    evaluate: Evaluate | None = None,
    evaluate_steps: int = 0,
) -> None:
    """Trains to the end of the recipe, from the checkpoint in `outdir` if there is one.

    Fills the folder with `weights.safetensors`, `checkpoint.pt`, `metrics.jsonl`, `curves.png`, and
    `evaluations.jsonl` where the network is evaluated.

    Args:
        checkpoint_epochs: epochs between two checkpoints.
        evaluate: gives figures for the network.
        evaluate_steps: steps between two evaluations; the last step has one too.

    Raises:
        BadInput: if the folder holds a run with other settings or another process fills it, or if a loss or
            the weights are not finite; the last checkpoint is kept then.
    """
    recipe, group = training.settings.recipe, training.group
    with claimed(outdir, group.rank, _OURS):
        if exists(outdir / CHECKPOINT):
            training.load(outdir / CHECKPOINT)
        total = training.total
        interval = max(round(checkpoint_epochs * training.settings.faces), 1)  # images between checkpoints
        facts = {**asdict(training.settings), "checkpoints": interval, "progress": training.images}
        group.check_same(facts, [training.network], training.device)
        report = MetricsLog(outdir / METRICS, group, training.images, _ADVICE)
        evaluations = MetricsLog(outdir / EVALUATIONS, group, training.images, _ADVICE)
        batches = training.batches.from_image(training.images)
        with images_bar(training.images, total, group.rank) as bar:
            while training.images < total:
                before, rate = training.images, recipe.rate(training.epoch)
                report.add(training.step(*next(batches)))
                bar.update(recipe.batch)
                last = training.images >= total
                save = last or crossed_multiple(before, training.images, interval)
                if save or crossed_multiple(before, training.images, max(_REPORT, total // _MOST_LINES)):
                    report.write(training.images, {"epoch": training.epoch, "learning_rate": rate})
                due = last or (evaluate_steps and training.images // recipe.batch % evaluate_steps == 0)
                if evaluate is not None and due and group.rank == 0:
                    figures = evaluate(training.network.eval())
                    training.network.train()
                    evaluations.write(training.images, {"epoch": training.epoch, **figures})
                if save:
                    _save(training, outdir)
        batches.close()


def _save(training: Training, outdir: Path) -> None:
    """Weights and curves, then the checkpoint: what belongs to a checkpoint is there, or made again."""
    _check_finite(training, outdir)
    recipe = training.settings.recipe
    if training.group.rank == 0:
        save_backbone(training.network, recipe.backbone, recipe.dimensions, training.about(), outdir / WEIGHTS)
        draw_curves(outdir / METRICS, outdir / EVALUATIONS, outdir / CURVES)
    training.save(outdir / CHECKPOINT)


def _check_finite(training: Training, outdir: Path) -> None:
    """Raises BadInput, in all processes, if weights or momentum of one are not finite."""
    wrong = [name for name, tensor in training.tensors().items() if not torch.isfinite(tensor).all()]
    if training.group.largest(torch.tensor(len(wrong), device=training.device)) > 0:  # each has classes of its own
        raise BadInput(
            f"{outdir}: {wrong[0] if wrong else 'what another process holds'} is not finite at epoch "
            f"{training.epoch:.2f}; the last good checkpoint is kept: {_ADVICE}"
        )
