"""Training: the loop, its regularisers, stages, exact resume, several processes, bad input. Tiny networks."""

import dataclasses
import itertools
import json
import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from sface_data.errors import BadInput
from sface_data.faces.base import identity_mark
from sface_data.faces.sources import open_source
from sface_data.generator.faces import TrainingFaces
from sface_data.generator.generator_file import digest, load_generator
from sface_data.generator.losses import discriminator_loss, generator_loss, path_lengths, r1_penalty
from sface_data.generator.ops import downsample2d, upsample2d
from sface_data.generator.recipe import PRESETS, Recipe, Stage
from sface_data.generator.run import CHECKPOINT, METRICS, WEIGHTS, run_training, steps, train_generator
from sface_data.generator.train import _FORMAT, Settings, Training
from sface_data.training.distributed import ProcessGroup, process_group
from tests.killing import killed_again_and_again, steps_in, tree
from tests.processes import two_processes

CPU = torch.device("cpu")
SMALL = dataclasses.replace(
    PRESETS["demo"], z_dim=8, w_dim=8, channel_base=128, channel_max=8, r1_interval=4, path_interval=2
)
# All that a recipe can have, in one stage; and the recipe of the generator that ships, growing after four steps.
TINY = dataclasses.replace(
    SMALL,
    stages=(Stage(16, kimg=1.0, batch=8, learning_rate=0.0025, r1_gamma=0.1),),
    path_weight=2.0,
    style_mixing=0.9,
    augment_after=0.0,
    reuse_fakes=False,
    class_codes="random",
)
GROWING = dataclasses.replace(
    SMALL,
    stages=(
        Stage(8, kimg=0.06, batch=16, learning_rate=0.004, r1_gamma=0.1),
        Stage(16, kimg=0.05, batch=8, learning_rate=0.0025, r1_gamma=0.6),
    ),
)
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of twelve 16x16 images: light from the left, and light from the right."""
    rng = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("faces")
    ramp = np.linspace(40, 200, 16)[None, :, None]
    for name, light in (("left", ramp[:, ::-1]), ("right", ramp)):
        (folder / name).mkdir()
        for i in range(12):
            pixels = (light + rng.normal(0, 10, (16, 16, 3)) + rng.normal(0, 20)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{i}.png")
    return folder


@pytest.fixture(scope="module")
def faces(folder: Path) -> TrainingFaces:
    return TrainingFaces(open_source(folder))


def training_of(faces: TrainingFaces, recipe: Recipe = TINY, group: ProcessGroup | None = None) -> Training:
    settings = Settings(
        recipe=recipe,
        seed=3,
        precision="fp32",
        device="cpu",
        classes=len(faces.class_names),
        faces=len(faces),
        faces_sha256=faces.sha256,
        order_sha256=faces.order_sha256,
    )
    training = Training(faces, settings, CPU, group or ProcessGroup())
    training.begin()
    return training


def everything(training: Training) -> dict[str, torch.Tensor]:
    """All tensors that the next step depends on, by name."""
    found = {f"state.{name}": torch.as_tensor(value) for name, value in vars(training.state).items()}
    for name in ("generator", "discriminator", "averaged"):
        found |= {f"{name}.{key}": value for key, value in getattr(training, name).state_dict().items()}
    for name, optimizer in training.optimizers.items():
        for i, state in optimizer.state_dict()["state"].items():
            found |= {f"{name}.adam.{i}.{key}": value for key, value in state.items()}
    return found | {"random": training.random.state}


def same(a: Training, b: Training) -> None:
    mine, theirs = everything(a), everything(b)
    assert mine.keys() == theirs.keys()
    different = [name for name in mine if not torch.equal(mine[name], theirs[name])]
    assert not different


def take(training: Training, count: int) -> list[dict[str, torch.Tensor]]:
    """Some steps, and what they measured."""
    with closing(steps(training, 1 << 40)) as run:
        return list(itertools.islice(run, count))


def test_losses_are_those_of_the_papers() -> None:
    real, fake = torch.tensor([[2.0], [-1.0]]), torch.tensor([[0.5], [-3.0]])
    log_sigmoid = [np.log(1 / (1 + np.exp(-x))) for x in (0.5, -3.0)]
    assert generator_loss(fake).item() == pytest.approx(-np.mean(log_sigmoid))
    expected = np.mean([np.log1p(np.exp(-2)), np.log1p(np.exp(1))]) + np.mean(
        [np.log1p(np.exp(x)) for x in (0.5, -3)]
    )
    assert discriminator_loss(real, fake).item() == pytest.approx(expected, rel=1e-6)


def test_r1_of_a_known_function() -> None:
    """The logit sum(x^2) has the gradient 2x, the penalty 4|x|^2, and that one's gradient is 8x / N."""
    x = torch.randn(3, 2, 4, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    penalty = r1_penalty(x.square().sum(dim=(1, 2, 3))[:, None], x)
    assert penalty.item() == pytest.approx(4 * x.square().sum().item() / 3, rel=1e-5)
    (gradient,) = torch.autograd.grad(penalty, x)
    assert torch.allclose(gradient, 8 * x / 3, atol=1e-5)


def test_path_length_of_a_linear_generator() -> None:
    """Images A w: the length is |A^T y| / sqrt(pixels), here with the same w for two layers."""
    a = torch.randn(12, 5, generator=torch.Generator().manual_seed(0))
    ws = torch.randn(4, 2, 5).requires_grad_()
    y = torch.randn(4, 3, 2, 2)
    images = ((ws[:, 0] + ws[:, 1]) @ a.t()).reshape(4, 3, 2, 2)
    expected = (y.flatten(1) @ a / 2).norm(dim=1)
    assert torch.allclose(path_lengths(images, ws, y), expected, rtol=1e-4)


def test_training_learns_which_class_is_which(faces: TrainingFaces) -> None:
    recipe = dataclasses.replace(TINY, mirror=False, augment=(), path_weight=0.0, ema_kimg=0.2)
    training = training_of(faces, recipe)
    take(training, 160)
    z = torch.randn(32, 8, generator=torch.Generator().manual_seed(0))
    tilt = []
    for c in range(2):
        images = training.averaged(z, torch.full((32,), c)).mean(dim=(0, 1))  # [H,W]
        tilt.append((images[:, 8:].mean() - images[:, :8].mean()).item())
    assert tilt[1] - tilt[0] > 0.4  # of the faces: about 1.3


def test_training_starts_from_a_generator(faces: TrainingFaces) -> None:
    trained = training_of(faces)
    take(trained, 1)
    settings = dataclasses.replace(trained.settings, initial_sha256=digest(trained.averaged))
    again = Training(faces, settings, CPU, ProcessGroup(), trained.averaged)
    again.begin()
    for network in (again.generator, again.averaged):
        weights = network.state_dict()
        assert all(torch.equal(weights[name], value) for name, value in trained.averaged.state_dict().items())
    before = digest(trained.averaged)
    take(again, 1)
    assert digest(trained.averaged) == before != digest(again.averaged)


def test_a_generator_of_another_architecture_is_no_start(faces: TrainingFaces) -> None:
    other = training_of(faces, dataclasses.replace(TINY, z_dim=16, w_dim=4)).averaged
    settings = training_of(faces).settings
    with pytest.raises(BadInput, match=r"another architecture \(z_dim 16, not 8; w_dim 4, not 8\)"):
        Training(faces, settings, CPU, ProcessGroup(), other)


def test_strength_of_augmentation_follows_the_discriminator(faces: TrainingFaces) -> None:
    training = training_of(faces, dataclasses.replace(TINY, augment_kimg=0.32))
    measured = take(training, 8)
    expected = 0.0
    for four in (measured[:4], measured[4:]):
        sign = np.mean([step["authentic_sign"].item() for step in four])
        expected = min(max(expected + np.sign(sign - 0.6) * 32 / 320, 0), 1)
    assert training.state.augment_p.item() == pytest.approx(expected)


def test_average_has_the_half_life_of_the_recipe(faces: TrainingFaces) -> None:
    training = training_of(faces, dataclasses.replace(TINY, ema_kimg=0.004, ema_rampup=1.0))
    before = training.averaged.mapping.fc0.weight.clone()
    take(training, 1)
    now = training.generator.mapping.fc0.weight
    assert torch.allclose(training.averaged.mapping.fc0.weight, before * 0.25 + now * 0.75, atol=1e-6)
    assert torch.equal(training.averaged.mapping.w_avg, training.generator.mapping.w_avg)
    assert training.generator.mapping.w_avg.abs().max() > 0


def test_a_gradient_that_is_not_finite_is_cleaned() -> None:
    weight = torch.nn.Parameter(torch.zeros(4))
    weight.grad = torch.tensor([1.0, float("nan"), float("inf"), -float("inf")])
    ProcessGroup().average_gradients([weight], finite=True)
    assert weight.grad.tolist() == [1.0, 0.0, 1e5, -1e5]


def test_augmentation_waits_until_every_face_was_shown_often(faces: TrainingFaces) -> None:
    """Signs above any target raise the strength of `sface` at once, and of other recipes only later."""
    for after, expected in ((0.0, 2), (1.0, 1)):  # 24 faces: three steps of eight; changes after steps 4 and 8
        recipe = dataclasses.replace(TINY, augment_kimg=0.32, augment_target=-2.0, augment_after=after * 1.5)
        training = training_of(faces, recipe)
        take(training, 8)
        assert training.state.augment_p.item() == pytest.approx(expected * 0.1)


def test_the_discriminator_learns_from_the_fakes_of_the_generator_or_from_new_ones(faces: TrainingFaces) -> None:
    for reuse in (True, False):
        training = training_of(faces, dataclasses.replace(TINY, reuse_fakes=reuse))
        made: list[torch.Tensor] = []
        shown: list[torch.Tensor] = []
        generate, learn = training._generate, training.discriminator_step

        def noted(n: int, generate=generate, made=made):  # type: ignore[no-untyped-def]
            images, classes, ws = generate(n)
            made.append(images.detach())
            return images, classes, ws

        def seen(authentic, fakes, regularise, learn=learn, shown=shown):  # type: ignore[no-untyped-def]
            shown.append(fakes[0])
            return learn(authentic, fakes, regularise)

        training._generate, training.discriminator_step = noted, seen  # type: ignore[method-assign]
        take(training, 2)
        found = [any(torch.equal(fake, images) for images in made) for fake in shown]
        assert found == [True, True]
        assert len(made) == (3 if reuse else 5)  # one more for path lengths, in the first step
        assert torch.equal(shown[1], made[2 if reuse else 4])


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("recipe", [TINY, GROWING], ids=["one stage", "two stages"])
def test_a_run_goes_on_exactly(faces: TrainingFaces, tmp_path: Path, recipe: Recipe, precision: str) -> None:
    """Stopped before, at and after the moment of growing."""

    def fresh() -> Training:
        training = training_of(faces, recipe)
        settings = dataclasses.replace(training.settings, precision=precision)
        return Training(faces, settings, CPU, ProcessGroup())

    undisturbed, stopped = fresh(), fresh()
    undisturbed.begin()
    stopped.begin()
    take(undisturbed, 10)
    for count in (3, 1, 2, 4):
        take(stopped, count)
        stopped.save(tmp_path / "a.pt")
        again = fresh()
        again.load(tmp_path / "a.pt")
        same(stopped, again)
        stopped = again
    same(undisturbed, stopped)


def test_a_run_goes_through_the_stages(faces: TrainingFaces) -> None:
    training = training_of(faces, GROWING)
    assert GROWING.ends == (64, 120)
    take(training, 4)
    assert (training.state.images, training.state.stage) == (64, 0)
    before = {name: getattr(training, name) for name in ("generator", "averaged", "discriminator")}
    z = torch.randn(4, 8, generator=torch.Generator().manual_seed(0))
    classes = torch.tensor([0, 1, 0, 1])
    training.grow()
    assert training.stage.resolution == 16
    for name in ("generator", "averaged"):
        grown = getattr(training, name)(z, classes)
        assert torch.equal(grown, upsample2d(before[name](z, classes)))
    images = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    judged = training.discriminator(images, classes)
    assert torch.allclose(judged, before["discriminator"](downsample2d(images), classes), rtol=0, atol=1e-6)
    assert {group["lr"] for adam in training.optimizers.values() for group in adam.param_groups} == {0.0025}
    measured = take(training, 3)
    assert training.state.images == 88
    assert all(torch.isfinite(value) for step in measured for value in step.values())
    moved = training.generator.synthesis.get_submodule("b16.torgb").weight
    assert moved.abs().max() > 0


def command(folder: Path, outdir: Path, *more: object) -> list[str]:
    arguments = ["generator", "train", "--data", folder, "--outdir", outdir, "--resolution", 16, "--batch", 4,
                 "--device", "cpu", "--precision", "fp32", "--checkpoint-kimg", 0.008, *more]  # fmt: skip
    return [str(argument) for argument in arguments]


def test_killed_at_its_writes_it_ends_in_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    whole, killed = killed_again_and_again(lambda outdir: command(folder, outdir, "--kimg", 0.024), tmp_path)
    expected, found = tree(whole), tree(killed)
    assert steps_in(found.pop(METRICS)) == steps_in(expected.pop(METRICS))
    assert found == expected


def test_tensorboard_shows_what_the_metrics_say_also_of_a_resumed_run(
    faces: TrainingFaces, tmp_path: Path
) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for kimg in (0.016, 0.032):
        run_training(training_of(faces), tmp_path, kimg, checkpoint_kimg=0.016, tensorboard=True)
    shown = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    lines = [json.loads(line) for line in (tmp_path / METRICS).read_text().splitlines()]
    assert len(lines) == 2
    for name in ("kimg", "generator_loss", "augment_p"):
        figures = [(event.step, event.value) for event in shown.Scalars(name)]
        assert figures == [(round(line["kimg"] * 1000), pytest.approx(line[name])) for line in lines]


def test_a_run_leaves_checkpoint_metrics_generator_and_grid(faces: TrainingFaces, tmp_path: Path) -> None:
    training = training_of(faces)
    run_training(training, tmp_path / "run", kimg=0.035, checkpoint_kimg=0.016)
    names = sorted(path.name for path in (tmp_path / "run").iterdir() if path.name != ".lock")
    sheets = [f"samples-{kimg}.png" for kimg in ("000000.02", "000000.03", "000000.04")]
    assert names == sorted([CHECKPOINT, METRICS, WEIGHTS, *sheets])
    lines = [json.loads(line) for line in (tmp_path / "run" / METRICS).read_text().splitlines()]
    assert [line["kimg"] for line in lines] == [0.016, 0.032, 0.04]
    expected = {"generator_loss", "discriminator_loss", "authentic_sign", "augment_p", "images_per_second"}
    assert expected | {"resolution", "pixel_distance"} <= lines[0].keys()
    file = load_generator(tmp_path / "run" / WEIGHTS)
    assert file.trained_on.faces_sha256 == faces.sha256
    assert file.trained_on.identities == (identity_mark("left"), identity_mark("right"))
    shipped = file.generator
    assert all(
        torch.equal(a, b) for a, b in zip(shipped.parameters(), training.averaged.parameters(), strict=True)
    )


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_checkpoint(
    faces: TrainingFaces, tmp_path: Path
) -> None:
    outdir = tmp_path / "run"
    run_training(training_of(faces), outdir, kimg=0.016, checkpoint_kimg=0.016)
    kept = (outdir / CHECKPOINT).read_bytes()
    broken = training_of(faces)
    step = broken.step

    def poisoned(pixels: torch.Tensor, classes: torch.Tensor) -> dict[str, torch.Tensor]:
        with torch.no_grad():
            broken.generator.synthesis.b4.const.fill_(float("nan"))
        return step(pixels, classes)

    broken.step = poisoned
    with pytest.raises(BadInput, match=r"generator loss is not finite at 0\.032 kimg; the last good checkpoint"):
        run_training(broken, outdir, kimg=0.048, checkpoint_kimg=0.016)
    assert (outdir / CHECKPOINT).read_bytes() == kept


def test_other_settings_are_named_and_nothing_is_lost(folder: Path, tmp_path: Path, run: Run) -> None:
    outdir = tmp_path / "run"
    code, _, stderr = run(*command(folder, outdir, "--kimg", 0.008))
    assert code == 0, stderr
    kept = {path.name: path.read_bytes() for path in outdir.iterdir()}
    code, _, stderr = run(*command(folder, outdir, "--kimg", 0.016, "--gamma", 2, "--seed", 5))
    assert code == 2
    assert stderr.splitlines()[-2:] == ["  recipe.stages.0.r1_gamma: 2.0, not 0.1", "  seed: 5, not 0"]
    assert {path.name: path.read_bytes() for path in outdir.iterdir()} == kept


def test_a_checkpoint_of_something_else_is_refused(folder: Path, tmp_path: Path, run: Run) -> None:
    outdir = tmp_path / "run"
    outdir.mkdir()
    for content in (b"", b"PK nonsense", b"\x80\x04K\x01."):
        (outdir / CHECKPOINT).write_bytes(content)
        code, _, stderr = run(*command(folder, outdir, "--kimg", 0.008))
        assert code == 2
        assert "checkpoint" in stderr.splitlines()[-1]
    odd = {"format": _FORMAT, "settings": 3, "state": {"stage": 0}}
    for content in ({"weights": torch.zeros(3)}, {"format": _FORMAT}, odd):
        torch.save(content, outdir / CHECKPOINT)
        code, _, stderr = run(*command(folder, outdir, "--kimg", 0.008))
        assert code == 2
        assert "not a" in stderr and "checkpoint" in stderr and "start a new run" in stderr


def test_a_run_stopped_before_its_first_checkpoint_begins_anew(folder: Path, tmp_path: Path, run: Run) -> None:
    outdir = tmp_path / "run"
    outdir.mkdir()
    for name in (".checkpoint.pt.part", WEIGHTS, "samples-000000.01.png", METRICS):
        (outdir / name).touch()
    code, _, stderr = run(*command(folder, outdir, "--kimg", 0.008))
    assert code == 0, stderr
    assert load_generator(outdir / WEIGHTS).generator.config.img_resolution == 16


def test_a_folder_with_other_things_is_left_alone(folder: Path, tmp_path: Path, run: Run) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    code, _, stderr = run(*command(folder, tmp_path, "--kimg", 0.008))
    assert code == 2
    assert "is no folder of a training run" in stderr


def write_faces(folder: Path, sizes: dict[str, tuple[int, int]]) -> Path:
    for name, size in sizes.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size).save(folder / name)
    return folder


