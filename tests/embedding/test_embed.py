"""Embedding a source: whatever form it has, however often it is stopped, with every face accounted for."""

import json
import shutil
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from sface_data.embedding import embeddings_folder
from sface_data.embedding.embed import Embedding, embed_source
from sface_data.embedding.embedder import NoVector, resized
from sface_data.embedding.embeddings import EmbeddingSet
from sface_data.embedding.embeddings_folder import cached_under, embed_into, open_embeddings
from sface_data.embedding.onnx_embedder import OnnxEmbedder
from sface_data.errors import BadInput
from sface_data.faces.base import Face, Source, canonical_class
from sface_data.faces.face_list import FaceList
from sface_data.faces.sources import open_source
from sface_data.io.images import BrokenImage
from tests.killing import killed_again_and_again, tree

Make = Callable[..., Path]
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, embedder_file: Make) -> Path:
    return embedder_file(tmp_path_factory.mktemp("model") / "model.onnx")


@pytest.fixture(scope="module")
def embedder(model: Path) -> OnnxEmbedder:
    return OnnxEmbedder(model, "cpu")


@pytest.fixture
def faces(rendered_faces: Path, tmp_path: Path) -> Path:
    """A copy that may be changed: 3 classes x 6."""
    for name in ("000000", "000001", "000002"):
        shutil.copytree(rendered_faces / name, tmp_path / "faces" / name)
    return tmp_path / "faces"


class Counting:
    """An embedder that counts its images, and stops after some."""

    def __init__(self, embedder: OnnxEmbedder, stop: int | None = None) -> None:
        self.sha256, self.name, self.size = embedder.sha256, embedder.name, embedder.size
        self.dimensions, self.seen = embedder.dimensions, 0
        self._embedder, self._stop = embedder, stop

    def embed(self, images: np.ndarray) -> np.ndarray:
        if self._stop is not None and self.seen >= self._stop:
            raise KeyboardInterrupt
        self.seen += len(images)
        return self._embedder.embed(images)


def into(folder: Path, source: Source, embedding: Embedding) -> EmbeddingSet:
    return embed_into(folder, source, FaceList.of(source), embedding).load()


def test_vectors_are_those_of_the_embedder_in_order(rendered_faces: Path, embedder: OnnxEmbedder) -> None:
    source = open_source(rendered_faces)
    progress: list[int] = []
    found = embed_source(source, Embedding(embedder, batch=7), progress=progress.append)
    one_by_one = [embedder.embed(resized(face.decode(), 112)[None])[0] for face in source]
    np.testing.assert_allclose(found.vectors, one_by_one, atol=1e-6)
    assert found.keys == tuple(face.key for face in source)
    assert found.class_index.tolist() == source.class_indices.tolist()
    assert (sum(progress), len(found), found.left_out) == (48, 48, ())
    assert found.source_sha256 == FaceList.of(source).sha256


def test_every_form_has_the_same_vectors(forms: dict[str, Path], embedder: OnnxEmbedder) -> None:
    sets = {name: embed_source(open_source(path), Embedding(embedder)) for name, path in forms.items()}
    for name, each in sets.items():
        np.testing.assert_array_equal(each.vectors, sets["folder"].vectors)
        assert each.image_sha256 == sets["folder"].image_sha256
        assert [canonical_class(c) for c in each.class_names] == [str(number) for number in range(8)], name


def test_stopped_anywhere_it_ends_in_the_same_files(
    rendered_faces: Path, embedder: OnnxEmbedder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embeddings_folder, "FACES_PER_PART", 10)
    source = open_source(rendered_faces)
    whole = into(tmp_path / "whole", source, Embedding(embedder, batch=4))
    seen = 0
    for stop in (0, 5, 13, 9, 40):
        stopping = Counting(embedder, stop)
        try:
            into(tmp_path / "part", source, Embedding(stopping, batch=4))
        except KeyboardInterrupt:
            with pytest.raises(BadInput, match="unfinished; run its `sface-data embed` again"):
                open_embeddings(tmp_path / "part")
        seen += stopping.seen
    assert 48 <= seen < 48 + 4 * 12  # at most one part is lost to each stop
    assert tree(tmp_path / "part") == tree(tmp_path / "whole")
    again = Counting(embedder)
    assert into(tmp_path / "part", source, Embedding(again)).keys == whole.keys
    assert again.seen == 0
    read = open_embeddings(tmp_path / "part", embedder.sha256)
    np.testing.assert_array_equal(read.vectors, whole.vectors)
    assert (read.keys, read.source_sha256) == (whole.keys, whole.source_sha256)


