"""Training of a class-conditional generator: StyleGAN2 with adaptive discriminator augmentation.

From the papers https://arxiv.org/abs/1912.04958 (networks, regularisation) and https://arxiv.org/abs/2006.06676
(augmentation). One loop serves all recipes.

A regulariser that is due is added, times its interval, to the loss of that step, so that one step of Adam
serves both; the papers take a step of its own for it and slow Adam down accordingly (appendix B of the first).
"""

import copy
import dataclasses
from dataclasses import dataclass

import torch
from torch import Tensor

from sface_data.errors import BadInput
from sface_data.generator.augment import augment
from sface_data.generator.faces import TrainingFaces
from sface_data.generator.losses import (
    PATH_DECAY,
    discriminator_loss,
    generator_loss,
    path_lengths,
    r1_penalty,
)
from sface_data.generator.networks import Discriminator, Generator, GeneratorConfig
from sface_data.generator.recipe import Recipe
from sface_data.generator.weights import Network
from sface_data.runtime.devices import DTYPES
from sface_data.training.distributed import ProcessGroup
from sface_data.training.random_numbers import BatchRandom
from sface_data.training.shuffle import ShuffledIndices

AVERAGE_DECAY = 0.005  # how fast w_avg follows
_AUGMENT_INTERVAL = 4  # steps between two changes of the strength of augmentation


@dataclass(frozen=True)
class Settings:
    """What the outcome of a run depends on, but for its length.

    Attributes:
        seed: of initial weights, latents, noise, augmentation and order of the faces.
        precision: of the convolutions, a key of DTYPES.
        device: kind of device, which random numbers depend on.
        resolution, classes, faces, faces_sha256: what is trained on.
        initial_sha256: digest of the generator that training starts from; None for random weights.
    """

    recipe: Recipe
    seed: int
    precision: str
    device: str
    resolution: int
    classes: int
    faces: int
    faces_sha256: str
    initial_sha256: str | None = None


@dataclass
class Progress:
    """What changes in a run besides weights: numbers that must survive a stop.

    Attributes:
        images: real images shown so far.
        augment_p: strength of augmentation, float32 [].
        signs: sum of the mean sign of the discriminator's output on real faces since the last change, [].
        path_mean: running mean of path lengths, [].
    """

    images: int
    augment_p: Tensor
    signs: Tensor
    path_mean: Tensor


