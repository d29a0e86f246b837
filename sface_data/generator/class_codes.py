"""Embeddings of classes that start from what the classes look like."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from sface_data.generator.faces import TrainingFaces, network_images

_SIDE = 16  # pixels of the mean faces
_DIRECTIONS = 48  # in which they differ most
_FLOOR = 0.03  # directions much weaker than this share of the strongest are not made as strong as it
_CHUNK = 256  # faces at a time


def mean_faces(faces: TrainingFaces) -> Tensor:
    """The mean face of each class, made symmetric: float32 [C,3*S*S], S at most 16 pixels, -1 to 1."""
    side = min(_SIDE, faces.side)
    classes = torch.from_numpy(faces.class_indices)
    sums = torch.zeros(len(faces.class_names), 3 * side**2)
    for first in range(0, len(faces), _CHUNK):
        indices = range(first, min(first + _CHUNK, len(faces)))
        pixels = np.stack([faces.read(index, side) for index in indices])  # [N,S,S,3]
        images = network_images(torch.from_numpy(pixels))  # [N,3,S,S]
        sums.index_add_(0, classes[first : first + _CHUNK], ((images + images.flip(3)) / 2).flatten(1))
    return sums / classes.bincount(minlength=len(sums))[:, None]


def class_codes(means: Tensor, dimensions: int, seed: int) -> Tensor:
    """Describes classes by the directions in which their mean faces differ most: classes alike have codes alike.

    Each direction counts about as much as the others, and all are turned at random into `dimensions`, so that the
    codes look like the random numbers that embeddings otherwise start from.

    Args:
        means: float32 [C,P], see `mean_faces`.

    Returns:
        float32 [C,dimensions], each row of unit root mean square.
    """
    left, strengths, _ = torch.linalg.svd(means - means.mean(dim=0), full_matrices=False)
    kept = max(min(_DIRECTIONS, len(means) - 1, means.shape[1], dimensions), 1)
    whitened = strengths[:kept] * (strengths[:kept].square() + (_FLOOR * strengths[0]) ** 2 + 1e-12).rsqrt()
    random = torch.randn(dimensions, kept, generator=torch.Generator().manual_seed(seed))
    turned, _ = torch.linalg.qr(random)  # [dimensions,kept], orthonormal columns
    return F.normalize((left[:, :kept] * whitened) @ turned.T) * dimensions**0.5