def test_killed_at_its_writes(rendered_faces: Path, model: Path, tmp_path: Path) -> None:
    command = ["embed", rendered_faces, "--embedder", model, "--batch", 4, "--device", "cpu"]
    whole, killed = killed_again_and_again(lambda outdir: [*command, "--outdir", outdir], tmp_path)
    assert tree(killed) == tree(whole)


def test_only_what_is_of_these_faces_is_taken_over(
    faces: Path, embedder: OnnxEmbedder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embeddings_folder, "FACES_PER_PART", 6)
    broken = faces / "000002" / "000004.jpg"
    good = broken.read_bytes()
    broken.write_bytes(good[:100])
    with pytest.raises(BrokenImage, match=r"000004.jpg"):
        into(tmp_path / "emb", open_source(faces), Embedding(embedder, batch=2))
    broken.write_bytes(good)
    (faces / "000000" / "000000.jpg").write_bytes((faces / "000000" / "000001.jpg").read_bytes())
    counting = Counting(embedder)
    found = into(tmp_path / "emb", open_source(faces), Embedding(counting))
    assert counting.seen == 12, "the part of the second class was there"
    np.testing.assert_array_equal(found.vectors[0], found.vectors[1])
    damaged = tmp_path / "emb" / "part-000001.parquet"
    damaged.write_bytes(damaged.read_bytes()[:-10])
    with pytest.raises(BadInput, match=r"part-000001.parquet: not the file that embeddings.json lists"):
        open_embeddings(tmp_path / "emb")
    counting = Counting(embedder)
    into(tmp_path / "emb", open_source(faces), Embedding(counting))
    assert counting.seen == 6
    assert len(open_embeddings(tmp_path / "emb")) == 18


def test_a_folder_of_something_else_stays_as_it_is(
    faces: Path, embedder: OnnxEmbedder, tmp_path: Path, embedder_file: Make
) -> None:
    source = open_source(faces)
    into(tmp_path / "emb", source, Embedding(embedder))
    before = tree(tmp_path / "emb")
    other = OnnxEmbedder(embedder_file(tmp_path / "other.onnx", seed=1), "cpu")
    with pytest.raises(BadInput, match=r"another embedder \(model.onnx, [0-9a-f]{12}\)"):
        into(tmp_path / "emb", source, Embedding(other))
    with pytest.raises(BadInput, match="holds embeddings of another embedder"):
        open_embeddings(tmp_path / "emb", other.sha256)
    (faces / "000000" / "000000.jpg").unlink()
    with pytest.raises(BadInput, match="holds embeddings of other faces"):
        into(tmp_path / "emb", open_source(faces), Embedding(embedder))
    assert tree(tmp_path / "emb") == before
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    with pytest.raises(BadInput, match=r"holds 'thesis.tex' and is no folder of embeddings"):
        into(tmp_path / "mine", open_source(faces), Embedding(embedder))
    with pytest.raises(BadInput, match="a file; give a folder"):
        into(tmp_path / "other.onnx", open_source(faces), Embedding(embedder))
    with FileLock(tmp_path / "emb" / ".lock"), pytest.raises(BadInput, match="another process"):
        into(tmp_path / "emb", open_source(faces), Embedding(embedder))


def test_broken_images_are_left_out_on_request_and_listed(
    faces: Path, embedder: OnnxEmbedder, tmp_path: Path
) -> None:
    (faces / "000001" / "000003.jpg").write_bytes(b"\xff\xd8\xff not a picture")
    source = open_source(faces)
    embedding = Embedding(embedder, skip_broken=True)
    found = into(tmp_path / "emb", source, embedding)
    assert len(found) == 17
    assert [face.key for face in found.left_out] == ["000001/000003.jpg"]
    assert found.left_out[0].reason.startswith("the image is broken")
    listed = json.loads((tmp_path / "emb" / "embeddings.json").read_text())["left_out"]
    assert [face["key"] for face in listed] == ["000001/000003.jpg"]
    assert open_embeddings(tmp_path / "emb").left_out == found.left_out
    again = Counting(embedder)
    into(tmp_path / "emb", source, replace(embedding, embedder=again))
    assert again.seen == 0
    with pytest.raises(BrokenImage, match=r"000003.jpg"):  # who does not ask for it is told again
        into(tmp_path / "emb", source, Embedding(embedder))


def test_memory_does_not_grow_with_the_vectors(
    rendered_faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embeddings_folder, "FACES_PER_PART", 100)
    data = open_source(rendered_faces)[0].data

    class Many(Source):
        def _face(self, index: int) -> Face:
            return Face(str(index), int(self.class_indices[index]), data, "")

    class Wide:
        sha256, name, size, dimensions = "0" * 64, "wide", 64, 512

        def embed(self, images: np.ndarray) -> np.ndarray:
            return np.eye(512, dtype=np.float32)[: len(images)]

    def peak(count: int) -> int:
        source = Many(tmp_path, [index % 5 for index in range(count)])
        listed = FaceList.of(source)
        tracemalloc.start()
        made = embed_into(tmp_path / str(count), source, listed, Embedding(Wide()))
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert (made.embeddings, made.cosine_of_strangers) == (count, made.load().cosine_of_strangers)
        return most

    assert peak(1200) - peak(200) < 1000 * 512 * 4 / 4


