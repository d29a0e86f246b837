"""Alignment: from known landmarks, by the detector that ships, and by one that insightface runs."""

import csv
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.ndimage import affine_transform

from sface_data.embedding.embed import NO_FACE, Embedding, embed_source
from sface_data.embedding.embeddings_folder import embed_into, open_embeddings
from sface_data.embedding.onnx_embedder import OnnxEmbedder
from sface_data.errors import BadInput
from sface_data.faces.alignment import TEMPLATE, similarity, template_in, warp
from sface_data.faces.face_list import FaceList
from sface_data.faces.insightface_detector import InsightfaceDetector
from sface_data.faces.mtcnn import Mtcnn
from sface_data.faces.open_detector import open_detector
from sface_data.faces.sources import open_source

Make = Callable[..., Path]
Run = Callable[..., tuple[int, str, str]]
GREEN = (0, 255, 0)


def moved(image: np.ndarray, angle: float, scale: float, shift: tuple[float, float], side: int):
    """An image [H,W,3] turned, scaled and shifted into a larger one, and the matrix [2,2] and shift [2] that take
    its points there. By SciPy's splines, which have nothing to do with what is tested."""
    turn = np.deg2rad(angle)
    matrix = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    middle = (np.array(image.shape[1::-1]) - 1) / 2
    offset = (side - 1) / 2 + np.array(shift) - matrix @ middle
    back = np.linalg.inv(matrix)[::-1, ::-1]  # rows and columns, not x and y
    start = -np.linalg.inv(matrix) @ offset
    channels = [
        affine_transform(image[:, :, c].astype(float), back, start[::-1], (side, side), order=3) for c in range(3)
    ]
    return np.stack(channels, axis=2).clip(0, 255).round().astype(np.uint8), matrix, offset


