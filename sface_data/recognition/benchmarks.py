"""Benchmarks of verification: pairs of images, and whether each pair is of one person.

Three forms are read. `.bin` files as InsightFace publishes them are pickles of (list of encoded images, list of
bool); they are read as data (see `pickles.py`), nothing in them is executed. Pairs lists are text over a folder
of images: the `pairs.txt` of LFW (http://vis-www.cs.umass.edu/lfw/README.txt), or lines `path1 path2 0/1`. Tables
are Parquet, as `datasets` writes it: two columns of images and one that says whether both show one person.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from sface_data.embedding.embedder import Embedder
from sface_data.embedding.torch_embedder import NetworkEmbedder
from sface_data.errors import BadInput
from sface_data.io.files import is_dir, is_file, os_errors_as_bad_input, read_bytes
from sface_data.io.images import BrokenImage, decode_image
from sface_data.recognition.benchmark_files import entry, read_bin, read_list
from sface_data.recognition.pairs_table import read_table
from sface_data.recognition.published import PUBLISHED
from sface_data.recognition.verification import OperatingPoint, Roc, Verification, roc, tar_at_far, ten_fold
from sface_data.runtime.prefetch import prefetch
from sface_data.runtime.progress import Progress

LISTS = (".txt", ".csv")
TABLE = ".parquet"
ORIGIN = (
    "such files are in the training packages of InsightFace's dataset zoo "
    "(https://github.com/deepinsight/insightface/tree/master/recognition/_datasets_), among them faces_emore and "
    "faces_webface_112x112"
)
_BATCHES_AHEAD = 4


@dataclass(frozen=True)
class Benchmark:
    """Pairs of encoded images. Pair i is images 2i and 2i+1.

    Attributes:
        name: of the file, without its ending.
        images: [2P] each bytes, or the path of a file that is read when it is needed.
        issame: [P] whether pair i is of one person.
    """

    name: str
    path: Path
    images: Sequence[bytes | Path]
    issame: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.issame)

    @property
    def title(self) -> str:
        """The name as papers write it."""
        return PUBLISHED.get(self.name, self.name)

    def decode(self, index: int) -> NDArray[np.uint8]:
        """The pixels [H,W,3] of an image, RGB.

        Raises:
            BadInput: if it is broken or cannot be read; the sentence names the entry.
        """
        image = self.images[index]
        where = f"{self.path}: {entry(index)}"
        if isinstance(image, Path):
            where += f", {image}"
            image = read_bytes(image)
        try:
            return decode_image(image, where)
        except BrokenImage as error:
            cause = error.__cause__ or "not an image of a known format"
            raise BadInput(f"{where}, is broken ({cause}); get the file again") from error

    def distinct(self) -> tuple[list[int], NDArray[np.int64]]:
        """Indices of images that are not the same as an earlier one, and for all images [2P] which of those it is.

        In published benchmarks an image is in several pairs.
        """
        order: dict[bytes | Path, int] = {}
        which = [order.setdefault(image, len(order)) for image in self.images]
        indices = dict(zip(reversed(which), reversed(range(len(which))), strict=True))  # the first one wins
        return [indices[number] for number in range(len(order))], np.array(which, np.int64)

    def batches(
        self, size: int, threads: int = 2, indices: Sequence[int] | None = None
    ) -> Iterator[NDArray[np.uint8]]:
        """Images in order as [n,H,W,3], n = `size` but for the last, decoded in threads ahead of use.

        Args:
            indices: of the images; all by default.

        Raises:
            BadInput: as `decode`, and for images that are not square or not of one size.
        """
        shape = self.decode(0).shape
        if shape[0] != shape[1]:
            raise BadInput(f"{self.path}: images of {shape[1]} x {shape[0]} pixels; aligned faces are square")
        indices = range(len(self.images)) if indices is None else indices
        parts = (indices[first : first + size] for first in range(0, len(indices), size))
        with ThreadPoolExecutor(threads) as pool:
            yield from prefetch(pool, lambda part: self._batch(part, shape), parts, max(_BATCHES_AHEAD, threads))

    def _batch(self, indices: Sequence[int], shape: tuple[int, ...]) -> NDArray[np.uint8]:
        batch = np.empty((len(indices), *shape), np.uint8)  # [N,H,W,3]
        for row, index in enumerate(indices):
            pixels = self.decode(index)
            if pixels.shape != shape:
                raise BadInput(
                    f"{self.path}: {entry(index)} has {pixels.shape[1]} x "
                    f"{pixels.shape[0]} pixels, but the first has {shape[1]} x {shape[0]}; make all one size"
                )
            batch[row] = pixels
        return batch


def find_benchmarks(folder: Path, names: Sequence[str] = ()) -> list[Path]:
    """The files of benchmarks in a folder: those asked for, or all, the published ones first.

    Args:
        names: as `lfw` or `LFW`; upper and lower case, `-` and `_` are the same. A name stands for the file
            NAME.bin, else NAME.parquet, NAME.txt or NAME.csv.

    Raises:
        BadInput: if one is missing, or there are none; the sentence says what is expected and where it comes from.
    """
    with os_errors_as_bad_input(folder):
        there = {
            (_plain(path.stem), path.suffix): path
            for path in sorted(folder.iterdir(), reverse=True)
            if path.suffix in (".bin", TABLE, *LISTS) and is_file(path)
        }
    if not names:
        order = [*PUBLISHED, *sorted({name for name, _ in there} - set(PUBLISHED))]
        found = [path for name in order if (path := _first(there, name))]
        if not found:
            expected = ", ".join(f"{name}.bin" for name in PUBLISHED)
            raise BadInput(
                f"{folder}: no benchmark in it; expected are {expected}, a table of pairs (.parquet) or a pairs "
                f"list (.txt, .csv); {ORIGIN}"
            )
        return found
    paths = []
    for name in dict.fromkeys(map(_plain, names)):
        path = _first(there, name)
        if path is None:
            origin = f"; {ORIGIN}" if name in PUBLISHED else ""
            raise BadInput(
                f"{folder / name}.bin: missing; expected is this file, or pairs in {name}.parquet, {name}.txt or "
                f"{name}.csv{origin}"
            )
        paths.append(path)
    return paths


def _plain(name: str) -> str:
    return name.lower().replace("-", "_")


def _first(there: dict[tuple[str, str], Path], name: str) -> Path | None:
    return next((there[name, suffix] for suffix in (".bin", TABLE, *LISTS) if (name, suffix) in there), None)


def open_benchmark(path: Path, folder: Path | None = None) -> Benchmark:
    """A `.bin` file, a table (`.parquet`) or a pairs list (`.txt`, `.csv`).

    Args:
        folder: that paths in a pairs list start from; by default the folder named like the list beside it if
            there is one, else the folder of the list.

    Raises:
        BadInput: if it cannot be read, is cut short, holds anything that a benchmark has no need of, or its images
            and labels do not fit together. Nothing in it has been executed then either.
    """
    images: Sequence[bytes | Path]
    if path.suffix in LISTS:
        beside = path.with_suffix("")
        images, issame = read_list(path, folder or (beside if is_dir(beside) else path.parent))
    elif path.suffix == TABLE:
        images, issame = read_table(path)
    else:
        images, issame = read_bin(path)
    if len(images) < 2 * len(issame):
        raise BadInput(
            f"{path}: {len(images) // 2:,} pairs of images but {len(issame):,} labels; get the file again"
        )
    images = images[: 2 * len(issame)]  # more of them are read by no tool
    labels = np.array(issame, bool)
    if labels.all() or not labels.any():
        raise BadInput(f"{path}: {len(labels):,} pairs, but not both of one person and of two; nothing to verify")
    return Benchmark(_plain(path.stem), path, images, labels)


@dataclass(frozen=True)
class BenchmarkResult:
    """How well an embedder does on a benchmark."""

    benchmark: Benchmark
    verification: Verification
    tar_at_far: tuple[OperatingPoint, ...]
    roc: Roc


def evaluate(
    embedder: Embedder | NetworkEmbedder,
    benchmark: Benchmark,
    batch: int = 64,
    threads: int = 2,
    progress: Progress = lambda images: None,
) -> BenchmarkResult:
    """Embeds all images of a benchmark and verifies its pairs.

    Args:
        batch: images that the embedder gets at a time.
        threads: that decode ahead.
        progress: called with how many of the 2P images each finished batch stands for.

    Raises:
        BadInput: if an image is broken or the embedder gives numbers that are not finite.
    """
    indices, which = benchmark.distinct()
    count = np.bincount(which)  # how often each comes
    parts: list[NDArray[np.float32]] = []
    done = 0
    for images in benchmark.batches(batch, threads, indices):
        parts.append(embedder.embed(images))
        progress(int(count[done : done + len(images)].sum()))
        done += len(images)
    embeddings = np.concatenate(parts)[which]
    try:
        return BenchmarkResult(
            benchmark,
            ten_fold(embeddings, benchmark.issame),
            tar_at_far(embeddings, benchmark.issame),
            roc(embeddings, benchmark.issame),
        )
    except BadInput as error:
        raise BadInput(f"{benchmark.path}: {error}") from error


def accuracy_on(
    benchmarks: Sequence[Benchmark], device: torch.device
) -> Callable[[nn.Module], Mapping[str, float]]:
    """A function that gives the accuracy of a network on each benchmark, by name."""

    def measured(network: nn.Module) -> dict[str, float]:
        embedder = NetworkEmbedder(network, device, "the network in training")
        return {
            f"accuracy_{benchmark.name}": evaluate(embedder, benchmark).verification.accuracy
            for benchmark in benchmarks
        }

    return measured
