"""Training of recognition: losses by hand, order of the faces, exact resume, several processes, bad input."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from sface_data.embedding.backbone_file import load_backbone
from sface_data.errors import BadInput
from sface_data.faces.base import Source
from sface_data.faces.sources import open_source
from sface_data.recognition.faces import face_batches
from sface_data.recognition.recipe import MarginConfig, Recipe, recipe_of
from sface_data.recognition.run import CURVES, WEIGHTS, run_training
from sface_data.recognition.train import Settings, Training, transfer_loss
from sface_data.training.distributed import ProcessGroup, process_group
from sface_data.training.run_folder import CHECKPOINT, METRICS
from tests.killing import killed_again_and_again, steps_in, tree
from tests.processes import two_processes

CPU = torch.device("cpu")
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def faces(rendered_faces: Path) -> Source:
    """8 identities x 6 images of 64 x 64 pixels."""
    return open_source(rendered_faces)


class Mirror:
    """A teacher: the mean colours of a few places, to 8 dimensions."""

    name, dimensions, sha256 = "mirror", 8, "mirror"

    def embeddings(self, images: torch.Tensor) -> torch.Tensor:
        return F.adaptive_avg_pool2d(images, 2).flatten(1)[:, :8]


def small(objective: str, **changes: object) -> Recipe:
    return dataclasses.replace(recipe_of(objective, "tiny"), **{"dimensions": 8, "batch": 8, **changes})


def training_of(faces: Source, recipe: Recipe, group: ProcessGroup | None = None, threads: int = 1) -> Training:
    settings = Settings(recipe, 3, "fp32", "cpu", len(faces.class_names), len(faces), "digest", "mirror")
    teacher = Mirror() if recipe.teacher_weight else None
    return Training(faces, settings, CPU, group or ProcessGroup(), teacher, threads)


def advance(training: Training, steps: int) -> list[dict[str, torch.Tensor]]:
    batches = training.batches.from_image(training.images)
    measured = [training.step(*next(batches)) for _ in range(steps)]
    batches.close()
    return measured


def everything(training: Training) -> dict[str, torch.Tensor]:
    """All tensors that the next step depends on, by name."""
    found = {"images": torch.tensor(training.images), "random": training.random.state}
    found |= {f"network.{key}": value for key, value in training.network.state_dict().items()}
    if training.head is not None:
        found |= {f"head.{key}": value for key, value in training.head.state_dict().items()}
    for name, optimizer in training.optimizers.items():
        for i, state in optimizer.state_dict()["state"].items():
            found[f"{name}.momentum.{i}"] = state["momentum_buffer"]
    return found


def same(a: Training, b: Training) -> None:
    mine, theirs = everything(a), everything(b)
    assert mine.keys() == theirs.keys()
    assert not [name for name in mine if not torch.equal(mine[name], theirs[name])]


# --- recipes and losses ----------------------------------------------------------------------------------


def test_recipes_have_the_published_values() -> None:
    recipe = recipe_of("cls", "sface")
    assert (recipe.backbone, recipe.dimensions, recipe.dropout) == ("iresnet50", 512, 0.4)
    assert (recipe.margin.name, recipe.margin.scale, recipe.margin.margin) == ("cosface", 64.0, 0.35)
    assert (recipe.batch, recipe.momentum, recipe.weight_decay, recipe.clip) == (512, 0.9, 5e-4, 5.0)
    assert (recipe.class_weight, recipe.teacher_weight) == (1.0, 0.0)
    kt, both = recipe_of("kt", "sface"), recipe_of("cls-kt", "sface")
    assert (kt.class_weight, kt.teacher_weight, both.class_weight, both.teacher_weight) == (0, 1, 1, 10000)


def test_the_learning_rate_falls_where_published() -> None:
    recipe = recipe_of("cls", "sface")
    epochs = [0, 38.999, 39, 46.999, 47, 50.999, 51, 63.9]
    expected = [0.1, 0.1, 0.01, 0.01, 0.001, 0.001, 0.0001, 0.0001]
    assert [recipe.rate(epoch) for epoch in epochs] == pytest.approx(expected)
    assert dataclasses.replace(recipe, batch=128).rate(0) == pytest.approx(0.025)
    half = recipe.for_epochs(32)
    assert [half.rate(epoch) for epoch in (19.4, 19.5)] == pytest.approx([0.1, 0.01])


def test_cosine_schedule_rises_and_falls() -> None:
    recipe = dataclasses.replace(recipe_of("cls", "tiny"), batch=512, learning_rate=1.0, warm_up=2.0, epochs=8.0)
    assert recipe.rate(0) == 0
    assert recipe.rate(1) == pytest.approx(0.5 * (0.5 + 0.5 * np.cos(np.pi / 8)))
    assert recipe.rate(4) == pytest.approx(0.5)
    assert recipe.rate(8) == pytest.approx(0)
    half = recipe.for_epochs(4)
    assert [half.rate(epoch / 2) for epoch in range(9)] == pytest.approx(
        [recipe.rate(epoch) for epoch in range(9)]
    )


def test_transfer_loss_by_hand() -> None:
    """(3,4) is (0.6,0.8) of length 1: differences 0.6-1, 0.8-0; and 0-0, 1-1 for the second."""
    student = torch.tensor([[3.0, 4.0], [0.0, 2.0]])
    teacher = torch.tensor([[5.0, 0.0], [0.0, 1.0]])
    assert transfer_loss(student, teacher).item() == pytest.approx((0.4**2 + 0.8**2) / 4)
    cosine = F.cosine_similarity(student, teacher)
    assert transfer_loss(student, teacher).item() == pytest.approx((2 / 2 * (1 - cosine)).mean().item())


def test_losses_of_kt_and_cls_kt_by_hand(faces: Source) -> None:
    torch.manual_seed(0)
    embeddings, labels, images = torch.randn(4, 8), torch.tensor([0, 3, 7, 3]), torch.randn(4, 3, 112, 112)
    student = embeddings / embeddings.norm(dim=1, keepdim=True)
    teacher = Mirror().embeddings(images)
    distance = (student - teacher / teacher.norm(dim=1, keepdim=True)).square().sum() / (4 * 8)
    loss, measured = training_of(faces, small("kt", teacher_weight=1.0)).loss(embeddings, labels, images)
    assert loss.item() == pytest.approx(distance.item(), rel=1e-5)
    assert measured.keys() == {"teacher_distance"}

    training = training_of(faces, small("cls-kt"))
    weight = training.head.weight.detach()
    logits = 64 * (student @ (weight / weight.norm(dim=1, keepdim=True)).T)
    logits[range(4), labels] -= 64 * 0.35
    entropy = -(logits.softmax(dim=1)[range(4), labels]).log().mean()
    loss, measured = training.loss(embeddings, labels, images)
    assert loss.item() == pytest.approx((entropy + 10000 * distance).item(), rel=1e-4)
    assert measured["cross_entropy"].item() == pytest.approx(entropy.item(), rel=1e-4)


def test_the_gradient_of_the_backbone_is_clipped_and_that_of_the_head_is_not(faces: Source) -> None:
    """The first step of gradient descent moves weights by rate x gradient (no momentum, no decay yet)."""
    recipe = small("cls", clip=1e-3, momentum=0.0, weight_decay=0.0, warm_up=0.0)
    training = training_of(faces, recipe)
    before = {name: value.clone() for name, value in everything(training).items()}
    (measured,) = advance(training, 1)
    after, rate = everything(training), recipe.rate(0)
    moved = [
        (after[f"network.{name}"] - before[f"network.{name}"]).square().sum()
        for name, _ in training.network.named_parameters()
    ]
    assert measured["gradient_norm"] > 1
    assert torch.stack(moved).sum().sqrt().item() / rate == pytest.approx(1e-3, rel=0.05)
    assert (after["head.weight"] - before["head.weight"]).norm().item() / rate > 0.1


@pytest.mark.parametrize("objective", ["cls", "kt", "cls-kt"])
def test_every_recipe_learns(faces: Source, objective: str) -> None:
    measured = advance(training_of(faces, small(objective, epochs=4.0)), 24)
    losses = [step["loss"].item() for step in measured]
    assert np.mean(losses[-4:]) < 0.7 * np.mean(losses[:4])


# --- faces -----------------------------------------------------------------------------------------------


def test_every_face_is_shown_once_a_pass(faces: Source) -> None:
    batches = face_batches(faces, 16, 0.0, 1, ProcessGroup()).from_image(0)
    by_class = [torch.cat([next(batches)[1] for _ in range(3)]).bincount().tolist() for _ in range(2)]
    batches.close()
    assert by_class == [[6] * 8] * 2


def test_batches_depend_on_neither_threads_nor_processes(faces: Source) -> None:
    def first(
        group: ProcessGroup, threads: int, begin: int = 0, count: int = 8
    ) -> tuple[torch.Tensor, torch.Tensor]:
        batches = face_batches(faces, 10, 0.5, 7, group, threads).from_image(begin)  # passes meet inside a batch
        found = [next(batches) for _ in range(count)]
        batches.close()
        return torch.stack([pixels for pixels, _ in found]), torch.stack([labels for _, labels in found])

    pixels, labels = first(ProcessGroup(), 1)
    for other in (first(ProcessGroup(), 3), tuple(torch.stack(p, 2).flatten(1, 2) for p in zip(
        first(ProcessGroup(0, 2), 2), first(ProcessGroup(1, 2), 1), strict=True))):  # fmt: skip
        assert torch.equal(other[0], pixels)
        assert torch.equal(other[1], labels)
    late = first(ProcessGroup(), 2, begin=30, count=5)
    assert torch.equal(late[0], pixels[3:])


def test_half_of_the_faces_are_mirrored(faces: Source) -> None:
    def some(mirror: float) -> torch.Tensor:
        batches = face_batches(faces, 48, mirror, 0, ProcessGroup()).from_image(0)
        pixels, _ = next(batches)
        batches.close()
        return pixels

    plain, all_of_them, half = some(0.0), some(1.0), some(0.5)
    assert torch.equal(all_of_them, plain.flip(2))
    mirrored = [torch.equal(a, b) for a, b in zip(half, plain.flip(2), strict=True)]
    assert all(m or torch.equal(a, b) for m, a, b in zip(mirrored, half, plain, strict=True))
    assert 12 < sum(mirrored) < 36


def test_a_batch_is_the_images_themselves(faces: Source) -> None:
    batches = face_batches(faces, 48, 0.0, 0, ProcessGroup()).from_image(0)
    pixels, labels = next(batches)
    batches.close()
    expected = {
        (face.class_index, np.asarray(Image.fromarray(face.decode()).resize((112, 112), 3)).tobytes())
        for face in faces
    }
    assert {(c, image.numpy().tobytes()) for c, image in zip(labels.tolist(), pixels, strict=True)} == expected


# --- resume and processes --------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_run_goes_on_exactly(faces: Source, tmp_path: Path, precision: str) -> None:
    recipe = small("cls-kt", augment="strong", margin=MarginConfig("adaface", margin=0.4))

    def fresh() -> Training:
        settings = dataclasses.replace(training_of(faces, recipe).settings, precision=precision)
        return Training(faces, settings, CPU, ProcessGroup(), Mirror(), 1)

    undisturbed, first, second = fresh(), fresh(), fresh()
    advance(undisturbed, 4)
    advance(first, 2)
    first.save(tmp_path / "a.pt")
    second.load(tmp_path / "a.pt")
    same(first, second)
    advance(second, 2)
    same(undisturbed, second)


def test_dropout_goes_on_exactly(faces: Source, tmp_path: Path) -> None:
    recipe = small("kt", backbone="iresnet18", dropout=0.4, batch=2)
    undisturbed, first, second = (training_of(faces, recipe) for _ in range(3))
    advance(undisturbed, 2)
    advance(first, 1)
    first.save(tmp_path / "a.pt")
    torch.manual_seed(99)
    second.load(tmp_path / "a.pt")
    advance(second, 1)
    same(undisturbed, second)


def command(data: Path, outdir: Path, *more: object) -> list[str]:
    arguments = ["recognition", "train", "--data", data, "--outdir", outdir, "--recipe", "cls", "--preset", "tiny",
                 "--batch", 8, "--dimensions", 8, "--device", "cpu", "--precision", "fp32", *more]  # fmt: skip
    return [str(argument) for argument in arguments]


def test_killed_at_its_writes_it_ends_in_the_same_bytes(rendered_faces: Path, tmp_path: Path) -> None:
    length = ("--batch", 4, "--epochs", 0.4, "--checkpoint-epochs", 0.1, "--augment", "strong")
    whole, killed = killed_again_and_again(lambda outdir: command(rendered_faces, outdir, *length), tmp_path)
    expected, found = tree(whole), tree(killed)
    assert steps_in(found.pop(METRICS)) == steps_in(expected.pop(METRICS))
    assert found == expected


SHARED = small("cls-kt", augment="strong", margin=MarginConfig("elasticface"), epochs=1 / 3)  # two steps


def train_shared(data: Path, outdir: Path) -> None:
    """As one of the processes of a run."""
    with process_group(CPU) as group:
        run_training(training_of(open_source(data), SHARED, group), outdir)


def test_two_processes_are_one_with_the_full_batch(faces: Source, rendered_faces: Path, tmp_path: Path) -> None:
    """Statistics of the batch, classes, random margins, augmentation and teacher."""
    two_processes(train_shared, rendered_faces, tmp_path / "run")
    alone, theirs = training_of(faces, SHARED), training_of(faces, SHARED)
    advance(alone, 2)
    theirs.load(tmp_path / "run" / CHECKPOINT)
    expected, found = everything(alone), everything(theirs)
    assert expected.keys() == found.keys()
    assert torch.equal(found.pop("random"), expected.pop("random"))
    for name, value in expected.items():
        assert torch.allclose(found[name].float(), value.float(), rtol=1e-2, atol=1e-4), name
    weights = load_backbone(tmp_path / "run" / WEIGHTS).network.state_dict()
    assert all(torch.equal(value, found[f"network.{name}"]) for name, value in weights.items())
    (line,) = (tmp_path / "run" / METRICS).read_text().splitlines()
    assert json.loads(line)["kimg"] == 0.016


# --- the folder ------------------------------------------------------------------------------------------


def test_a_run_leaves_weights_checkpoint_metrics_and_curves(faces: Source, tmp_path: Path) -> None:
    training = training_of(faces, small("cls-kt", epochs=1.1))
    called = []

    def evaluate(network: torch.nn.Module) -> dict[str, float]:
        called.append(network.training)
        return {"accuracy_test": 0.5}

    run_training(training, tmp_path / "run", 0.5, evaluate, 3)
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert names == {".lock", WEIGHTS, CHECKPOINT, METRICS, CURVES, "evaluations.jsonl"}
    assert called == [False] * 3  # steps 3, 6 and the last, 7
    lines = [json.loads(line) for line in (tmp_path / "run" / METRICS).read_text().splitlines()]
    assert [line["epoch"] for line in lines] == pytest.approx([0.5, 1.0, 56 / 48], rel=1e-4)
    assert {"loss", "cross_entropy", "teacher_distance", "learning_rate", "images_per_second"} <= lines[0].keys()
    file = load_backbone(tmp_path / "run" / WEIGHTS)
    assert (file.name, file.dimensions) == ("tiny", 8)
    assert (file.about["recipe"], file.about["classes"], file.about["epochs"]) == ("cls-kt", 8, 1.166667)
    mine = training.network.state_dict()
    assert all(torch.equal(value, mine[key]) for key, value in file.network.state_dict().items())
    with Image.open(tmp_path / "run" / CURVES) as curves:
        assert curves.width > 300


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_checkpoint(faces: Source, tmp_path: Path) -> None:
    outdir, recipe = tmp_path / "run", small("cls", epochs=1.0)
    training = training_of(faces, recipe)
    step, kept = training.step, []

    def poisoned(pixels: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        if training.images == 24:
            kept.extend((outdir / name).read_bytes() for name in (CHECKPOINT, WEIGHTS))
            with torch.no_grad():
                training.head.weight.fill_(float("nan"))
        return step(pixels, labels)

    training.step = poisoned
    with pytest.raises(BadInput, match=r"loss is not finite at 0\.048 kimg; the last good checkpoint is kept"):
        run_training(training, outdir, 0.5)
    assert [(outdir / name).read_bytes() for name in (CHECKPOINT, WEIGHTS)] == kept


@pytest.mark.parametrize(("name", "found"), [("network", "gradient norm is"), ("head", "head weight is")])
def test_gradients_that_are_not_finite_stop_the_run(faces: Source, tmp_path: Path, name: str, found: str) -> None:
    training = training_of(faces, small("cls", epochs=2 / 3))  # four steps, with a checkpoint after the third
    weight = next(getattr(training, name).parameters())
    weight.register_hook(lambda gradient: gradient * (float("nan") if training.images == 24 else 1))
    with pytest.raises(BadInput, match=rf"{found} not finite at .*; the last good checkpoint is kept"):
        run_training(training, tmp_path / "run", 0.5)
    assert torch.load(tmp_path / "run" / CHECKPOINT)["images"] == 24


@pytest.mark.parametrize("changed", [{"settings": None}, {"network": {}}, {"random": 3}, {"head": {"weight": 1}}])
def test_a_checkpoint_of_another_structure_is_refused(faces: Source, tmp_path: Path, changed: dict) -> None:
    path = tmp_path / "checkpoint.pt"
    training = training_of(faces, small("cls", epochs=1.0))
    training.save(path)
    torch.save(torch.load(path) | changed, path)
    with pytest.raises(BadInput, match=r"checkpoint\.pt: not a complete checkpoint"):
        training.load(path)


def test_weights_that_are_not_finite_are_never_saved(faces: Source, tmp_path: Path) -> None:
    outdir, training = tmp_path / "run", training_of(faces, small("cls", epochs=0.5))
    step = training.step

    def poisoned(pixels: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        measured = step(pixels, labels)
        with torch.no_grad():
            training.network.fc.weight.fill_(float("inf"))
        return measured | {"loss": torch.zeros([])}

    training.step = poisoned
    with pytest.raises(BadInput, match=r"not finite at"):
        run_training(training, outdir, 0.1)
    assert not (outdir / WEIGHTS).exists()
    assert not (outdir / CHECKPOINT).exists()


def test_other_settings_are_named_and_nothing_is_lost(rendered_faces: Path, tmp_path: Path, run: Run) -> None:
    outdir = tmp_path / "run"
    code, _, stderr = run(*command(rendered_faces, outdir, "--epochs", 0.2))
    assert code == 0, stderr
    kept = {path.name: path.read_bytes() for path in outdir.iterdir()}
    code, _, stderr = run(*command(rendered_faces, outdir, "--epochs", 0.2, "--margin", "arcface", "--seed", 5))
    assert code == 2
    assert "  seed: 5, not 0\n" in stderr and "  recipe.margin.name: arcface, not cosface\n" in stderr
    assert {path.name: path.read_bytes() for path in outdir.iterdir()} == kept
    code, _, stderr = run(*command(rendered_faces, outdir, "--epochs", 0.2))  # finished: there is nothing to do
    assert code == 0, stderr
    assert {path.name: path.read_bytes() for path in outdir.iterdir()} == kept


def test_a_folder_with_other_things_is_left_alone(rendered_faces: Path, tmp_path: Path, run: Run) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    code, _, stderr = run(*command(rendered_faces, tmp_path))
    assert code == 2
    assert "is no folder of a training run" in stderr
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


# --- bad input -------------------------------------------------------------------------------------------


def images(folder: Path, *names: str, size: tuple[int, int] = (32, 32)) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size).save(folder / name)
    return folder


def refused(run: Run, *arguments: object) -> str:
    """The one sentence that a command ends with."""
    code, _, stderr = run(*arguments)
    assert code == 2, stderr
    sentence = stderr.splitlines()[-1]
    assert sentence.startswith("sface-data: "), stderr
    assert "Traceback" not in stderr
    return sentence


def test_one_image_per_class_teaches_nothing(tmp_path: Path, run: Run) -> None:
    data = images(tmp_path / "faces", "a/0.png", "b/0.png", "c/0.png")
    assert "one image for each of its 3 classes" in refused(run, *command(data, tmp_path / "run"))
    images(data, "c/1.png")
    code, _, stderr = run(*command(data, tmp_path / "run", "--batch", 2, "--epochs", 0.5))
    assert code == 0, stderr


def test_faces_that_are_not_square_are_refused(tmp_path: Path, run: Run) -> None:
    data = images(tmp_path / "faces", "a/0.png", "a/1.png", "b/0.png", size=(32, 24))
    assert "32 x 24 pixels; recognition is trained on square" in refused(run, *command(data, tmp_path / "run"))


def test_a_broken_face_is_named(tmp_path: Path, run: Run) -> None:
    data = images(tmp_path / "faces", "a/0.png", "a/1.png", "b/0.png")
    (data / "a" / "1.png").write_bytes(b"\x89PNG nonsense")
    assert "1.png: not an image" in refused(run, *command(data, tmp_path / "run"))


def test_a_batch_that_does_not_divide_is_refused(faces: Source) -> None:
    for batch, size in ((9, 2), (2, 2)):
        with pytest.raises(BadInput, match=f"the batch is {batch}; it must be a multiple of the 2 processes"):
            training_of(faces, small("cls", batch=batch), ProcessGroup(0, size))


def test_teachers_that_do_not_fit(rendered_faces: Path, tmp_path: Path, run: Run) -> None:
    outdir = tmp_path / "run"
    code, _, stderr = run(*command(rendered_faces, outdir, "--epochs", 0.2))
    assert code == 0, stderr
    kt = command(rendered_faces, tmp_path / "kt", "--recipe", "kt", "--epochs", 0.2)
    assert "the recipe kt needs a teacher" in refused(run, *kt)
    assert "does not exist; a teacher is never left out" in refused(run, *kt, "--teacher", tmp_path / "none.onnx")
    wide = refused(run, *kt, "--teacher", outdir / WEIGHTS, "--dimensions", 16)
    assert "its embeddings have 8 dimensions, those of the network to be trained 16; add --dimensions 8" in wide
    cls = command(rendered_faces, tmp_path / "cls", "--teacher", outdir / WEIGHTS)
    assert "no use for a --teacher" in refused(run, *cls)
    (tmp_path / "text.onnx").write_text("hello")
    assert "text.onnx: not an ONNX file" in refused(run, *kt, "--teacher", tmp_path / "text.onnx")
    (tmp_path / "text.pth").write_text("hello")
    assert "text.pth: not a file of weights" in refused(run, *kt, "--teacher", tmp_path / "text.pth")
    assert not (tmp_path / "kt").exists()
    code, _, stderr = run(*kt, "--teacher", outdir / WEIGHTS)
    assert code == 0, stderr
    code, _, stderr = run(*kt, "--teacher", outdir / WEIGHTS, "--teacher-channels", "bgr")
    assert code == 2
    assert "teacher_sha256" in stderr


def test_eval_every_without_benchmarks(rendered_faces: Path, tmp_path: Path, run: Run) -> None:
    stderr = refused(run, *command(rendered_faces, tmp_path / "run", "--eval-every", 5))
    assert "name what on with --benchmarks" in stderr
