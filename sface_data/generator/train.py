"""Training of a class-conditional generator: StyleGAN2 with adaptive discriminator augmentation, in stages.

From the papers https://arxiv.org/abs/1912.04958 (networks, regularisation) and https://arxiv.org/abs/2006.06676
(augmentation). One loop serves all recipes.

A regulariser that is due is added, times its interval, to the loss of that step, so that one step of Adam
serves both; the papers take a step of its own for it and slow Adam down accordingly (appendix B of the first).

Where a stage ends, the networks grow (see `growing`): generator, average and discriminator are at that moment the
functions they were. Order of the faces, random numbers, strength of augmentation and mean path length go on. Adam
begins anew, as its memory of 100 steps is of other gradients, and so does the ramp of the average, which the new
layers need to be followed fast. A stage of the same size as the one before changes batch, rate and penalty
only; its average goes on. The last stage of a run may go on for longer than the recipe says; if the run is given a
higher resolution later, the next ones have their lengths from there on. New layers are a function of the seed and
the stage. So a run that was stopped, at whatever moment, goes on exactly.

Augmentation is steered by the mean sign of the discriminator on authentic faces, r_t of the second paper. It is
large where the discriminator has learned the faces by heart, but also where it merely wins, as small networks let
it do early. Learning by heart takes many showings: so a recipe can say how often each face must have been shown
(`augment_after`) before the strength rises. In runs shorter than that, it stays 0.
"""

import copy
import dataclasses
from collections.abc import Callable
from collections.abc import Generator as Batches
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from sface_data.errors import BadInput
from sface_data.generator.augment import augment
from sface_data.generator.class_codes import class_codes, mean_faces
from sface_data.generator.config import GeneratorConfig
from sface_data.generator.faces import TrainingFaces, network_images
from sface_data.generator.growing import grow_discriminator, grow_generator
from sface_data.generator.losses import (
    PATH_DECAY,
    discriminator_loss,
    generator_loss,
    path_lengths,
    r1_penalty,
)
from sface_data.generator.networks import Discriminator, Generator
from sface_data.generator.recipe import Recipe, Stage
from sface_data.runtime.devices import DTYPES, moved
from sface_data.training.checkpoint import check_settings, reading_checkpoint, write_checkpoint
from sface_data.training.distributed import ProcessGroup
from sface_data.training.face_batches import FaceBatches
from sface_data.training.random_numbers import BatchRandom
from sface_data.training.recorded import Measured, Recorded
from sface_data.training.shuffle import ShuffledIndices

Network = TypeVar("Network", Generator, Discriminator)
AVERAGE_DECAY = 0.005  # how fast w_avg follows
_AUGMENT_INTERVAL = 4  # steps between two changes of the strength of augmentation
_NETWORKS = ("generator", "discriminator", "averaged")
_FORMAT = "sface_data.training/4"


@dataclass(frozen=True)
class Settings:
    """What the outcome of a run depends on, but for its length.

    Attributes:
        seed: of initial weights, latents, noise, augmentation and order of the faces.
        precision: of the convolutions, a key of DTYPES.
        device: kind of device, which random numbers depend on.
        classes, faces, faces_sha256, order_sha256, left_out: what is trained on, see `TrainingFaces`.
        initial_sha256: digest of the generator that training starts from; None for random weights.
    """

    recipe: Recipe
    seed: int
    precision: str
    device: str
    classes: int
    faces: int
    faces_sha256: str
    order_sha256: str
    left_out: int = 0
    initial_sha256: str | None = None

    @classmethod
    def of(
        cls,
        recipe: Recipe,
        faces: TrainingFaces,
        seed: int,
        precision: str,
        device: str,
        initial_sha256: str | None = None,
    ) -> "Settings":
        """The settings of a run on some faces."""
        return cls(
            recipe=recipe,
            seed=seed,
            precision=precision,
            device=device,
            classes=len(faces.class_names),
            faces=len(faces),
            faces_sha256=faces.sha256,
            order_sha256=faces.order_sha256,
            left_out=faces.left_out,
            initial_sha256=initial_sha256,
        )

    def until(self, stage: int) -> "Settings":
        """What a run depends on that is in a stage: later ones may still be changed."""
        return dataclasses.replace(
            self, recipe=dataclasses.replace(self.recipe, stages=self.recipe.stages[: stage + 1])
        )


