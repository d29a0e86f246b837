"""Pairs for a benchmark, drawn from labelled faces."""

import numpy as np
from numpy.typing import NDArray

from sface_data.errors import BadInput


def draw_pairs(
    class_indices: NDArray[np.int64], pairs_per_fold: int, folds: int = 10, seed: int = 0
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """As many mated as non-mated pairs in each fold, and no class in two folds, as in LFW.

    So folds are independent, and the deviation over them says how sure an accuracy is. No pair comes twice. In
    a fold the mated pairs come first.

    Args:
        class_indices: [N] of the faces.
        pairs_per_fold: of both kinds together; even.

    Returns:
        Indices [2P] of the faces, pair i at 2i and 2i+1; and whether each pair is mated [P].

    Raises:
        BadInput: if there are too few classes or faces for that many different pairs.
    """
    random = np.random.RandomState(seed)
    half = pairs_per_fold // 2
    classes = random.permutation(np.unique(class_indices))
    indices, issame = [], []
    for part in np.array_split(classes, folds):
        faces = np.flatnonzero(np.isin(class_indices, part))
        first, second = np.triu_indices(len(faces), k=1)
        same = class_indices[faces[first]] == class_indices[faces[second]]
        for mated in (True, False):
            there = np.flatnonzero(same == mated)
            if len(there) < half or half < 1:
                kind = "mated" if mated else "non-mated"
                raise BadInput(f"{len(there)} {kind} pairs in a fold of {len(part)} classes; {half} are asked for")
            chosen = there[random.permutation(len(there))[:half]]
            indices.append(np.stack([faces[first[chosen]], faces[second[chosen]]], axis=1).ravel())
            issame.append(np.full(half, mated))
    return np.concatenate(indices), np.concatenate(issame)
