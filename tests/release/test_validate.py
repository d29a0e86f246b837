"""`sface-data validate` names what is wrong, whatever it is."""

import hashlib
import io
import json
import os
import shutil
import tarfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sface_data.dataset.manifest import Manifest
from sface_data.dataset.plan import ImageFormat, SamplePlan, spec_of
from sface_data.dataset.shard_reader import scan_shard
from sface_data.dataset.shard_writer import encode
from sface_data.errors import BadInput
from sface_data.faces.base import Face
from sface_data.io.images import BrokenImage
from sface_data.release.check_shards import _image_problems
from tests.release.certificates import certify

Run = Callable[..., tuple[int, str, str]]
SHARD = "data/train-000001.tar"
KEY = "000005_000002"  # the first sample of that shard
Members = list[tuple[str, bytes]]


@pytest.fixture
def folder(dataset: Path, tmp_path: Path) -> Path:
    """A copy of the finished data set, to break."""
    return shutil.copytree(dataset, tmp_path / "faces")


def problems(run: Run, folder: Path) -> list[tuple[str, str]]:
    """What `validate` finds, as (file, sentence), having checked how it says so."""
    code, output, errors = run("validate", folder, "--json")
    value = json.loads(output)
    found = [(problem["file"], problem["problem"]) for problem in value["problems"]]
    assert (code, value["valid"]) == ((1, False) if found else (0, True))
    for file, sentence in found:
        assert f"{folder / file}: {sentence}\n" in errors
        assert str(folder) not in sentence and "\n" not in sentence
    assert value["identity"] == Manifest.load(folder).identity
    return found


def members_of(path: Path) -> Members:
    with tarfile.open(path, "r:") as tar:
        return [(info.name, tar.extractfile(info).read()) for info in tar]


def pack(path: Path, members: Members) -> None:
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def rewrite(folder: Path, change: Callable[[Members], Members], listed: bool) -> None:
    """Changes the members of a shard; with `listed` the manifest gets its new size and SHA-256."""
    path = folder / SHARD
    pack(path, change(members_of(path)))
    if listed:
        relist(folder)


def relist(folder: Path) -> None:
    """Tells the manifest what the shard is now."""
    data = (folder / SHARD).read_bytes()
    edit(folder, lambda value: value["shards"][1].update(num_bytes=len(data), sha256=sha256(data)))
    renew_card(folder)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def edit(folder: Path, change: Callable[[dict[str, Any]], object], name: str = "manifest.json") -> None:
    value = json.loads((folder / name).read_text())
    change(value)
    (folder / name).write_text(json.dumps(value))
    if name == "manifest.json":  # its digest of itself does not give anything away
        with suppress(BadInput):
            value["identity"] = Manifest.load(folder).identity
        (folder / name).write_text(json.dumps(value))


def test_the_identity_is_a_digest_of_plan_and_shards(folder: Path, run: Run) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    shards = [[s["filename"], s["num_samples"], s["num_bytes"], s["sha256"]] for s in manifest["shards"]]
    digested = {"files": {}, "plan": manifest["plan"], "shards": shards}
    text = json.dumps(digested, sort_keys=True, separators=(",", ":"))
    assert manifest["identity"] == hashlib.sha256(text.encode()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps({**manifest, "identity": "0" * 64}))
    assert problems(run, folder) == [("manifest.json", "the identity is not that of plan and shards")]


def renew_card(folder: Path) -> None:
    """Lets the card agree with the manifest, so that it does not give anything away."""
    from sface_data.release.contents import write_card

    write_card(folder, licence="cc-by-nc-sa-4.0")


def replaced(name: str, data: bytes) -> Callable[[Members], Members]:
    return lambda members: [(n, data if n == name else d) for n, d in members]


def test_a_finished_folder_is_valid(dataset: Path, run: Run) -> None:
    assert problems(run, dataset) == []
    code, output, errors = run("validate", dataset)
    assert (code, output) == (0, "")
    assert errors.startswith(f"{dataset}: valid: 60 samples in 3 shards, identity ")