@pytest.mark.parametrize(
    ("sizes", "sentence"),
    [
        ({"a/0.png": (16, 16), "a/1.png": (16, 16)}, "at least 2 are needed"),
        ({"a/0.png": (24, 24), "b/0.png": (24, 24)}, "24 x 24 pixels; a generator is trained on square images"),
        ({"a/0.png": (16, 16), "b/0.png": (32, 32)}, "32 x 32 pixels, but the first has 16 x 16"),
        ({"a/0.png": (8, 8), "b/0.png": (8, 8)}, "8 pixels a side, fewer than the 16 of the recipe"),
    ],
)
def test_unfit_faces_end_in_one_sentence(
    tmp_path: Path, run: Run, sizes: dict[str, tuple[int, int]], sentence: str
) -> None:
    code, _, stderr = run(*command(write_faces(tmp_path / "faces", sizes), tmp_path / "run", "--kimg", 0.008))
    assert code == 2
    assert sentence in stderr
    assert len(stderr.splitlines()) == 1


def test_a_batch_that_does_not_divide_is_refused(faces: TrainingFaces) -> None:
    with pytest.raises(BadInput, match="multiple of 4"):
        training_of(faces, TINY.adjusted(batch=6))


def test_a_run_that_has_grown_does_not_shrink_and_a_finished_one_grows(
    faces: TrainingFaces, tmp_path: Path
) -> None:
    run_training(training_of(faces, GROWING.up_to(8)), tmp_path, kimg=0.064, checkpoint_kimg=1)
    assert load_generator(tmp_path / WEIGHTS).generator.config.img_resolution == 8
    run_training(training_of(faces, GROWING), tmp_path, kimg=0.08, checkpoint_kimg=1)
    assert load_generator(tmp_path / WEIGHTS).generator.config.img_resolution == 16
    kept = (tmp_path / CHECKPOINT).read_bytes()
    with pytest.raises(BadInput, match="has grown beyond 8 pixels; go on with a higher --resolution"):
        run_training(training_of(faces, GROWING.up_to(8)), tmp_path, kimg=0.08, checkpoint_kimg=1)
    assert (tmp_path / CHECKPOINT).read_bytes() == kept
    undisturbed = training_of(faces, GROWING)
    take(undisturbed, 6)
    written = load_generator(tmp_path / WEIGHTS).generator.state_dict()
    assert all(torch.equal(written[name], value) for name, value in undisturbed.averaged.state_dict().items())


