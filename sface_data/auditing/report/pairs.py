"""The closest pairs of an audit: the only part of a report that shows photographs."""

import base64
import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from sface_data.auditing.evidence import Evidence
from sface_data.auditing.outcome import Outcome
from sface_data.auditing.sets.face_set import ImageSet
from sface_data.auditing.sets.judged_sets import RELEASE, TRAINING
from sface_data.faces.base import Source

_PAIRS = 8
_THUMBNAIL = 112


@dataclass(frozen=True)
class Pair:
    """An image of the release and its nearest training image.

    Attributes:
        image, training: data URIs.
        similarity: cosine of their embeddings.
        label, person: class names of both.
    """

    image: str
    training: str
    similarity: float
    label: str
    person: str


def closest_pairs(outcome: Outcome, seen: Evidence) -> tuple[Pair, ...]:
    """The closest pairs, one of each training image."""
    release, training = (outcome.sets.by_role[role] for role in (RELEASE, TRAINING))
    if not isinstance(release, ImageSet) or not isinstance(training, ImageSet):
        return ()
    sets, near = seen.sets, seen.to_training[RELEASE]
    pairs: dict[int, Pair] = {}
    for index in np.argsort(-near.score, kind="stable"):
        nearest = int(near.index[index])
        if nearest not in pairs:
            pairs[nearest] = Pair(
                _thumbnail(release.source, int(index)),
                _thumbnail(training.source, nearest),
                float(near.score[index]),
                sets.release.class_names[sets.release.class_index[index]],
                sets.training.class_names[sets.training.class_index[nearest]],
            )
        if len(pairs) == _PAIRS:
            break
    return tuple(pairs.values())


def _thumbnail(source: Source, index: int) -> str:
    image = Image.fromarray(source[index].decode())
    image.thumbnail((_THUMBNAIL, _THUMBNAIL))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=88)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()