def test_values_that_are_not_finite_name_the_images(faces: Path, tmp_path: Path, embedder_file: Make) -> None:
    from PIL import Image

    Image.new("RGB", (64, 64)).save(faces / "000001" / "000002.jpg")
    raw = OnnxEmbedder(embedder_file(tmp_path / "log.onnx", raw=True, log=True), "cpu")
    with pytest.raises(NoVector, match=r"log.onnx: gives values that are not finite.* for .*000001/000002.jpg; "):
        embed_source(open_source(faces), Embedding(raw, batch=5))


def test_images_that_are_not_square_are_named(faces: Path, embedder: OnnxEmbedder) -> None:
    from PIL import Image

    Image.new("RGB", (64, 48)).save(faces / "000001" / "000002.jpg")
    with pytest.raises(BadInput, match=r"000002.jpg: 64 x 48 pixels"):
        embed_source(open_source(faces), Embedding(embedder))


def test_a_cache_knows_what_it_holds(
    faces: Path, embedder: OnnxEmbedder, tmp_path: Path, embedder_file: Make
) -> None:
    source, counting = open_source(faces), Counting(embedder)

    def kept(judge: Counting | OnnxEmbedder) -> EmbeddingSet:
        folder = cached_under(tmp_path / "cache", FaceList.of(source), Embedding(judge))
        return into(folder, source, Embedding(judge))

    first, second = kept(counting), kept(counting)
    assert counting.seen == 18
    np.testing.assert_array_equal(first.vectors, second.vectors)
    other = OnnxEmbedder(embedder_file(tmp_path / "other.onnx", seed=1), "cpu")
    kept(other)
    assert len(list((tmp_path / "cache").iterdir())) == 2


def test_embeddings_are_no_images(faces: Path, embedder: OnnxEmbedder, tmp_path: Path) -> None:
    into(tmp_path / "emb", open_source(faces), Embedding(embedder))
    with pytest.raises(BadInput, match="holds embeddings; give the images"):
        open_source(tmp_path / "emb")
    with pytest.raises(BadInput, match="no folder of embeddings"):
        open_embeddings(faces)


@pytest.mark.parametrize(
    "change",
    [
        {"format": "something else"},
        {"parts": [{"file": "../faces/x.parquet", "sha256": "0", "faces": 1}]},
        {"parts": [{"file": 7}]},
        {"embedder": None},
    ],
)
def test_a_list_of_another_kind(faces: Path, embedder: OnnxEmbedder, tmp_path: Path, change: dict) -> None:
    into(tmp_path / "emb", open_source(faces), Embedding(embedder))
    path = tmp_path / "emb" / "embeddings.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(BadInput, match=r"embeddings.json: "):
        open_embeddings(tmp_path / "emb")


def test_the_command(faces: Path, model: Path, tmp_path: Path, run: Run, embedder_file: Make) -> None:
    arguments = ["embed", faces, "--embedder", model, "--device", "cpu", "--outdir", tmp_path / "emb"]
    code, output, errors = run(*arguments)
    assert (code, output) == (0, ""), errors
    assert f"{tmp_path / 'emb'}: 18 embeddings of 3 classes, 16 dimensions" in errors
    before = tree(tmp_path / "emb")
    assert run(*arguments)[0] == 0
    other = embedder_file(tmp_path / "other.onnx", seed=1)
    for wrong, words in (
        (["embed", faces, "--embedder", other, "--outdir", tmp_path / "emb"], "another embedder"),
        (["embed", tmp_path / "emb", "--embedder", model, "--outdir", tmp_path / "new"], "holds embeddings"),
        (["embed", faces, "--embedder", faces, "--outdir", tmp_path / "new"], "kind of embedder"),
        (["embed", tmp_path / "x", "--embedder", model, "--outdir", tmp_path / "new"], "does not exist"),
    ):
        code, output, errors = run(*wrong)
        assert (code, output, len(errors.splitlines())) == (2, "", 1)
        assert words in errors
    assert tree(tmp_path / "emb") == before
    assert not (tmp_path / "new").exists()
    (faces / "000001" / "000003.jpg").write_bytes(b"\xff\xd8\xff not a picture")
    code, _, errors = run(
        "embed", faces, "--embedder", model, "--outdir", tmp_path / "fewer", "--skip-broken", "--device", "cpu"
    )
    assert code == 0
    assert "1 image left out, broken" in errors
