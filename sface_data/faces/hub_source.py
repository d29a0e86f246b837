"""Labelled faces in a data set on the Hugging Face hub, read from there in parts: `hf://ORG/NAME`."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from sface_data.errors import BadInput
from sface_data.faces.base import Face, Source
from sface_data.faces.columns import class_names, image_column, label_column, labels_in
from sface_data.io.tables import check_unpacked, with_dictionaries

# A path swallows the second slash. After the name: a revision, and how the names of the files begin.
_ADDRESS = re.compile(r"hf:/{1,2}([^/@]+/[^/@]+)(?:@([^/]+))?(?:/(.*))?")
_CONVERTED = "refs/convert/parquet"  # the branch in which the hub keeps other data sets as Parquet
_GROUPS = 4  # parts of files that are kept in memory
_reading = threading.Lock()


@dataclass(frozen=True)
class HubFile:
    """A Parquet file on the hub, at a commit, so that it never changes."""

    repo: str
    commit: str
    name: str


class HubSource(Source):
    """The Parquet files of a data set on the hub: labels are fetched at once, images as they are asked for.

    A data set in another form is read as the hub itself has converted it. Parts of files, some hundred images
    each, are kept in memory for a while, not on disk: read in order, each is fetched once.

    Args:
        path: `hf://ORG/NAME`, `hf://ORG/NAME@REVISION` or `hf://ORG/NAME/BEGINNING` of the names of its files.
    """

    def __init__(self, path: Path) -> None:
        self._where = _shown(path)
        with _explained(self._where):
            self._files = _found(self._where)
            opened = [_opened(file)[1] for file in self._files]
            features = _features(opened[0])
            self._image, label = image_column(features, self._where), label_column(features, self._where)
            values: list[Any] = []
            sizes: list[tuple[int, int, int]] = []  # file, row group, its rows
            for number, table in enumerate(opened):
                if table.schema_arrow.names != opened[0].schema_arrow.names:
                    raise BadInput(
                        f"{self._where}: {self._files[number].name} has other columns than the first one"
                    )
                _check_unpacked(self._files[number], label)
                values += table.read(columns=[label]).column(label).to_pylist()
                groups = range(table.metadata.num_row_groups)
                sizes += [(number, group, table.metadata.row_group(group).num_rows) for group in groups]
        self._groups = [(number, group) for number, group, _ in sizes]
        self._ends = np.cumsum([rows for _, _, rows in sizes])
        labels = labels_in(features, label, values, self._where)
        super().__init__(Path(self._where), labels, class_names(features, label))

    def _face(self, index: int) -> Face:
        at = int(np.searchsorted(self._ends, index, side="right"))
        number, group = self._groups[at]
        row = index - (int(self._ends[at - 1]) if at else 0)
        with _explained(self._where), _reading:
            value = _read(self._files[number], group, self._image)[row].as_py()
        data = value["bytes"] if isinstance(value, dict) else value
        where = f"{self._where}: row {index}"
        if not isinstance(data, bytes):
            raise BadInput(f"{where} has no image in it")
        return Face(f"{index:08d}", int(self.class_indices[index]), data, where)


def is_on_hub(path: Path) -> bool:
    """Whether a path is an address on the hub."""
    return path.as_posix().startswith("hf:")


def check_not_on_hub(path: Path) -> None:
    """Raises BadInput for an address on the hub, where faces are to be read in any order: each fetches a part."""
    if not is_on_hub(path):
        return
    where = _shown(path)
    repo, revision, beginning = _parsed(where)
    options = (f" --revision {revision}" if revision else "") + (f" --include '{beginning}*'" if beginning else "")
    raise BadInput(
        f"{where}: training reads faces in any order, and each would fetch a part of a file with hundreds; "
        f"download them first (`{_download(repo)}{options}`) and give DIR"
    )


def _shown(path: Path) -> str:
    return re.sub("^hf:/+", "hf://", path.as_posix())


def _parsed(where: str) -> tuple[str, str, str]:
    """Name, revision and beginning of the names of the files in an address; the last two may be empty."""
    address = _ADDRESS.fullmatch(where)
    if address is None:
        raise BadInput(f"{where}: not the name of a data set; write hf://ORG/NAME")
    repo, revision, beginning = address.groups(default="")
    return repo, revision, beginning


def _download(repo: str) -> str:
    return f"hf download {repo} --repo-type dataset --local-dir DIR"


def _found(where: str) -> list[HubFile]:
    """The Parquet files at an address. Raises BadInput if there are none, or of several splits."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import RevisionNotFoundError

    repo, revision, beginning = _parsed(where)
    for branch in [revision] if revision else ["main", _CONVERTED]:
        try:
            info = HfApi().dataset_info(repo, revision=branch)
        except RevisionNotFoundError:
            continue
        names = sorted(
            file.rfilename
            for file in info.siblings or []
            if file.rfilename.endswith(".parquet") and file.rfilename.startswith(beginning)
        )
        if names:
            _check_splits(where, names)
            return [HubFile(repo, str(info.sha), name) for name in names]
    begins = f" that begins with {beginning}" if beginning else ""
    raise BadInput(f"{where}: has no Parquet file{begins}; get it (`{_download(repo)}`) and give DIR")