def test_rebuilt_shards_and_a_new_card_are_valid(folder: Path, run: Run) -> None:
    """What the tests below break with is itself no damage."""
    before = (folder / SHARD).read_bytes()
    rewrite(folder, lambda members: members, listed=True)
    assert (folder / SHARD).read_bytes() == before
    assert problems(run, folder) == []


PLACES = {
    "name": lambda entry: entry.members["cls"].offset - 512,
    "header": lambda entry: entry.members["jpg"].offset - 512 + 130,
    "header of the facts": lambda entry: entry.members["json"].offset - 512 + 150,
    "label": lambda entry: entry.members["cls"].offset,
    "padding": lambda entry: entry.members["cls"].offset + 100,
    "start of the image": lambda entry: entry.members["jpg"].offset + 1,
    "middle of the image": lambda entry: entry.members["jpg"].offset + entry.members["jpg"].size // 2,
    "facts": lambda entry: entry.members["json"].offset + 5,
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("number", [0, 12, 24])
def test_one_flipped_byte(folder: Path, run: Run, place: str, number: int) -> None:
    entry = list(scan_shard(folder / SHARD))[number]
    data = bytearray((folder / SHARD).read_bytes())
    data[PLACES[place](entry)] ^= 1
    (folder / SHARD).write_bytes(data)
    found = problems(run, folder)
    assert {file for file, _ in found} == {SHARD}
    assert found[0][1].startswith(f"its SHA-256 is {sha256(bytes(data))[:12]}..., not ")
    sentences = [sentence for _, sentence in found[1:]]
    if place in ("label", "facts", "start of the image"):
        assert len(sentences) == 1 and sentences[0].startswith(entry.key)
    if "header" in place:
        assert any("ends early or is broken" in s or "not a readable" in s for s in sentences)


def test_a_flipped_byte_at_the_end(folder: Path, run: Run) -> None:
    data = bytearray((folder / SHARD).read_bytes())
    data[-1] ^= 1
    (folder / SHARD).write_bytes(data)
    assert [file for file, _ in problems(run, folder)] == [SHARD]


IMAGE = np.full((32, 32, 3), 99, np.uint8)
CHANGES: dict[str, tuple[Callable[[Members], Members], str]] = {
    "member missing": (lambda m: [x for x in m if x[0] != f"{KEY}.json"], f"{KEY}.json: missing"),
    "label missing": (lambda m: [x for x in m if x[0] != f"{KEY}.cls"], f"{KEY}.cls: missing"),
    "image missing": (lambda m: [x for x in m if x[0] != f"{KEY}.jpg"], f"{KEY}.jpg: missing"),
    "sample missing": (lambda m: m[3:], f"{KEY}: missing"),
    "member doubled": (lambda m: m[:1] + m, f"'{KEY}.cls' comes twice"),
    "sample doubled": (lambda m: m + m[:3], f"the members of '{KEY}' come twice or do not stand together"),
    "members scattered": (lambda m: m[1:] + m[:1], f"the members of '{KEY}' come twice or do not stand together"),
    "sample too many": (lambda m: [*m, ("extra.jpg", b"")], "'extra': not in the plan"),
    "member too many": (lambda m: [*m[:3], (f"{KEY}.txt", b""), *m[3:]], f"'{KEY}.txt': not in the plan"),
    "label swapped": (replaced(f"{KEY}.cls", b"6"), f"{KEY}: labelled '6', not 5"),
    "label spelt otherwise": (replaced(f"{KEY}.cls", b"5\n"), rf"{KEY}: labelled '5\n', not 5"),
    "samples reordered": (lambda m: m[3:6] + m[:3] + m[6:], "the samples are not in the order of the plan"),
    "other size": (
        replaced(f"{KEY}.jpg", encode(IMAGE[:31, :30], ImageFormat())),
        f"{KEY}.jpg: 30x31 pixels, not 32x32",
    ),
    "no image": (replaced(f"{KEY}.jpg", b"hello"), f"{KEY}.jpg: not an image of the format JPEG"),
    "image cut short": (
        lambda m: [(n, d[:-900] if n == f"{KEY}.jpg" else d) for n, d in m],
        f"{KEY}.jpg: the image is broken (Premature end of JPEG file)",
    ),
    "other format": (
        replaced(f"{KEY}.jpg", encode(IMAGE, ImageFormat(32, "png", None))),
        f"{KEY}.jpg: not an image of the format JPEG",
    ),
    "facts edited": (
        replaced(f"{KEY}.json", b'{"class_index":5,"index":2,"seed":1}'),
        f"{KEY}.json: not the facts of the plan",
    ),
    "image with another behind it": (
        lambda m: [(n, d * 2 if n == f"{KEY}.jpg" else d) for n, d in m],
        f"{KEY}.jpg: holds more than opaque RGB pixels of 8 bits",
    ),
    "sample that is hidden": (lambda m: [*m, (".a.jpg", m[1][1])], "'.a.jpg' is hidden"),
    "bytes behind the pixels": (
        lambda m: [(n, d[:-2] + b"secret" + d[-2:] if n == f"{KEY}.jpg" else d) for n, d in m],
        f"{KEY}.jpg: the image is broken (Corrupt JPEG data",
    ),
    "sample in a hidden folder": (lambda m: [*m, (".x/a.jpg", m[1][1])], "'.x/a': not in the plan"),
    "facts no JSON": (replaced(f"{KEY}.json", b"{"), f"{KEY}.json: not the facts of the plan"),
}


@pytest.mark.parametrize("case", CHANGES)
@pytest.mark.parametrize("listed", [False, True], ids=["digest as it was", "digest of the change"])
def test_changed_samples(folder: Path, run: Run, case: str, listed: bool) -> None:
    change, expected = CHANGES[case]
    rewrite(folder, change, listed)
    found = problems(run, folder)
    assert {file for file, _ in found} == {SHARD}
    assert any("its SHA-256 is" in sentence or "bytes, not" in sentence for _, sentence in found) != listed
    assert any(sentence.startswith(expected) for _, sentence in found), found


@pytest.mark.parametrize("hidden", [True, False], ids=["hidden member", "after the end"])
def test_bytes_that_belong_to_no_sample(folder: Path, run: Run, hidden: bool) -> None:
    rewrite(folder, lambda m: [*m, ("._notes", b"\0\x05\x16\x07")] if hidden else m, listed=hidden)
    if not hidden:
        with (folder / SHARD).open("ab") as file:
            file.write(bytes(tarfile.RECORDSIZE))
        relist(folder)
    [(file, sentence)] = problems(run, folder)
    assert file == SHARD
    assert sentence.startswith("has bytes that belong to no sample")


def test_a_shard_with_thousands_of_problems_names_some(folder: Path, run: Run) -> None:
    rewrite(folder, lambda members: [], listed=True)
    found = problems(run, folder)
    assert len(found) == 21
    assert found[-1] == (SHARD, "and more")


@pytest.mark.parametrize("length", [0, 512, 3000, 60_000])
def test_a_cut_shard(folder: Path, run: Run, length: int) -> None:
    data = (folder / SHARD).read_bytes()
    (folder / SHARD).write_bytes(data[:length])
    found = problems(run, folder)
    assert {file for file, _ in found} == {SHARD}
    assert found[0][1] == f"{length:,} bytes, not {len(data):,}"
    assert any("ends" in sentence or "not a readable" in sentence for _, sentence in found)


def test_a_missing_shard(folder: Path, run: Run) -> None:
    (folder / SHARD).unlink()
    assert problems(run, folder) == [(SHARD, "missing")]


@pytest.mark.parametrize("name", ["data/train-000003.tar", "data/other.tar", "data/.hidden", "data/notes.txt"])
def test_a_stranger_among_the_shards(folder: Path, run: Run, name: str) -> None:
    shutil.copy(folder / SHARD, folder / name)
    [(file, sentence)] = problems(run, folder)
    assert file == name
    assert sentence.startswith("not in the manifest")


def test_two_shards_swapped(folder: Path, run: Run) -> None:
    first, second = folder / "data/train-000000.tar", folder / SHARD
    first.rename(folder / "x")
    second.rename(first)
    (folder / "x").rename(second)
    found = problems(run, folder)
    assert {file for file, _ in found} == {"data/train-000000.tar", SHARD}
    assert ("data/train-000000.tar", "'000005_000002': not in the plan") in found
    assert (SHARD, "'000000_000000': not in the plan") in found


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ("num_examples: 60", "num_examples: 61", "dataset_info"),
        ("'7': class_000007", "'7': class_000008", "dataset_info"),
        ("dtype: image", "dtype: binary", "dataset_info"),
        ("path: data/train-*.tar", "path: data/*", "configs"),
        ("- n<1K", "- 1K<n<10K", "size_categories"),
    ],
)
def test_an_edited_card(folder: Path, run: Run, old: str, new: str, field: str) -> None:
    text = (folder / "README.md").read_text()
    assert text.count(old) == 1
    (folder / "README.md").write_text(text.replace(old, new))
    wrong = f"`{field}` in its front matter is not what the manifest says; `sface-data card` writes it"
    assert problems(run, folder) == [("README.md", wrong)]


