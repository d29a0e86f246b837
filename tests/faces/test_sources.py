import io
import json
import os
import shutil
import tarfile
from collections.abc import Callable
from multiprocessing import Pipe
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sface_data.errors import BadInput, shown
from sface_data.faces.base import Face, number_classes
from sface_data.faces.sources import open_source
from sface_data.io.images import BrokenImage

Tar = Callable[[Path, list[tuple[str, bytes]]], None]
FORMS = ("folder", "shards", "pattern", "records", "stream", "disk", "table", "lmdb", "listed", "parquet")
NAMED = ("folder", "disk", "table")


def picture(colour: int = 0, size: int = 8) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (size, size), (colour, 0, 0)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_faces(
    forms: dict[str, Path], labelled: list[tuple[int, bytes]], form: str
) -> None:
    source = open_source(forms[form])
    assert len(source) == 48
    assert [(face.class_index, face.data) for face in source] == labelled
    assert source.class_indices.tolist() == [label for label, _ in labelled]
    assert len({face.key for face in source}) == 48
    expected = [f"{number:06d}" if form in NAMED else str(number) for number in range(8)]
    assert source.class_names == tuple(expected)
    np.testing.assert_array_equal(source[7].decode(), Image.open(io.BytesIO(labelled[7][1])).convert("RGB"))


@pytest.mark.parametrize("form", FORMS)
def test_faces_are_read_in_any_order(forms: dict[str, Path], labelled: list[tuple[int, bytes]], form: str) -> None:
    source = open_source(forms[form])
    assert source[47].data == labelled[47][1]
    assert source[5].data == labelled[5][1]
    assert source[-48] == source[0]
    assert [face.data for face in source[3:9:2]] == [labelled[index][1] for index in (3, 5, 7)]
    with pytest.raises(IndexError):
        source[48]


@pytest.mark.parametrize("form", FORMS)
def test_a_source_goes_to_other_processes(forms: dict[str, Path], form: str) -> None:
    source = open_source(forms[form])
    here, there = Pipe()
    here.send(source)
    assert there.recv()[11] == source[11]


def test_classes_are_numbered_by_value_and_then_by_name() -> None:
    names, indices = number_classes([10, 2, 10, "b", "a"])
    assert names == ("2", "10", "a", "b")
    assert indices.tolist() == [1, 0, 1, 3, 2]
    names, indices = number_classes(["a", "10", "class_000009", "0000045", "2"])
    assert names == ("2", "class_000009", "10", "0000045", "a")
    names, indices = number_classes(["x", "z"], order=["z", "y", "x"])
    assert names == ("z", "x")
    assert indices.tolist() == [1, 0]


def npy(value: object) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.array(value))
    return buffer.getvalue()


OTHERS = {
    "json number": [
        ("a.jpg", picture()),
        ("a.json", b'{"label": 7}'),
        ("b.jpg", picture()),
        ("b.json", b'{"label": 9}'),
    ],
    "json name": [
        ("a.json", b'{"identity": "7"}'),
        ("a.jpg", picture()),
        ("b.jpg", picture()),
        ("b.json", b'{"identity": "9"}'),
    ],
    "txt": [("a.txt", b"7\n"), ("a.webp", picture()), ("b.txt", b"9"), ("b.webp", picture())],
    "folder": [("7/a.jpg", picture()), ("9/a.jpg", picture())],
    "prefix": [("7_0.png", picture()), ("9_0.png", picture())],
    "label.cls": [
        ("000000_000000.label.cls", b"7"),
        ("000000_000000.jpg", picture()),
        ("000000_000001.label.cls", b"9"),
        ("000000_000001.jpg", picture()),
    ],
    "json id": [
        ("0_0.jpg", picture()),
        ("0_0.json", b'{"id": 7}'),
        ("0_1.jpg", picture()),
        ("0_1.json", b'{"id": 9}'),
    ],
    "json alone": [("a.jpg", picture()), ("a.json", b"7"), ("b.jpg", picture()), ("b.json", b"9")],
    "floats": [("a.jpg", picture()), ("a.cls", b"7.0"), ("b.jpg", picture()), ("b.cls", b"9.0\n")],
    "json float": [
        ("a.jpg", picture()),
        ("a.json", b'{"label": 7.0}'),
        ("b.jpg", picture()),
        ("b.json", b'{"label": 9.0}'),
    ],
    "npy": [("0_0.npy", npy(7)), ("0_0.jpg", picture()), ("0_1.npy", npy(9)), ("0_1.jpg", picture())],
    "label.npy": [
        ("0_0.label.npy", npy([7])),
        ("0_0.jpg", picture()),
        ("0_1.label.npy", npy([9])),
        ("0_1.jpg", picture()),
    ],
    "label.txt": [("a.label.txt", b"7"), ("a.jpg", picture()), ("b.label.txt", b"9"), ("b.jpg", picture())],
    "folder of a set": [("casia/7/a.jpg", picture()), ("casia/9/a.jpg", picture())],
    "folder here": [("./7/a.jpg", picture()), ("./9/a.jpg", picture())],
    "prefix here": [("./7_0.jpg", picture()), ("./9_0.jpg", picture())],
    "hidden members": [
        (".DS_Store", b"x"),
        ("README.md", b"x"),
        ("._a.jpg", b"\0\x05\x16\x07"),
        ("a.jpg", picture()),
        ("._a.cls", b"\0\x05\x16\x07"),
        ("a.cls", b"7"),
        ("__MACOSX/._b.jpg", b"\0\x05\x16\x07\0\x02\0\0Mac OS X"),
        ("b.jpg", picture()),
        ("b.cls", b"9"),
        ("LICENSE", b"x"),
    ],
    "dotted image": [("a.face.jpg", picture()), ("a.cls", b"7"), ("b.face.jpg", picture()), ("b.cls", b"9")],
}


