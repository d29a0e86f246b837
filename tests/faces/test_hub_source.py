"""Data sets on the hub, read in parts from one on this machine; what cannot be read is one sentence."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sface_data.errors import BadInput
from sface_data.faces import hub_source
from sface_data.faces.sources import open_source
from tests.release.loopback_hub import WRITER, LoopbackHub, Repo, loopback_hub

Run = Callable[..., tuple[int, str, str]]
Labelled = list[tuple[int, bytes]]


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackHub]:
    from huggingface_hub import HfFileSystem

    with loopback_hub() as hub:
        template = hub.endpoint + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.endpoint)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
        monkeypatch.setenv("HF_TOKEN", WRITER)
        HfFileSystem.clear_instance_cache()
        hub_source._opened.cache_clear()
        hub_source._read.cache_clear()
        yield hub
        HfFileSystem.clear_instance_cache()


def table(faces: Labelled, rows: int = 5, **renamed: str) -> bytes:
    """A Parquet file of plain columns, in parts of some rows."""
    columns = {"image": [image for _, image in faces], "label": [label for label, _ in faces]}
    file = io.BytesIO()
    pq.write_table(pa.table({renamed.get(k, k): v for k, v in columns.items()}), file, row_group_size=rows)
    return file.getvalue()


def holding(hub: LoopbackHub, branch: str = "main", private: bool = False, **files: bytes) -> None:
    repo = hub.repos.setdefault("org/faces", Repo(private))
    repo.branches[branch] = {name.replace("__", "/") + ".parquet": data for name, data in files.items()}


def test_faces_are_read_in_order_and_each_part_once(hub: LoopbackHub, labelled: Labelled) -> None:
    first, second = table(labelled[:30]), table(labelled[30:])
    holding(hub, **{"data__train-00000-of-00002": first, "data__train-00001-of-00002": second})
    source = open_source("hf://org/faces")
    assert [(face.class_index, face.data) for face in source] == labelled
    assert source[11].data == labelled[11][1] and source[-1].data == labelled[-1][1]
    assert source[30].where == "hf://org/faces: row 30"
    fetched = [request for request in hub.requests if request.startswith("GET /datasets/org/faces/resolve")]
    assert fetched and all("/resolve/main/" not in request for request in fetched)  # by commit: it never changes
    assert [len(open_source(f"hf://org/faces{end}")) for end in ("@main", "/data/train-00001", "@main/data")] == [
        48,
        18,
        48,
    ]


def test_what_the_hub_converted_is_read(hub: LoopbackHub, labelled: Labelled) -> None:
    holding(hub)
    holding(hub, branch="refs/convert/parquet", default__train__0000=table(labelled))
    assert [face.data for face in open_source("hf://org/faces")] == [image for _, image in labelled]
    holding(hub, branch="refs/convert/parquet", **{"default__partial-train__0000": table(labelled)})
    with pytest.raises(BadInput, match="the hub has converted only a part of it; download it"):
        open_source("hf://org/faces")


def test_what_cannot_be_read_is_one_sentence(
    hub: LoopbackHub, labelled: Labelled, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(address: str, sentence: str) -> None:
        with pytest.raises(BadInput) as error:
            open_source(address)
        assert str(error.value).startswith(f"{address}: ") and sentence in str(error.value)

    refused("hf://org/gone", "the hub knows no such data set, or it is private: `hf auth login`")
    refused("hf://org/fa--ces", "not the name of a data set; write hf://ORG/NAME")
    for address in ("hf://org", "hf://", "hf://org/"):
        with pytest.raises(BadInput, match="not the name of a data set; write hf://ORG/NAME"):
            open_source(address)
    holding(hub, notes=b"no table")
    refused("hf://org/faces", "cannot be read from the hub (")
    refused("hf://org/faces/train", "has no Parquet file that begins with train; get it (`hf download org/faces")
    refused("hf://org/faces@v2", "has no Parquet file; get it")
    holding(hub, data=table(labelled, image="picture"))
    refused("hf://org/faces", "should have one column of images and has 0; its columns: picture, label")
    holding(hub, data=table(labelled, label="age"))
    refused("hf://org/faces", "should have one column of class labels and has 0; its columns: image, age")
    both = {f"data__{split}-00000-of-00001": table(labelled) for split in ("train", "test")}
    holding(hub, **both)
    refused("hf://org/faces", "holds data/test, data/train; give one, such as hf://org/faces/data/test")
    hub.status["/api/datasets/org/faces"] = 500
    refused("hf://org/faces", "the hub answers with status 500; try again later")
    hub.status.clear()
    hub.repos["org/faces"].private = True
    monkeypatch.delenv("HF_TOKEN")
    refused("hf://org/faces", "the hub knows no such data set, or it is private")


def test_the_commands_take_an_address(hub: LoopbackHub, labelled: Labelled, run: Run, tmp_path: Path) -> None:
    holding(hub, train=table(labelled[:12]))
    code, _, errors = run("embed", "hf://org/faces", "--embedder", "demo", "--outdir", tmp_path / "embeddings")
    assert code == 0 and "12 embeddings of 2 classes" in errors
    code, _, errors = run("embed", "hf://org/gone", "--embedder", "demo", "--outdir", tmp_path / "other")
    assert code == 2 and errors.startswith("sface-data: hf://org/gone: the hub knows no such data set")


@pytest.mark.parametrize("command", ["generator train", "recognition train --recipe cls"])
def test_training_is_told_to_download_first(hub: LoopbackHub, run: Run, tmp_path: Path, command: str) -> None:
    options = ["--data", "hf://org/faces@v1/data/train", "--outdir", tmp_path / "run"]
    code, _, errors = run(*command.split(), *options)
    assert code == 2 and not hub.requests
    wanted = "hf download org/faces --repo-type dataset --local-dir DIR --revision v1 --include 'data/train*'"
    assert "hf://org/faces@v1/data/train: training reads faces in any order" in errors and wanted in errors