@pytest.mark.parametrize(
    ("name", "old", "new", "block"),
    [
        ("README.md", "60 images of 10 classes", "6,000 images of 10 classes", "counts"),
        ("README.md", "**No certificate yet.**", "**Certified private.**", "certificate"),
        ("README.md", "- **Licence:** CC-BY-NC-SA-4.0", "- **Licence:** CC0-1.0", "details"),
        ("README.md", "| base seed | 0 |", "| base seed | 1 |", "creation"),
        ("README.md", "begin notice -->\n", "begin notice -->\nFine.\n", "notice"),
        ("DATASHEET.md", "60 images of 10 classes", "600 images of 10 classes", "counts"),
        ("CITATION.cff", "license: CC-BY-NC-SA-4.0", "license: CC0-1.0", "identity"),
    ],
)
def test_a_block_that_was_edited(folder: Path, run: Run, name: str, old: str, new: str, block: str) -> None:
    text = (folder / name).read_text()
    assert text.count(old) == 1
    (folder / name).write_text(text.replace(old, new))
    wrong = f"its block `{block}` is not what manifest and certificate say; `sface-data card` writes it"
    assert problems(run, folder) == [(name, wrong)]
    assert run("card", folder)[0] == 0
    assert problems(run, folder) == []
    assert (folder / name).read_text() == text