@pytest.mark.parametrize("way", OTHERS)
def test_labels_of_other_peoples_shards_are_found(tmp_path: Path, tar: Tar, way: str) -> None:
    tar(tmp_path / "faces.tar", OTHERS[way])
    source = open_source(tmp_path / "faces.tar")
    assert source.class_names == ("7", "9")
    assert [face.class_index for face in source] == [0, 1]


BAD_SHARDS = {
    "comes twice": [("a.jpg", b""), ("a.cls", b"0"), ("a.jpg", b"")],
    "come twice or do not stand together": [
        ("a.jpg", b""),
        ("a.cls", b"0"),
        ("b.jpg", b""),
        ("b.cls", b"0"),
        ("a.txt", b""),
    ],
    "points out of its folder": [("/etc/a.jpg", b"")],
    "points out of its folder; ": [("../a.jpg", b"")],
    "'a' has no image": [("a.cls", b"0"), ("a.json", b"{}")],
    "'a' has 2 images": [("a.cls", b"0"), ("a.jpg", b""), ("a.png", b"")],
    "'b' has no member 'cls'": [("a.cls", b"0"), ("a.jpg", b""), ("b.jpg", b"")],
    "is 'x', not a class number": [("a.cls", b"x"), ("a.jpg", b"")],
    "txt of the sample 'a' is empty": [("a.txt", b""), ("a.jpg", b"")],
    "does not tell its class": [("a.jpg", b"")],
    "json of the sample 'a' is broken": [("a.json", b"{"), ("a.jpg", b"")],
    "json of the sample 'b' has no number or name as 'label'": [
        ("a.json", b'{"label": 1}'),
        ("a.jpg", b""),
        ("b.json", b"{}"),
        ("b.jpg", b""),
    ],
    "no labelled faces": [],
    "its other members are pyd": [("0_0.pyd", b"x"), ("0_0.jpg", b"")],
    "'0_0' does not tell its class: its other members are json": [
        ("0_0.json", b'{"width": 3}'),
        ("0_0.jpg", b""),
    ],
    "a caption and not a class": [("a.txt", b"a photo of a smiling man"), ("a.jpg", b"")],
    "its .txt is different in each of its 3 samples": [
        (f"{name}.{end}", data) for name in "abc" for end, data in (("txt", name.encode()), ("jpg", b""))
    ],
    "'id' in its .json is different in each of its 3 samples": [
        (f"{n}.{end}", data) for n in range(3) for end, data in (("json", f'{{"id": {n}}}'.encode()), ("jpg", b""))
    ],
    "two folders are called '1': a/1 and b/1": [("a/1/x.jpg", b""), ("b/1/x.jpg", b"")],
    "has several labels, label.cls, identity": [("a.label.cls", b"0"), ("a.identity", b"1"), ("a.jpg", b"")],
    "is '0.5', not a class number": [("a.cls", b"0.5"), ("a.jpg", b"")],
    "the label.npy of the sample 'a' is no array": [("a.label.npy", b"x"), ("a.jpg", b"")],
    "the npy of the sample 'a' is no array": [("a.npy", npy(7).replace(b"()", b"(x")), ("a.jpg", b"")],
}


