"""What many tests share: recorded networks, and one small data set made from them."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from sface_data.faces.rendered.folder import RenderRequest, fill_folder

GOLDEN = Path(__file__).parent / "golden"
RENDERED = RenderRequest(identities=8, images_per_identity=6, size=64)


@pytest.fixture(scope="session", autouse=True)
def _threads() -> None:
    torch.set_num_threads(2)


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