@pytest.mark.parametrize("name", ["README.md", "DATASHEET.md"])
def test_blocks_that_were_deleted_or_doubled(folder: Path, run: Run, name: str) -> None:
    text = (folder / name).read_text()
    begin, end = "<!-- sface-data:begin counts -->\n", "<!-- sface-data:end -->\n"
    before, _, rest = text.partition(begin)
    content, _, after = rest.partition(end)
    (folder / name).write_text(before + after)
    assert problems(run, folder) == [(name, "its block `counts` is missing; `sface-data card` writes it")]
    assert run("card", folder)[0] == 0
    assert problems(run, folder) == []
    (folder / name).write_text(text + begin + content + end)
    assert problems(run, folder) == [(name, "its block `counts` comes twice; delete one of the two")]
    code, _, errors = run("card", folder, "--licence", "cc0-1.0")
    assert (code, errors) == (
        2,
        f"sface-data: {folder / name}: its block `counts` comes twice; delete one of the two\n",
    )
    (folder / name).write_text(text + begin.replace("counts", "praise") + end)
    assert problems(run, folder) == [(name, "its block `praise` is none of sface-data; delete it")]


def test_a_licence_that_was_edited(folder: Path, run: Run) -> None:
    text = (folder / "README.md").read_text()
    (folder / "README.md").write_text(text.replace("license: cc-by-nc-sa-4.0", "license: mit"))
    assert "is none of" in problems(run, folder)[0][1]
    (folder / "README.md").write_text(text.replace("license: cc-by-nc-sa-4.0", "license: cc0-1.0"))
    found = problems(run, folder)
    assert ("croissant.json", "not what the manifest says; `sface-data card` writes it") in found
    assert {file for file, _ in found} == {
        "README.md",
        "DATASHEET.md",
        "CITATION.cff",
        "LICENSE",
        "croissant.json",
    }
    assert any(sentence.startswith("not the text of cc0-1.0, the licence that the card") for _, sentence in found)
    assert run("card", folder)[0] == 0
    assert problems(run, folder) == []