@pytest.mark.parametrize("sentence", BAD_SHARDS)
def test_bad_shards_are_one_sentence(tmp_path: Path, tar: Tar, sentence: str) -> None:
    tar(tmp_path / "faces.tar", BAD_SHARDS[sentence])
    with pytest.raises(BadInput, match=rf"faces\.tar.*{sentence}"):
        open_source(tmp_path / "faces.tar")
    assert [path.name for path in tmp_path.iterdir()] == ["faces.tar"]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices_in_a_shard_are_refused(tmp_path: Path, kind: bytes) -> None:
    with tarfile.open(tmp_path / "faces.tar", "w") as tar:
        info = tarfile.TarInfo("a.jpg")
        info.type, info.linkname = kind, "/etc/passwd"
        tar.addfile(info)
    with pytest.raises(BadInput, match=r"faces\.tar.*'a\.jpg' is a link, a device"):
        open_source(tmp_path / "faces.tar")


def test_keys_that_come_again_in_another_shard_get_its_name(tmp_path: Path, tar: Tar) -> None:
    for number, name in enumerate(("one.tar", "two.tar")):
        tar(tmp_path / name, [("a.jpg", picture(number)), ("a.cls", b"%d" % number)])
    source = open_source(tmp_path)
    assert [face.key for face in source] == ["a", "two:a"]
    assert [face.data for face in source] == [picture(0), picture(1)]
    with pytest.raises(
        BadInput, match=r"one\.tar: the key 'one:a' is also in another shard; give each shard once"
    ):
        open_source(tmp_path / "{one,one,one}.tar")


def test_numbers_of_shards_in_keys_are_no_classes(tmp_path: Path, tar: Tar) -> None:
    for number in range(2):
        tar(tmp_path / f"train-{number:05d}.tar", [(f"{number:05d}_{n:04d}.jpg", b"") for n in range(3)])
    with pytest.raises(BadInput, match="its keys begin with the number of the shard, and nothing else tells"):
        open_source(tmp_path)


def test_braces_stand_for_shards(tmp_path: Path, tar: Tar) -> None:
    for number in (8, 9, 10):
        tar(tmp_path / f"{number:03d}.tar", [(f"p{number}_0.jpg", picture())])
    assert open_source(tmp_path / "{008..010}.tar").class_names == ("p10", "p8", "p9")
    assert open_source(tmp_path / "0{08,10}.tar").class_names == ("p10", "p8")
    with pytest.raises(BadInput, match=r"011\.tar: No such file"):
        open_source(tmp_path / "{008..011}.tar")
    with pytest.raises(BadInput, match=r"9\.\.1 is no range of shards"):
        open_source(tmp_path / "{9..1}.tar")


def test_a_shard_that_is_cut_off_or_compressed_is_one_sentence(tmp_path: Path, tar: Tar) -> None:
    tar(tmp_path / "faces.tar", [("a.cls", b"0"), ("a.jpg", picture(size=99) * 9)])
    data = (tmp_path / "faces.tar").read_bytes()
    (tmp_path / "faces.tar").write_bytes(data[:1600])
    with pytest.raises(BadInput, match=r"faces\.tar: ends in the middle of 'a\.jpg'"):
        open_source(tmp_path / "faces.tar")
    (tmp_path / "faces.tar.gz").write_bytes(b"\x1f\x8b" + data)
    with pytest.raises(BadInput, match=r"holds faces\.tar and faces\.tar\.gz; put one form"):
        open_source(tmp_path)
    (tmp_path / "faces.tar").unlink()
    (tmp_path / "FACES.ZIP").write_bytes(b"PK")
    for path, name in (
        (tmp_path / "faces.tar.gz",) * 2,
        (tmp_path, "faces.tar.gz"),
        (tmp_path / "FACES.ZIP",) * 2,
    ):
        with pytest.raises(BadInput, match=f"{Path(name).name}: a packed archive, .* unpack it"):
            open_source(path)


