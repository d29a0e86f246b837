"""Benchmarks are read as data: right where they are whole, refused in one sentence where they are not."""

import pickle
import resource
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import simplejpeg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sface_data.errors import BadInput
from sface_data.recognition.benchmark_files import read_bin
from sface_data.recognition.benchmarks import Benchmark, evaluate, find_benchmarks, open_benchmark
from sface_data.recognition.verification import ten_fold

PAIRS = 12
LABELS = [pair % 2 == 0 for pair in range(PAIRS)]


def jpeg(shade: int, size: int = 16) -> bytes:
    return simplejpeg.encode_jpeg(np.full((size, size, 3), shade, np.uint8), 95, "RGB", "444")


IMAGES = [jpeg(10 * place) for place in range(2 * PAIRS)]


def put(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def refused(path: Path, content: bytes) -> str:
    """The one sentence that reading ends in."""
    with pytest.raises(BadInput) as caught:
        open_benchmark(put(path, content))
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message and "\x1b" not in message and len(message) < 500 + len(str(path))
    return message


def dumped(images: Any = IMAGES, labels: Any = LABELS, protocol: int = 4) -> bytes:
    return pickle.dumps((images, labels), protocol)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "lfw.bin"


# --- published layouts --------------------------------------------------------------------------------------


def python2(images: list[bytes], labels: list[bool]) -> bytes:
    """What `pickle.dump((images, labels), file, protocol=2)` of Python 2 writes: strings of bytes."""
    parts = [b"\x80\x02]q\x01("]
    for image in images:
        parts.append(b"T" + struct.pack("<i", len(image)) + image if len(image) > 255 else b"U" + image)
        parts.append(b"r" + struct.pack("<I", 2 + len(parts)))
    parts.append(b"e](" + b"".join(b"\x88" if label else b"\x89" for label in labels) + b"e\x86q\x00.")
    return b"".join(parts)


def python2_array(image: bytes) -> bytes:
    """An array of numpy as Python 2 writes it."""
    form = b"cnumpy\ndtype\n(U\x02u1K\x00K\x01tR(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    made = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tU\x01btR"
    return (
        made
        + b"(K\x01(M"
        + struct.pack("<H", len(image))
        + b"t"
        + form
        + b"\x89T"
        + (struct.pack("<i", len(image)) + image + b"tb")
    )


LAYOUTS = {
    **{f"protocol {protocol}": dumped(protocol=protocol) for protocol in (2, 3, 4, 5)},
    "Python 2": python2(IMAGES, LABELS),
    "a list": pickle.dumps([IMAGES, tuple(LABELS)], 4),
    "numbers for booleans": dumped(labels=[int(label) for label in LABELS]),
    **{f"numpy booleans {p}": dumped(labels=[np.bool_(label) for label in LABELS], protocol=p) for p in (2, 4)},
    **{f"an array of booleans {p}": dumped(labels=np.array(LABELS), protocol=p) for p in (2, 4, 5)},
    **{f"arrays of bytes {p}": dumped([np.frombuffer(i, np.uint8) for i in IMAGES], protocol=p) for p in (2, 4)},
    "arrays of bytes 5": dumped([np.frombuffer(image, np.uint8).copy() for image in IMAGES], protocol=5),
    "arrays of bytes, read-only 5": dumped([np.frombuffer(image, np.uint8) for image in IMAGES], protocol=5),
    "arrays of Python 2": b"\x80\x02](" + b"".join(map(python2_array, IMAGES)) + b"e]("
    + b"".join(b"\x88" if label else b"\x89" for label in LABELS) + b"e\x86.",
}  # fmt: skip


@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts(file: Path, name: str) -> None:
    benchmark = open_benchmark(put(file, LAYOUTS[name]))
    assert list(benchmark.images) == IMAGES
    assert benchmark.issame.tolist() == LABELS
    assert (benchmark.name, benchmark.title, len(benchmark)) == ("lfw", "LFW", PAIRS)
    first = next(benchmark.batches(5))
    assert first.shape == (5, 16, 16, 3)


def test_old_names_of_numpy(file: Path) -> None:
    content = dumped(labels=[np.bool_(label) for label in LABELS], protocol=2)
    assert b"numpy._core" in content or b"numpy.core" in content
    old = content.replace(b"numpy._core", b"numpy.core")
    assert open_benchmark(put(file, old)).issame.tolist() == LABELS


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.binary(max_size=300), min_size=4, max_size=20), st.integers(2, 5), st.randoms())
def test_everything_that_can_be_written_is_read(file: Path, images, protocol: int, random) -> None:
    images = images[: len(images) // 2 * 2]
    labels = [True, False] + [random.random() < 0.5 for _ in range(len(images) // 2 - 2)]
    benchmark = open_benchmark(put(file, dumped(images, labels, protocol)))
    assert list(benchmark.images) == images
    assert benchmark.issame.tolist() == labels


# --- nothing is executed ------------------------------------------------------------------------------------


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def call(module: str, name: str, *arguments: bytes) -> bytes:
    return f"c{module}\n{name}\n(".encode() + b"".join(arguments) + b"tR"


RUN = text("touch executed")
CALLS = {
    "os.system": call("os", "system", RUN),
    "posix.system": call("posix", "system", RUN),
    "builtins.eval": call("builtins", "eval", text("open('executed', 'w')")),
    "builtins.exec": call("builtins", "exec", text("open('executed', 'w')")),
    "builtins.getattr": call("builtins", "getattr", b"cnumpy\nndarray\n", text("__class__")),
    "builtins.bytearray": call("builtins", "bytearray", b"J\xff\xff\xff\x7f"),
    "__builtin__.apply": call("__builtin__", "apply"),
    "numpy.fromfile": call("numpy", "fromfile", text("/etc/passwd")),
    "numpy.load": call("numpy", "load", text("x.npy")),
    "_codecs.decode": call("_codecs", "decode", text("x"), text("rot13")),
    "mxnet.ndarray": call("mxnet", "ndarray", RUN),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("inside", [True, False])
def test_foreign_names_are_named_and_not_called(file: Path, name: str, inside: bool) -> None:
    content = b"](" + CALLS[name] + b"e](\x88e\x86" if inside else CALLS[name]
    message = refused(file, b"\x80\x04" + content + b".")
    assert name in message
    assert "nothing in the file was executed" in message
    assert list(file.parent.iterdir()) == [file]


class Payload:
    def __reduce__(self) -> Any:
        return exec, ("open('executed', 'w')",)


@pytest.mark.parametrize("protocol", range(6))
def test_a_payload_of_every_protocol(file: Path, protocol: int) -> None:
    refused(file, pickle.dumps(([Payload(), *IMAGES[1:]], LABELS), protocol))
    assert list(file.parent.iterdir()) == [file]


UNUSUAL = {
    "a call of a type": call("numpy", "ndarray", b"(K\x01t"),
    "another code": call("_codecs", "encode", text("x"), text("rot13")),
    "no text": call("_codecs", "encode", b"K\x01", text("latin1")),
    "no latin-1": call("_codecs", "encode", text("\u0416"), text("latin1")),
    "an array of objects": pickle.dumps(np.array([None]), 2)[2:-1],
    "an array of several dimensions": pickle.dumps(np.zeros((2, 2), np.uint8), 2)[2:-1],
    "an array shorter than its shape": pickle.dumps(np.zeros(3, np.uint8), 2)[2:-1].replace(
        b"K\x03\x85", b"K\x04\x85"
    ),
    "attributes of bytes": b"C\x01x}" + text("a") + b"K\x01sb",
    "a persistent id": b"K\x01Q",
    "another instance": b"(" + RUN + b"ios\nsystem\n",
    "arguments that do not fit": call("_codecs", "encode"),
}


@pytest.mark.parametrize("name", UNUSUAL)
def test_unusual_content_is_refused(file: Path, name: str) -> None:
    refused(file, b"\x80\x04](" + UNUSUAL[name] + b"e](\x88e\x86.")
    assert list(file.parent.iterdir()) == [file]


BIG = "y" * (1 << 20)
BOMBS = {
    "an index that sizes a table": b"Nr" + struct.pack("<I", 0xFFFFFFF0),
    "bytes that are not there": b"\x8e" + struct.pack("<Q", 1 << 40) + b"x",
    "more bytes than an address has": b"\x8e" + struct.pack("<Q", (1 << 64) - 1) + b"x",
    "a string of negative length": b"T" + struct.pack("<i", -5) + b"x",
    "a frame that is not there": b"\x95" + struct.pack("<Q", 1 << 60) + b"N",
    "a deep list": b"]" * 200_000 + b"a" * 199_999,
    "deep tuples": b")" + b"\x85" * 200_000,
    "tuples that take for ever to hash": b"}" + b")" + b"".join(
        b"q" + bytes([i]) + b"h" + bytes([i]) + b"\x86" for i in range(60)
    ) + b"Ns",
    "bytes encoded often": text(BIG) + b"q\x00" + text("latin1") + b"q\x01](" + (
        b"c_codecs\nencode\nh\x00h\x01\x86R" * 4000
    ),
    "a long number": b"\x8b" + struct.pack("<i", 1 << 22) + b"\x7f" * (1 << 22),
}  # fmt: skip


@pytest.mark.parametrize("name", BOMBS)
def test_small_files_take_little_memory_and_come_to_an_end(file: Path, name: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused(file, b"\x80\x04" + BOMBS[name] + b".")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300 << 10  # KiB


def test_every_cut(file: Path) -> None:
    content = dumped([b"ab", b"cd", b"e" * 300, b"gh"], [True, False])
    for length in range(len(content)):
        refused(file, content[:length])


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_damaged_files_are_read_or_refused(file: Path, data: st.DataObject) -> None:
    content = bytearray(data.draw(st.sampled_from([dumped([b"ab"] * 4, [True, False], 2), LAYOUTS["Python 2"]])))
    for place, value in data.draw(st.lists(st.tuples(st.integers(0, len(content) - 1), st.integers(0, 255)))):
        content[place] = value
    try:
        benchmark = open_benchmark(put(file, bytes(content)))
    except BadInput as error:
        assert str(file) in str(error)
    else:
        assert len(benchmark.images) == 2 * len(benchmark)


def test_images_beyond_the_last_label_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "more.bin").write_bytes(dumped([*IMAGES, IMAGES[0]]))
    benchmark = open_benchmark(tmp_path / "more.bin")
    assert (len(benchmark), list(benchmark.images)) == (len(LABELS), IMAGES)


# --- what does not fit together -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (pickle.dumps({"images": []}, 4), "two lists"),
        (pickle.dumps((IMAGES, LABELS, 1), 4), "two lists"),
        (pickle.dumps((IMAGES, "yes"), 4), "two lists"),
        (dumped(IMAGES[:-1]), "11 pairs of images but 12 labels"),
        (dumped(IMAGES[:-2]), "11 pairs of images but 12 labels"),
        (dumped(labels=[*LABELS, True]), "12 pairs of images but 13 labels"),
        (dumped([], []), "nothing to verify"),
        (dumped(labels=[True] * PAIRS), "nothing to verify"),
        (dumped([*IMAGES[:7], "seven", *IMAGES[8:]]), "image 2 of pair 4 is 'seven'"),
        (dumped([*IMAGES[:7], None, *IMAGES[8:]]), "image 2 of pair 4 is None"),
        (dumped([*IMAGES[:7], [b"x"], *IMAGES[8:]]), "image 2 of pair 4 is a list"),
        (dumped([*IMAGES[:7], np.zeros(3), *IMAGES[8:]]), "image 2 of pair 4 is an array of numbers"),
        (dumped(labels=[*LABELS[:3], 2, *LABELS[4:]]), "label of pair 4 is 2"),
        (dumped(labels=[*LABELS[:3], "\x1b[31m" * 99, *LABELS[4:]]), "label of pair 4 is"),
    ],
)
def test_what_is_no_benchmark(file: Path, content: bytes, said: str) -> None:
    assert said in refused(file, content)


@pytest.mark.parametrize("broken", [b"", b"not an image", IMAGES[0][:-40], IMAGES[0][:30]])
def test_a_broken_image_is_named(file: Path, broken: bytes) -> None:
    benchmark = open_benchmark(put(file, dumped([*IMAGES[:8], broken, *IMAGES[9:]])))
    with pytest.raises(BadInput, match=r"lfw\.bin: image 1 of pair 5, is broken \(.*\); get the file again"):
        list(benchmark.batches(4))


def test_images_of_two_sizes(file: Path) -> None:
    benchmark = open_benchmark(put(file, dumped([*IMAGES[:8], jpeg(5, size=20), *IMAGES[9:]])))
    with pytest.raises(BadInput, match="image 1 of pair 5 has 20 x 20 pixels, but the first has 16 x 16"):
        list(benchmark.batches(4))


def test_images_that_are_not_square(file: Path) -> None:
    wide = simplejpeg.encode_jpeg(np.zeros((16, 20, 3), np.uint8), 95, "RGB", "444")
    with pytest.raises(BadInput, match="20 x 16 pixels; aligned faces are square"):
        next(open_benchmark(put(file, dumped([wide] * 2 * PAIRS))).batches(4))


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="No such file"):
        open_benchmark(tmp_path / "lfw.bin")
    with pytest.raises(BadInput, match="Is a directory"):
        open_benchmark(tmp_path)


# --- batches ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 5, 8, 24, 100])
@pytest.mark.parametrize("threads", [1, 3])
def test_batches_are_all_images_in_order(file: Path, size: int, threads: int) -> None:
    benchmark = open_benchmark(put(file, dumped()))
    batches = list(benchmark.batches(size, threads))
    assert [len(batch) for batch in batches[:-1]] == [size] * (len(batches) - 1)
    shades = np.concatenate(batches)[:, 8, 8, 0].astype(int)
    assert np.abs(shades - 10 * np.arange(2 * PAIRS)).max() <= 2


def test_only_a_few_batches_are_decoded_ahead(file: Path) -> None:
    benchmark = open_benchmark(put(file, dumped([jpeg(1)] * 400, [True, False] * 100)))
    decoded = []

    class Counted(Benchmark):
        def decode(self, place: int):
            decoded.append(place)
            return super().decode(place)

    batches = Counted(benchmark.name, benchmark.path, benchmark.images, benchmark.issame).batches(10, threads=1)
    next(batches)
    time.sleep(0.05)
    batches.close()  # the rest is not decoded
    assert len(decoded) <= 80


@pytest.mark.parametrize("protocol", range(6))
def test_files_as_old_tools_wrote_them(file: Path, protocol: int) -> None:
    images = [bytearray(image) for image in IMAGES]
    file.write_bytes(pickle.dumps((images, np.array(LABELS).reshape(-1, 1)), protocol))
    read = read_bin(file)
    assert read == ([bytes(image) for image in IMAGES], list(LABELS))


# --- tables -------------------------------------------------------------------------------------------------


def table(path: Path, **columns: Any) -> Path:
    """A Parquet file as `datasets` writes it; columns called image... are images."""
    from datasets import Dataset, Features, Image, Value

    kinds = {name: Image() if name.startswith("image") else Value("int64") for name in columns}
    Dataset.from_dict(columns, features=Features(kinds)).to_parquet(path)
    return path


def test_a_table_is_the_same_benchmark(file: Path) -> None:
    file.write_bytes(pickle.dumps((IMAGES, LABELS), 4))
    path = table(
        file.with_name("CPLFW.parquet"),
        image1=[{"bytes": image, "path": None} for image in IMAGES[::2]],
        image2=[{"bytes": image, "path": None} for image in IMAGES[1::2]],
        issame=[int(label) for label in LABELS],
        fold=[0] * PAIRS,
    )
    found, same = open_benchmark(path), open_benchmark(file)
    assert (list(found.images), found.issame.tolist()) == (list(same.images), same.issame.tolist())
    assert found.title == "CPLFW"
    assert find_benchmarks(file.parent) == [file, path]


def test_what_is_no_table_of_pairs(file: Path) -> None:
    path = file.with_suffix(".parquet")
    assert "not a Parquet file" in refused(path, b"PAR1")
    images = [{"bytes": image, "path": None} for image in IMAGES]
    table(path, image=images, label=[1] * len(images))
    assert "should have two columns of images and one called same, issame, is_same or label" in refused(
        path, path.read_bytes()
    )
    table(path, image1=images, image2=images, label=[7] * len(images))
    assert "row 1 says 7, neither 0 nor 1" in refused(path, path.read_bytes())
    table(path, image1=images, image2=[None, *images[1:]], label=[1] * len(images))
    assert "row 1 has no image in it" in refused(path, path.read_bytes())


# --- pairs lists --------------------------------------------------------------------------------------------


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """A folder in the layout of LFW: three people with three images each."""
    for person in range(3):
        folder = tmp_path / "images" / f"Person_{person}"
        folder.mkdir(parents=True)
        for number in range(1, 4):
            put(folder / f"Person_{person}_{number:04d}.jpg", jpeg(60 * person + 5 * number))
    return tmp_path / "images"


def listed(path: Path, content: str, folder: Path | None = None) -> Benchmark:
    path.write_text(content, encoding="utf-8")
    return open_benchmark(path, folder)


def names(benchmark: Benchmark) -> list[str]:
    return [image.name for image in benchmark.images if isinstance(image, Path)]


LFW_LINES = "Person_0\t1\t3\nPerson_1\t2\t1\nPerson_0\t1\tPerson_2\t2\nPerson_1\t3\tPerson_2\t1\n"
LFW_NAMES = [
    *("Person_0_0001.jpg", "Person_0_0003.jpg", "Person_1_0002.jpg", "Person_1_0001.jpg"),
    *("Person_0_0001.jpg", "Person_2_0002.jpg", "Person_1_0003.jpg", "Person_2_0001.jpg"),
]


@pytest.mark.parametrize("header", ["2", "1\t2", "2\t1"])
def test_the_pairs_list_of_lfw(tmp_path: Path, people: Path, header: str) -> None:
    benchmark = listed(tmp_path / "pairs.txt", f"{header}\n{LFW_LINES}", people)
    assert names(benchmark) == LFW_NAMES
    assert benchmark.issame.tolist() == [True, True, False, False]
    assert next(benchmark.batches(8)).shape == (8, 16, 16, 3)


def test_names_with_spaces_and_other_endings(tmp_path: Path, people: Path) -> None:
    (people / "Ann Other").mkdir()
    put(people / "Ann Other" / "Ann Other_0001.png", b"")
    benchmark = listed(tmp_path / "p.txt", "1\nPerson_0\t1\t2\nAnn Other\t1\tPerson_0\t1\n", people)
    assert names(benchmark)[2] == "Ann Other_0001.png"


def test_a_folder_named_like_the_list(tmp_path: Path, people: Path) -> None:
    people.rename(tmp_path / "lfw")
    benchmark = listed(tmp_path / "lfw.txt", f"2\n{LFW_LINES}")
    assert names(benchmark) == LFW_NAMES
    assert benchmark.title == "LFW"


@pytest.mark.parametrize("header", ["name,imagenum1,imagenum2,", "name,imagenum1,name,imagenum2"])
@pytest.mark.parametrize("ending", ["", ","])
def test_the_pairs_list_of_lfw_as_a_table(tmp_path: Path, people: Path, header: str, ending: str) -> None:
    rows = LFW_LINES.replace("Person_1\t2", '"Person_1"\t2').replace("\t", ",").splitlines()
    benchmark = listed(tmp_path / "pairs.csv", "\n".join([header, *(row + ending for row in rows)]), people)
    assert names(benchmark) == LFW_NAMES
    assert benchmark.issame.tolist() == [True, True, False, False]


@pytest.mark.parametrize("separator", [",", ", ", "\t", " "])
@pytest.mark.parametrize("header", [True, False])
def test_a_plain_list(tmp_path: Path, people: Path, separator: str, header: bool) -> None:
    first, second, third = sorted(people.glob("*/*.jpg"))[:3]
    rows = [("first", "second", "same")] if header else []
    rows += [(first.relative_to(tmp_path), second.relative_to(tmp_path), 1), (first, third, 0)]
    content = "\ufeff# pairs\n" + "\n\n".join(separator.join(map(str, row)) for row in rows)
    benchmark = listed(tmp_path / "mine.csv", content)
    assert names(benchmark) == [path.name for path in (first, second, first, third)]
    assert benchmark.issame.tolist() == [True, False]


@pytest.mark.parametrize("images", ["image_a,image_b", "image_a_path,image_b_path", "path1,path2"])
def test_a_table_whose_columns_have_names(tmp_path: Path, people: Path, images: str) -> None:
    first, second = (path.relative_to(tmp_path) for path in sorted(people.glob("*/*.jpg"))[:2])
    other = "image_a,image_b," if "_path" in images else ""  # names without folders, as on the hub
    cells = "a.jpg,b.jpg," if other else ""
    rows = [f"0,{cells}True,{first},{second}", f"1,{cells}0,{second},{first}"]
    benchmark = listed(tmp_path / "mine.csv", "\n".join([f"pair_id,{other}is_same,{images}", *rows]))
    assert names(benchmark) == [path.name for path in (first, second, second, first)]
    assert benchmark.issame.tolist() == [True, False]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("pair,same\n0,1\n", "its columns pair, same do not say which two name images"),
        ("", "no pairs"),
        ("# nothing\n", "no pairs"),
        (f"3\n{LFW_LINES}", "4 pairs, but its first line promises 6"),
        (f"10 300\n{LFW_LINES}", "4 pairs, but its first line promises 6,000"),
        ("2\nPerson_0 1\n", "line 2 is neither"),
        ("2\nPerson_0 one two\n", "line 2 is neither"),
        ("2\n\nPerson_0 1 7\n", "line 3 needs"),
        ("1\nPerson_0 1 2\nPerson_1 1 3\n", "nothing to verify"),
        ("a.jpg b.jpg\n", "line 1 is not"),
        ("a.jpg b.jpg 2\n", "line 1 is not"),
        ("a.jpg b.jpg 1\n", "line 1 names"),
        ("a\0.jpg b.jpg 1\n", "not text"),
        ("9" * 6000, "line 1 is not"),
        (",", "line 1 is not"),
        ("name,imagenum1,imagenum2\nPerson_0,1\n", "line 2 is neither"),
        (f"a,{'b' * 200_000},1", "line 1 is not"),
    ],
)
def test_lists_that_cannot_be_used(tmp_path: Path, people: Path, content: str, said: str) -> None:
    with pytest.raises(BadInput) as caught:
        listed(people / "pairs.txt", content)
    assert said in str(caught.value)
    assert str(people / "pairs.txt") in str(caught.value)
    assert len(str(caught.value)) < 600


