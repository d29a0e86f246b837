"""One digest of a set of labelled faces, whatever its form."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sface_data.errors import BadInput
from sface_data.faces.face_list import FaceList
from sface_data.faces.sources import open_source

ONE, TWO, THREE = ("1" * 64, "2" * 64, "3" * 64)
MADE = FaceList(("a", "b"), ("0", "1"), np.array([0, 1]), (ONE, TWO))


def test_every_form_of_the_same_faces_has_the_same_digest(forms: dict[str, Path]) -> None:
    assert len({FaceList.of(open_source(path)).sha256 for path in forms.values()}) == 1


def test_the_digest_by_hand() -> None:
    text = f'["0","{ONE}"]\n["1","{TWO}"]\n'
    assert MADE.sha256 == hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(
    "change",
    [
        {"keys": ("b", "a"), "class_names": ("1", "0"), "image_sha256": (TWO, ONE)},
        {"keys": ("x/000001", "y/000002")},
        {"class_names": ("000000", "class_000001")},
    ],
)
def test_order_keys_and_the_spelling_of_classes_are_not_in_it(change: dict[str, object]) -> None:
    assert replace(MADE, **change).sha256 == MADE.sha256


def test_another_order_is_another_order() -> None:
    turned = FaceList(("b", "a"), ("0", "1"), np.array([1, 0]), (TWO, ONE))
    assert turned.sha256 == MADE.sha256 and turned.order_sha256 != MADE.order_sha256
    assert replace(MADE, keys=("x", "y")).order_sha256 == MADE.order_sha256
    assert replace(MADE, class_names=("00", "1")).order_sha256 != MADE.order_sha256


@pytest.mark.parametrize(
    "change",
    [{"class_names": ("0", "2")}, {"class_index": np.array([1, 0])}, {"image_sha256": (ONE, THREE)}],
)
def test_classes_and_images_are_in_it(change: dict[str, object]) -> None:
    assert replace(MADE, **change).sha256 != MADE.sha256


def test_how_often_an_image_is_there_is_in_it() -> None:
    twice = FaceList(("a", "b", "c"), ("0", "1"), np.array([0, 1, 1]), (ONE, TWO, TWO))
    assert twice.sha256 != MADE.sha256


def test_two_faces_with_one_key_are_refused(tmp_path: Path, forms: dict[str, Path]) -> None:
    source = open_source(forms["folder"])
    source._files[1] = source._files[0]
    with pytest.raises(BadInput, match="two faces have the same key"):
        FaceList.of(source)
