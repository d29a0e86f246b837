"""Faces as small grey pictures: finds copies that hardly differ, and needs no network."""

import hashlib
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sface_data.auditing.sets.judged_sets import unit
from sface_data.embedding.embeddings import EmbeddingSet

SIDE = 16
_WHAT = f"sface-data pixels 1: grey {SIDE}x{SIDE}, without mean and slopes, length 1"


class PixelEmbedder:
    """Vectors whose cosine says how alike two small grey pictures are, whatever their brightness and contrast.

    Light that changes evenly from one side to the other is taken out as well. Mirror images are far from each
    other; see `mirrored`.
    """

    name = "pixels"
    size = SIDE
    dimensions = SIDE * SIDE

    def __init__(self) -> None:
        self.sha256 = hashlib.sha256(_WHAT.encode()).hexdigest()
        across = np.linspace(-1, 1, SIDE)
        rows, columns = (axis.reshape(-1) for axis in np.meshgrid(across, across, indexing="ij"))
        flat = np.stack([np.ones(SIDE * SIDE), rows, columns])  # orthogonal to one another
        self._flat = flat / np.linalg.norm(flat, axis=1, keepdims=True)

    def embed(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Vectors [N,256] of length 1 of images [N,16,16,3]; one without any structure is the first axis."""
        grey = images.astype(np.float64) @ np.array([0.299, 0.587, 0.114])  # [N,H,W], the luma of JPEG
        vectors = grey.reshape(len(images), -1)
        vectors = vectors - (vectors @ self._flat.T) @ self._flat
        vectors[np.linalg.norm(vectors, axis=1) < 1e-6 * SIDE] = 0
        return unit(vectors)


def mirrored(faces: EmbeddingSet) -> EmbeddingSet:
    """What the embedder gives for the mirror images of a set: the entries of each vector in another order."""
    pictures = faces.vectors.reshape(-1, SIDE, SIDE)[:, :, ::-1]
    return replace(faces, vectors=np.ascontiguousarray(pictures.reshape(-1, SIDE * SIDE)))
