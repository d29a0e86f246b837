"""Shards are written the same way every time, or not at all."""

import hashlib
import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sface_data.dataset.plan import ImageFormat, spec_of
from sface_data.dataset.shard_writer import EncodedSample, Packed, encode, pack, write_shard
from sface_data.errors import BadInput
from sface_data.io.images import decode_image
from tests.killing import tree


def records(count: int = 4) -> Iterator[EncodedSample]:
    for i in range(count):
        yield EncodedSample(spec_of(0, i % 2, i // 2), bytes([i]) * (400 + 300 * i))


def packed(samples: Iterator[EncodedSample], extension: str = "jpg") -> Iterator[Packed]:
    return (Packed(1, pack(sample, extension)) for sample in samples)


@pytest.fixture
def picture() -> np.ndarray:
    """Smooth in all three channels, with one hard edge in colour only."""
    y, x = np.mgrid[0:48, 0:48]
    picture = np.stack([5 * x, 5 * y, 240 - 2 * x - 2 * y], axis=2).astype(np.uint8)
    picture[:, 25:] = picture[:, 25:, ::-1]
    return picture


def test_png_is_exact(picture: np.ndarray) -> None:
    data = encode(picture, ImageFormat(48, "png", None))
    assert data.startswith(b"\x89PNG")
    assert np.array_equal(decode_image(data, "it", "png"), picture)


@pytest.mark.parametrize(("form", "bound"), [("jpg", 2.0), ("webp", 6.0)])
def test_jpg_and_webp_are_close(picture: np.ndarray, form: str, bound: float) -> None:
    decoded = decode_image(encode(picture, ImageFormat(48, form, 95)), "it", form)
    assert (decoded.shape, decoded.dtype) == ((48, 48, 3), np.uint8)
    difference = np.abs(decoded.astype(int) - picture)
    assert 0 < difference.mean() < bound


def test_jpg_keeps_full_colour_resolution(picture: np.ndarray) -> None:
    with Image.open(io.BytesIO(encode(picture, ImageFormat(48, "jpg", 95)))) as image:
        assert image.format == "JPEG"
        assert [component[1:3] for component in image.layer] == [(1, 1)] * 3  # sampling of Y, Cb, Cr


@pytest.mark.parametrize("form", ["jpg", "webp"])
def test_quality_matters_and_the_same_image_gives_the_same_bytes(picture: np.ndarray, form: str) -> None:
    low, high = (encode(picture, ImageFormat(48, form, quality)) for quality in (30, 95))
    assert len(low) < len(high)
    assert encode(picture, ImageFormat(48, form, 95)) == high


def test_the_same_samples_give_the_same_bytes(tmp_path: Path) -> None:
    first = write_shard(tmp_path, "a.tar", packed(records()), tmp_path)
    at_once = [Packed(4, b"".join(part.data for part in packed(records())))]
    second = write_shard(tmp_path, "b.tar", at_once, tmp_path)
    data = (tmp_path / "a.tar").read_bytes()
    assert data == (tmp_path / "b.tar").read_bytes()
    assert first == replace(second, filename="a.tar")
    assert (first.num_samples, first.num_bytes) == (4, len(data))
    assert first.sha256 == hashlib.sha256(data).hexdigest()


def test_headers_hold_nothing_but_name_and_size(tmp_path: Path) -> None:
    write_shard(tmp_path, "a.tar", packed(records(), "png"), tmp_path)
    with tarfile.open(tmp_path / "a.tar", "r:") as tar:
        members = tar.getmembers()
        assert [m.name for m in members] == [
            f"{key}.{extension}"
            for key in ("000000_000000", "000001_000000", "000000_000001", "000001_000001")
            for extension in ("cls", "png", "json")
        ]
        for member in members:
            assert (member.mtime, member.uid, member.gid, member.uname, member.gname) == (0, 0, 0, "", "")
            assert (member.mode, member.type, member.pax_headers) == (0o644, tarfile.REGTYPE, {})
        for number, record in enumerate(records()):
            cls, image, facts = (tar.extractfile(m) for m in members[3 * number : 3 * number + 3])
            assert cls is not None and image is not None and facts is not None
            assert cls.read() == str(record.spec.class_index).encode()
            assert image.read() == record.image
            expected = f'{{"class_index":{record.spec.class_index},"index":{record.spec.index},'
            assert facts.read() == f'{expected}"seed":{record.spec.seed}}}'.encode()
    data = (tmp_path / "a.tar").read_bytes()
    assert data[257:265] == b"ustar\x0000"
    assert data.endswith(bytes(1024))


def test_another_tar_writer_agrees(tmp_path: Path) -> None:
    """The members in order, packed by tarfile from scratch with every field given, are the same bytes."""
    write_shard(tmp_path, "a.tar", packed(records()), tmp_path)
    buffer = io.BytesIO()
    with tarfile.open(tmp_path / "a.tar", "r:") as tar, tarfile.open(None, "w", buffer, format=0) as copy:
        for member in tar:
            info = tarfile.TarInfo(member.name)
            info.size, info.mode, info.mtime, info.uid, info.gid = member.size, 0o644, 0, 0, 0
            copy.addfile(info, tar.extractfile(member))
    assert buffer.getvalue() == (tmp_path / "a.tar").read_bytes()


@pytest.mark.parametrize("error", [KeyboardInterrupt, BadInput("broken"), RuntimeError("broken")])
def test_what_fails_in_the_middle_leaves_nothing_behind(tmp_path: Path, error: BaseException) -> None:
    def failing() -> Iterator[EncodedSample]:
        yield from records(3)
        assert [path.name for path in (tmp_path / "scratch").iterdir()] == [".a.tar.part"]
        raise error

    (tmp_path / "scratch").mkdir()
    with pytest.raises(type(error) if isinstance(error, Exception) else KeyboardInterrupt):
        write_shard(tmp_path, "a.tar", packed(failing()), tmp_path / "scratch")
    assert [path.name for path in tmp_path.rglob("*")] == ["scratch"]


def test_a_failure_keeps_the_shard_that_was_there(tmp_path: Path) -> None:
    write_shard(tmp_path, "a.tar", packed(records()), tmp_path)
    before = (tmp_path / "a.tar").read_bytes()

    def failing() -> Iterator[EncodedSample]:
        yield from records(1)
        raise BadInput("broken")

    with pytest.raises(BadInput, match="broken"):
        write_shard(tmp_path, "a.tar", packed(failing()), tmp_path)
    assert (tmp_path / "a.tar").read_bytes() == before


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"nowhere/a\.tar: cannot be written, as .*nowhere is no folder"):
        write_shard(tmp_path, "nowhere/a.tar", packed(records()), tmp_path)


def command(golden: Path, directory: Path) -> list[object]:
    """What made the data set of the tests, into another folder."""
    network = golden / "conditional-32.pkl"
    sizes = ["--samples-per-class", 6, "--samples-per-shard", 25, "--size", 32]
    return [
        "generate",
        "--network",
        network,
        "--outdir",
        directory,
        *sizes,
        "--device",
        "cpu",
        "--precision",
        "fp32",
    ]


@contextmanager
def small_files_only(after: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """From when a file is there, files may have 20,000 bytes: less than a shard, more than any other file."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def replace(source: Path, target: Path, really: Callable[..., None] = os.replace) -> None:
        really(source, target)
        if target == after:
            resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))

    try:
        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", replace)
            yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.skipif(sys.platform == "win32", reason="needs RLIMIT_FSIZE")
def test_full_disk_keeps_what_is_finished_and_the_same_command_goes_on(
    tmp_path: Path, golden: Path, dataset: Path, run, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path / "faces"
    first, second = (directory / "data" / f"train-00000{number}.tar" for number in range(2))
    with small_files_only(first, monkeypatch):
        code, _, errors = run(*command(golden, directory))
    assert code == 2
    assert list((directory / "data").iterdir()) == [first]
    sentence = errors.splitlines()[-1]
    assert sentence.startswith(f"sface-data: {second}: no space left to write it (File too large)")
    assert "run the same command again" in sentence
    assert not list(directory.rglob("*.part"))
    assert not (directory / "manifest.json").exists()
    made = first.stat().st_mtime_ns
    code, _, errors = run(*command(golden, directory))
    assert code == 0, errors
    assert tree(directory) == tree(dataset)
    assert first.stat().st_mtime_ns == made


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may mount a file system")
def test_a_full_file_system(tmp_path: Path, golden: Path, dataset: Path, run) -> None:
    sizes = [path.stat().st_size for path in sorted((dataset / "data").glob("*.tar"))]
    room = sizes[0] + sizes[1] // 2  # one shard, its record, and part of the second
    mount = tmp_path / "small"
    mount.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={room}", "tmpfs", str(mount)], check=False)
    if mounted.returncode != 0:
        pytest.skip("this root may not mount a file system")
    try:
        arguments = command(golden, mount / "faces")
        code, _, errors = run(*arguments)
        assert code == 2
        assert "no space left to write it (No space left on device)" in errors.splitlines()[-1]
        assert not list(mount.rglob("*.part"))
        (kept,) = (mount / "faces" / "data").iterdir()
        assert kept.read_bytes() == (dataset / "data" / kept.name).read_bytes()
        subprocess.run(["mount", "-o", "remount,size=64m", str(mount)], check=True)
        code, _, errors = run(*arguments)
        assert code == 0, errors
        assert tree(mount / "faces") == tree(dataset)
    finally:
        subprocess.run(["umount", str(mount)], check=True)
