"""What one looks at while a generator trains: a contact sheet, and a distance that needs no embedder."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from sface_data.generator.faces import TrainingFaces
from sface_data.generator.metrics import frechet_distance
from sface_data.generator.networks import Generator
from sface_data.generator.sampler import pixels_of
from sface_data.io.files import atomic_write

_ROWS, _AUTHENTIC, _SYNTHETIC = 16, 3, 9  # classes, images of each
_FACES = 512  # that the distance is taken of
_SIDE = 16  # pixels that they are reduced to
_DIRECTIONS = 48  # in which authentic faces differ most
_BATCH = 64


def write_sheet(generator: Generator, faces: TrainingFaces, path: Path) -> None:
    """Draws images of a generator beside faces it was trained on into a PNG.

    Rows are classes, spread over all. The first three columns are authentic faces of the class, the others
    synthetic, from the same latents in each row.
    """
    classes = len(faces.class_names)
    rows = [row * classes // min(_ROWS, classes) for row in range(min(_ROWS, classes))]
    resolution = generator.config.img_resolution
    sheet = np.zeros((len(rows), _AUTHENTIC + _SYNTHETIC, resolution, resolution, 3), np.uint8)
    for row, class_index in enumerate(rows):
        found = np.flatnonzero(faces.class_indices == class_index)[:_AUTHENTIC].tolist()
        for column, index in enumerate(found):
            sheet[row, column] = faces.read(index, resolution)
    indices = np.repeat(rows, _SYNTHETIC)
    z = np.tile(_latents(_SYNTHETIC, generator), (len(rows), 1))
    sheet[:, _AUTHENTIC:] = _synthetic(generator, z, indices).reshape(len(rows), _SYNTHETIC, *sheet.shape[2:])
    strips = sheet.transpose(0, 2, 1, 3, 4).reshape(len(rows) * resolution, -1, 3)
    with atomic_write(path) as file:
        Image.fromarray(strips).save(file, "png")


def pixel_distance(generator: Generator, faces: TrainingFaces) -> float:
    """Frechet distance of synthetic faces to authentic ones of the same classes, by their pixels.

    Of 512 of each, spread over all classes, reduced to 16x16 pixels and to the 48 directions in which the
    authentic ones differ most; pixels go from -1 to 1. It orders the first hours of a run, in which embedders of
    faces see nothing in either; distances of different data sets cannot be compared.
    """
    resolution = generator.config.img_resolution
    indices = np.linspace(0, len(faces) - 1, min(_FACES, len(faces))).astype(int)
    authentic = _features(np.stack([faces.read(index, resolution) for index in indices.tolist()]))
    synthetic = _synthetic(generator, _latents(len(indices), generator), faces.class_indices[indices])
    _, _, directions = np.linalg.svd(authentic - authentic.mean(axis=0), full_matrices=False)
    main = directions[:_DIRECTIONS].T  # [P,48]
    return frechet_distance(authentic @ main, _features(synthetic) @ main)


def _latents(count: int, generator: Generator) -> NDArray[np.float32]:
    return np.random.RandomState(0).randn(count, generator.config.z_dim).astype(np.float32)


@torch.no_grad()
def _synthetic(generator: Generator, z: NDArray[np.float32], classes: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Images [N,R,R,3] of latents [N,z_dim] and classes [N], a batch at a time."""
    device = generator.mapping.w_avg.device
    parts = []
    for first in range(0, len(z), _BATCH):
        part = slice(first, first + _BATCH)
        latents, indices = torch.from_numpy(z[part]).to(device), torch.from_numpy(classes[part]).to(device)
        parts.append(pixels_of(generator(latents, indices)).cpu().numpy())
    return np.concatenate(parts)


def _features(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Images [N,R,R,3] as rows of at most 16x16 pixels, -1 to 1: [N,3*S*S]."""
    n, resolution, _, _ = pixels.shape
    side = min(_SIDE, resolution)
    step = resolution // side
    squares = pixels.reshape(n, side, step, side, step, 3).mean(axis=(2, 4), dtype=np.float64)
    return squares.reshape(n, -1) / 127.5 - 1
