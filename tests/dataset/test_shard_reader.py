"""Shards of others: what is read as a sample, and what is refused."""

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sface_data.dataset.plan import spec_of
from sface_data.dataset.shard_reader import ShardSample, read_member, read_shard, scan_shard
from sface_data.dataset.shard_writer import EncodedSample, Packed, write_shard
from sface_data.dataset.shard_writer import pack as pack_sample
from sface_data.errors import BadInput


def pack(path: Path, *members: tuple[str, bytes] | tarfile.TarInfo, mode: str = "w") -> Path:
    with tarfile.open(path, mode) as tar:
        for member in members:
            info = member if isinstance(member, tarfile.TarInfo) else tarfile.TarInfo(member[0])
            data = b"" if isinstance(member, tarfile.TarInfo) else member[1]
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.fixture
def shard(tmp_path: Path) -> Path:
    """Three samples, as the writer writes them."""
    records = [EncodedSample(spec_of(0, i, 0), bytes([i]) * (600 * i + 1)) for i in range(3)]
    write_shard(tmp_path, "ours.tar", [Packed(1, pack_sample(record, "jpg")) for record in records], tmp_path)
    return tmp_path / "ours.tar"


def test_what_was_written_is_read(shard: Path) -> None:
    for i, sample in enumerate(read_shard(shard)):
        assert sample.key == f"{i:06d}_000000"
        assert list(sample.members) == ["cls", "jpg", "json"]
        assert sample.members["cls"] == str(i).encode()
        assert sample.members["jpg"] == bytes([i]) * (600 * i + 1)
    assert i == 2


def test_a_member_is_read_without_the_rest(shard: Path) -> None:
    entry = list(scan_shard(shard))[2]
    with shard.open("rb") as file:
        assert read_member(file, entry.members["cls"]) == b"2"


def test_names_are_split_at_the_first_dot_of_the_last_part(tmp_path: Path) -> None:
    path = pack(
        tmp_path / "a.tar",
        special("v1.0", tarfile.DIRTYPE),
        ("v1.0/one.JPG", b"1"),
        ("v1.0/one.seg.png", b"2"),
        special("v1.0/folder.x/", tarfile.DIRTYPE),
        ("v1.0/folder.x/one.jpg", b"3"),
        ("./two", b"4"),
        (".DS_Store", b"5"),
        ("__MACOSX/._two.jpg", b"\0\x05\x16\x07\0\x02\0\0Mac OS X"),
        (".folder/three.jpg", b"7"),
        special("last", tarfile.DIRTYPE),
    )
    assert list(read_shard(path)) == [
        ShardSample("v1.0/one", {"jpg": b"1", "seg.png": b"2"}),
        ShardSample("v1.0/folder.x/one", {"jpg": b"3"}),
        ShardSample("two", {"": b"4"}),
        ShardSample(".folder/three", {"jpg": b"7"}),
    ]


def test_an_empty_tar_has_no_samples(tmp_path: Path) -> None:
    assert list(read_shard(pack(tmp_path / "a.tar"))) == []


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_all_kinds_of_headers_are_read(tmp_path: Path, form: int) -> None:
    name = "d" * 90 + "/" + "n" * 90
    with tarfile.open(tmp_path / "a.tar", "w", format=form) as tar:
        for extension in ("cls", "jpg"):
            info = tarfile.TarInfo(f"{name}.{extension}")
            info.size = 700
            tar.addfile(info, io.BytesIO(b"x" * 700))
    assert list(read_shard(tmp_path / "a.tar")) == [ShardSample(name, {"cls": b"x" * 700, "jpg": b"x" * 700})]


REFUSED = {
    "hidden file": (("a/.b.jpg", b"1"), "'a/.b.jpg' is hidden, and only some readers read it"),
    "image that is called as what macOS adds": (("._b.jpg", b"\xff\xd8\xff"), "'._b.jpg' is hidden"),
    "symbolic link": (special("a.jpg", tarfile.SYMTYPE, "/etc/passwd"), "'a.jpg' is a link"),
    "hard link": (special("a.jpg", tarfile.LNKTYPE, "b.jpg"), "'a.jpg' is a link"),
    "device": (special("a.jpg", tarfile.CHRTYPE), "'a.jpg' is a link, a device"),
    "pipe": (special("a.jpg", tarfile.FIFOTYPE), "'a.jpg' is a link, a device"),
    "sparse file": (special("a.jpg", tarfile.GNUTYPE_SPARSE), "sparse"),
    "absolute path": (("/etc/a.jpg", b""), "'/etc/a.jpg' points out of its folder"),
    "parent folder": (("a/../../b.jpg", b""), "points out of its folder"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_plain_file_in_its_folder_is_refused(tmp_path: Path, case: str) -> None:
    member, sentence = REFUSED[case]
    path = pack(tmp_path / "bad.tar", ("ok.jpg", b"1"), member)
    with pytest.raises(BadInput, match=r"bad\.tar: ") as error:
        list(read_shard(path))
    assert sentence in str(error.value)


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (["a.jpg", "a.jpg"], "'a.jpg' comes twice"),
        (["a.jpg", "a.JPG"], "'a.JPG' comes twice"),
        (["a.jpg", "b.jpg", "a.cls"], "the members of 'a' come twice or do not stand together"),
        (["a.jpg", "a.cls", "b.jpg", "a.jpg"], "the members of 'a' come twice or do not stand together"),
        (["./a.jpg", "b.jpg", "a.cls"], "the members of 'a' come twice or do not stand together"),
    ],
)
def test_doubled_and_scattered_members_are_refused(tmp_path: Path, names: list[str], sentence: str) -> None:
    path = pack(tmp_path / "bad.tar", *[(name, b"") for name in names])
    with pytest.raises(BadInput) as error:
        list(scan_shard(path))
    assert str(error.value) == f"{path}: {sentence}"


