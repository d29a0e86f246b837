import csv
import multiprocessing
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from PIL import Image

from sface_data.errors import BadInput
from sface_data.io.folders import LOCK
from sface_data.rendered.folder import LANDMARKS, RenderRequest, fill_folder
from sface_data.rendered.head import bake
from sface_data.rendered.identity import draw_identity
from sface_data.rendered.render import landmarks_of
from sface_data.rendered.variation import draw_variation
from tests.killing import killed_again_and_again, tree

SMALL = RenderRequest(identities=2, images_per_identity=3, size=32)


def fill(outdir: Path, request: RenderRequest, workers: int = 1) -> tuple[int, int]:
    """Numbers of new and of found images."""
    done = list(fill_folder(outdir, request, workers))
    return sum(progress.new for progress in done), sum(progress.found for progress in done)


def test_the_bytes_do_not_depend_on_the_number_of_processes(tmp_path: Path) -> None:
    assert fill(tmp_path / "one", SMALL) == (6, 0)
    assert fill(tmp_path / "two", SMALL, workers=2) == (6, 0)
    assert tree(tmp_path / "one") == tree(tmp_path / "two")


def test_an_image_does_not_depend_on_how_many_are_made(rendered_faces: Path, tmp_path: Path) -> None:
    fill(tmp_path, RenderRequest(identities=2, images_per_identity=2, size=64))
    for name in ("000000/000001.jpg", "000001/000000.jpg"):
        assert (tmp_path / name).read_bytes() == (rendered_faces / name).read_bytes()


def test_the_landmarks_of_every_image_are_listed(rendered_faces: Path) -> None:
    with (rendered_faces / LANDMARKS).open(newline="") as file:
        rows = list(csv.DictReader(file))
    images = sorted(str(path.relative_to(rendered_faces)) for path in rendered_faces.glob("*/*.jpg"))
    assert [row["file"] for row in rows] == images
    assert len(images) == 48
    with Image.open(rendered_faces / images[0]) as image:
        assert image.size == (64, 64)
    expected = landmarks_of(bake(draw_identity(0, 1)), draw_variation(0, 1, 2), 64)
    listed = [float(value) for name, value in rows[8].items() if name != "file"]
    np.testing.assert_allclose(listed, expected.ravel(), atol=1e-3)


def test_landmarks_are_written_as_they_are_found(tmp_path: Path) -> None:
    blocks, unfinished = fill_folder(tmp_path, SMALL, 1), tmp_path / f".{LANDMARKS}.part"
    next(blocks)
    assert unfinished.exists()
    del blocks
    assert not unfinished.exists() and not (tmp_path / LANDMARKS).exists()


def test_a_script_needs_no_guard_and_no_torch(tmp_path: Path) -> None:
    """The processes do not import the program that starts them, and so do not start it again."""
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\nfrom pathlib import Path\nfrom sface_data.rendered.folder import RenderRequest, fill_folder\n"
        "print('once')\nblocks = list(fill_folder(Path(sys.argv[1]), RenderRequest(2, 1, 16), 2))\n"
        "print(len(blocks), 'torch' in sys.modules)\n"
    )
    arguments = [sys.executable, script, tmp_path / "faces"]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    assert done.stdout == "once\n2 False\n"


def test_only_what_is_missing_is_made_again(tmp_path: Path) -> None:
    fill(tmp_path, SMALL)
    whole = tree(tmp_path)
    (tmp_path / "000001/000002.jpg").unlink()
    (tmp_path / LANDMARKS).unlink()
    (tmp_path / "000000/.000001.jpg.part").write_bytes(b"half a")
    (tmp_path / "000000/000001.jpg").unlink()
    assert fill(tmp_path, SMALL) == (2, 4)
    assert tree(tmp_path) == whole


def test_a_damaged_image_is_made_again_and_an_edited_readme_stays(tmp_path: Path) -> None:
    fill(tmp_path, SMALL)
    whole = tree(tmp_path)
    (tmp_path / "000000/000000.jpg").write_bytes(b"")
    (tmp_path / "000001/000001.jpg").write_bytes(whole["000001/000001.jpg"][:-100])
    (tmp_path / "README.md").write_bytes(b"edited")
    assert fill(tmp_path, SMALL) == (2, 4)
    assert tree(tmp_path) == {**whole, "README.md": b"edited"}


def test_killed_and_resumed_gives_the_same_bytes(tmp_path: Path) -> None:
    command = ["render", "--identities", 1, "--images-per-identity", 9, "--size", 32]
    whole, killed = killed_again_and_again(lambda outdir: [*command, "--outdir", outdir], tmp_path)
    assert tree(killed) == tree(whole)


def test_a_killed_worker_is_one_sentence_and_nothing_is_lost(tmp_path: Path) -> None:
    request = RenderRequest(identities=30, images_per_identity=2, size=32)
    blocks = fill_folder(tmp_path, request, workers=2)
    next(blocks)
    for process in multiprocessing.active_children():
        process.kill()
    with pytest.raises(BadInput, match="run the same command again"):
        list(blocks)
    assert sum(fill(tmp_path, request)) == 60
    fill(tmp_path / "whole", request)
    whole = tree(tmp_path / "whole")
    shutil.rmtree(tmp_path / "whole")
    assert tree(tmp_path) == whole


@pytest.mark.parametrize(
    "other",
    [
        RenderRequest(3, 3, 32),
        RenderRequest(2, 4, 32),
        RenderRequest(2, 3, 33),
        RenderRequest(2, 3, 32, seed=1),
        RenderRequest(2, 3, 32, strength=0.5),
    ],
)
def test_another_request_in_the_same_folder_changes_nothing(tmp_path: Path, other: RenderRequest) -> None:
    fill(tmp_path, SMALL)
    before = tree(tmp_path)
    with pytest.raises(BadInput, match=r"another request(.|\n)*: .*, not "):
        fill_folder(tmp_path, other, 1)
    assert tree(tmp_path) == before


def test_a_folder_with_other_things_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(BadInput, match=r"thesis\.txt.*choose an empty one"):
        fill_folder(tmp_path, SMALL, 1)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_two_processes_do_not_fill_the_same_folder(tmp_path: Path) -> None:
    with FileLock(tmp_path / LOCK), pytest.raises(BadInput, match="another process"):
        fill(tmp_path, SMALL)


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="file"):
        fill(tmp_path / "file" / "faces", SMALL)


@pytest.mark.parametrize(
    "values", [(0, 1), (1, 0), (1, 1, 15), (1, 1, 64, -1), (1, 1, 64, 0, float("nan"))], ids=str
)
def test_a_request_out_of_range_is_refused(values: tuple[int, ...]) -> None:
    with pytest.raises(BadInput, match="must be"):
        RenderRequest(*values)