def _check_splits(where: str, names: list[str]) -> None:
    """Raises BadInput unless all files are of one split, and of all of it."""
    splits = sorted({_split(name) for name in names})
    if len(splits) > 1:
        repo = where.rstrip("/")
        raise BadInput(f"{where}: holds {', '.join(splits)}; give one, such as {repo}/{splits[0]}")
    if "partial-" in splits[0]:
        raise BadInput(f"{where}: the hub has converted only a part of it; download it, and give its folder")


def _split(name: str) -> str:
    """How the names of a split begin: of `data/train-00000-of-00002.parquet`, of `default/train/0000.parquet`."""
    folder, _, file = name.rpartition("/")
    stem = file.partition("-")[0] if "-" in file else ""
    return f"{folder}/{stem}".strip("/") or file.removesuffix(".parquet")


@lru_cache(maxsize=64)
def _opened(file: HubFile) -> tuple[Any, Any]:
    """A file, and the table in it."""
    import pyarrow.parquet as pq
    from huggingface_hub import HfFileSystem

    name = f"datasets/{file.repo}/{file.name}"
    stream = HfFileSystem().open(name, revision=file.commit, block_size=1 << 20)
    return stream, pq.ParquetFile(stream)


def _check_unpacked(file: HubFile, *columns: str) -> None:
    """Raises BadInput for a file whose columns unpack to far more than it can hold; these are to be read whole."""
    stream, table = _opened(file)
    check_unpacked(f"hf://{file.repo}/{file.name}", stream, table, stream.size, columns)


@lru_cache(maxsize=_GROUPS)
def _read(file: HubFile, group: int, column: str) -> Any:
    stream, table = _opened(file)
    images = with_dictionaries(stream, table)
    return images.read_row_group(group, columns=[column]).column(column)


def _features(table: Any) -> Any:
    import datasets

    return datasets.Features.from_arrow_schema(table.schema_arrow)


@contextmanager
def _explained(where: str) -> Iterator[None]:
    """Turns whatever the hub's client raises into one sentence."""
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, HFValidationError, RepositoryNotFoundError

    try:
        yield
    except BadInput:
        raise
    except GatedRepoError as error:
        raise BadInput(f"{where}: its owner grants access; ask there, then `hf auth login`") from error
    except RepositoryNotFoundError as error:
        raise BadInput(f"{where}: the hub knows no such data set, or it is private: `hf auth login`") from error
    except HFValidationError as error:
        raise BadInput(f"{where}: not the name of a data set; write hf://ORG/NAME") from error
    except HfHubHTTPError as error:
        status = error.response.status_code
        raise BadInput(f"{where}: the hub answers with status {status}; try again later") from error
    except MemoryError:
        raise
    except Exception as error:  # of the connection, and what broken files come to
        reason = " ".join(str(error).split())[:200]
        raise BadInput(f"{where}: cannot be read from the hub ({type(error).__name__}: {reason})") from error
