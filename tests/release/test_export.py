"""`sface-data export`: the same faces in every form, whatever stopped it, and nothing lost."""

import itertools
import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import sface_data
from sface_data.dataset.manifest import Manifest
from sface_data.errors import BadInput
from sface_data.faces.base import canonical_class
from sface_data.faces.face_list import FaceList
from sface_data.faces.recordio import open_records
from sface_data.faces.shard_source import ShardSource
from sface_data.faces.sources import open_source
from sface_data.release.export import FORMS
from sface_data.release.exports import lmdb, parquet, record
from sface_data.release.exports.faces import ExportedFaces
from tests.forms import MAGIC
from tests.release.certificates import certify

Run = Callable[..., tuple[int, str, str]]


def labelled_bytes(path: Path) -> list[tuple[str, bytes]]:
    source = open_source(path)
    return sorted((canonical_class(source.class_names[face.class_index]), face.data) for face in source)


@pytest.mark.parametrize("to", list(FORMS))
def test_an_export_holds_the_same_faces_and_says_what_it_is(
    run: Run, dataset: Path, tmp_path: Path, to: str
) -> None:
    faces = shutil.copytree(dataset, tmp_path / "faces")
    certify(faces, "fail")
    report = faces / "audit" / "report.html"
    report.write_text("what was found")
    code, output, errors = run("export", faces, "--to", to, "--outdir", tmp_path / "out")
    assert (code, output) == (0, ""), errors
    assert f"{tmp_path / 'out'}: 60 images, the same as in {faces}" in errors
    assert labelled_bytes(tmp_path / "out") == labelled_bytes(dataset)
    text = (tmp_path / "out" / "README.md").read_text()
    assert "its verdict is `fail`" in text and "not of these files" in text
    certificate = (tmp_path / "out" / "certificate.json").read_bytes()
    assert certificate == (faces / "audit" / "certificate.json").read_bytes()
    assert (tmp_path / "out" / "report.html").read_bytes() == report.read_bytes() and "`report.html` has" in text
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*") if path.suffix != ".json"}
    assert run("export", faces, "--to", to, "--outdir", tmp_path / "out")[0] == 0
    data = {path for path in before if path.suffix in (".rec", ".idx", ".jpg", ".parquet", ".lmdb")}
    assert all(path.stat().st_mtime_ns == before[path] for path in data)


