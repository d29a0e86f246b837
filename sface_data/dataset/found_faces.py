"""Which images of a plan show a face, and where: what an aligned data set is made by."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from sface_data.dataset.plan import SamplePlan, SampleSpec, format_ranges
from sface_data.errors import BadInput
from sface_data.io.files import atomic_write, canonical_json, parse_json, read_bytes

ALIGNMENT = "alignment.safetensors"
_LARGEST = 4 << 30  # bytes: the landmarks of 80 million faces
_METADATA = "sface_data"  # one entry: the order of several is not kept


@dataclass(frozen=True, eq=False)
class FoundFaces:
    """The images of some classes in which a face was found, the first of each class.

    Attributes:
        classes: ascending.
        indices: int64 [classes,samples_per_class], of the images in their class, ascending.
        landmarks: float32 [classes,samples_per_class,5,2], x and y in pixels of the generator's image.
    """

    classes: tuple[int, ...]
    indices: NDArray[np.int64]
    landmarks: NDArray[np.float32]

    @property
    def drawn(self) -> int:
        """How many images were looked at until there were enough: those between are without a face."""
        return int((self.indices[:, -1] + 1).sum())

    def landmarks_of(self, spec: SampleSpec) -> NDArray[np.float32]:
        """The landmarks [5,2] of an image that is among these."""
        row = int(np.searchsorted(self.classes, spec.class_index))
        return self.landmarks[row, int(np.searchsorted(self.indices[row], spec.index))]

    def save(self, path: Path, plan: SamplePlan, scratch: Path | None = None) -> None:
        """Writes a safetensors file, atomically; the same faces give the same bytes."""
        facts = {"classes": format_ranges(self.classes), "plan_fingerprint": plan.fingerprint}
        tensors: dict[str, NDArray[Any]] = {
            "indices": np.ascontiguousarray(self.indices),
            "landmarks": np.ascontiguousarray(self.landmarks),
        }
        with atomic_write(path, scratch) as file:
            file.write(save(tensors, {_METADATA: canonical_json(facts)}))

    @classmethod
    def load(cls, path: Path, plan: SamplePlan, classes: Sequence[int] | None = None) -> "FoundFaces":
        """Reads what `save` wrote.

        Args:
            classes: of which it should be; those of the plan by default.

        Raises:
            BadInput: if it cannot be read, or is of another plan or other classes, or cannot be of this plan.
        """
        data = read_bytes(path, _LARGEST)
        wanted = tuple(plan.classes if classes is None else classes)
        try:
            size = int.from_bytes(data[:8], "little")
            facts = parse_json(parse_json(data[8 : 8 + size])["__metadata__"][_METADATA])
            tensors = load(data)
            indices, landmarks = tensors["indices"], tensors["landmarks"]
            if facts != {"classes": format_ranges(wanted), "plan_fingerprint": plan.fingerprint}:
                raise BadInput(f"{path}: of another plan")
        except (SafetensorError, ValueError, KeyError, TypeError) as error:
            if isinstance(error, BadInput):
                raise
            raise BadInput(f"{path}: not a list of faces made by sface-data ({error})") from error
        shape = (len(wanted), plan.samples_per_class)
        good = indices.shape == shape and landmarks.shape == (*shape, 5, 2)
        good = good and (indices.dtype, landmarks.dtype) == (np.int64, np.float32)
        good = good and bool((np.diff(indices, axis=1) > 0).all() and np.isfinite(landmarks).all())
        good = good and bool((indices[:, 0] >= 0).all() and (indices[:, -1] < plan.most_draws).all())
        if not good:
            raise BadInput(f"{path}: not faces of the plan; make the data set again")
        return cls(wanted, indices, landmarks)


def found_faces(directory: Path, plan: SamplePlan) -> FoundFaces | None:
    """The faces that a data set is made of; None if the plan does not align.

    Raises:
        BadInput: as `FoundFaces.load`.
    """
    return None if plan.align is None else FoundFaces.load(directory / ALIGNMENT, plan)