class Training:
    """A run between two steps: networks, optimisers, random numbers and progress.

    Args:
        faces: what is trained on.
        settings: see there.
        device: where it is trained.
        group: the processes that share the work.
        initial: generator whose weights training starts from, the one that the settings name.

    Raises:
        BadInput: if the batch cannot be shared out, or the initial generator is of another architecture.
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
        if recipe.batch % (group.size * recipe.mbstd_group_size):
            raise BadInput(
                f"the batch is {recipe.batch}; it must be a multiple of {group.size * recipe.mbstd_group_size} "
                f"({group.size} processes, groups of {recipe.mbstd_group_size} images)"
            )
        self.faces, self.settings, self.device, self.group = faces, settings, device, group
        self.dtype = DTYPES[settings.precision]
        self.share = recipe.batch // group.size  # images a step of this process
        self.order = ShuffledIndices(len(faces), recipe.mirror, settings.seed)
        torch.manual_seed(settings.seed)
        generator = Generator(recipe.generator_config(settings.resolution, settings.classes))
        discriminator = Discriminator(recipe.discriminator_config(settings.resolution, settings.classes))
        if initial is not None:
            _check_same(initial.config, generator.config)
            generator.load_state_dict(initial.state_dict())
        self.generator = _placed(generator, device)
        self.discriminator = _placed(discriminator, device)
        self.averaged = copy.deepcopy(self.generator).eval().requires_grad_(False)
        self.optimizers = {
            "generator": _adam(self.generator, recipe.learning_rate),
            "discriminator": _adam(self.discriminator, recipe.learning_rate),
        }
        self.random = BatchRandom(settings.seed, device, group.rank, group.size)
        zero = torch.zeros([], device=device)
        self.progress = Progress(0, zero.clone(), zero.clone(), zero.clone())

    def step(self) -> dict[str, Tensor]:
        """Trains both networks on one batch, and returns what was measured, each a tensor []."""
        recipe, number = self.settings.recipe, self.progress.images // self.settings.recipe.batch
        self.discriminator.requires_grad_(False)
        self.generator.requires_grad_(True)
        measured = self.generator_step(regularise=_due(recipe.path_weight, recipe.path_interval, number))
        self.discriminator.requires_grad_(True)
        self.generator.requires_grad_(False)
        measured |= self.discriminator_step(regularise=_due(recipe.r1_gamma, recipe.r1_interval, number))
        self.progress.images += recipe.batch
        self._average_weights()
        if (number + 1) % _AUGMENT_INTERVAL == 0:
            self._adapt_augmentation()
        return measured

    def generator_step(self, regularise: bool) -> dict[str, Tensor]:
        """One step of the generator, with path-length regularisation or without."""
        recipe = self.settings.recipe
        images, classes, ws = self._generate(self.share)
        logits = self._judge(images, classes, self.dtype)
        loss = generator_loss(logits)
        measured = {"generator_loss": loss.detach()}
        self._track_w_avg(ws)
        if regularise:
            images, _, ws = self._generate(max(self.share // 2, 1))
            lengths = path_lengths(images, ws, self.random.normal(*images.shape))
            mean = torch.lerp(self.progress.path_mean, self.group.mean(lengths.detach().mean()), PATH_DECAY)
            self.progress.path_mean = mean
            penalty = (lengths - mean).square().mean()
            loss = loss + penalty * (recipe.path_weight * recipe.path_interval)
            measured |= {"path_length": lengths.detach().mean(), "path_penalty": penalty.detach()}
        self._descend("generator", self.generator, loss)
        return measured

    def discriminator_step(self, regularise: bool) -> dict[str, Tensor]:
        """One step of the discriminator, with R1 or without."""
        recipe = self.settings.recipe
        with torch.no_grad():
            fake, fake_classes, _ = self._generate(self.share)
        fake_logits = self._judge(fake, fake_classes, self.dtype)
        rank, size = self.group.rank, self.group.size
        indices, mirrored = self.order.indices(self.progress.images, recipe.batch)
        real, real_classes = self.faces.batch(indices[rank::size], mirrored[rank::size])
        real = real.to(self.device).requires_grad_(regularise)
        # Derivatives of derivatives lose too much in few bits, and have no fast kernels in them on CPUs.
        dtype = torch.float32 if regularise else self.dtype
        real_logits = self._judge(real, real_classes.to(self.device), dtype)
        loss = discriminator_loss(real_logits, fake_logits)
        sign = self.group.mean(real_logits.detach().sign().mean())
        self.progress.signs = self.progress.signs + sign
        measured = {"discriminator_loss": loss.detach(), "real_sign": sign}
        if regularise:
            penalty = r1_penalty(real_logits, real)
            loss = loss + penalty * (recipe.r1_gamma / 2 * recipe.r1_interval)
            measured["r1_penalty"] = penalty.detach()
        self._descend("discriminator", self.discriminator, loss)
        return measured

    def _track_w_avg(self, ws: Tensor) -> None:
        """Moves the mean of w, which truncation pulls towards, to the ws [N,num_ws,w_dim] of a batch."""
        w_avg = self.generator.mapping.w_avg
        w_avg.lerp_(self.group.mean(ws.detach()[:, 0].mean(dim=0)), AVERAGE_DECAY)

    def _generate(self, n: int) -> tuple[Tensor, Tensor, Tensor]:
        """n images [n,3,R,R] of classes [n] as frequent as in the faces, and their ws [n,num_ws,w_dim]."""
        config = self.generator.config
        classes = self.faces.classes(self.random.integers(n, len(self.faces))).to(self.device)
        ws = self.generator.ws(self.random.normal(n, config.z_dim), classes)
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
        if recipe.augment:
            images = augment(images, recipe.augment, self.progress.augment_p, self.random)
        return self.discriminator(images, classes, dtype)

    def _descend(self, name: str, network: torch.nn.Module, loss: Tensor) -> None:
        optimizer = self.optimizers[name]
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.group.average_gradients(network.parameters())
        optimizer.step()

    @torch.no_grad()
    def _average_weights(self) -> None:
        recipe, images = self.settings.recipe, self.progress.images
        half_life = min(recipe.ema_kimg * 1000, images * recipe.ema_rampup)  # images
        keep = 0.5 ** (recipe.batch / max(half_life, 1e-8))
        torch._foreach_lerp_(list(self.averaged.parameters()), list(self.generator.parameters()), 1 - keep)
        for kept, now in zip(self.averaged.buffers(), self.generator.buffers(), strict=True):
            kept.copy_(now)

    def _adapt_augmentation(self) -> None:
        recipe = self.settings.recipe
        overfitting = self.progress.signs / _AUGMENT_INTERVAL  # r_t of the paper
        change = recipe.batch * _AUGMENT_INTERVAL / (recipe.augment_kimg * 1000)
        direction = (overfitting - recipe.augment_target).sign()
        self.progress.augment_p = (self.progress.augment_p + direction * change).clamp(0, 1)
        self.progress.signs = torch.zeros_like(self.progress.signs)


def _check_same(initial: GeneratorConfig, wanted: GeneratorConfig) -> None:
    there, asked = dataclasses.asdict(initial), dataclasses.asdict(wanted)
    different = "; ".join(
        f"{name} {there[name]}, not {asked[name]}" for name in asked if there[name] != asked[name]
    )
    if different:
        raise BadInput(
            f"the initial generator is of another architecture ({different}); give one that was trained with this "
            "preset on images of this size with as many classes"
        )


def _placed(network: Network, device: torch.device) -> Network:
    """On a device, with convolution weights in the memory layout that they are used in."""
    for parameter in network.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return network.to(device)


def _due(weight: float, interval: int, step: int) -> bool:
    return weight > 0 and step % interval == 0


def _adam(network: torch.nn.Module, learning_rate: float) -> torch.optim.Adam:
    return torch.optim.Adam(network.parameters(), learning_rate, betas=(0.0, 0.99), eps=1e-8, fused=True)