@dataclass
class TrainingState:
    """What changes in a run besides weights: numbers that must survive a stop.

    Attributes:
        images: authentic images shown so far.
        stage: index of the stage that the networks are of.
        start: authentic images shown when that stage began.
        grown: authentic images shown when the networks got the size that they have.
        augment_p: strength of augmentation, float32 [].
        signs: sum of the mean sign of the discriminator's output on authentic faces since the last change, [].
        path_mean: running mean of path lengths, [].
    """

    images: int
    stage: int
    start: int
    grown: int
    augment_p: Tensor
    signs: Tensor
    path_mean: Tensor


class Training:
    """A run between two steps: networks, optimisers, random numbers and state.

    There are networks once it was told to `begin` or to `load`.

    Args:
        faces: what is trained on.
        settings: see there.
        device: where it is trained.
        group: the processes that share the work.
        initial: generator whose weights training starts from, in the stage of its resolution; the one that the
            settings name.

    Raises:
        BadInput: if faces are too small, a batch cannot be shared out, or the initial generator is of another
            architecture.
    """

    def __init__(
        self,
        faces: TrainingFaces,
        settings: Settings,
        device: torch.device,
        group: ProcessGroup,
        initial: Generator | None = None,
    ) -> None:
        recipe = settings.recipe
        for stage in recipe.stages:
            faces.check_resolution(stage.resolution)
            _check_batch(stage.batch, recipe.mbstd_group_size, group.size)
        self.faces, self.settings, self.device, self.group = faces, settings, device, group
        self.dtype = DTYPES[settings.precision]
        self.class_indices = torch.from_numpy(faces.class_indices).to(device)
        self.random = BatchRandom(settings.seed, device, group.rank, group.size)
        zero = torch.zeros([], device=device)
        number = 0 if initial is None else _stage_of(initial.config, settings)
        start = (0, *recipe.ends)[number]
        self.state = TrainingState(start, number, start, start, zero.clone(), zero.clone(), zero.clone())
        self.initial = initial

    def begin(self) -> None:
        """Makes the networks of a new run, which reads all faces where codes of classes start from those."""
        generator, discriminator = self._new_networks()
        if self.settings.recipe.class_codes == "mean faces":
            means = mean_faces(self.faces)
            for number, network in enumerate((generator, discriminator)):
                weight = network.get_parameter("mapping.embed.weight").data  # [dimensions,C]
                weight.copy_(class_codes(means, len(weight), self.settings.seed + number).t())
        if self.initial is not None:
            generator.load_state_dict(self.initial.state_dict())
        self._take(generator, discriminator, copy.deepcopy(generator))

    @property
    def stage(self) -> Stage:
        """The stage that the networks are of."""
        return self.settings.recipe.stages[self.state.stage]

    @property
    def end(self) -> int | None:
        """How many images the run has shown when the networks grow; None in the last stage."""
        last = self.state.stage == len(self.settings.recipe.stages) - 1
        return None if last else max(self.state.images, self.state.start + self.stage.images)

    @property
    def planned(self) -> int:
        """How many images the run has shown when each of its stages has had its length."""
        later = self.settings.recipe.stages[self.state.stage + 1 :]
        end = max(self.state.images, self.state.start + self.stage.images)
        return end + sum(stage.images for stage in later)

    def batches(self) -> Batches[tuple[Tensor, Tensor], None, None]:
        """What `step` takes, from here on in this stage, without end."""
        recipe, stage = self.settings.recipe, self.stage
        shuffled = ShuffledIndices(len(self.faces), "both" if recipe.mirror else 0.0, self.settings.seed)
        read = partial(self.faces.read, resolution=stage.resolution)
        supply = FaceBatches(read, self.faces.class_indices, shuffled, stage.batch, self.group)
        return supply.from_image(self.state.images)

    def step(self, pixels: Tensor, classes: Tensor) -> dict[str, Tensor]:
        """Trains both networks on one batch, and returns what was measured, each a tensor [].

        Args:
            pixels: of this process, uint8 [n,R,R,3].
            classes: of them, int64 [n].
        """
        recipe, stage, state = self.settings.recipe, self.stage, self.state
        number = (state.images - state.start) // stage.batch
        path = _due(recipe.path_weight, recipe.path_interval, number)
        learn = self._learner(path, _due(stage.r1_gamma, recipe.r1_interval, number))
        measured = learn(moved(pixels, self.device), moved(classes, self.device))
        state.images += stage.batch
        self._average_weights()
        if (number + 1) % _AUGMENT_INTERVAL == 0:
            self._adapt_augmentation()
        return measured

    def _learner(self, path: bool, r1: bool) -> Callable[[Tensor, Tensor], Measured]:
        """`learn` with the regularisers that are due, recorded where that can be."""
        learn = partial(self.learn, path=path, r1=r1)
        if not self._recordable:
            return learn
        if (path, r1) not in self._recorded:
            self._recorded[path, r1] = Recorded(learn, self.random)
        return self._recorded[path, r1]

    def learn(self, pixels: Tensor, classes: Tensor, path: bool, r1: bool) -> Measured:
        """What a step does to the networks, with path-length regularisation and R1 or without."""
        self.discriminator.requires_grad_(False)
        self.generator.requires_grad_(True)
        fakes, measured = self.generator_step(path)
        self.discriminator.requires_grad_(True)
        self.generator.requires_grad_(False)
        if not self.settings.recipe.reuse_fakes:
            with torch.no_grad():
                fakes = self._generate(len(classes))[:2]
        return measured | self.discriminator_step((network_images(pixels), classes), fakes, r1)

    def generator_step(self, regularise: bool) -> tuple[tuple[Tensor, Tensor], dict[str, Tensor]]:
        """One step of the generator, with path-length regularisation or without.

        Returns:
            The images [n,3,R,R] that it learned from with their classes [n], and what was measured.
        """
        recipe, share = self.settings.recipe, self.stage.batch // self.group.size
        images, classes, ws = self._generate(share)
        logits = self._judge(images, classes, self.dtype)
        loss = generator_loss(logits)
        measured = {"generator_loss": loss.detach()}
        fakes = images.detach(), classes
        self._track_w_avg(ws)
        if regularise:
            images, _, ws = self._generate(max(share // 2, 1))
            lengths = path_lengths(images, ws, self.random.normal(*images.shape))
            mean = torch.lerp(self.state.path_mean, self.group.mean(lengths.detach().mean()), PATH_DECAY)
            self.state.path_mean.copy_(mean)
            penalty = (lengths - mean).square().mean()
            loss = loss + penalty * (recipe.path_weight * recipe.path_interval)
            measured |= {"path_length": lengths.detach().mean(), "path_penalty": penalty.detach()}
        self._descend("generator", self.generator, loss)
        return fakes, measured

    def discriminator_step(
        self, authentic: tuple[Tensor, Tensor], fakes: tuple[Tensor, Tensor], regularise: bool
    ) -> dict[str, Tensor]:
        """One step of the discriminator on images [n,3,R,R] with classes [n], with R1 or without."""
        recipe, gamma = self.settings.recipe, self.stage.r1_gamma
        fake_logits = self._judge(*fakes, self.dtype)
        images, classes = authentic
        images.requires_grad_(regularise)
        # Derivatives of derivatives lose too much in few bits, and have no fast kernels in them on CPUs.
        logits = self._judge(images, classes, torch.float32 if regularise else self.dtype)
        loss = discriminator_loss(logits, fake_logits)
        sign = self.group.mean(logits.detach().sign().mean())
        self.state.signs.add_(sign)
        measured = {"discriminator_loss": loss.detach(), "authentic_sign": sign}
        if regularise:
            penalty = r1_penalty(logits, images)
            loss = loss + penalty * (gamma / 2 * recipe.r1_interval)
            measured["r1_penalty"] = penalty.detach()
        self._descend("discriminator", self.discriminator, loss)
        return measured

    def grow(self) -> None:
        """Goes on to the next stage; see the top of this file for what passes on."""
        before = self.stage.resolution
        self.state.stage += 1
        self.state.start = self.state.images
        if self.stage.resolution > before:
            self.state.grown = self.state.images
        generator, discriminator = self._new_networks()
        averaged = copy.deepcopy(generator)
        grow_generator(self.generator, generator)
        grow_generator(self.averaged, averaged)
        grow_discriminator(self.discriminator, discriminator)
        self._take(generator, discriminator, averaged)
        self.state.signs.zero_()

    def save(self, path: Path) -> None:
        """Writes everything that the next step depends on, atomically."""
        content = {
            "state": {field.name: getattr(self.state, field.name) for field in dataclasses.fields(self.state)},
            "networks": {name: getattr(self, name).state_dict() for name in _NETWORKS},
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
            "random": self.random.state,
        }
        settings = self.settings.until(self.state.stage)
        write_checkpoint(path, _FORMAT, dataclasses.asdict(settings), content)

    def load(self, path: Path) -> None:
        """Goes on from what a run with the same settings saved, in any number of processes.

        Raises:
            BadInput: if the file is broken, or of a run with other settings, which are named.
        """
        with reading_checkpoint(path, _FORMAT) as content:
            held = content["state"]["stage"]
            if held >= len(self.settings.recipe.stages):
                raise BadInput(
                    f"{path}: the run has grown beyond {self.settings.recipe.stages[-1].resolution} pixels; go on "
                    "with a higher --resolution, or choose another folder"
                )
            check_settings(path, dataclasses.asdict(self.settings.until(held)), content["settings"])
            for name, value in content["state"].items():
                setattr(self.state, name, value.to(self.device) if isinstance(value, Tensor) else value)
            generator, discriminator = self._new_networks()
            self._take(generator, discriminator, copy.deepcopy(generator))
            for name in _NETWORKS:
                getattr(self, name).load_state_dict(content["networks"][name])
            for name, optimizer in self.optimizers.items():
                optimizer.load_state_dict(content["optimizers"][name])
            self.random.state = content["random"]

    def _new_networks(self) -> tuple[Generator, Discriminator]:
        """Networks of the stage with random weights, a function of seed and stage."""
        recipe, resolution, classes = self.settings.recipe, self.stage.resolution, self.settings.classes
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.settings.seed + self.state.stage)
            return (
                Generator(recipe.generator_config(resolution, classes)),
                Discriminator(recipe.discriminator_config(resolution, classes)),
            )

    def _take(self, generator: Generator, discriminator: Discriminator, averaged: Generator) -> None:
        """Puts networks on the device, with new optimisers."""
        self.generator = _placed(generator, self.device)
        self.discriminator = _placed(discriminator, self.device)
        self.averaged = _placed(averaged, self.device).eval().requires_grad_(False)
        self._recorded: dict[tuple[bool, bool], Recorded] = {}  # of these networks
        self.optimizers = {
            "generator": _adam(self.generator, self.stage.learning_rate),
            "discriminator": _adam(self.discriminator, self.stage.learning_rate),
        }

    @property
    def _recordable(self) -> bool:
        """Whether a step never waits for the GPU: mixing styles and warping images do."""
        recipe = self.settings.recipe
        waits = recipe.style_mixing > 0 or (len(recipe.augment) > 0 and self._may_augment)
        return self.device.type == "cuda" and self.group.size == 1 and not waits

    def _track_w_avg(self, ws: Tensor) -> None:
        """Moves the mean of w, which truncation pulls towards, to the ws [N,num_ws,w_dim] of a batch."""
        w_avg = self.generator.mapping.w_avg
        w_avg.lerp_(self.group.mean(ws.detach()[:, 0].mean(dim=0)), AVERAGE_DECAY)

    def _generate(self, n: int) -> tuple[Tensor, Tensor, Tensor]:
        """n images [n,3,R,R] of classes [n] as frequent as in the faces, and their ws [n,num_ws,w_dim]."""
        config = self.generator.config
        classes = self.class_indices[self.random.integers(n, len(self.faces))]
        ws = self.generator.ws(self.random.normal(n, config.z_dim), classes)
        if self.settings.recipe.style_mixing:
            chance, layer = self.random.shared(2).tolist()
            other = self.random.normal(n, config.z_dim)
            if chance < self.settings.recipe.style_mixing:
                first = 1 + int(layer * (config.num_ws - 1))
                ws = torch.cat([ws[:, :first], self.generator.ws(other, classes)[:, first:]], dim=1)
        noise = [self.random.normal(n, 1, size, size) for size in config.noise_resolutions]
        return self.generator.synthesis(ws, noise, self.dtype), classes, ws

    def _judge(self, images: Tensor, classes: Tensor, dtype: torch.dtype) -> Tensor:
        """The discriminator's logits [N,1] on images [N,3,R,R], augmented."""
        recipe = self.settings.recipe
        if recipe.augment and self._may_augment:
            images = augment(images, recipe.augment, self.state.augment_p, self.random)
        return self.discriminator(images, classes, dtype)

    def _descend(self, name: str, network: torch.nn.Module, loss: Tensor) -> None:
        optimizer = self.optimizers[name]
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.group.average_gradients(network.parameters(), finite=True)
        optimizer.step()

    @torch.no_grad()
    def _average_weights(self) -> None:
        recipe, images = self.settings.recipe, self.state.images - self.state.grown
        half_life = min(recipe.ema_kimg * 1000, images * recipe.ema_rampup)  # images
        keep = 0.5 ** (self.stage.batch / max(half_life, 1e-8))
        torch._foreach_lerp_(list(self.averaged.parameters()), list(self.generator.parameters()), 1 - keep)
        self.averaged.mapping.w_avg.copy_(self.generator.mapping.w_avg)  # noise never changes

    @property
    def _may_augment(self) -> bool:
        """Whether the strength of augmentation may be above 0, known without waiting for the device."""
        return self.state.images >= self.settings.recipe.augment_after * len(self.faces)

    def _adapt_augmentation(self) -> None:
        recipe, state = self.settings.recipe, self.state
        if self._may_augment:
            overfitting = state.signs / _AUGMENT_INTERVAL  # r_t of the paper
            change = self.stage.batch * _AUGMENT_INTERVAL / (recipe.augment_kimg * 1000)
            direction = (overfitting - recipe.augment_target).sign()
            state.augment_p.add_(direction * change).clamp_(0, 1)
        state.signs.zero_()


def _check_batch(batch: int, group_size: int, processes: int) -> None:
    if batch % (processes * group_size):
        raise BadInput(
            f"the batch is {batch}; it must be a multiple of {processes * group_size} "
            f"({processes} processes, groups of {group_size} images)"
        )


def _stage_of(initial: GeneratorConfig, settings: Settings) -> int:
    """Index of the stage that a generator to start from belongs to."""
    recipe = settings.recipe
    sides = [stage.resolution for stage in recipe.stages]
    index = sides.index(initial.img_resolution) if initial.img_resolution in sides else len(sides) - 1
    there = dataclasses.asdict(initial)
    asked = dataclasses.asdict(recipe.generator_config(sides[index], settings.classes))
    different = "; ".join(
        f"{name} {there[name]}, not {asked[name]}" for name in asked if there[name] != asked[name]
    )
    if different:
        raise BadInput(
            f"the initial generator is of another architecture ({different}); give one that was trained with this "
            "preset on images of this size with as many classes"
        )
    return index


def _placed(network: Network, device: torch.device) -> Network:
    """On a device, with convolution weights in the memory layout that they are used in."""
    for parameter in network.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return network.to(device)


def _due(weight: float, interval: int, step: int) -> bool:
    return weight > 0 and step % interval == 0


def _adam(network: torch.nn.Module, learning_rate: float) -> torch.optim.Adam:
    parameters = list(network.parameters())
    recordable = parameters[0].is_cuda
    return torch.optim.Adam(
        parameters, learning_rate, betas=(0.0, 0.99), eps=1e-8, fused=True, capturable=recordable
    )
