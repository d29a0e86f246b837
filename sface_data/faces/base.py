"""Labelled faces: one interface for all the forms in which they circulate."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import numpy as np
from numpy.typing import NDArray

from sface_data.errors import BadInput
from sface_data.io.images import decode_image

Label = int | str


@dataclass(frozen=True, slots=True)
class Face:
    """One image with its class."""

    key: str  # unique in its source
    class_index: int
    data: bytes  # encoded
    where: str  # names it in errors

    def decode(self) -> NDArray[np.uint8]:
        """Its pixels [H,W,3], RGB. Raises BrokenImage, see `images.decode_image`."""
        return decode_image(self.data, self.where)


class Source(ABC, Sequence[Face]):
    """Labelled faces that can be read in any order."""

    class_names: tuple[str, ...]  # what the source calls its classes, by class index
    class_indices: NDArray[np.int64]  # [N] the class of each face

    def __init__(self, path: Path, labels: Sequence[Label], order: Sequence[Label] | None = None) -> None:
        if not len(labels):
            raise BadInput(f"{path}: no labelled faces in it")
        self.path = path
        self.class_names, self.class_indices = number_classes(labels, order)

    def __len__(self) -> int:
        return len(self.class_indices)

    @overload
    def __getitem__(self, index: int) -> Face: ...

    @overload
    def __getitem__(self, index: slice) -> list[Face]: ...

    def __getitem__(self, index: int | slice) -> Face | list[Face]:
        if isinstance(index, slice):
            return [self._face(each) for each in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        return self._face(int(index) % len(self))

    def __iter__(self) -> Iterator[Face]:
        return (self._face(index) for index in range(len(self)))

    @abstractmethod
    def _face(self, index: int) -> Face: ...


def number_classes(
    labels: Sequence[Label], order: Sequence[Label] | None = None
) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Names of the classes in order and the class of each label [N].

    Args:
        order: of the labels; by default numbers by value, also where they are names (`10` and `000010` after
            `9`), then other names by alphabet. Those that do not occur are left out.
    """
    present = set(labels)
    if order is None:
        order = sorted(present, key=_place)
    order = [label for label in order if label in present]
    number = {label: index for index, label in enumerate(order)}
    return tuple(str(label) for label in order), np.array([number[label] for label in labels], np.int64)


def _place(label: Label) -> tuple[bool, int, str, str, bool]:
    """What labels are sorted by."""
    name, text = canonical_class(str(label)), isinstance(label, str)
    number = _is_number(name)
    return not number, len(name) if number else 0, name, str(label), text  # of two numbers the longer is larger


def canonical_class(name: str) -> str:
    """What a class is called whatever form it comes in: `5` for `000005`, `5` and `class_000005`.

    Folders fill numbers with zeros, cards put `class_` before them, shards do neither. Other names stay.
    """
    number = name.removeprefix("class_")
    return (number.lstrip("0") or "0") if _is_number(number) else name


def identity_mark(name: str) -> str:
    """What files that may be published call a training identity: its number, or a digest of another name.

    Names may be those of people. Whoever has the training faces can tell which of them a digest is of.
    """
    name = canonical_class(name)
    return name if _is_number(name) else hashlib.sha256(name.encode()).hexdigest()[:32]


def numbers_with_gaps(names: Collection[str]) -> bool:
    """Whether classes are called by numbers that are not 0 to N - 1: of such, number 2 is not the third class.

    Args:
        names: as `canonical_class` gives them, each once.
    """
    return all(map(_is_number, names)) and set(names) != {str(number) for number in range(len(names))}


def _is_number(name: str) -> bool:
    return name.isascii() and name.isdigit()