def make_folder(root: Path, **images: bytes) -> Path:
    """`ann_1=...` becomes root/ann/1.png."""
    for name, data in images.items():
        identity, number = name.split("_")
        (root / identity).mkdir(parents=True, exist_ok=True)
        (root / identity / f"{number}.png").write_bytes(data)
    return root


def test_a_folder_may_hold_other_files_and_deeper_folders(tmp_path: Path) -> None:
    make_folder(tmp_path, ann_1=picture(), bob_1=picture())
    (tmp_path / "ann" / "video").mkdir()
    (tmp_path / "ann" / "video" / "frame.PNG").write_bytes(picture())
    (tmp_path / "ann" / "notes.txt").write_text("")
    (tmp_path / "ann" / ".2.png.part").write_text("")
    (tmp_path / "README.md").write_text("")
    source = open_source(tmp_path)
    assert [face.key for face in source] == ["ann/1.png", "ann/video/frame.PNG", "bob/1.png"]


def test_bad_folders_are_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match="empty: no labelled faces in it"):
        open_source(tmp_path / "empty")
    with pytest.raises(BadInput, match="nowhere: does not exist"):
        open_source(tmp_path / "nowhere")
    with pytest.raises(BadInput, match="no file matches this pattern"):
        open_source(tmp_path / "*.tar")
    one = make_folder(tmp_path / "one", ann_1=picture(), ann_2=picture())
    with pytest.raises(BadInput, match=r"one: its 2 faces are all of 1 class \(ann\); at least 2 are needed"):
        open_source(one)
    assert len(open_source(one, min_classes=1)) == 2
    (one / "bob").mkdir()
    with pytest.raises(BadInput, match="bob: no image in this identity's folder"):
        open_source(one)
    (one / "stray.jpg").write_bytes(picture())
    with pytest.raises(BadInput, match=r"stray\.jpg: lies in no identity's folder"):
        open_source(one)


def test_folders_by_stylegans_tool_are_labelled_by_their_list(tmp_path: Path) -> None:
    files = [f"0000{number // 2}/img0000000{number}.png" for number in range(4)]
    for number, file in enumerate(files):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_bytes(picture(number))
    with pytest.raises(
        BadInput, match=r"laid out by StyleGAN's data set tool.*dataset\.json with the labels is not"
    ):
        open_source(tmp_path)

    def lists(labels: object) -> Path:
        (tmp_path / "dataset.json").write_text(json.dumps({"labels": labels}))
        return tmp_path

    source = open_source(lists([[file, label] for file, label in zip(files, [3, 10, 10, 3], strict=True)]))
    assert source.class_names == ("3", "10")
    assert [(face.key, face.class_index) for face in source] == list(zip(files, [0, 1, 1, 0], strict=True))
    for labels, sentence in (
        (None, "has no `labels`"),
        ([[file, 1.5] for file in files], "pairs of a file and a class number"),
        ([[files[0], 3]], f"has no label for {files[1]}"),
        ([[file, 1] for file in [*files, "x.png"]], r"lists x\.png, which is not there"),
    ):
        with pytest.raises(BadInput, match=sentence):
            open_source(lists(labels))


def test_folders_of_splits_are_no_identities(tmp_path: Path) -> None:
    for split in ("train", "val"):
        make_folder(tmp_path / split, ann_1=picture(), bob_1=picture())
    with pytest.raises(BadInput, match=r"holds the splits train, val; give one, such as .*/train"):
        open_source(tmp_path)
    assert open_source(tmp_path / "train").class_names == ("ann", "bob")


@pytest.mark.parametrize(
    "name", ["/etc/hostname", "../secret.png", "https://example.org/x.png", "inside/link.png"]
)
def test_files_outside_a_folder_of_datasets_are_not_opened(tmp_path: Path, name: str) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = tmp_path / "faces"
    (folder / "inside").mkdir(parents=True)
    (tmp_path / "secret.png").write_bytes(picture())
    (folder / "inside" / "link.png").symlink_to(tmp_path / "secret.png")
    (folder / "inside" / "a.png").write_bytes(picture())
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    rows = [{"bytes": None, "path": path} for path in ("inside/a.png", name)]
    table = pa.table({"image": pa.array(rows, image), "label": [0, 1]})
    features = {"image": {"_type": "Image"}, "label": {"dtype": "int64", "_type": "Value"}}
    table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pq.write_table(table, folder / "train.parquet")
    source = open_source(folder)
    assert source[0].data == picture()
    with pytest.raises(BadInput, match=r"row 1 names the file .* which is not in this folder"):
        source[1]