def test_edited_prose_is_no_problem(folder: Path, run: Run) -> None:
    text = (folder / "README.md").read_text()
    (folder / "README.md").write_text(text.replace("# Synthetic faces", "# My faces") + "\nThanks to all.\n")
    assert problems(run, folder) == []


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"---\nconfigs: [\n---\n", "its front matter cannot be parsed (while parsing"),
        (b"---\njust text\n---\n", "its front matter cannot be parsed"),
        (b"\xff\xfe", "not a text in UTF-8"),
        (b"# No front matter\n", "`license` in its front matter is none of"),
    ],
)
def test_a_card_that_cannot_be_used(folder: Path, run: Run, data: bytes, sentence: str) -> None:
    (folder / "README.md").write_bytes(data)
    found = problems(run, folder)
    assert {file for file, _ in found} == {"README.md"}
    assert found[0][1].startswith(sentence)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("README.md", "No such file or directory"),
        ("_info.json", "missing; `sface-data card` writes it"),
        ("croissant.json", "missing; `sface-data card` writes it"),
        ("CITATION.cff", "missing; `sface-data card` writes it"),
        ("DATASHEET.md", "missing; `sface-data card` writes it"),
        ("preview.png", "missing; `sface-data card` draws it anew"),
        ("LICENSE", "missing; `sface-data card` writes it"),
    ],
)
def test_a_missing_file(folder: Path, run: Run, name: str, sentence: str) -> None:
    before = (folder / name).read_bytes()
    (folder / name).unlink()
    assert problems(run, folder) == [(name, sentence)]
    assert run("card", folder)[0] == 0
    assert problems(run, folder) == []
    assert (folder / name).read_bytes() == before


def test_edited_indexes_of_other_readers(folder: Path, run: Run) -> None:
    edit(folder, lambda value: value["splits"]["train"].update(num_samples=61), "_info.json")
    edit(folder, lambda value: value["distribution"][1].update(sha256="0" * 64), "croissant.json")
    wrong = "not what the manifest says; `sface-data card` writes it"
    assert problems(run, folder) == [("croissant.json", wrong), ("_info.json", wrong)]
    (folder / "_info.json").write_text("{")
    assert problems(run, folder)[1] == ("_info.json", wrong)
    assert run("card", folder)[0] == 0
    assert problems(run, folder) == []