def test_a_run_that_outlasts_its_stage_grows_through_the_others(faces: TrainingFaces, tmp_path: Path) -> None:
    """Two stages of 4 and 3 steps, then a third: the first goes on for 6, and the others have their length."""
    third = Stage(32, kimg=0.016, batch=8, learning_rate=0.0025, r1_gamma=0.6)
    grown = TrainingFaces(open_source(enlarged(faces, tmp_path / "faces")))
    recipe = dataclasses.replace(GROWING, stages=(*GROWING.stages, third))
    run_training(training_of(grown, recipe.up_to(8)), tmp_path / "run", kimg=0.096, checkpoint_kimg=1)
    again = Training(grown, training_of(grown, recipe).settings, CPU, ProcessGroup())
    again.load(tmp_path / "run" / CHECKPOINT)
    assert again.planned == 96 + 56 + 16
    seen = []
    for _ in steps(again, again.planned):
        seen.append((again.stage.resolution, again.state.images))
    assert seen == [(16, 96 + 8 * i) for i in range(1, 8)] + [(32, 160), (32, 168)]


def test_a_stage_of_the_same_size_goes_on_with_the_networks_and_their_average(faces: TrainingFaces) -> None:
    other = dataclasses.replace(GROWING.stages[1], batch=4, learning_rate=0.001, r1_gamma=0.2)
    recipe = dataclasses.replace(GROWING, stages=(*GROWING.stages, other), ema_kimg=1, ema_rampup=0.5)
    training = training_of(faces, recipe)
    take(training, 4 + 7)
    before = digest(training.generator), digest(training.discriminator), digest(training.averaged)
    training.grow()
    assert (digest(training.generator), digest(training.discriminator), digest(training.averaged)) == before
    assert (training.state.stage, training.state.start, training.state.grown) == (2, 120, 64)
    assert [group["lr"] for group in training.optimizers["generator"].param_groups] == [0.001]
    kept = {name: value.clone() for name, value in training.averaged.named_parameters()}
    take(training, 1)
    keep = 0.5 ** (4 / (0.5 * (124 - 64)))  # the half-life counts from where the networks grew
    for name, value in training.generator.named_parameters():
        torch.testing.assert_close(
            training.averaged.get_parameter(name), keep * kept[name] + (1 - keep) * value, atol=1e-6, rtol=1e-5
        )


