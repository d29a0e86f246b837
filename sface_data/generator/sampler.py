"""Images from a generator and a plan. Knows nothing of files."""

import copy
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from sface_data.dataset.plan import SamplePlan, SampleSpec
from sface_data.errors import BadInput
from sface_data.generator.config import GeneratorConfig, channels_at
from sface_data.generator.networks import FEWEST_IMAGES, Generator, Noise, SynthesisLayer
from sface_data.runtime.devices import DTYPES, moved

_CPU_ACTIVATION = 64 << 20  # bytes


@dataclass(frozen=True)
class SampleBatch:
    """Images with what they are.

    Attributes:
        specs: one per image.
        images: uint8 [N,H,W,3], RGB.
    """

    specs: Sequence[SampleSpec]
    images: np.ndarray


def default_batch(device: torch.device, config: GeneratorConfig, size: int) -> int:
    """64 images of so many pixels a side at a time; on a CPU fewer where activations would pass 64 MB in fp32.

    At least two: see `Sampler`.
    """
    if device.type == "cuda":
        return 64
    values = max(3 * size**2, *(channels_at(r, config) * r**2 for r in config.noise_resolutions))  # an image
    return min(max(_CPU_ACTIVATION // (4 * values), FEWEST_IMAGES), 64)


def check_plan(plan: SamplePlan, generator: Generator) -> None:
    """Checks what a plan alone cannot know.

    Raises:
        BadInput: if more layers are to be truncated than the generator has.
    """
    cutoff, layers = plan.truncation.cutoff, generator.config.num_ws
    if cutoff is not None and cutoff > layers:
        raise BadInput(f"the truncation cutoff is {cutoff}, but the generator has {layers} layers")


class Sampler:
    """Makes the images of a plan, in batches.

    An image depends on its class and index, the generator and the plan, and on neither the batch it is made
    in nor the images before it: not at all on a CPU, where a single image is made twice for this, and up to
    rounding on a GPU, at most one grey level in fp32.

    Args:
        generator: in evaluation mode; it is moved to the device.
        plan: what to make.
        device: where to make it.
        batch: images at a time.
        centers: float32 [len(plan.classes),w_dim], the means of w by class, where the plan truncates towards
            them; see `class_centers`.
    """

    def __init__(
        self,
        generator: Generator,
        plan: SamplePlan,
        device: torch.device,
        batch: int,
        centers: Tensor | None = None,
    ) -> None:
        if batch < 1:
            raise BadInput(f"the batch is {batch}; it must be at least 1")
        if (centers is None) != (plan.truncation.center == "global"):
            raise ValueError("centres are given with plans that truncate towards them, and only with those")
        check_plan(plan, generator)
        self.plan = plan
        self.device = device
        self.batch = batch
        self.dtype = DTYPES[plan.precision]
        self.generator = _prepared(generator, device, self.dtype)
        self.centers = None if centers is None else centers.to(device)

    def batches(self, specs: Iterable[SampleSpec]) -> "Batches":
        """The images of some samples, as an iterable of `SampleBatch` with a length."""
        return Batches(self, list(specs))

    @torch.inference_mode()
    def start(self, specs: Sequence[SampleSpec]) -> "PendingBatch":
        """Begins the images of one batch; a GPU goes on computing when this returns."""
        wanted, specs = specs, [*specs, *specs][: max(len(specs), FEWEST_IMAGES)]
        z = moved(latents(specs, self.generator.config.z_dim), self.device)
        indices = np.array([spec.class_index for spec in specs])
        classes = moved(torch.from_numpy(indices), self.device)
        truncation = self.plan.truncation
        center = None
        if self.centers is not None:
            places = np.searchsorted(self.plan.classes, indices)
            center = self.centers[moved(torch.from_numpy(places), self.device)]  # [N,w_dim]
        ws = self.generator.ws(z, classes, truncation.psi, truncation.cutoff, center)
        images = self.generator.synthesis(ws, self._noise(specs), self.dtype)[: len(wanted)]  # [N,C,R,R]
        # Faces are found and aligned in images as they are made.
        return PendingBatch(wanted, images if self.plan.align else resize(images, self.plan.image.size))

    def _noise(self, specs: Sequence[SampleSpec]) -> Noise:
        if self.plan.noise_mode != "random":
            return self.plan.noise_mode
        sizes = self.generator.config.noise_resolutions
        return [moved(noise_map(specs, layer, size), self.device) for layer, size in enumerate(sizes)]


class Batches:
    """The images of some samples, batch by batch; `len` is the number of batches."""

    def __init__(self, sampler: Sampler, specs: Sequence[SampleSpec]) -> None:
        self._sampler = sampler
        self._specs = specs

    def __len__(self) -> int:
        return -(-len(self._specs) // self._sampler.batch)

    def __iter__(self) -> Iterator[SampleBatch]:
        # A GPU has the next batch to work on while the last one is copied and used.
        pending = None
        for first in range(0, len(self._specs), self._sampler.batch):
            started = self._sampler.start(self._specs[first : first + self._sampler.batch])
            if pending is not None:
                yield pending.result()
            pending = started
        if pending is not None:
            yield pending.result()


class PendingBatch:
    """Images on their way from the device.

    Args:
        specs: one per image.
        images: float [N,C,H,W], about -1 to 1; C is 1 or 3.
    """

    def __init__(self, specs: Sequence[SampleSpec], images: Tensor) -> None:
        self._specs = specs
        self._copied = None
        if images.device.type == "cuda":
            self._finite, self._images = _pinned(images.isfinite().all()), _pinned(pixels_of(images))
            self._copied = torch.cuda.Event()
            self._copied.record()
        else:
            self._finite, self._images = images.isfinite().all(), pixels_of(images).contiguous()

    def result(self) -> SampleBatch:
        """Waits for the images.

        Raises:
            BadInput: if a value is not finite: the precision is too low for the network.
        """
        if self._copied is not None:
            self._copied.synchronize()
        if not self._finite:
            keys = f"{self._specs[0].key} to {self._specs[-1].key}"
            raise BadInput(
                f"the generator gives values that are not finite for {keys}; "
                "if the precision is not fp32, try --precision fp32, else the network is broken"
            )
        return SampleBatch(self._specs, self._images.numpy())


def _pinned(tensor: Tensor) -> Tensor:
    """A copy on its way from a GPU into memory that it writes without waiting."""
    return torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True).copy_(tensor, non_blocking=True)


def pixels_of(images: Tensor) -> Tensor:
    """Images [N,C,H,W] of a generator, about -1 to 1, as they are written: uint8 [N,H,W,3], RGB."""
    # As in the published tools: clipped and cut, not rounded.
    levels = (images * 127.5 + 128).clamp_(0, 255).to(torch.uint8)
    return levels.expand(-1, 3, -1, -1).permute(0, 2, 3, 1)


def latents(specs: Sequence[SampleSpec], z_dim: int) -> Tensor:
    """The latents of some samples, as the published tools draw them from a seed: float32 [N,z_dim]."""
    rows = [np.random.RandomState(spec.seed).randn(z_dim) for spec in specs]
    return torch.from_numpy(np.stack(rows).astype(np.float32))


def noise_map(specs: Sequence[SampleSpec], layer: int, size: int) -> Tensor:
    """The noise of one layer: float32 [N,1,size,size], standard normal.

    Counter-based (Philox, Salmon et al. 2011), keyed by seed and layer: the same wherever it is drawn.
    """
    rows = [
        np.random.Generator(np.random.Philox(key=spec.seed, counter=[0, 0, 0, layer])).standard_normal(
            (1, size, size), dtype=np.float32
        )
        for spec in specs
    ]
    return torch.from_numpy(np.stack(rows))


def resize(images: Tensor, size: int) -> Tensor:
    """Bicubic, without aliasing: float [N,C,R,R] -> [N,C,size,size]."""
    if images.shape[-1] == size:
        return images
    return F.interpolate(images, size=(size, size), mode="bicubic", antialias=True, align_corners=False)


@torch.inference_mode()
def class_center(generator: Generator, class_index: int, samples: int) -> Tensor:
    """The mean w of a class over `samples` latents, the same ones for every class: float32 [w_dim]."""
    z = torch.from_numpy(np.random.RandomState(0).randn(samples, generator.config.z_dim).astype(np.float32))
    classes = torch.full((samples,), class_index)
    return generator.mapping(z, classes).mean(dim=0)


@torch.inference_mode()
def _prepared(generator: Generator, device: torch.device, dtype: torch.dtype) -> Generator:
    """A copy on the device, with everything computed that follows from the weights alone."""
    prepared = copy.deepcopy(generator).to(device)
    for module in prepared.modules():
        if isinstance(module, SynthesisLayer):
            module.freeze(dtype)
    return prepared
