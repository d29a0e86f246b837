"""Looking for faces: which images of each class an aligned data set is made of."""

from pathlib import Path

import numpy as np

from sface_data.dataset.found_faces import ALIGNMENT, FoundFaces
from sface_data.dataset.plan import SamplePlan
from sface_data.dataset.workspace import Workspace
from sface_data.errors import BadInput
from sface_data.generation.image_maker import ImageMaker
from sface_data.io.files import exists
from sface_data.runtime.pool import Workers
from sface_data.runtime.progress import Progress

_IMAGES_PER_FILE = 32  # looked for between two files


def find_faces(workspace: Workspace, workers: Workers[ImageMaker], progress: Progress) -> FoundFaces:
    """Goes through the images of each class until enough have a face, and keeps which they are in the folder.

    What is found in a class is a function of the generator, the detector and the class: not of other classes,
    batch, shards, workers, parts, nor of how often the work was stopped. Images are made for this and again for
    their shards. A part begins with its own share, and goes on with what others have not found by then.

    Args:
        progress: told how many classes more are done.

    Raises:
        BadInput: if a class has too few after `SamplePlan.most_draws` images.
    """
    plan = workspace.plan
    files = _files(workspace)
    own = set(workspace.part.of(len(files)))
    for numbers in (sorted(own), sorted(set(range(len(files))) - own, reverse=True)):
        missing = [files[number] for number in numbers if _saved(*files[number], plan) is None]
        progress(sum(len(files[number][1]) for number in numbers) - sum(len(classes) for _, classes in missing))
        found = workers.map(ImageMaker.find, [classes for _, classes in missing])
        for (path, classes), faces in zip(missing, found, strict=True):
            faces.save(path, plan, workspace.own)
            progress(len(classes))
    parts = [FoundFaces.load(path, plan, classes) for path, classes in files]
    indices, landmarks = (np.concatenate([getattr(p, name) for p in parts]) for name in ("indices", "landmarks"))
    whole = FoundFaces(plan.classes, indices, landmarks)
    whole.save(workspace.directory / ALIGNMENT, plan, workspace.own)
    return whole


def _files(workspace: Workspace) -> list[tuple[Path, tuple[int, ...]]]:
    """The files that keep what was found so far, and the classes of each."""
    plan = workspace.plan
    step = max(_IMAGES_PER_FILE // plan.samples_per_class, 1)
    shares = [plan.classes[first : first + step] for first in range(0, len(plan.classes), step)]
    return [(workspace.scratch / f"alignment-{i:06d}.safetensors", share) for i, share in enumerate(shares)]


def _saved(path: Path, classes: tuple[int, ...], plan: SamplePlan) -> FoundFaces | None:
    try:
        return FoundFaces.load(path, plan, classes) if exists(path) else None
    except BadInput:
        return None  # what cannot be read is looked for again