@pytest.mark.parametrize("name", ["a\udcff/1.png", "a/\udcff.png"])
def test_names_that_are_not_utf8_are_refused_before_an_image_is_read(tmp_path: Path, tar: Tar, name: str) -> None:
    tar(tmp_path / "faces.tar", [(name, picture()), ("b/1.png", picture())])
    (tmp_path / "faces" / name).parent.mkdir(parents=True)
    (tmp_path / "faces" / name).write_bytes(b"")
    for path in (tmp_path / "faces.tar", tmp_path / "faces"):
        with pytest.raises(BadInput) as raised:
            open_source(path)
        assert str(raised.value) == f"{path}: the name {shown(name)} is not UTF-8; rename it"


@pytest.mark.parametrize("extension", ["jfif", "tif", "TIFF", "bmp"])
def test_other_formats_of_images(tmp_path: Path, extension: str) -> None:
    kind = {"jfif": "JPEG", "bmp": "BMP"}.get(extension, "TIFF")
    for name in ("ann", "bob"):
        (tmp_path / name).mkdir()
        Image.new("RGB", (8, 8), (90, 90, 90)).save(tmp_path / name / f"1.{extension}", kind)
    for face in open_source(tmp_path):
        assert (face.decode() == 90).all()


def test_a_record_that_is_no_image_is_named(tmp_path: Path, forms: dict[str, Path]) -> None:
    data = (forms["records"] / "train.rec").read_bytes()
    (tmp_path / "train.rec").write_bytes(data.replace(b"\xff\xd8\xff", b"\0\0\0", 1))
    source = open_source(tmp_path / "train.rec")
    with pytest.raises(BrokenImage, match=r"train\.rec: record 1: "):
        list(map(Face.decode, source))


@pytest.mark.parametrize("name", ["a.gif", "video/b.AVIF", "c.jpe"])
def test_images_of_other_kinds_are_not_left_out_without_a_word(tmp_path: Path, name: str) -> None:
    make_folder(tmp_path, ann_1=picture(), bob_1=picture())
    (tmp_path / "ann" / name).parent.mkdir(exist_ok=True)
    (tmp_path / "ann" / name).write_bytes(b"")
    with pytest.raises(BadInput, match=f"{name}: an image of a kind that is not read"):
        open_source(tmp_path)


@pytest.mark.parametrize("name", [".a.png", "._a.png", ".thumbnails/a.jpg", "../.carl/a.png"])
def test_hidden_images_are_not_left_out_without_a_word(tmp_path: Path, name: str) -> None:
    make_folder(tmp_path, ann_1=picture(), bob_1=picture())
    (tmp_path / "ann" / "._1.png").write_bytes(b"\0\x05\x16\x07")  # as macOS does
    (tmp_path / ".DS_Store").touch()
    assert len(open_source(tmp_path)) == 2
    hidden = (tmp_path / "ann" / name).resolve()
    hidden.parent.mkdir(exist_ok=True)
    hidden.write_bytes(picture())
    with pytest.raises(BadInput, match=f"{hidden}: is hidden, and only some readers read it"):
        open_source(tmp_path)


@pytest.mark.parametrize("other", ["faces.tar", "data/faces.tar", "faces.rec", "data.mdb", "faces.tar.gz"])
def test_forms_of_faces_side_by_side_are_not_chosen_between(tmp_path: Path, other: str) -> None:
    make_folder(tmp_path / "deeper", ann_1=picture(), bob_1=picture())
    (tmp_path / "data").mkdir()
    (tmp_path / other).touch()
    with pytest.raises(BadInput, match=rf"holds {other} and folders of images; put one form"):
        open_source(tmp_path)


