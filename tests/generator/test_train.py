"""Training: the loop, its regularisers, exact resume, several processes, bad input. Tiny networks of 16x16."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sface_data.errors import BadInput
from sface_data.faces.sources import open_source
from sface_data.generator.faces import TrainingFaces
from sface_data.generator.generator_file import digest, load_generator
from sface_data.generator.losses import discriminator_loss, generator_loss, path_lengths, r1_penalty
from sface_data.generator.recipe import PRESETS, Recipe
from sface_data.generator.run import CHECKPOINT, METRICS, run_training
from sface_data.generator.train import Settings, Training
from sface_data.generator.training_checkpoint import load_training, save_training
from sface_data.training.distributed import ProcessGroup
from sface_data.training.shuffle import ShuffledIndices

CPU = torch.device("cpu")
TINY = dataclasses.replace(
    PRESETS["demo"], z_dim=8, w_dim=8, channel_base=128, channel_max=8, batch=8, r1_interval=4, path_interval=2
)
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def _one_thread(_threads: None) -> Iterator[None]:
    """Networks so small are not worth two."""
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(2)


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
        resolution=16,
        classes=len(faces.class_names),
        faces=len(faces),
        faces_sha256=faces.sha256,
    )
    return Training(faces, settings, CPU, group or ProcessGroup())


def everything(training: Training) -> dict[str, torch.Tensor]:
    """All tensors that the next step depends on, by name."""
    found = {f"progress.{name}": torch.as_tensor(value) for name, value in vars(training.progress).items()}
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
    for _ in range(160):
        training.step()
    z = torch.randn(32, 8, generator=torch.Generator().manual_seed(0))
    tilt = []
    for c in range(2):
        images = training.averaged(z, torch.full((32,), c)).mean(dim=(0, 1))  # [H,W]
        tilt.append((images[:, 8:].mean() - images[:, :8].mean()).item())
    assert tilt[1] - tilt[0] > 0.4  # of the faces: about 1.3


def test_training_starts_from_a_generator(faces: TrainingFaces) -> None:
    trained = training_of(faces)
    trained.step()
    settings = dataclasses.replace(trained.settings, initial_sha256=digest(trained.averaged))
    again = Training(faces, settings, CPU, ProcessGroup(), trained.averaged)
    for network in (again.generator, again.averaged):
        weights = network.state_dict()
        assert all(torch.equal(weights[name], value) for name, value in trained.averaged.state_dict().items())
    before = digest(trained.averaged)
    again.step()
    assert digest(trained.averaged) == before != digest(again.averaged)


def test_a_generator_of_another_architecture_is_no_start(faces: TrainingFaces) -> None:
    other = training_of(faces, dataclasses.replace(TINY, z_dim=16, w_dim=4)).averaged
    settings = training_of(faces).settings
    with pytest.raises(BadInput, match=r"another architecture \(z_dim 16, not 8; w_dim 4, not 8\)"):
        Training(faces, settings, CPU, ProcessGroup(), other)


def test_strength_of_augmentation_follows_the_discriminator(faces: TrainingFaces) -> None:
    training = training_of(faces, dataclasses.replace(TINY, augment_kimg=0.32))
    measured = [training.step() for _ in range(8)]
    expected = 0.0
    for four in (measured[:4], measured[4:]):
        sign = np.mean([step["real_sign"].item() for step in four])
        expected = min(max(expected + np.sign(sign - 0.6) * 32 / 320, 0), 1)
    assert training.progress.augment_p.item() == pytest.approx(expected)


def test_average_has_the_half_life_of_the_recipe(faces: TrainingFaces) -> None:
    training = training_of(faces, dataclasses.replace(TINY, ema_kimg=0.004, ema_rampup=1.0))
    before = training.averaged.mapping.fc0.weight.clone()
    training.step()
    now = training.generator.mapping.fc0.weight
    assert torch.allclose(training.averaged.mapping.fc0.weight, before * 0.25 + now * 0.75, atol=1e-6)
    assert torch.equal(training.averaged.mapping.w_avg, training.generator.mapping.w_avg)
    assert training.generator.mapping.w_avg.abs().max() > 0


def test_a_gradient_that_is_not_finite_is_cleaned() -> None:
    weight = torch.nn.Parameter(torch.zeros(4))
    weight.grad = torch.tensor([1.0, float("nan"), float("inf"), -float("inf")])
    ProcessGroup().average_gradients([weight])
    assert weight.grad.tolist() == [1.0, 0.0, 1e5, -1e5]


def test_every_face_is_shown_once_a_pass_in_an_order_of_its_own() -> None:
    order = ShuffledIndices(7, mirror=True, seed=1)
    passes = []
    for number in range(2):
        indices, mirrored = order.indices(14 * number, 14)
        passes.append(list(zip(indices.tolist(), mirrored.tolist(), strict=True)))
        assert sorted(passes[-1]) == sorted((i, m) for i in range(7) for m in (False, True))
    assert passes[0] != passes[1]
    assert [pair.tolist() for pair in order.indices(5, 3)] == [
        p.tolist() for p in ShuffledIndices(7, True, 1).indices(5, 3)
    ]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_run_goes_on_exactly(faces: TrainingFaces, tmp_path: Path, precision: str) -> None:
    def fresh() -> Training:
        training = training_of(faces)
        settings = dataclasses.replace(training.settings, precision=precision)
        return Training(faces, settings, CPU, ProcessGroup())

    undisturbed, first, second = fresh(), fresh(), fresh()
    for _ in range(10):
        undisturbed.step()
    for _ in range(5):
        first.step()
    save_training(first, tmp_path / "a.pt")
    load_training(second, tmp_path / "a.pt")
    same(first, second)
    for _ in range(5):
        second.step()
    same(undisturbed, second)


def command(folder: Path, outdir: Path, *more: object) -> list[str]:
    arguments = ["generator", "train", "--data", folder, "--outdir", outdir, "--preset", "demo", "--batch", 4,
                 "--device", "cpu", "--precision", "fp32", "--checkpoint-kimg", 0.008, *more]  # fmt: skip
    return [str(argument) for argument in arguments]


def test_a_killed_command_ends_in_the_bytes_of_an_undisturbed_one(folder: Path, tmp_path: Path) -> None:
    kimg = ("--kimg", 0.04)
    one, two = tmp_path / "one", tmp_path / "two"
    program = [sys.executable, "-m", "sface_data"]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([*program, *command(folder, one, *kimg)], check=True, capture_output=True, env=env)
    with subprocess.Popen([*program, *command(folder, two, *kimg)], stderr=subprocess.DEVNULL, env=env) as process:
        while not (two / CHECKPOINT).exists():
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert not (two / "generator-000000.04.safetensors").exists(), "it was finished before it was killed"
    subprocess.run([*program, *command(folder, two, *kimg)], check=True, capture_output=True, env=env)
    names = sorted(path.name for path in one.iterdir())
    assert names == sorted(path.name for path in two.iterdir() if not path.name.endswith(".part"))
    for name in names:
        if name != METRICS:  # it has the speed
            assert (one / name).read_bytes() == (two / name).read_bytes(), name


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
    kimg = ("000000.02", "000000.03", "000000.04")
    assert names == sorted(
        [CHECKPOINT, METRICS, *(f"generator-{k}.safetensors" for k in kimg), *(f"samples-{k}.png" for k in kimg)]
    )
    lines = [json.loads(line) for line in (tmp_path / "run" / METRICS).read_text().splitlines()]
    assert [line["kimg"] for line in lines] == [0.016, 0.032, 0.04]
    assert {"generator_loss", "discriminator_loss", "real_sign", "augment_p", "images_per_second"} <= lines[
        0
    ].keys()
    shipped = load_generator(tmp_path / "run" / "generator-000000.04.safetensors").generator
    assert all(
        torch.equal(a, b) for a, b in zip(shipped.parameters(), training.averaged.parameters(), strict=True)
    )
    with Image.open(tmp_path / "run" / "samples-000000.04.png") as grid:
        assert grid.size == (10 * 16, 2 * 16)


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_checkpoint(
    faces: TrainingFaces, tmp_path: Path
) -> None:
    outdir = tmp_path / "run"
    run_training(training_of(faces), outdir, kimg=0.016, checkpoint_kimg=0.016)
    kept = (outdir / CHECKPOINT).read_bytes()
    broken = training_of(faces)
    step = broken.step

    def poisoned() -> dict[str, torch.Tensor]:
        with torch.no_grad():
            broken.generator.synthesis.b4.const.fill_(float("nan"))
        return step()

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
    assert "Asked for, and held: seed 5, 0; r1_gamma 2.0, 0.1" in stderr
    assert {path.name: path.read_bytes() for path in outdir.iterdir()} == kept


def test_a_checkpoint_of_something_else_is_refused(folder: Path, tmp_path: Path, run: Run) -> None:
    outdir = tmp_path / "run"
    outdir.mkdir()
    for content in (b"", b"PK nonsense", b"\x80\x04K\x01."):
        (outdir / CHECKPOINT).write_bytes(content)
        code, _, stderr = run(*command(folder, outdir, "--kimg", 0.008))
        assert code == 2
        assert "checkpoint" in stderr.splitlines()[-1]
    torch.save({"weights": torch.zeros(3)}, outdir / CHECKPOINT)
    code, _, stderr = run(*command(folder, outdir, "--kimg", 0.008))
    assert code == 2
    assert "not a checkpoint of this version" in stderr


def test_a_run_stopped_before_its_first_checkpoint_begins_anew(folder: Path, tmp_path: Path, run: Run) -> None:
    outdir = tmp_path / "run"
    outdir.mkdir()
    for name in (".checkpoint.pt.part", "generator-000000.01.safetensors", METRICS):
        (outdir / name).touch()
    code, _, stderr = run(*command(folder, outdir, "--kimg", 0.008))
    assert code == 0, stderr
    assert load_generator(outdir / "generator-000000.01.safetensors").generator.config.img_resolution == 16


def test_a_folder_with_other_things_is_left_alone(folder: Path, tmp_path: Path, run: Run) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    code, _, stderr = run(*command(folder, tmp_path, "--kimg", 0.008))
    assert code == 2
    assert "not empty" in stderr


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
        training_of(faces, dataclasses.replace(TINY, batch=6))


WORKER = """
import sys, torch
from pathlib import Path
sys.path.insert(0, sys.argv[1])
torch.set_num_threads(1)
from test_train import CPU, TINY, everything, open_source, TrainingFaces, training_of
from sface_data.training.distributed import process_group
with process_group(CPU) as group:
    training = training_of(TrainingFaces(open_source(Path(sys.argv[2]))), group=group)
    for _ in range(6):
        training.step()
    if group.rank == 0:
        torch.save(everything(training), sys.argv[3])
"""


def test_two_processes_are_one_with_the_full_batch(
    folder: Path, faces: TrainingFaces, tmp_path: Path, two_processes: Callable[..., None]
) -> None:
    result = tmp_path / "result.pt"
    two_processes(WORKER, Path(__file__).parent, folder, result)
    alone = training_of(faces)
    for _ in range(6):
        alone.step()
    theirs, ours = torch.load(result, weights_only=True), everything(alone)
    assert torch.equal(theirs.pop("random"), ours.pop("random"))
    for name, value in ours.items():
        if ".adam." not in name:
            assert torch.allclose(theirs[name], value, rtol=1e-3, atol=1e-4), name
