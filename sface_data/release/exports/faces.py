"""The faces of a data set in the order in which they are exported."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sface_data.dataset.plan import SamplePlan
from sface_data.faces.base import Source


@dataclass(frozen=True)
class ExportedFace:
    """One face: its place in the order, its key, class and encoded image."""

    place: int
    key: str
    label: int
    data: bytes


@dataclass(frozen=True)
class ExportedFaces:
    """The faces of a data set, class by class.

    Attributes:
        plan: what they are.
        source: the faces in their shards.
        num_bytes: of all shards.
    """

    plan: SamplePlan
    source: Source
    num_bytes: int

    def __len__(self) -> int:
        return len(self.source)

    @cached_property
    def labels(self) -> NDArray[np.int64]:
        """The class of the generator of each face, in this order [N]."""
        numbers = np.array([int(name) for name in self.source.class_names])
        return np.sort(numbers[self.source.class_indices])

    def from_place(self, first: int, last: int | None = None) -> Iterator[ExportedFace]:
        """The faces from a place in the order on, to another or to the end."""
        order = np.argsort(self.source.class_indices, kind="stable")  # classes are numbered by value
        for place in range(first, len(self) if last is None else last):
            face = self.source[int(order[place])]
            yield ExportedFace(place, face.key, int(self.labels[place]), face.data)
