"""Faces as training of recognition takes them."""

from functools import partial

import numpy as np
from numpy.typing import NDArray

from sface_data.embedding.backbones import INPUT_SIZE
from sface_data.embedding.embedder import resized
from sface_data.errors import BadInput
from sface_data.faces.base import Source
from sface_data.training.distributed import ProcessGroup
from sface_data.training.face_batches import FaceBatches
from sface_data.training.shuffle import ShuffledIndices


def face_batches(
    source: Source, batch: int, mirror: float, seed: int, group: ProcessGroup, threads: int = 2
) -> FaceBatches:
    """The batches of a run: pixels uint8 [n,112,112,3], RGB, and labels int64 [n] of this process.

    Args:
        batch: over all processes.
        mirror: probability that a face is shown mirrored.
        threads: that read and decode.
    """
    shuffled = ShuffledIndices(len(source), mirror, seed)
    return FaceBatches(partial(face_pixels, source), source.class_indices, shuffled, batch, group, threads)


def face_pixels(source: Source, index: int) -> NDArray[np.uint8]:
    """One face [112,112,3], RGB; others than of 112 pixels are resized (bicubic, without aliasing).

    Raises:
        BadInput: if it cannot be read or is not square.
    """
    face = source[index]
    pixels = face.decode()
    height, width, _ = pixels.shape
    if height != width:
        raise BadInput(f"{face.where}: {width} x {height} pixels; recognition is trained on square, aligned faces")
    return resized(pixels, INPUT_SIZE)
