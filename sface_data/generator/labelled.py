"""What this room asks of labelled faces and of embedders, so that it needs to know none of their forms."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class LabelledFace(Protocol):
    """One image."""

    @property
    def where(self) -> str:
        """Names it in errors."""

    def decode(self) -> NDArray[np.uint8]:
        """Its pixels [H,W,3], RGB."""


class LabelledFaces(Protocol):
    """Faces with classes: `faces.source.Source` is one.

    Attributes:
        class_names: by class index.
        class_indices: the class of each face, int64 [N].
    """

    class_names: tuple[str, ...]
    class_indices: NDArray[np.int64]

    def __len__(self) -> int: ...

    def __getitem__(self, place: int, /) -> LabelledFace: ...


class FaceEmbedder(Protocol):
    """Makes vectors of images: `faces.embedders.Embedder` is one, `inception.Inception` another."""

    def embed(self, images: NDArray[np.uint8], /) -> NDArray[np.float32]:
        """Vectors [N,D] of square images [N,H,H,3] of any size, RGB; those of faces are of length 1."""
