"""Looking for faces: which images of each class an aligned data set is made of."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sface_data.dataset.found_faces import ALIGNMENT, FoundFaces
from sface_data.dataset.plan import SamplePlan, spec_of
from sface_data.dataset.workspace import Workspace
from sface_data.errors import BadInput
from sface_data.faces.detector import Detector
from sface_data.generator.sampler import Sampler
from sface_data.io.files import exists
from sface_data.runtime.progress import Progress

BLOCK = 16  # images made at a time for the detector, whatever the batch: so what it finds depends on no option
_IMAGES_PER_PART = 32  # looked for between two files

Found = tuple[NDArray[np.int64], NDArray[np.float32]]  # indices [n], landmarks [n,5,2]


def find_faces(workspace: Workspace, sampler: Sampler, detector: Detector, progress: Progress) -> FoundFaces:
    """Goes through the images of each class until enough have a face, and keeps which they are in the folder.

    What is found in a class is a function of the generator, the detector and the class: not of other classes,
    batch, shards, nor of how often the work was stopped. Images are made for this and again for their shards.

    Args:
        progress: told how many classes more are done.

    Raises:
        BadInput: if a class has too few after `SamplePlan.most_draws` images.
    """
    plan = workspace.plan
    parts = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for number, classes in enumerate(_parts(plan)):
            path = workspace.scratch / f"alignment-{number:06d}.safetensors"
            part = _saved(path, plan, classes)
            if part is None:
                found = [find_in_class(sampler, c, detector, pool) for c in classes]
                part = FoundFaces(classes, np.stack([f[0] for f in found]), np.stack([f[1] for f in found]))
                part.save(path, plan)
            progress(len(classes))
            parts.append(part)
    indices, landmarks = (np.concatenate([getattr(p, name) for p in parts]) for name in ("indices", "landmarks"))
    whole = FoundFaces(plan.classes, indices, landmarks)
    whole.save(workspace.directory / ALIGNMENT, plan, workspace.scratch)
    return whole


def find_in_class(sampler: Sampler, class_index: int, detector: Detector, pool: ThreadPoolExecutor) -> Found:
    """The first images of a class that show a face. Raises as `find_faces` does."""
    plan = sampler.plan
    indices: list[int] = []
    landmarks: list[NDArray[np.float32]] = []
    for first in range(0, plan.most_draws, BLOCK):
        specs = [spec_of(plan.base_seed, class_index, i) for i in range(first, first + BLOCK)]
        images = sampler.start(specs).result().images
        for spec, points in zip(specs, pool.map(detector.landmarks, images), strict=True):
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


def _parts(plan: SamplePlan) -> Iterator[tuple[int, ...]]:
    step = max(_IMAGES_PER_PART // plan.samples_per_class, 1)
    for first in range(0, len(plan.classes), step):
        yield plan.classes[first : first + step]


def _saved(path: Path, plan: SamplePlan, classes: tuple[int, ...]) -> FoundFaces | None:
    try:
        return FoundFaces.load(path, plan, classes) if exists(path) else None
    except BadInput:
        return None  # what cannot be read is looked for again