def test_a_list_in_another_code(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="UTF-8"):
        open_benchmark(put(tmp_path / "pairs.txt", "Jos\xe9 1 2".encode("latin-1")))


# --- by name from a folder ----------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("zoo.bin", "cplfw.bin", "lfw.bin", "AgeDB-30.bin", "lfw.txt", "calfw.txt", "readme.md"):
        put(tmp_path / name, b"")
    return tmp_path


def test_all_in_a_folder_published_ones_first(folder: Path) -> None:
    found = [path.name for path in find_benchmarks(folder)]
    assert found == ["lfw.bin", "AgeDB-30.bin", "calfw.txt", "cplfw.bin", "zoo.bin"]


def test_by_name(folder: Path) -> None:
    found = find_benchmarks(folder, ["zoo", "LFW", "agedb-30", "lfw"])
    assert [path.name for path in found] == ["zoo.bin", "lfw.bin", "AgeDB-30.bin"]


def test_what_is_missing_is_said_with_where_it_comes_from(folder: Path, tmp_path_factory) -> None:
    with pytest.raises(BadInput, match=r"cfp_fp\.bin: missing.*InsightFace.*faces_emore"):
        find_benchmarks(folder, ["lfw", "CFP-FP"])
    with pytest.raises(BadInput, match=r"mine\.bin: missing"):
        find_benchmarks(folder, ["mine"])
    empty = tmp_path_factory.mktemp("empty")
    with pytest.raises(BadInput, match=r"expected are lfw\.bin, agedb_30\.bin.*InsightFace"):
        find_benchmarks(empty)
    with pytest.raises(BadInput, match="No such file"):
        find_benchmarks(empty / "none")


