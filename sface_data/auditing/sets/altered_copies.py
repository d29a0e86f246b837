"""Altered training images, for the positive control: what a generator that copies would put into a release."""

import io
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sface_data.auditing.sets.judged_sets import AlteredCopies, derived, unit
from sface_data.embedding.embeddings import EmbeddingSet
from sface_data.faces.base import Face, Source

PLANTED = 400
SIMULATED_COSINE = 0.8  # of an altered image with the original, where there are only embeddings

Pixels = NDArray[np.uint8]


def mirrored(image: Pixels) -> Pixels:
    """The mirror image."""
    return image[:, ::-1]


def cropped(image: Pixels) -> Pixels:
    """The middle 95 % of both sides, enlarged to the whole."""
    height, width, _ = image.shape
    box = (0.025 * width, 0.025 * height, 0.975 * width, 0.975 * height)
    resized = Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC, box=box)
    return np.asarray(resized)


def recompressed(image: Pixels) -> Pixels:
    """After JPEG of quality 40."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=40)
    return np.asarray(Image.open(file))


def relit(image: Pixels) -> Pixels:
    """With light from the left, and darker shadows."""
    ramp = np.linspace(1.3, 0.6, image.shape[1])[None, :, None]
    values = 255 * (image / 255) ** 1.2 * ramp
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


ALTERATIONS: dict[str, Callable[[Pixels], Pixels]] = {
    "mirrored": mirrored,
    "cropped": cropped,
    "recompressed": recompressed,
    "relit": relit,
}


class AlteredSource(Source):
    """Some training images, each altered in one of the ways, in turn.

    Attributes:
        indices: [M] of the originals in the training set.
    """

    def __init__(self, training: Source, seed: int, count: int = PLANTED) -> None:
        rng = np.random.default_rng(seed)
        chosen = min(count, len(training))
        self.indices = rng.permutation(rng.choice(len(training), chosen, replace=False))
        self.path = training.path
        self.class_names = training.class_names
        self.class_indices = training.class_indices[self.indices]
        self._training = training

    def _face(self, index: int) -> Face:
        original = self._training[int(self.indices[index])]
        way = list(ALTERATIONS)[index % len(ALTERATIONS)]
        file = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(ALTERATIONS[way](original.decode()))).save(file, "PNG")
        key = f"{index:06d}_{way}"
        return Face(key, original.class_index, file.getvalue(), f"{original.where} ({way})")


def simulated_copies(training: EmbeddingSet, seed: int, count: int = PLANTED) -> AlteredCopies:
    """Stand-ins for altered training images, where there are no images: embeddings turned by a fixed angle."""
    rng = np.random.default_rng(seed)
    chosen = rng.choice(len(training), min(count, len(training)), replace=False)
    vectors = training.vectors[chosen].astype(np.float64)
    noise = rng.standard_normal(vectors.shape)
    noise -= np.einsum("nd,nd->n", noise, vectors)[:, None] * vectors
    turned = SIMULATED_COSINE * vectors + np.sqrt(1 - SIMULATED_COSINE**2) * unit(noise)
    return AlteredCopies(derived(unit(turned), training.class_index[chosen], training), simulated=True)