@pytest.fixture(scope="module")
def pictures(rendered_faces: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """Rendered faces of 64 x 64 with their true landmarks."""
    with (rendered_faces / "landmarks.csv").open() as file:
        rows = list(csv.reader(file))[1::11]
    return [
        (
            np.asarray(Image.open(rendered_faces / row[0])),
            np.array(row[1:], np.float32).reshape(5, 2),
        )
        for row in rows
    ]


MOVES = [(0, 1.0, (3.4, -2.6)), (25, 1.8, (10, 5)), (-70, 3.1, (0, 0)), (180, 2.4, (-9, 4))]


@pytest.mark.parametrize(("angle", "scale", "shift"), MOVES)
def test_a_moved_rendering_comes_back_by_its_landmarks(pictures, angle: float, scale: float, shift) -> None:
    """Within 3 grey levels in the mean; half a pixel off is further away than that."""
    inner = (slice(4, -4), slice(4, -4))
    for image, landmarks in pictures:
        scene, matrix, offset = moved(image, angle, scale, shift, 320)
        # Where the template lies in the scene: by it, what comes back is the picture itself.
        seen = (template_in(64) @ matrix.T + offset).astype(np.float32)
        off = np.abs(warp(scene, seen, 64)[inner].astype(int) - image[inner]).mean()
        further = np.abs(warp(scene, seen + np.float32(scale / 2), 64)[inner].astype(int) - image[inner]).mean()
        assert off < 3
        assert further > 1.4 * off
        # By its true landmarks, what comes back is what the picture itself gives by them.
        seen = (landmarks @ matrix.T + offset).astype(np.float32)
        straight, back = warp(image, landmarks, 64), warp(scene, seen, 64)
        middle = (slice(16, 54), slice(16, 48))
        assert np.abs(straight[middle].astype(int) - back[middle]).mean() < 3


def test_an_aligned_face_stays_as_it_is(pictures) -> None:
    for image, _ in pictures:
        np.testing.assert_array_equal(warp(image, template_in(64), 64), image)
    noise = np.random.default_rng(0).integers(0, 256, (112, 112, 3)).astype(np.uint8)
    np.testing.assert_array_equal(warp(noise, TEMPLATE, 112), noise)


@settings(max_examples=30, deadline=None)
@given(st.floats(-180, 180), st.floats(0.3, 40), st.floats(-50, 50), st.floats(-50, 50), st.integers(16, 256))
def test_landmarks_come_to_the_template(angle: float, scale: float, x: float, y: float, size: int) -> None:
    turn = np.deg2rad(angle)
    matrix = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    landmarks = (TEMPLATE @ matrix.T + [x, y]).astype(np.float32)
    found, shift = similarity(landmarks, template_in(size))
    np.testing.assert_allclose(landmarks @ found.T + shift, template_in(size), atol=0.01 * size / 112 + 0.005)


def test_the_template_in_other_sizes_covers_the_same_picture() -> None:
    np.testing.assert_array_equal(template_in(112), TEMPLATE)
    np.testing.assert_allclose(template_in(224), TEMPLATE * 2 + 0.5, atol=1e-4)


def test_shrinking_takes_the_mean() -> None:
    stripes = np.zeros((1120, 1120, 3), np.uint8)
    stripes[:, ::2] = 255
    small = warp(stripes, template_in(1120), 112)
    assert np.abs(small[2:-2, 2:-2].astype(int) - 127.5).max() < 4


def test_what_lies_beyond_the_image_is_black() -> None:
    white = np.full((112, 112, 3), 255, np.uint8)
    landmarks = TEMPLATE + np.float32([0, -60])
    found = warp(white, landmarks, 112)
    assert (found[:58] == 0).all()
    assert (found[62:] == 255).all()


@pytest.fixture(scope="module")
def mtcnn() -> Mtcnn:
    return Mtcnn("cpu")


@pytest.fixture(scope="module")
def portrait() -> np.ndarray:
    """scikit-image's photograph of the astronaut Eileen Collins (NASA, in the public domain), 512 x 512."""
    package = importlib.util.find_spec("skimage")
    assert package is not None and package.origin is not None
    return np.asarray(Image.open(Path(package.origin).parent / "data" / "astronaut.png").convert("RGB"))


def test_the_detector_that_ships_finds_the_face_in_a_photograph(mtcnn: Mtcnn, portrait: np.ndarray) -> None:
    """Where a person sees eyes, nose and corners of the mouth; and again in another size, and in the mirror."""
    seen = np.array([[204, 101], [247, 103], [223, 128], [201, 139], [246, 141]])
    found = mtcnn.landmarks(portrait)
    assert np.linalg.norm(found - seen, axis=1).max() < 0.08 * 43  # of the distance of the eyes
    half = np.asarray(Image.fromarray(portrait).resize((256, 256), Image.Resampling.BOX))
    assert np.linalg.norm(mtcnn.landmarks(half) * 2 + 0.5 - found, axis=1).max() < 0.15 * 43
    mirrored = mtcnn.landmarks(portrait[:, ::-1].copy())[[1, 0, 2, 4, 3]]
    assert np.abs(511 - mirrored[:, 0] - found[:, 0]).max() < 0.15 * 43


def test_the_detector_that_ships_finds_rendered_faces_that_fill_the_image(mtcnn: Mtcnn, pictures) -> None:
    for image, landmarks in pictures:
        off = np.linalg.norm(mtcnn.landmarks(image) - landmarks, axis=1)
        assert off.mean() < 0.2 * np.linalg.norm(landmarks[0] - landmarks[1])


def test_of_several_faces_the_largest_counts(mtcnn: Mtcnn, portrait: np.ndarray) -> None:
    face = portrait[40:200, 140:300]
    scene = np.zeros((200, 420, 3), np.uint8)
    scene[20:180, 10:170] = face
    scene[60:140, 300:380] = np.asarray(Image.fromarray(face).resize((80, 80)))
    assert len(mtcnn.faces(scene)[0]) == 2
    assert mtcnn.landmarks(scene)[:, 0].max() < 170
    assert mtcnn.landmarks(scene[:, ::-1].copy())[:, 0].min() > 250


@pytest.mark.parametrize("shape", [(1, 1), (5, 300), (64, 64), (300, 40)])
def test_where_there_is_no_face_none_is_found(mtcnn: Mtcnn, shape: tuple[int, int]) -> None:
    assert mtcnn.landmarks(np.full((*shape, 3), 128, np.uint8)) is None
    noise = np.random.default_rng(0).integers(0, 256, (*shape, 3)).astype(np.uint8)
    assert mtcnn.landmarks(noise) is None


def test_without_insightface_the_sentence_says_what_to_do(
    tmp_path: Path, detector_file: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = detector_file(tmp_path / "det.onnx")
    monkeypatch.setitem(sys.modules, "insightface.model_zoo", None)
    with pytest.raises(BadInput, match=r"det.onnx: a detector that insightface runs.*`pip install insightface`"):
        open_detector(str(file), "cpu")
    assert open_detector("mtcnn", "cpu").name == "mtcnn"


def marked(*corners: tuple[int, int], side: int = 64, cell: int = 8) -> np.ndarray:
    """A grey image with green squares at x, y."""
    image = np.full((side, side, 3), 90, np.uint8)
    for x, y in corners:
        image[y : y + cell, x : x + cell] = GREEN
    return image


def test_a_detector_finds_landmarks(tmp_path: Path, detector_file: Make) -> None:
    detector = InsightfaceDetector(detector_file(tmp_path / "det.onnx"), "cpu")
    assert detector.landmarks(marked()) is None
    found = detector.landmarks(marked((24, 32)))
    np.testing.assert_allclose(found, (TEMPLATE - TEMPLATE[2]) * (40 / 112) + [24, 32], atol=1e-3)
    np.testing.assert_allclose(detector.landmarks(marked((24, 32), (0, 0)))[2], [24, 32], atol=1e-3)  # central
    half = detector.landmarks(marked((24, 32))[:, :, ::-1])  # green is green in BGR too
    np.testing.assert_array_equal(half, found)
    larger = np.asarray(Image.fromarray(marked((24, 32))).resize((128, 128), Image.Resampling.NEAREST))
    np.testing.assert_allclose(detector.landmarks(larger), found * 2, atol=1e-3)


def test_a_detector_of_half_precision_finds_the_same(tmp_path: Path, detector_file: Make) -> None:
    image = marked((24, 32))
    whole, half = (
        InsightfaceDetector(detector_file(tmp_path / "det.onnx", numbers=numbers), "cpu").landmarks(image)
        for numbers in (np.float32, np.float16)
    )
    np.testing.assert_allclose(half, whole, atol=0.05)
    with pytest.raises(BadInput, match=r"det.onnx: not a detector of faces: its input is tensor\(uint8\)"):
        InsightfaceDetector(detector_file(tmp_path / "det.onnx", numbers=np.uint8), "cpu")


def test_colours_reach_the_detector_in_order(tmp_path: Path, detector_file: Make) -> None:
    detector = InsightfaceDetector(detector_file(tmp_path / "det.onnx", colour=(2, -1, -1)), "cpu")
    red = marked((24, 32))[:, :, [1, 0, 2]]
    assert detector.landmarks(red) is not None
    assert detector.landmarks(red[:, :, ::-1]) is None


def test_a_detector_of_any_size_looks_twice(tmp_path: Path, detector_file: Make) -> None:
    detector = InsightfaceDetector(detector_file(tmp_path / "det.onnx", size="any", reach=60), "cpu")
    found = detector.landmarks(marked((64, 64), side=128))
    np.testing.assert_allclose(found[2], [64, 64], atol=1)
    assert detector.landmarks(marked(side=128)) is None


def test_aligning_by_a_detector(tmp_path: Path, detector_file: Make) -> None:
    detector = InsightfaceDetector(detector_file(tmp_path / "det.onnx"), "cpu")
    aligned = detector.aligned(marked((24, 32)), 112)
    assert aligned.shape == (112, 112, 3)
    x, y = TEMPLATE[2].round().astype(int)  # the nose is at the upper left of the square
    assert tuple(aligned[y + 4, x + 4]) == GREEN
    assert detector.aligned(marked(), 112) is None


@pytest.fixture
def half_marked(tmp_path: Path) -> Path:
    """Two classes of six images; a face is seen in all but 0/1.png and 1/3.png."""
    for c in range(2):
        for i in range(6):
            image = marked() if (c, i) in ((0, 1), (1, 3)) else marked((16 + 8 * c, 8 * i))
            path = tmp_path / "faces" / str(c) / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(path)
    return tmp_path / "faces"


def test_images_without_a_face_are_counted_and_listed(
    half_marked: Path, tmp_path: Path, detector_file: Make, embedder_file: Make
) -> None:
    detector = InsightfaceDetector(detector_file(tmp_path / "det.onnx"), "cpu")
    embedder = OnnxEmbedder(embedder_file(tmp_path / "model.onnx"), "cpu")
    source = open_source(half_marked)
    embedding = Embedding(embedder, detector, batch=4)
    found = embed_source(source, embedding)
    assert len(found) == 10
    assert [(face.key, face.reason) for face in found.left_out] == [("0/1.png", NO_FACE), ("1/3.png", NO_FACE)]
    expected = embedder.embed(np.stack([detector.aligned(source[0].decode(), 112)]))
    np.testing.assert_allclose(found.vectors[:1], expected, atol=1e-6)
    embed_into(tmp_path / "emb", source, FaceList.of(source), embedding)
    read = open_embeddings(tmp_path / "emb")
    assert (read.left_out, read.detector_sha256) == (found.left_out, detector.sha256)
    with pytest.raises(BadInput, match="aligned in another way"):
        embed_into(tmp_path / "emb", source, FaceList.of(source), Embedding(embedder))


def test_the_command_reports_them(
    half_marked: Path, tmp_path: Path, detector_file: Make, embedder_file: Make, run: Run
) -> None:
    detector, model = detector_file(tmp_path / "det.onnx"), embedder_file(tmp_path / "model.onnx")
    arguments = ["embed", half_marked, "--embedder", model, "--device", "cpu", "--align", "detect"]
    code, output, errors = run(*arguments, "--detector", detector, "--outdir", tmp_path / "emb")
    assert (code, output) == (0, ""), errors
    assert "10 embeddings of 2 classes" in errors
    assert "2 images left out, no face found; " in errors
    before = sorted(tmp_path.rglob("*"))
    code, output, errors = run(*arguments, "--detector", model, "--outdir", tmp_path / "new")
    assert (code, output, len(errors.splitlines())) == (2, "", 1)
    assert "not a detector with landmarks: 1 outputs" in errors
    assert sorted(tmp_path.rglob("*")) == before


def test_detectors_are_found_by_name_and_never_downloaded(
    tmp_path: Path, detector_file: Make, embedder_file: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(
        BadInput,
        match=r"buffalo_l: no detector of this name: it is not mtcnn.*model_zoo.*research only",
    ):
        open_detector("buffalo_l")
    assert not (tmp_path / ".insightface").exists()
    pack = tmp_path / ".insightface" / "models" / "buffalo_l"
    pack.mkdir(parents=True)
    embedder_file(pack / "w600k_r50.onnx")
    with pytest.raises(BadInput, match=r"has 0 detectors"):
        open_detector("buffalo_l")
    detector_file(pack / "det_10g.onnx")
    assert open_detector("buffalo_l", "cpu").name == "det_10g.onnx"
    nested = pack.parent / "antelopev2" / "antelopev2"
    nested.mkdir(parents=True)
    detector_file(nested / "scrfd_10g_bnkps.onnx")
    assert open_detector("antelopev2", "cpu").name == "scrfd_10g_bnkps.onnx"
    detector_file(pack / "det_500m.onnx")
    with pytest.raises(BadInput, match=r"has 2 detectors .*name the file itself"):
        open_detector("buffalo_l")
    for name in ("", "../models/buffalo_l", "other"):
        with pytest.raises(BadInput, match="no detector of this name"):
            open_detector(name)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(BadInput, match=r"give mtcnn, an .onnx file"):
        open_detector(str(tmp_path / "file"))
    with pytest.raises(BadInput, match="No such file"):
        open_detector(str(tmp_path / "absent.onnx"))


def test_files_that_are_no_detectors(tmp_path: Path, detector_file: Make) -> None:
    path = tmp_path / "det.onnx"
    detector_file(path, landmarks=False)
    with pytest.raises(BadInput, match=r"det.onnx: not a detector with landmarks: 6 outputs"):
        open_detector(str(path))
    whole = detector_file(path).read_bytes()
    for cut in (0, 10, len(whole) // 2):
        path.write_bytes(whole[:cut])
        with pytest.raises(BadInput, match=r"det.onnx: "):
            open_detector(str(path))
    with pytest.raises(BadInput, match="unknown; use auto"):
        open_detector(str(detector_file(path)), "tpu")