def enlarged(faces: TrainingFaces, folder: Path) -> Path:
    """The same faces of 32 pixels a side."""
    for index, c in enumerate(faces.class_indices):
        (folder / str(c)).mkdir(parents=True, exist_ok=True)
        pixels = faces.read(index, 16).repeat(2, axis=0).repeat(2, axis=1)
        Image.fromarray(pixels).save(folder / str(c) / f"{index}.png")
    return folder


def test_a_generator_whose_stage_begins_later_than_the_run_ends_is_refused(
    faces: TrainingFaces, tmp_path: Path
) -> None:
    trained = training_of(faces, dataclasses.replace(GROWING, stages=GROWING.stages[1:])).averaged
    settings = training_of(faces, GROWING).settings
    training = Training(faces, settings, CPU, ProcessGroup(), trained)
    with pytest.raises(
        BadInput, match=r"16 pixels, whose stage begins at 0.064 kimg; ask for more than --kimg 0.06"
    ):
        run_training(training, tmp_path, kimg=0.06, checkpoint_kimg=1)
    run_training(training, tmp_path, kimg=0.07, checkpoint_kimg=1)
    assert training.state.images == 72


def test_a_discriminator_beside_a_given_generator_knows_the_classes(faces: TrainingFaces) -> None:
    fresh = training_of(faces, GROWING.up_to(8))
    again = Training(faces, fresh.settings, CPU, ProcessGroup(), fresh.averaged)
    again.begin()
    assert torch.equal(*(run.discriminator.mapping.embed.weight for run in (fresh, again)))


