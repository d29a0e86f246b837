"""LMDB as Vec2Face hands it out; others in one sentence. `test_sources.py` reads the good one."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sface_data.errors import BadInput
from sface_data.faces.sources import open_source
from tests.forms import write_lmdb

LISTED = [b"0", b"1", b"2", b"3", b"9"]
FACES = [(label, bytes([65 + label]) * 3000) for label in (0, 1, 1, 2)]
BAD = {
    "has no __len__ as LMDBs of faces have": {"len": None},
    "has no __keys__ as LMDBs of faces have": {"keys": None},
    "__len__ is 5, but __keys__ lists 4": {"len": 5},
    "holds 5 entries, of which __keys__ lists 4": {"else": [b"image", 0]},
    "holds 4 entries, of which __keys__ lists 5": {"keys": LISTED, "len": 5},
    "lmdb: 9 is listed and not there": {"keys": [b"0", b"1", b"2", b"9"]},
    "lmdb: 9 is not an image and a label": {"keys": LISTED, "len": 5, "9": b"\xff" * 100},
    "has the label 'None', which is no class": {
        "keys": [b"0", b"1", b"2", b"3", b"9"],
        "len": 5,
        "9": [b"image", None],
    },
    "an image has label 2, but __classnum__ says there are 2": {"classnum": 2},
}


@pytest.mark.parametrize("sentence", list(BAD))
def test_what_is_no_lmdb_of_faces_is_one_sentence(tmp_path: Path, sentence: str) -> None:
    write_lmdb(tmp_path / "faces.lmdb", FACES, **BAD[sentence])
    with pytest.raises(BadInput) as error:
        open_source(tmp_path / "faces.lmdb")
    assert str(error.value).startswith(str(tmp_path)) and sentence in str(error.value)


@given(st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_change_of_its_pages_ends_the_process(tmp_path: Path, data: st.DataObject) -> None:
    """A signal would end the tests, too."""
    path = tmp_path / "faces.lmdb"
    path.unlink(missing_ok=True)
    write_lmdb(path, FACES)
    content = bytearray(path.read_bytes())
    words = len(content) // 8
    # Most of a page is values: where its nodes and heads are is tried more often.
    heads = st.integers(0, words // 512 - 1).map(lambda page: 512 * page)
    places = st.one_of(st.integers(0, 30), st.integers(0, words - 1), heads)
    for _ in range(data.draw(st.integers(1, 3))):
        at = 8 * data.draw(places)
        content[at : at + 8] = data.draw(st.binary(min_size=8, max_size=8))
    path.write_bytes(content)
    try:
        for face in open_source(path):
            assert len(face.data) < len(content)
    except BadInput as error:
        assert str(path) in str(error)


@pytest.mark.parametrize("entries", [1, 4, 3000])
def test_trees_of_every_depth(tmp_path: Path, entries: int) -> None:
    path = tmp_path / "faces.lmdb"
    write_lmdb(path, [(n % 7, bytes([n % 251]) * (10 if n % 3 else 5000)) for n in range(entries)])
    assert len(open_source(path, min_classes=1)) == entries


def test_the_number_of_classes_may_be_missing_and_the_file_lie_in_a_folder(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    write_lmdb(tmp_path / "set" / "train.lmdb", FACES, classnum=None)
    source = open_source(tmp_path / "set")
    assert [(face.key, face.class_index, face.data) for face in source] == [
        (str(number), label, image) for number, (label, image) in enumerate(FACES)
    ]
    assert sorted(path.name for path in (tmp_path / "set").iterdir()) == ["train.lmdb"]  # no lock file
    (tmp_path / "other").mkdir()
    write_lmdb(tmp_path / "other" / "data.mdb", FACES)
    assert len(open_source(tmp_path / "other")) == 4
    write_lmdb(tmp_path / "set" / "a.lmdb", FACES)
    with pytest.raises(BadInput, match=r"holds 2 \.lmdb files; name one"):
        open_source(tmp_path / "set")


def test_a_file_that_ends_early_or_is_another_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "faces.lmdb"
    write_lmdb(path, FACES)
    whole = path.read_bytes()
    for cut in (len(whole) - 4096, len(whole) // 2, 8192, 4096, 100, 0):
        path = tmp_path / f"{cut}.lmdb"
        path.write_bytes(whole[:cut])
        with pytest.raises(BadInput, match=r"\.lmdb: (ends early|not an LMDB, or damaged)"):
            open_source(path)
    (tmp_path / "text.lmdb").write_bytes(b"nothing of the kind " * 1000)
    with pytest.raises(BadInput, match="not an LMDB, or damaged"):
        open_source(tmp_path / "text.lmdb")
    with pytest.raises(BadInput, match="No such file"):
        open_source(tmp_path / "absent.lmdb")
