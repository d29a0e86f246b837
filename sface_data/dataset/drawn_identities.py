"""Identities that are no class of the generator: their embeddings, and which classes they are near to."""

import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from sface_data.dataset.plan import SamplePlan
from sface_data.errors import BadInput
from sface_data.io.files import atomic_write, canonical_json, os_errors_as_bad_input, sha256_of_json, write_text

IDENTITIES = "identities.safetensors"
RELATIONS = "identities.csv"
_METADATA = "sface_data"  # one entry: the order of several is not kept
_COLUMNS = ("class_index", "class_name", "nearest_training_class", "cosine", "parents")


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

    def save(self, path: Path, plan: SamplePlan, scratch: Path | None = None) -> None:
        """Writes a safetensors file, atomically; the same identities give the same bytes."""
        tensors: dict[str, NDArray[Any]] = {
            "embeddings": self.embeddings,
            "nearest": self.nearest,
            "cosines": self.cosines,
            "parents": self.parents,
        }
        facts = {"draw": _draw_of(plan), "rejected": self.rejected}
        with atomic_write(path, scratch) as file:
            file.write(save({name: np.ascontiguousarray(t) for name, t in tensors.items()}, _metadata(facts)))

    @classmethod
    def load(cls, path: Path, plan: SamplePlan) -> "DrawnIdentities":
        """Reads what `save` wrote.

        Raises:
            BadInput: if it cannot be read, or is another draw than that of the plan.
        """
        with os_errors_as_bad_input(path):
            data = path.read_bytes()
        try:
            size = int.from_bytes(data[:8], "little")
            facts = json.loads(json.loads(data[8 : 8 + size])["__metadata__"][_METADATA])
            drawn = cls(**load(data), rejected=int(facts["rejected"]))
            draw = facts["draw"]
        except (SafetensorError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise BadInput(f"{path}: not identities drawn by sface-data ({error})") from error
        good = draw == _draw_of(plan) and len(drawn.embeddings) == plan.num_class_names
        if not good or not np.isfinite(drawn.embeddings).all():
            raise BadInput(f"{path}: not the identities of the plan; make the data set again")
        return drawn

    def save_relations(self, path: Path, plan: SamplePlan) -> None:
        """Writes a table with one line per identity: nearest training class, and the parents of a mixture."""
        table = io.StringIO()
        writer = csv.writer(table, lineterminator="\n")
        writer.writerow(_COLUMNS)
        for c, (nearest, cosine, parents) in enumerate(zip(self.nearest, self.cosines, self.parents, strict=True)):
            writer.writerow((c, plan.class_name(c), nearest, f"{cosine:.4f}", " ".join(map(str, parents))))
        write_text(path, table.getvalue())


def _draw_of(plan: SamplePlan) -> str:
    """Digest of what a draw depends on."""
    value = plan.to_json()
    names = ("generator_sha256", "identities")
    return sha256_of_json({name: value[name] for name in names} | {"count": plan.num_class_names})


def _metadata(facts: dict[str, Any]) -> dict[str, str]:
    return {_METADATA: canonical_json(facts)}
