"""What many tests share: recorded networks, and one small data set made from them."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from sface_data.auditing.compare.pairs import PairScores
from sface_data.embedding.embed import listed_sha256
from sface_data.embedding.embeddings import EmbeddingSet
from sface_data.io.files import sha256_of_file
from sface_data.rendered.folder import RenderRequest, fill_folder
from tests.forms import forms, labelled, tar  # noqa: F401 (fixtures)
from tests.onnx_networks import write_detector, write_embedder

GOLDEN = Path(__file__).parent / "golden"
RENDERED = RenderRequest(identities=8, images_per_identity=6, size=64)


@pytest.fixture(scope="session", autouse=True)
def _threads() -> None:
    """One, whatever the machine has: networks so small are not worth more, and manifests name the number."""
    torch.set_num_threads(1)
    os.environ["OMP_NUM_THREADS"] = "1"  # of the processes that tests start


@pytest.fixture(scope="session", autouse=True)
def _few_replicates() -> Iterator[None]:
    """Of the bootstrap of audits, which takes most of their time: 200 in place of 1,000."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PairScores.subjects, "__defaults__", (0, 200))
        yield


@pytest.fixture(scope="session")
def golden() -> Path:
    """The folder with recorded snapshots (`NAME.pkl`) and what the published code makes of them (`NAME.npz`)."""
    return GOLDEN


@pytest.fixture
def run() -> Callable[..., tuple[int, str, str]]:
    """Runs `sface-data` in this process: exit code, standard output, standard error."""
    from click.testing import CliRunner

    from sface_data.cli import main

    def call(*args: object) -> tuple[int, str, str]:
        result = CliRunner().invoke(main, [str(arg) for arg in args])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, result.stdout, result.stderr

    return call


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory, golden: Path) -> Path:
    """A finished data set of 10 classes x 6 in 3 shards. Tests read it, and copy it to change it."""
    from click.testing import CliRunner

    from sface_data.cli import main

    directory = tmp_path_factory.mktemp("dataset") / "faces"
    arguments = [
        "generate",
        "--network",
        golden / "conditional-32.pkl",
        "--outdir",
        directory,
        "--precision",
        "fp32",
    ]
    arguments += ["--samples-per-class", 6, "--samples-per-shard", 25, "--size", 32, "--device", "cpu"]
    result = CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.stderr
    return directory


@pytest.fixture(scope="session")
def rendered_faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `sface-data render` makes of 8 identities x 6 images of 64 x 64 pixels. For reading only."""
    outdir = tmp_path_factory.mktemp("rendered") / "faces"
    for _ in fill_folder(outdir, RENDERED, workers=1):
        pass
    return outdir


@pytest.fixture(scope="session")
def embedder_file() -> Callable[..., Path]:
    return write_embedder


@pytest.fixture(scope="session")
def detector_file() -> Callable[..., Path]:
    return write_detector


@pytest.fixture(scope="session")
def write_embeddings() -> Callable[[Path, EmbeddingSet], Path]:
    """Writes a folder of embeddings, as `sface-data embed` makes it."""

    def write(folder: Path, faces: EmbeddingSet) -> Path:
        folder.mkdir(parents=True)
        part = folder / "part-000000.parquet"
        faces.save(part)
        index = {
            "format": "sface-data embeddings folder 1",
            "embedder": {"name": "judge", "sha256": faces.embedder_sha256, "dimensions": faces.dimensions},
            "detector_sha256": faces.detector_sha256,
            "source_sha256": listed_sha256(faces),
            "faces": len(faces),
            "classes": len(faces.class_names),
            "parts": [{"file": part.name, "sha256": sha256_of_file(part), "faces": len(faces)}],
            "left_out": [],
        }
        (folder / "embeddings.json").write_text(json.dumps(index))
        return folder

    return write