@pytest.mark.parametrize("compression", ["gz", "bz2", "xz"])
def test_a_compressed_tar_is_refused(tmp_path: Path, compression: str) -> None:
    path = pack(tmp_path / "bad.tar", ("a.jpg", b"1"), mode=f"w:{compression}")
    with pytest.raises(BadInput, match=r"bad\.tar: not a readable uncompressed tar file"):
        list(scan_shard(path))


@pytest.mark.parametrize("data", [b"", b"hello", b"PK\x03\x04" + bytes(2000), b"x" * 4096])
def test_what_is_no_tar_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "bad.tar").write_bytes(data)
    with pytest.raises(BadInput, match=r"bad\.tar: not a readable uncompressed tar file"):
        list(scan_shard(tmp_path / "bad.tar"))


def test_what_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"none\.tar: No such file or directory"):
        list(scan_shard(tmp_path / "none.tar"))
    with pytest.raises(BadInput, match="Is a directory"):
        list(scan_shard(tmp_path))


def test_a_tar_cut_anywhere_is_refused(shard: Path, tmp_path: Path) -> None:
    """Also where one member ends and the next begins: `tarfile` alone takes that for the end."""
    data = shard.read_bytes()
    last = max(m.offset + m.size for entry in scan_shard(shard) for m in entry.members.values())
    padded = -(-last // 512) * 512
    cut = tmp_path / "cut.tar"
    for length in [*range(0, padded + 1, 512), *range(100, padded, 512), padded + 511]:
        cut.write_bytes(data[:length])
        with pytest.raises(BadInput, match=r"cut\.tar: "):
            list(read_shard(cut))
    cut.write_bytes(data[: padded + 512])  # one block of zeros is enough
    assert list(read_shard(cut)) == list(read_shard(shard))


def test_a_flipped_byte_in_any_header_is_found(shard: Path, tmp_path: Path) -> None:
    """Names, sizes and numbers are under the checksum of their header, so none can change unseen."""
    data, broken = shard.read_bytes(), tmp_path / "broken.tar"
    starts = [m.offset - 512 for entry in scan_shard(shard) for m in entry.members.values()]
    for start in starts:
        for index in (0, 5, 100, 124, 130, 150, 156, 300, 511):
            changed = bytearray(data)
            changed[start + index] ^= 0x11
            broken.write_bytes(changed)
            with pytest.raises(BadInput, match=r"broken\.tar: "):
                list(read_shard(broken))


@settings(max_examples=150, deadline=None)
@given(index=st.integers(0, 10239), byte=st.integers(0, 255), length=st.integers(0, 10240))
def test_no_damage_ends_in_another_error(
    tmp_path_factory: pytest.TempPathFactory, index: int, byte: int, length: int
) -> None:
    folder = tmp_path_factory.getbasetemp() / "damaged"
    folder.mkdir(exist_ok=True)
    records = [EncodedSample(spec_of(0, i, 0), b"image" * 100) for i in range(2)]
    write_shard(folder, "a.tar", [Packed(1, pack_sample(record, "jpg")) for record in records], folder)
    data = bytearray((folder / "a.tar").read_bytes())
    data[index] = byte
    (folder / "a.tar").write_bytes(data[:length])
    try:
        samples = list(read_shard(folder / "a.tar"))
    except BadInput as error:
        assert str(error).startswith(f"{folder / 'a.tar'}: ")
    else:
        assert [sample.key for sample in samples] == ["000000_000000", "000001_000000"]


def test_reading_can_stop_early(shard: Path) -> None:
    reading: Callable[[], ShardSample] = iter(read_shard(shard)).__next__
    assert reading().key == "000000_000000"


@pytest.mark.parametrize("kind", [b"x", b"g", b"L", b"K", b"5", b"0"])
@pytest.mark.parametrize("size", [b"-0000000001\0", b"\xff" * 12, b"\x80" + b"\xff" * 11, b"77777777777\0"])
def test_hostile_sizes_are_refused(shard: Path, kind: bytes, size: bytes) -> None:
    data = bytearray(shard.read_bytes())
    data[156:157], data[124:136], data[148:156] = kind, size, b" " * 8
    data[148:156] = b"%06o\0 " % sum(data[:512])
    shard.write_bytes(data)
    with pytest.raises(BadInput, match=shard.name):
        list(read_shard(shard))