@pytest.mark.parametrize("name", ["preview.png", "LICENSE", "croissant.json", "_info.json"])
def test_one_flipped_byte_around_the_shards(folder: Path, run: Run, name: str) -> None:
    whole = (folder / name).read_bytes()
    for offset in (0, len(whole) // 2, len(whole) - 1):
        (folder / name).write_bytes(whole[:offset] + bytes([whole[offset] ^ 1]) + whole[offset + 1 :])
        assert [file for file, _ in problems(run, folder)] == [name]


def test_a_preview_of_other_images(folder: Path, run: Run) -> None:
    """It is drawn anew from the shards; the command does not take what is there for the truth."""
    from PIL import Image

    path = folder / "preview.png"
    whole = path.read_bytes()
    Image.new("RGB", (9, 9)).save(path)
    [(file, sentence)] = problems(run, folder)
    assert file == "preview.png" and sentence.startswith("its SHA-256 is ")
    assert run("card", folder) == (0, "", f"{path}: written\n")
    assert path.read_bytes() == whole
    assert problems(run, folder) == []


def test_a_folder_from_before_there_were_datasheets(folder: Path, run: Run) -> None:
    """What is missing is named, with the command that makes it; what is there stays as it is."""
    (folder / "DATASHEET.md").unlink()
    (folder / "croissant.json").unlink()
    before = (folder / "README.md").read_bytes()
    assert [name for name, _ in problems(run, folder)] == ["DATASHEET.md", "croissant.json"]
    assert run("card", folder)[0] == 0
    assert problems(run, folder) == []
    assert (folder / "README.md").read_bytes() == before


def test_a_plan_that_was_edited(folder: Path, run: Run) -> None:
    edit(folder, lambda value: value["plan"].update(base_seed=1))
    found = problems(run, folder)
    assert found[0] == ("manifest.json", "the fingerprint is not that of the plan")
    assert ("data/train-000000.tar", "000000_000000.json: not the facts of the plan") in found


def test_a_number_of_samples_that_was_edited(folder: Path, run: Run) -> None:
    edit(folder, lambda value: value["shards"][1].update(num_samples=24))
    assert problems(run, folder)[0] == ("manifest.json", "the shards listed are not those of the plan")


def test_a_shard_that_is_not_listed(folder: Path, run: Run) -> None:
    edit(folder, lambda value: value["shards"].pop())
    found = problems(run, folder)
    assert found[0] == ("manifest.json", "the shards listed are not those of the plan")
    assert found[1][0] == "data/train-000002.tar"


def test_centres_of_truncation(tmp_path: Path, golden: Path, run: Run) -> None:
    folder = tmp_path / "faces"
    arguments = ["--network", golden / "conditional-32.pkl", "--trunc", 0.5, "--trunc-center", "class"]
    arguments += ["--classes", "1-3", "--samples-per-class", 2, "--size", 32, "--device", "cpu"]
    generate = ["generate", "--outdir", folder, *arguments]
    assert run(*generate)[0] == 0
    assert problems(run, folder) == []
    manifest = (folder / "manifest.json").read_bytes()
    centers = folder / "class_w_avg.safetensors"
    whole = centers.read_bytes()
    centers.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    [(name, sentence)] = problems(run, folder)
    assert name == centers.name and sentence.startswith("its SHA-256 is ")
    # The same command mends it, and does not take the damage for the truth.
    assert run(*generate)[0] == 0
    assert centers.read_bytes() == whole
    centers.unlink()
    assert problems(run, folder) == [(centers.name, "missing; `sface-data generate` makes it")]
    assert run(*generate)[0] == 0
    assert centers.read_bytes() == whole
    assert (folder / "manifest.json").read_bytes() == manifest


NAMES = [
    *(
        "README.md",
        "DATASHEET.md",
        "CITATION.cff",
        "LICENSE",
        "croissant.json",
        "_info.json",
        "preview.png",
        SHARD,
    ),
    *("audit/certificate.json", "audit/certificate.sig", "audit/report.html", "evaluation.json"),
]
UNREAD = {"audit/report.html"}  # by `card`


@pytest.mark.parametrize("kind", ["pipe", "endless", "folder"])
def test_no_file_that_never_ends_is_read(folder: Path, run: Run, kind: str) -> None:
    """Each name in turn stands for a pipe that nobody writes to, for a device, for a folder."""
    certify(folder)
    (folder / "audit" / "report.html").write_text("report")
    for name in NAMES:
        path = folder / name
        held = path.read_bytes() if path.exists() else None
        path.unlink(missing_ok=True)
        {"pipe": os.mkfifo, "endless": lambda path: path.symlink_to("/dev/zero"), "folder": Path.mkdir}[kind](path)
        found = [f"{file}: {sentence}" for file, sentence in problems(run, folder)]
        found = [sentence for sentence in found if name in sentence]
        words = ("regular file", "Is a directory", "missing", "is no signature")
        assert found and any(word in found[0] for word in words), (name, found)
        for command in (["card", folder], ["publish", folder, "--repo", "org/faces", "--dry-run"]):
            code, output, errors = run(*command)
            assert (code in (1, 2), output) == (True, "") or name in UNREAD, errors
            assert len(errors.splitlines()) == 1 or command[0] == "publish"  # which names all that is in the way
        path.rmdir() if kind == "folder" else path.unlink()
        if held is not None:
            path.write_bytes(held)


@pytest.mark.parametrize("kind", ["pipe", "endless"])
def test_a_manifest_that_never_ends(folder: Path, run: Run, kind: str) -> None:
    path = folder / "manifest.json"
    path.unlink()
    os.mkfifo(path) if kind == "pipe" else path.symlink_to("/dev/zero")
    code, output, errors = run("validate", folder)
    assert (code, output, errors) == (
        2,
        "",
        f"sface-data: {path}: not a regular file; put the file itself there\n",
    )


def test_numbers_of_a_manifest_that_would_take_for_ever(folder: Path, run: Run) -> None:
    edit(folder, lambda value: value["plan"].update(samples_per_class=4_000_000_000, samples_per_shard=1))
    assert problems(run, folder)[1] == ("manifest.json", "the shards listed are not those of the plan")
    edit(folder, lambda value: value["plan"].update(samples_per_class=4_000_000_000, samples_per_shard=10**15))
    assert problems(run, folder)[1] == ("manifest.json", "the shards listed are not those of the plan")
    edit(folder, lambda value: value["plan"].update(generator_classes=10**9, samples_per_class=6))
    assert (
        "README.md",
        "`dataset_info` in its front matter is not what the manifest says; `sface-data card` writes it",
    ) in (problems(run, folder))


def test_a_manifest_that_is_too_large(folder: Path, run: Run) -> None:
    with (folder / "manifest.json").open("r+b") as file:
        file.truncate(65 << 20)
    code, _, errors = run("validate", folder)
    assert (code, len(errors.splitlines())) == (2, 1)
    assert "more than 67,108,864 bytes" in errors


def test_a_shard_with_a_hole_of_a_terabyte(folder: Path, run: Run) -> None:
    with (folder / SHARD).open("r+b") as file:
        file.truncate(1 << 40)
    [(file, sentence)] = problems(run, folder)
    assert file == SHARD and sentence.startswith("1,099,511,627,776 bytes, not ")


def test_without_a_manifest_there_is_nothing_to_check_against(folder: Path, run: Run) -> None:
    (folder / "manifest.json").unlink()
    code, output, errors = run("validate", folder)
    assert (code, output) == (2, "")
    assert errors.startswith(f"sface-data: {folder}: no finished data set, as it has no manifest.json")


@pytest.mark.parametrize("text", ["", "hello", "[]", '{"format": "another"}', "{}"])
def test_a_manifest_that_cannot_be_used(folder: Path, run: Run, text: str) -> None:
    (folder / "manifest.json").write_text(text)
    code, output, errors = run("validate", folder, "--json")
    assert (code, output) == (2, "")
    assert errors.startswith(f"sface-data: {folder / 'manifest.json'}: ")
    assert len(errors.splitlines()) == 1


def png_that_says(side: int) -> bytes:
    data = encode(IMAGE, ImageFormat(32, "png", None))
    header = data[12:16] + side.to_bytes(4, "big") * 2 + data[24:29]
    return data[:12] + header + zlib.crc32(header).to_bytes(4, "big") + data[33:]


def pillow(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "png")
    return buffer.getvalue()


JPEG = encode(np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8), ImageFormat(32))
DISPUTED = {
    "jpeg cut short, with an end": JPEG[: len(JPEG) // 2] + JPEG[-2:],
    "jpeg with flipped bytes": JPEG[: len(JPEG) // 2]
    + bytes(byte ^ 0x55 for byte in JPEG[len(JPEG) // 2 : -2])
    + JPEG[-2:],
    "jpeg with stray bytes": JPEG.replace(b"\xff\xdb", b"\0\0\xff\xdb", 1),
    "png of 9000 x 9000": png_that_says(9000),
    "half transparent png": pillow(Image.fromarray(IMAGE).convert("RGBA").point(lambda value: value // 2)),
    "png of 16 bits": pillow(Image.fromarray(IMAGE[..., 0].astype(np.uint16) * 257)),
}
READABLE = {"jpeg with stray bytes", "png of 16 bits"}


@pytest.mark.parametrize("name", DISPUTED)
def test_what_cannot_be_read_or_is_read_differently_is_not_valid(name: str) -> None:
    data, form = DISPUTED[name], "jpg" if name.startswith("jpeg") else "png"
    plan = SamplePlan("0" * 64, 1, (0,), 1, image=ImageFormat(32, form, 95 if form == "jpg" else None))
    found = list(_image_problems(data, spec_of(0, 0, 0), plan))
    try:
        assert Face("a", 0, data, "it").decode().shape == (32, 32, 3)
        assert name in READABLE
    except BrokenImage:
        assert name not in READABLE
    assert len(found) == 1
