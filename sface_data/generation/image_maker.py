"""What a worker holds that makes images, and its two tasks: to find faces, and to make a stretch of a shard."""

import copy
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import count

import numpy as np
import torch
from numpy.typing import NDArray

from sface_data.dataset.found_faces import FoundFaces
from sface_data.dataset.plan import SamplePlan, SampleSpec, spec_of
from sface_data.dataset.shard_writer import EncodedSample, Packed, encode, pack
from sface_data.errors import BadInput
from sface_data.faces.alignment import warp
from sface_data.faces.detector import Detector
from sface_data.generator.networks import Generator
from sface_data.generator.sampler import SampleBatch, Sampler
from sface_data.runtime.devices import choose_device
from sface_data.runtime.pool import cores, worker_number
from sface_data.runtime.prefetch import prefetch

BLOCK = 16  # images made at a time for the detector, whatever the batch: so what it finds depends on no option
_BATCHES_AHEAD = 8  # that wait for an encoder; bounds the memory
_MOST_ENCODERS = 8

Found = tuple[NDArray[np.int64], NDArray[np.float32]]  # indices [n], landmarks [n,5,2]


@dataclass(frozen=True)
class Stretch:
    """Samples of a shard that follow one another, with landmarks [5,2] of each where they are aligned."""

    specs: Sequence[SampleSpec]
    landmarks: Sequence[NDArray[np.float32]] | None = None


@dataclass(frozen=True)
class ImageMaker:
    """Makes the images of a plan.

    Attributes:
        device: where; of several GPUs a worker takes the one that has its number.
        batch: images at a time.
        centers: see `Sampler`.
        detector: opens what finds faces on a device, if the plan aligns.
    """

    generator: Generator
    plan: SamplePlan
    device: torch.device
    batch: int
    centers: torch.Tensor | None = None
    detector: Callable[[str], Detector] | None = None

    def elsewhere(self) -> "Callable[[], ImageMaker]":
        """What makes the same one in another process."""
        generator, centers = self.generator, self.centers
        return partial(
            _made_again,
            copy.deepcopy(generator).to("meta"),
            {name: tensor.numpy() for name, tensor in generator.state_dict().items()},
            None if centers is None else centers.numpy(),
            partial(ImageMaker, plan=self.plan, device=self.device, batch=self.batch, detector=self.detector),
        )

    @cached_property
    def _own_device(self) -> torch.device:
        name = str(self.device)
        return choose_device(f"cuda:{worker_number() % torch.cuda.device_count()}" if name == "cuda" else name)

    @cached_property
    def _sampler(self) -> Sampler:
        return Sampler(self.generator, self.plan, self._own_device, self.batch, self.centers)

    @cached_property
    def _finder(self) -> Detector:
        assert self.detector is not None
        return self.detector(str(self._own_device))

    @cached_property
    def _threads(self) -> ThreadPoolExecutor:
        # A GPU is faster than one of them; on a CPU there is a worker for each core.
        return ThreadPoolExecutor(1 if self.device.type == "cpu" else min(cores(), _MOST_ENCODERS))

    def make(self, stretch: Stretch) -> Packed:
        """A stretch as it stands in its shard.

        Raises:
            BadInput: if the generator gives values that are not finite.
        """
        form, landmarks = self.plan.image, stretch.landmarks

        def packed(numbered: tuple[int, SampleBatch]) -> bytes:
            first, batch = numbered
            samples = []
            for row, (spec, image) in enumerate(zip(batch.specs, batch.images, strict=True), first):
                shown = image if landmarks is None else warp(image, landmarks[row], form.size)
                samples.append(pack(EncodedSample(spec, encode(shown, form)), form.format))
            return b"".join(samples)

        batches = zip(count(0, self.batch), self._sampler.batches(stretch.specs), strict=False)
        return Packed(len(stretch.specs), b"".join(prefetch(self._threads, packed, batches, _BATCHES_AHEAD)))

    def find(self, classes: tuple[int, ...]) -> FoundFaces:
        """The first images of some classes that show a face.

        Raises:
            BadInput: if a class has too few after `SamplePlan.most_draws` images.
        """
        found = [self._find_in_class(c) for c in classes]
        return FoundFaces(classes, np.stack([f[0] for f in found]), np.stack([f[1] for f in found]))

    def _find_in_class(self, class_index: int) -> Found:
        plan, detector = self.plan, self._finder
        indices: list[int] = []
        landmarks: list[NDArray[np.float32]] = []
        for first in range(0, plan.most_draws, BLOCK):
            specs = [spec_of(plan.base_seed, class_index, i) for i in range(first, first + BLOCK)]
            images = self._sampler.start(specs).result().images
            for spec, points in zip(specs, self._threads.map(detector.landmarks, images), strict=True):
                if points is None or spec.index >= plan.most_draws:
                    continue
                indices.append(spec.index)
                landmarks.append(points)
                if len(indices) == plan.samples_per_class:
                    return np.array(indices, np.int64), np.stack(landmarks)
        raise BadInput(
            f"{detector.name}: finds a face in {len(indices)} of the first {plan.most_draws} images of class "
            f"{class_index}, where {plan.samples_per_class} are wanted; leave the class out (--classes), or take "
            "another detector"
        )


def _made_again(
    generator: Generator,
    weights: dict[str, NDArray[np.float32]],
    centers: NDArray[np.float32] | None,
    make: Callable[..., ImageMaker],
) -> ImageMaker:
    generator.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()}, assign=True)
    generator.requires_grad_(False)
    return make(generator=generator, centers=None if centers is None else torch.from_numpy(centers))