@pytest.mark.parametrize("to", list(FORMS))
def test_new_identities_keep_their_names_where_a_form_has_names(run: Run, tmp_path: Path, to: str) -> None:
    faces = sface_data.generate(tmp_path / "faces", new_identities=3, samples_per_class=2, size=32)
    exported = sface_data.export(faces, tmp_path / "out", to=to)
    names = {name for name, _ in labelled_bytes(tmp_path / "out")}
    named = {"new_000000", "new_000001", "new_000002"}
    assert names == (named if to in ("folder", "parquet") else {"0", "1", "2"})
    assert exported.num_images == 6
    source = open_source(tmp_path / "out")
    if to == "folder":  # what an audit of the data set gives its certificate for
        assert exported.faces_sha256 == FaceList.of(source).sha256


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(("to", "stop"), [*itertools.product(FORMS, (1, 7, 29))])
def test_a_stopped_export_goes_on(
    dataset: Path, tmp_path: Path, to: str, stop: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module, name, value in ((lmdb, "_AT_ONCE", 7), (record, "_AT_ONCE", 7), (parquet, "_ROWS", 9)):
        monkeypatch.setattr(module, name, value)
    manifest = Manifest.load(dataset)
    source = ShardSource(dataset, [dataset / shard.filename for shard in manifest.shards])
    faces = ExportedFaces(manifest.plan, source, manifest.num_bytes)
    for name in ("whole", "stopped"):
        (tmp_path / name).mkdir()
    assert sum(FORMS[to](faces, tmp_path / "whole")) == 60
    writing = FORMS[to](faces, tmp_path / "stopped")
    list(itertools.islice(writing, stop))
    writing.close()  # type: ignore[attr-defined]
    if to == "rec":  # killed: lines and records that were not safe are cut off anywhere
        for part in (tmp_path / "stopped").glob(".train.*"):
            part.write_bytes(part.read_bytes()[:-3])
    assert sum(FORMS[to](faces, tmp_path / "stopped")) == 60
    if to == "lmdb":
        assert labelled_bytes(tmp_path / "stopped") == labelled_bytes(dataset)
        return
    assert tree(tmp_path / "stopped") == tree(tmp_path / "whole")


def test_recordio_is_as_arcface_torch_reads_it(dataset: Path, tmp_path: Path) -> None:
    """By the rules of the format, read here by hand: number and offset of each record, images from 1 on."""
    sface_data.export(dataset, tmp_path / "out", to="rec")
    data = (tmp_path / "out" / "train.rec").read_bytes()
    lines = (tmp_path / "out" / "train.idx").read_text().splitlines()
    offsets = {int(line.split("\t")[0]): int(line.split("\t")[1]) for line in lines}

    def unpacked(number: int) -> tuple[int, tuple[float, ...], bytes]:
        magic, length = struct.unpack_from("<II", data, offsets[number])
        assert magic == struct.unpack("<I", MAGIC)[0]
        body = data[offsets[number] + 8 : offsets[number] + 8 + length]
        flag, label, _, _ = struct.unpack_from("<IfQQ", body)
        if not flag:
            return flag, (label,), body[24:]
        return flag, struct.unpack_from(f"<{flag}f", body, 24), body[24 + 4 * flag :]

    flag, (first, last), rest = unpacked(0)
    assert (flag, first, last, rest) == (2, 61, 71, b"")
    images = [unpacked(number) for number in range(1, 61)]
    assert [labels for _, labels, _ in images] == [(float(c),) for c in range(10) for _ in range(6)]
    assert all(image.startswith(b"\xff\xd8\xff") for _, _, image in images)
    assert [unpacked(number)[1] for number in range(61, 71)] == [(1 + 6 * c, 7 + 6 * c) for c in range(10)]
    assert (tmp_path / "out" / "property").read_text() == "10,32,32"


def test_images_with_the_magic_number_in_them_come_back(tmp_path: Path) -> None:
    numbers = np.random.default_rng(0)
    written = b""
    images = []
    for _ in range(50):
        pieces = [MAGIC if numbers.random() < 0.4 else numbers.bytes(numbers.integers(0, 6)) for _ in range(8)]
        images.append(b"".join(pieces))
        written += record._framed(struct.pack("<IfQQ", 0, 3, 1, 0) + images[-1])
    (tmp_path / "a.rec").write_bytes(written)
    records = open_records(tmp_path / "a.rec")
    assert [records.read(index).image for index in range(50)] == images


def test_datasets_shows_image_and_label_of_a_parquet_export(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets

    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    sface_data.export(dataset, tmp_path / "out", to="parquet")
    rows = datasets.load_dataset(str(tmp_path / "out"), split="train")
    assert list(rows.features) == ["image", "label"] and len(rows) == 60
    assert rows.features["label"].int2str(rows[59]["label"]) == "class_000009"
    assert rows[0]["image"].size == (32, 32)


def test_what_an_export_refuses(run: Run, dataset: Path, tmp_path: Path) -> None:
    full = tmp_path / "full"
    full.mkdir()
    (full / "thesis.tex").write_text("mine")
    code, _, errors = run("export", dataset, "--to", "rec", "--outdir", full)
    assert code == 2 and f"{full}: holds 'thesis.tex' and is no folder of exported faces; choose" in errors
    assert [path.name for path in full.iterdir() if not path.name.startswith(".")] == ["thesis.tex"]
    sface_data.export(dataset, tmp_path / "rec", to="rec")
    code, _, errors = run("export", dataset, "--to", "lmdb", "--outdir", tmp_path / "rec")
    assert code == 2 and "holds another export" in errors and "to: lmdb, not rec" in errors
    broken = shutil.copytree(dataset, tmp_path / "broken")
    shard = broken / "data" / "train-000001.tar"
    shard.write_bytes(shard.read_bytes()[:-1] + b"x")
    code, _, errors = run("export", broken, "--to", "rec", "--outdir", tmp_path / "new")
    assert code == 2 and f"{shard}: is not as the manifest says" in errors
    assert not (tmp_path / "new" / "train.rec").exists()
    code, _, errors = run("export", tmp_path, "--to", "rec", "--outdir", tmp_path / "new")
    assert code == 2 and "no finished data set" in errors


def test_what_was_damaged_on_its_way_is_found(dataset: Path, tmp_path: Path) -> None:
    sface_data.export(dataset, tmp_path / "out", to="folder")
    image = next((tmp_path / "out").rglob("*.jpg"))
    data = image.read_bytes()
    image.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(BadInput, match="out: is not what was written there; delete the folder"):
        sface_data.export(dataset, tmp_path / "out", to="folder")
    image.write_bytes(data[:-5])  # a size that cannot be is seen at once
    sface_data.export(dataset, tmp_path / "out", to="folder")
    assert json.loads((tmp_path / "out" / "export.json").read_text())["to"] == "folder"


def test_a_signal_while_an_image_is_renamed_leaves_nothing_unfinished(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = Path.replace

    def stopped(path: Path, target: Path) -> Path:
        if path.name.endswith(".jpg.part"):
            raise KeyboardInterrupt
        return replace(path, target)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, "replace", stopped)
        sface_data.export(dataset, tmp_path / "out", to="folder")
    assert list((tmp_path / "out").glob("class_*"))
    assert not list((tmp_path / "out").rglob("*.part"))