def test_going_on_reads_no_face_before_the_first_batch(folder: Path, tmp_path: Path) -> None:
    faces = TrainingFaces(open_source(folder))
    run_training(training_of(faces, GROWING.up_to(8)), tmp_path, kimg=0.016, checkpoint_kimg=1)
    again = Training(faces, training_of(faces, GROWING.up_to(8)).settings, CPU, ProcessGroup())
    faces.read = None
    again.load(tmp_path / CHECKPOINT)
    assert again.state.images == 16


def test_a_foreign_folder_is_refused_before_the_faces_are_read(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(BadInput, match=r"holds 'letter.txt' and is no folder of a training run"):
        train_generator(tmp_path / "no faces", tmp_path)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--resolution", "24"], "no stage of 24 pixels; it has 16, 32, 64"),
        (["--preset", "sface", "--resolution", "128"], "16 pixels a side, fewer than the 128 of the recipe"),
        (["--batch", "6"], "it must be a multiple of 4"),
    ],
)
def test_options_that_do_not_fit(
    folder: Path, tmp_path: Path, run: Run, options: list[str], sentence: str
) -> None:
    code, _, stderr = run("generator", "train", "--data", folder, "--outdir", tmp_path / "run",
                          "--resolution", 16, "--device", "cpu", *options)  # fmt: skip
    assert code == 2
    assert sentence in stderr
    assert not (tmp_path / "run").exists()


