"""Some images of an audit, looked at more closely: what they are like, and whom they show in every view."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sface_data.auditing.sets.appearance import Appearance
from sface_data.auditing.sets.disguises import DisguisedSource
from sface_data.auditing.sets.face_set import FaceSet, ImageSet
from sface_data.auditing.sets.judged_sets import CONTROL, DISGUISED, RELEASE, TRAINING, Indices, Sample, Viewed
from sface_data.auditing.sets.located import Located
from sface_data.auditing.sets.views import VIEW_NAMES, ViewedSource
from sface_data.embedding.embedder import Embedder
from sface_data.runtime.progress import Progress

# Of each set: with so many, nine in ten releases without leakage can be held to a limit of 1 % beyond strangers;
# with half of them, not quite (`planning` computes it). Every image is embedded in 16 views.
MOST_SAMPLED = 4_000
_FEWEST = 60  # training images from which what is usual can be learned
# Planted images of each disguise: a disguise in which one image in ten is recognised hides no release, as the
# limit is one in a hundred, and a few images cannot tell that from none.
_OF_EACH = 0.01  # of the sampled images
_FEWEST_OF_EACH = 4


@dataclass(frozen=True)
class SampledImages:
    """Images of release and control group, and disguised training images, in every view.

    Attributes:
        sample: which images, and which of them are odd.
        views: every view of them, by role.
    """

    sample: Sample
    views: dict[str, ImageSet]

    @classmethod
    def of(cls, by_role: Mapping[str, FaceSet], progress: Progress | None = None) -> "SampledImages | None":
        """None unless all are images, and enough of them."""
        sets = {role: faces for role, faces in by_role.items() if isinstance(faces, ImageSet)}
        if not {RELEASE, TRAINING} <= sets.keys() or len(sets[TRAINING]) < _FEWEST:
            return None
        # Each drawn by its own bytes, so that nobody can choose what is looked at.
        orders = {
            role: np.random.default_rng(int(sets[role].sha256, 16)).permutation(len(sets[role]))
            for role in (RELEASE, TRAINING, CONTROL)
            if role in sets
        }
        indices: dict[str, Indices] = {role: np.sort(order[:MOST_SAMPLED]) for role, order in orders.items()}
        of_each = max(_FEWEST_OF_EACH, round(_OF_EACH * len(indices[RELEASE])))
        disguised = DisguisedSource(sets[TRAINING].source, sets[RELEASE].sha256, of_each)
        indices[DISGUISED] = np.arange(len(disguised))
        sources = {role: faces.source for role, faces in sets.items()} | {DISGUISED: disguised}
        faces = {role: Located.of(sources[role], chosen, progress) for role, chosen in indices.items()}
        usual = Appearance.of(sources[TRAINING], indices[TRAINING], faces[TRAINING])
        odd = {role: usual.odd(sources[role], chosen, faces[role]) for role, chosen in indices.items()}
        views = {
            role: ImageSet.of(ViewedSource(sources[role], chosen, faces[role], usual.usual), progress)
            for role, chosen in indices.items()
            if role != TRAINING
        }
        one = None if usual.usual is None else {role: each.one for role, each in faces.items()}
        return cls(Sample(indices, odd, one, disguised.names), views)

    def __len__(self) -> int:
        return sum(map(len, self.views.values()))

    def under(self, embedder: Embedder, cache: Path, progress: Progress | None) -> Viewed:
        """All views as one judge sees them."""
        faces = {role: images.under(embedder, cache, progress) for role, images in self.views.items()}
        return Viewed(self.sample, faces, VIEW_NAMES)
