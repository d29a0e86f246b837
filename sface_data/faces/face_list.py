"""A set of labelled faces as a list of digests, and the one digest of such a set."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sface_data.errors import BadInput
from sface_data.faces.base import Source, canonical_class
from sface_data.io.files import canonical_json
from sface_data.runtime.progress import Progress


@dataclass(frozen=True)
class FaceList:
    """What there is in a source, by digests: everything that embeddings of it and training on it depend on.

    Attributes:
        keys: [N].
        class_names: by class index.
        class_index: int64 [N].
        image_sha256: [N] hex digest of each encoded image.
    """

    keys: tuple[str, ...]
    class_names: tuple[str, ...]
    class_index: NDArray[np.int64]
    image_sha256: tuple[str, ...]

    @classmethod
    def of(cls, source: Source, progress: Progress | None = None) -> "FaceList":
        """Reads every face of a source once, without decoding it.

        Raises:
            BadInput: if one cannot be read, or two have the same key.
        """
        keys, digests = [], []
        for face in source:
            keys.append(face.key)
            digests.append(hashlib.sha256(face.data).hexdigest())
            if progress is not None:
                progress(1)
        if len(set(keys)) != len(keys):
            raise BadInput(f"{source.path}: two faces have the same key; give each its own")
        return cls(tuple(keys), source.class_names, source.class_indices, tuple(digests))

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def sha256(self) -> str:
        """The identity of the set, see `faces_sha256`."""
        names = (self.class_names[index] for index in self.class_index.tolist())
        return faces_sha256(zip(names, self.image_sha256, strict=True))

    @property
    def order_sha256(self) -> str:
        """The hex SHA-256 of the set in this order and with these numbers of classes: what training depends on."""
        names = "\n".join([*self.class_names, *self.image_sha256])
        return hashlib.sha256(names.encode() + self.class_index.astype("<i8").tobytes()).hexdigest()

    def part(self, first: int, count: int) -> "FaceList":
        """Some of the faces."""
        last = first + count
        return FaceList(
            self.keys[first:last], self.class_names, self.class_index[first:last], self.image_sha256[first:last]
        )


def faces_sha256(faces: Iterable[tuple[str, str]]) -> str:
    """The hex SHA-256 of a set of labelled faces: the same in whichever form they come and in whichever order.

    It covers, for every image, the bytes of its file and its class by `canonical_class`, and how often each image
    is there; not keys, paths or the numbers of classes. An image that is encoded anew is another one.

    Args:
        faces: name of the class and hex SHA-256 of the image's file, of each.
    """
    digest = hashlib.sha256()
    for row in sorted((canonical_class(name), image_sha256) for name, image_sha256 in faces):
        digest.update(canonical_json(row).encode() + b"\n")
    return digest.hexdigest()