def test_a_run_of_another_preset_or_other_faces_is_left_alone(folder: Path, tmp_path: Path) -> None:
    def train(data: Path, **options: Any) -> None:
        train_generator(data, tmp_path / "run", resolution=16, kimg=0.008, batch=4, device="cpu", **options)

    train(folder)
    kept = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    shutil.copytree(folder, tmp_path / "more")
    shutil.copytree(folder / "left", tmp_path / "more" / "middle")
    with pytest.raises(BadInput, match=r"classes: 3, not 2\n  faces: 36, not 24\n  faces_sha256"):
        train(tmp_path / "more")
    with pytest.raises(BadInput, match="seed: 1, not 0"):
        train(folder, seed=1)
    assert {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()} == kept


def seven_steps(folder: Path, result: Path) -> None:
    """Of one of the processes of a run."""
    with process_group(CPU) as group:
        training = training_of(TrainingFaces(open_source(folder)), GROWING, group)
        take(training, 7)
        if group.rank == 0:
            torch.save(everything(training), result)


def test_two_processes_are_one_with_the_full_batch_also_when_it_grows(
    folder: Path, faces: TrainingFaces, tmp_path: Path
) -> None:
    result = tmp_path / "result.pt"
    two_processes(seven_steps, folder, result)
    alone = training_of(faces, GROWING)
    take(alone, 7)
    theirs, ours = torch.load(result, weights_only=True), everything(alone)
    assert torch.equal(theirs.pop("random"), ours.pop("random"))
    for name, value in ours.items():
        if ".adam." not in name:
            assert torch.allclose(theirs[name], value, rtol=1e-3, atol=1e-4), name