def test_shards_in_two_folders_are_not_chosen_between(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for name in ("more.tar", "data/train-000000.tar"):
        (tmp_path / name).touch()
    with pytest.raises(BadInput, match=r"holds more\.tar and data/train-000000\.tar; put one form"):
        open_source(tmp_path)


def test_a_second_image_of_a_kind_that_is_not_read_is_not_left_out(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for name, data in (("a.cls", b"0"), ("a.jpg", picture()), ("a.gif", picture())):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    with pytest.raises(BadInput, match=r"a\.tar: the sample 'a' has 2 images; it should have one"):
        open_source(tmp_path)


def test_two_record_files_in_a_folder_are_not_guessed_between(tmp_path: Path) -> None:
    (tmp_path / "a.rec").touch()
    (tmp_path / "b.rec").touch()
    with pytest.raises(BadInput, match=r"holds 2 \.rec files; name one, such as .*a\.rec"):
        open_source(tmp_path)


def save(path: Path, **columns: list[object]) -> Path:
    import datasets

    datasets.Dataset.from_dict(columns).save_to_disk(path)
    return path


def test_bad_datasets_folders_are_one_sentence(tmp_path: Path, forms: dict[str, Path]) -> None:
    import datasets

    with pytest.raises(BadInput, match="should have one column of images and has 0; its columns: label"):
        open_source(save(tmp_path / "blind", label=[1, 2]))
    rows = datasets.load_from_disk(str(forms["disk"]))
    rows.remove_columns("identity").save_to_disk(tmp_path / "nameless")
    with pytest.raises(BadInput, match="should have one column of class labels and has 0"):
        open_source(tmp_path / "nameless")
    datasets.DatasetDict({"train": rows, "test": rows}).save_to_disk(tmp_path / "splits")
    with pytest.raises(BadInput, match=r"holds the splits train, test; name one, such as .*splits/train"):
        open_source(tmp_path / "splits")
    assert len(open_source(tmp_path / "splits" / "test")) == 48
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "dataset_info.json").write_text("{")
    with pytest.raises(BadInput, match="broken: `datasets` cannot load it"):
        open_source(tmp_path / "broken")


@pytest.mark.parametrize("changed", [{"_format_columns": []}, {"_format_type": "numpy"}])
def test_how_rows_are_to_be_shown_does_not_count(tmp_path: Path, forms: dict[str, Path], changed: dict) -> None:
    folder = shutil.copytree(forms["disk"], tmp_path / "faces")
    state = json.loads((folder / "state.json").read_text())
    (folder / "state.json").write_text(json.dumps(state | changed))
    assert [face.data for face in open_source(folder)] == [face.data for face in open_source(forms["disk"])]


@pytest.mark.parametrize("number", [-2, 2])
def test_a_class_that_has_no_name_is_one_sentence(tmp_path: Path, number: int) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    features = {"image": {"_type": "Image"}, "label": {"names": ["ann", "bob"], "_type": "ClassLabel"}}
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    rows = pa.array([{"bytes": picture(), "path": None}] * 2, image)
    table = pa.table({"image": rows, "label": [0, number]})
    table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pq.write_table(table, tmp_path / "train.parquet")
    with pytest.raises(BadInput, match=rf"a row is of class {number}, and 'label' names 2"):
        open_source(tmp_path)


@pytest.mark.parametrize("form", ["disk", "table"])
def test_pipes_in_a_folder_of_datasets_are_refused(tmp_path: Path, forms: dict[str, Path], form: str) -> None:
    folder = shutil.copytree(forms[form], tmp_path / "faces")
    (table,) = [*folder.glob("*.arrow"), *folder.glob("*.parquet")]
    table.unlink()
    os.mkfifo(table)
    with pytest.raises(BadInput, match="not a regular file"):
        open_source(folder)


def test_what_datasets_says_itself_is_not_said_twice(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "train.parquet").write_bytes(b"PAR1")
    with pytest.raises(BadInput, match="`datasets` cannot load it"):
        open_source(tmp_path)
    assert capfd.readouterr() == ("", "")


def test_linked_folders_are_refused(rendered_faces: Path, tmp_path: Path) -> None:
    folder = tmp_path / "faces"
    shutil.copytree(rendered_faces, folder)
    (folder / "000001" / "more").symlink_to(folder / "000000")
    with pytest.raises(BadInput, match=r"000001/more: a link to a folder"):
        open_source(folder)


def test_parquet_files_of_several_splits_are_not_mixed(tmp_path: Path) -> None:
    for split in ("train", "test"):
        (tmp_path / f"{split}-00000-of-00001.parquet").write_bytes(b"")
    with pytest.raises(BadInput, match="holds the splits test, train"):
        open_source(tmp_path)


def test_files_of_other_forms(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("none of them")
    with pytest.raises(
        BadInput, match=r"notes\.txt: in no known form of labelled faces; give a folder per identity"
    ):
        open_source(tmp_path / "notes.txt")
