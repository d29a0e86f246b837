"""Identities that are no class of the generator: their embeddings, and which classes they are near to."""

import csv
import hashlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from sface_data.dataset.manifest import MANIFEST, Manifest
from sface_data.dataset.plan import SamplePlan
from sface_data.errors import BadInput
from sface_data.io.files import atomic_write, read_bytes, write_text

IDENTITIES = "identities.safetensors"
RELATIONS = "identities.csv"
COLUMNS = ("class_index", "class_name", "nearest_training_class", "cosine", "parents")


@dataclass(frozen=True, eq=False)
class DrawnIdentities:
    """The first N identities of a draw.

    Attributes:
        embeddings: float32 [N,w_dim], what the mapping network gets in place of a class embedding.
        nearest: int64 [N], the training class nearest to each.
        cosines: float32 [N], of the identity and that class, in w.
        parents: int64 [N,K], the training classes that each is a mixture of, ascending; K is 0 if it is none.
        rejected: draws that were passed over before there were N.
    """

    embeddings: NDArray[np.float32]
    nearest: NDArray[np.int64]
    cosines: NDArray[np.float32]
    parents: NDArray[np.int64]
    rejected: int

    def save(self, directory: Path, plan: SamplePlan, scratch: Path | None = None) -> None:
        """Writes embeddings (safetensors) and relations (CSV) into the folder of a data set, each atomically."""
        tensors: dict[str, NDArray[Any]] = {"embeddings": np.ascontiguousarray(self.embeddings)}
        with atomic_write(directory / IDENTITIES, scratch) as file:
            file.write(save(tensors))
        write_text(directory / RELATIONS, self.relations(plan))

    def relations(self, plan: SamplePlan) -> str:
        """A table with one line per identity: the nearest training class, and the parents of a mixture."""
        table = io.StringIO()
        writer = csv.writer(table, lineterminator="\n")
        writer.writerow(COLUMNS)
        for c, (nearest, cosine, parents) in enumerate(zip(self.nearest, self.cosines, self.parents, strict=True)):
            writer.writerow((c, plan.class_name(c), nearest, f"{cosine:.4f}", " ".join(map(str, parents))))
        return table.getvalue()


def read_relations(directory: Path, manifest: Manifest) -> dict[str, tuple[int, ...]]:
    """By class of a finished data set the classes of the generator to which its table says that it is related.

    They are the parents of a mixture, else the nearest one.

    Raises:
        BadInput: if there is no table, or not the one that the manifest lists.
    """
    path = directory / RELATIONS
    listed = manifest.identities
    data = read_bytes(path)
    if listed is None or hashlib.sha256(data).hexdigest() != listed.relations_sha256:
        raise BadInput(f"{path}: not the table that {MANIFEST} lists; generate the data set again")
    try:
        rows = csv.DictReader(io.StringIO(data.decode()))
        related = [(row["class_name"], _related(row)) for row in rows]
    except (KeyError, TypeError, ValueError, AttributeError, csv.Error) as error:
        raise BadInput(f"{path}: no table of new identities ({error!r}); generate the data set again") from error
    plan = manifest.plan
    if [name for name, _ in related] != [plan.class_name(index) for index in plan.classes]:
        raise BadInput(f"{path}: its classes are not those of the data set; generate the data set again")
    if not all(0 <= index < plan.generator_classes for _, indices in related for index in indices):
        raise BadInput(f"{path}: relates to classes that the generator has not; generate the data set again")
    return dict(related)


def _related(row: dict[str, str]) -> tuple[int, ...]:
    return tuple(int(index) for index in row["parents"].split() or [row["nearest_training_class"]])