# --- evaluation ---------------------------------------------------------------------------------------------


class Shades:
    """An embedder: the shade of the middle as an angle."""

    def __init__(self, change: Callable[[np.ndarray], np.ndarray] = lambda vectors: vectors) -> None:
        self.change = change

    def embed(self, images: np.ndarray) -> np.ndarray:
        angle = images[:, 8, 8, 0] / 255 * np.pi
        return self.change(np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32))


@pytest.fixture
def shades(file: Path) -> Benchmark:
    images = [jpeg(shade) for label in LABELS for shade in ((100, 104) if label else (20, 230))]
    return open_benchmark(put(file, dumped(images)))


@pytest.mark.parametrize("batch", [1, 7, 64])
def test_evaluation(shades: Benchmark, batch: int) -> None:
    counted: list[int] = []
    result = evaluate(Shades(), shades, batch, progress=counted.append)
    assert sum(counted) == 2 * PAIRS
    assert result.verification.accuracy == 1.0
    assert (result.roc.auc, result.roc.eer) == (1.0, 0.0)
    assert all(point.tar == 1 and point.false_accepts == 0 for point in result.tar_at_far)


def test_an_embedder_that_is_broken(shades: Benchmark) -> None:
    with pytest.raises(BadInput, match=r"lfw\.bin: the embedder gives numbers that are not finite"):
        evaluate(Shades(lambda vectors: vectors * np.nan), shades)


def test_an_image_that_comes_again_is_embedded_once(file: Path) -> None:
    shades = [10, 200, 10, 10, 90, 200] * 4
    benchmark = open_benchmark(put(file, dumped([jpeg(shade) for shade in shades])))
    places, which = benchmark.distinct()
    assert places == [0, 1, 4]
    assert which.tolist() == [0, 1, 0, 0, 2, 1] * 4
    seen: list[int] = []
    counted: list[int] = []

    class Counting(Shades):
        def embed(self, images: np.ndarray) -> np.ndarray:
            seen.append(len(images))
            return super().embed(images)

    result = evaluate(Counting(), benchmark, batch=2, progress=counted.append)
    assert (seen, counted) == ([2, 1], [20, 4])
    every = np.concatenate(list(benchmark.batches(5)))
    expected = ten_fold(Shades().embed(every), benchmark.issame)
    assert result.verification.accuracy_per_fold == expected.accuracy_per_fold
