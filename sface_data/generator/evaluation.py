"""What an embedder of faces says about a generator and the faces it was trained on."""

from itertools import groupby
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from sface_data.dataset.plan import spec_of
from sface_data.errors import BadInput
from sface_data.faces.base import Source
from sface_data.generator.metrics import (
    NEAREST,
    Features,
    Separability,
    frechet_distance,
    kernel_distance,
    precision_and_recall,
    separability,
)
from sface_data.generator.networks import Generator
from sface_data.generator.sampler import latents, pixels_of

_BATCH = 32


class FaceEmbedder(Protocol):
    """Makes vectors of images: `embedding.embedder.Embedder` is one, `inception.Inception` another."""

    def embed(self, images: NDArray[np.uint8], /) -> NDArray[np.float32]:
        """Vectors [N,D] of square images [N,H,H,3] of any size, RGB; those of faces are of length 1."""


def evaluate(
    generator: Generator,
    source: Source,
    embedder: FaceEmbedder,
    classes: int,
    per_class: int,
    inception: FaceEmbedder | None = None,
) -> dict[str, Any]:
    """Compares images of a generator with the faces it was trained on.

    Args:
        generator: conditional; its classes are those of `source`.
        embedder: in whose vectors they are compared.
        classes: how many classes are looked at, spread over all.
        per_class: images of each, made and real.
        inception: in whose features the distances are measured as well, see `inception.Inception`.

    Raises:
        BadInput: if the generator has other classes than the source, or there are too few images.
    """
    total = len(source.class_names)
    if generator.config.c_dim != total:
        raise BadInput(
            f"the faces are of {total} classes, but the generator has {generator.config.c_dim}; "
            "give the faces that it was trained on"
        )
    chosen = [i * total // min(classes, total) for i in range(min(classes, total))]
    _check_counts(source, chosen, per_class)
    made, made_classes = _made(generator, embedder, chosen, per_class)
    real, real_classes = _real(source, embedder, chosen, per_class)
    made, real = _scaled(made), _scaled(real)
    precision, recall = precision_and_recall(real, made)
    within, training = separability(made, made_classes), separability(real, real_classes)
    across = separability(made, made_classes, real, real_classes)
    rows = {
        "classes": len(chosen),
        "images_made": len(made),
        "images_real": len(real),
        **_distances("", real, made),
        "precision": precision,
        "recall": recall,
        **_told_apart("made", within),
        "made_diversity_in_class": 1 - within.mated_mean,
        **_told_apart("real", training),
        "real_diversity_in_class": 1 - training.mated_mean,
        **_told_apart("made_against_real", across),
    }
    if inception is not None:
        made, _ = _made(generator, inception, chosen, per_class)
        real, _ = _real(source, inception, chosen, per_class)
        rows |= _distances("inception_", real, made)
    return rows


def _check_counts(source: Source, classes: list[int], per_class: int) -> None:
    """Raises BadInput if there are too few images of a kind."""
    for what, count in (("made", len(classes) * per_class), ("real", len(_places(source, classes, per_class)))):
        if count <= NEAREST:
            raise BadInput(
                f"{count} {what} images of {len(classes)} classes; precision and recall need more than {NEAREST} "
                "of each kind: take more classes, or more images of each"
            )


def _distances(features: str, real: Features, made: Features) -> dict[str, float]:
    return {
        f"{features}frechet_distance": frechet_distance(real, made),
        f"{features}kernel_distance": kernel_distance(real, made),
    }


def _told_apart(what: str, found: Separability) -> dict[str, float]:
    return {f"{what}_auc": found.auc, f"{what}_eer": found.eer, f"{what}_fdr": found.fdr}


@torch.no_grad()
def _made(
    generator: Generator, embedder: FaceEmbedder, classes: list[int], per_class: int
) -> tuple[Features, NDArray[np.int64]]:
    specs = [spec_of(0, c, i) for c in classes for i in range(per_class)]
    features = []
    for first in range(0, len(specs), _BATCH):
        batch = specs[first : first + _BATCH]
        indices = torch.tensor([spec.class_index for spec in batch])
        images = generator(latents(batch, generator.config.z_dim), indices)  # [N,C,R,R], -1 to 1
        features.append(embedder.embed(pixels_of(images).contiguous().numpy()))
    return np.concatenate(features).astype(np.float64), np.array([spec.class_index for spec in specs])


def _real(
    source: Source, embedder: FaceEmbedder, classes: list[int], per_class: int
) -> tuple[Features, NDArray[np.int64]]:
    indices = _places(source, classes, per_class)
    features = []
    for first in range(0, len(indices), _BATCH):
        images = [source[index].decode() for index in indices[first : first + _BATCH].tolist()]
        for _, alike in groupby(images, key=lambda image: image.shape):
            features.append(embedder.embed(np.stack(list(alike))))
    return np.concatenate(features).astype(np.float64), source.class_indices[indices]


def _places(source: Source, classes: list[int], per_class: int) -> NDArray[np.int64]:
    """Which faces of a source are looked at."""
    return np.concatenate([np.flatnonzero(source.class_indices == c)[:per_class] for c in classes])


def _scaled(vectors: Features) -> Features:
    """Vectors [N,D] of length 1, scaled to a root mean square of one."""
    return vectors * np.sqrt(vectors.shape[1])
