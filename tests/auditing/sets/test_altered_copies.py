"""Altered training images, and faces as small grey pictures."""

from pathlib import Path

import numpy as np

from sface_data.auditing.sets.altered_copies import ALTERATIONS, SIMULATED_COSINE, AlteredSource, simulated_copies
from sface_data.auditing.sets.judged_sets import JudgedSets
from sface_data.auditing.sets.pixel_embedder import SIDE, PixelEmbedder, mirrored
from sface_data.embedding.embedder import resized
from sface_data.embedding.embeddings import EmbeddingSet
from sface_data.faces.sources import open_source


def small(images: list[np.ndarray]) -> np.ndarray:
    return np.stack([resized(np.ascontiguousarray(image), SIDE) for image in images])


def test_alterations_change_an_image_and_keep_its_size(rendered_faces: Path) -> None:
    image = open_source(rendered_faces)[0].decode()
    for alter in ALTERATIONS.values():
        altered = alter(image)
        assert altered.shape == image.shape and altered.dtype == np.uint8
        assert 0.5 < np.abs(altered.astype(int) - image).mean() < 60
    assert np.array_equal(ALTERATIONS["mirrored"](ALTERATIONS["mirrored"](image)), image)


def test_altered_images_come_with_their_originals(rendered_faces: Path) -> None:
    training = open_source(rendered_faces)
    altered = AlteredSource(training, seed=1, count=10)
    assert len(altered) == 10 and len(set(altered.indices.tolist())) == 10
    for index, way in ((1, "cropped"), (4, "mirrored")):
        face = altered[index]
        original = training[int(altered.indices[index])]
        assert face.key.endswith(way) and face.class_index == original.class_index
        assert np.array_equal(face.decode(), ALTERATIONS[way](original.decode()))
    assert [face.data for face in AlteredSource(training, seed=1, count=10)] == [face.data for face in altered]
    assert len(AlteredSource(training, seed=0)) == len(training)


def test_pixels_do_not_see_light_but_see_another_face(rendered_faces: Path) -> None:
    source = open_source(rendered_faces)
    images = [source[0].decode(), source[1].decode(), source[30].decode()]
    embedder = PixelEmbedder()
    vectors = embedder.embed(small(images))
    assert vectors.shape == (3, embedder.dimensions) and np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    dark = embedder.embed(small([(images[0] * 0.6 + 20).astype(np.uint8)]))
    recompressed = embedder.embed(small([ALTERATIONS["recompressed"](images[0])]))
    assert min(dark @ vectors[0], recompressed @ vectors[0]) > 0.99 > max(vectors[0] @ vectors[1:].T)


def test_vectors_of_pixels_can_be_mirrored_without_the_images(rendered_faces: Path) -> None:
    source = open_source(rendered_faces)
    images = small([source[index].decode() for index in range(3)])
    vectors = PixelEmbedder().embed(images)
    names = ("a", "b", "c")
    faces = EmbeddingSet(names, names, np.arange(3), vectors, "0" * 64, "", names)
    again = PixelEmbedder().embed(np.ascontiguousarray(images[:, :, ::-1]))
    assert np.allclose(mirrored(faces).vectors, again, atol=1e-6)
    assert np.array_equal(mirrored(mirrored(faces)).vectors, vectors)


def test_a_picture_of_nothing_is_like_no_face(rendered_faces: Path) -> None:
    face = open_source(rendered_faces)[0].decode()
    grey = np.full((1, SIDE, SIDE, 3), 90, np.uint8)
    vectors = PixelEmbedder().embed(np.concatenate([grey, small([face])]))
    assert np.linalg.norm(vectors[0]) == 1 and abs(vectors[0] @ vectors[1]) < 0.5


def test_simulated_copies_are_at_their_angle(small_sets: JudgedSets) -> None:
    copies = simulated_copies(small_sets.training, seed=0, count=50)
    cosines = copies.faces.vectors @ small_sets.training.vectors.T
    originals = np.abs(cosines - SIMULATED_COSINE).argmin(axis=1)
    assert copies.simulated and np.allclose(cosines[np.arange(50), originals], SIMULATED_COSINE, atol=1e-5)
    assert np.array_equal(small_sets.training.class_index[originals], copies.faces.class_index)
