"""The same faces in all forms, written here by the rules of each."""

import io
import struct
import tarfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import lmdb
import msgpack
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

MAGIC = struct.pack("<I", 0xCED7230A)
Members = Sequence[tuple[str, bytes]]


def record(data: bytes, flag: int = 0) -> bytes:
    """One part of a record: magic number, flag and length, data, padding."""
    return MAGIC + struct.pack("<I", flag << 29 | len(data)) + data + b"\0" * (-len(data) % 4)


def packed(image: bytes, *labels: float) -> bytes:
    """A header and an image, as mxnet's `recordio.pack` makes them."""
    if len(labels) == 1:
        return struct.pack("<IfQQ", 0, labels[0], 7, 0) + image
    return struct.pack("<IfQQ", len(labels), 0, 7, 0) + struct.pack(f"<{len(labels)}f", *labels) + image


def write_records(path: Path, faces: Iterable[tuple[int, bytes]], index: bool = True) -> None:
    """`faces` (label, image) as InsightFace lays them out: a header, the images, a record per identity."""
    faces = list(faces)
    labels = sorted({label for label, _ in faces})
    ends = (len(faces) + 1, len(faces) + 1 + len(labels))
    records = [packed(b"", *ends), *(packed(image, label) for label, image in faces)]
    for label in labels:
        mine = [number for number, (other, _) in enumerate(faces, 1) if other == label]
        records.append(packed(b"", min(mine), max(mine) + 1))
    offset, lines, parts = 0, [], []
    for number, data in enumerate(records):
        lines.append(f"{number}\t{offset}\n")
        parts.append(record(data))
        offset += len(parts[-1])
    path.write_bytes(b"".join(parts))
    if index:
        path.with_suffix(".idx").write_text("".join(lines))
        path.with_name("property").write_text(f"{len(labels)},64,64")


def write_listed_records(folder: Path, faces: Iterable[tuple[int, bytes]]) -> None:
    """`file.rec`, `file.idx` and `list.txt`, as DCFace's code writes them: the labels in the records are all 0."""
    offset, index, listing, parts = 0, "", "", []
    for number, (label, image) in enumerate(faces):
        index += f"{number}\t{offset}\n"
        listing += f"{number}\tdcface/{label}/{number:05d}.jpg\n"
        parts.append(record(packed(image, 0)))
        offset += len(parts[-1])
    (folder / "file.rec").write_bytes(b"".join(parts))
    (folder / "file.idx").write_text(index)
    (folder / "list.txt").write_text(listing)


def write_lmdb(path: Path, faces: Iterable[tuple[int, bytes]], **changed: object) -> None:
    """`faces` (label, image) as Vec2Face's tool packs them; `changed` are other values of what it says of them.

    Args:
        changed: `keys`, `len`, `classnum`; None leaves it out. Other names are further entries.
    """
    entries = {str(number): [image, label] for number, (label, image) in enumerate(faces)}
    facts = {"keys": [key.encode() for key in entries], "len": len(entries), "classnum": 8} | changed
    named = {
        f"__{name}__" if name in ("keys", "len", "classnum") else name: value for name, value in facts.items()
    }
    database = lmdb.open(str(path), subdir=False, map_size=1 << 24, lock=False)
    with database, database.begin(write=True) as transaction:
        for key, value in (entries | named).items():
            if value is not None:
                transaction.put(key.encode(), msgpack.packb(value))


def write_tar(path: Path, members: Members) -> None:
    with tarfile.open(path, "w") as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


@pytest.fixture
def tar() -> Callable[[Path, Members], None]:
    return write_tar


@pytest.fixture(scope="session")
def labelled(rendered_faces: Path) -> list[tuple[int, bytes]]:
    """The rendered faces in order: class and encoded image."""
    return [(int(path.parent.name), path.read_bytes()) for path in sorted(rendered_faces.glob("*/*.jpg"))]


def make_datasets(labelled: list[tuple[int, bytes]], disk: Path, table: Path) -> None:
    import datasets

    names = [f"{number:06d}" for number in range(8)]
    rows = datasets.Dataset.from_dict(
        {
            "image": [{"bytes": image, "path": None} for _, image in labelled],
            "identity": [label for label, _ in labelled],
        },
        features=datasets.Features({"image": datasets.Image(), "identity": datasets.ClassLabel(names=names)}),
    )
    rows.save_to_disk(disk)
    table.mkdir()
    rows.to_parquet(table / "train-00000-of-00001.parquet")


@pytest.fixture(scope="session")
def forms(
    rendered_faces: Path, labelled: list[tuple[int, bytes]], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """The rendered faces in every form, by its name."""
    root = tmp_path_factory.mktemp("forms")
    members = [
        (f"{label:06d}_{number:06d}.{extension}", data)
        for number, (label, image) in enumerate(labelled)
        for extension, data in (("cls", str(label).encode()), ("jpg", image), ("json", b"{}"))
    ]
    (root / "shards" / "data").mkdir(parents=True)
    write_tar(root / "shards" / "data" / "train-000000.tar", members[:60])
    write_tar(root / "shards" / "data" / "train-000001.tar", members[60:])
    (root / "records").mkdir()
    write_records(root / "records" / "train.rec", labelled)
    write_records(root / "stream.rec", labelled, index=False)
    make_datasets(labelled, root / "disk", root / "table")
    write_lmdb(root / "faces.lmdb", labelled)
    (root / "listed").mkdir()
    write_listed_records(root / "listed", labelled)
    plain = pa.table({"image": [image for _, image in labelled], "label": [label for label, _ in labelled]})
    pq.write_table(plain, root / "plain.parquet")
    return {
        "folder": rendered_faces,
        "shards": root / "shards",
        "pattern": root / "shards" / "data" / "train-*.tar",
        "records": root / "records",
        "stream": root / "stream.rec",
        "disk": root / "disk",
        "table": root / "table",
        "lmdb": root / "faces.lmdb",
        "listed": root / "listed",
        "parquet": root / "plain.parquet",
    }
