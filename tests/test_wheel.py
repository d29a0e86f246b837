"""The wheel, installed where no checkout is, with nothing but what it asks for, and without libGL."""

import json
import os
import re
import subprocess
import sys
import venv
import zipfile
from email.message import Message
from email.parser import BytesParser
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.test_docs_commands import _BLOCK, QUICKSTART, ROOT, arguments_of

# Commands of the other pages, on what the quickstart makes, and how what each says begins: they read all that is
# in the wheel.
FURTHER = {
    "embed faces --embedder demo --align detect --outdir embeddings": "embeddings: 64 embeddings of 8 classes",
    "export faces --to parquet --outdir table": "table: 64 images, the same as in faces",
    "audit faces --training authentic --embedder demo --policy paper --outdir audit": "audit/report.html: ",
    "card faces --licence cc-by-4.0": "faces/LICENSE: written",
}
# Reads a list of commands (lists) and of Python texts, and writes what each printed: in one process, since the
# imports take most of the time.
DRIVER = """
import contextlib, io, json, sys
from sface_data.cli import main

said = []
for step in json.load(sys.stdin):
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        if isinstance(step, str):
            exec(compile(step, "docs", "exec"), {})
        else:
            with contextlib.suppress(SystemExit):  # what it said before is looked at
                main(step, standalone_mode=False)
    said.append(out.getvalue())
json.dump(said, sys.stdout)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return BytesParser().parsebytes(archive.read(name))


def needed(requirements: list[str]) -> set[str]:
    """The distributions that are installed with these, extras left out unless asked for."""
    found: set[str] = set()
    left = [(Requirement(each), "") for each in requirements]
    while left:
        requirement, extra = left.pop()
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        for wanted in ("", *requirement.extras):
            if f"{name}[{wanted}]" not in found:
                found.add(f"{name}[{wanted}]")
                left += [(Requirement(each), wanted) for each in distribution(name).requires or []]
    return {name.partition("[")[0] for name in found}


@pytest.fixture(scope="module")
def python(wheel: Path, metadata: Message, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with the wheel and links to what it needs, and no more."""
    folder = tmp_path_factory.mktemp("fresh") / "venv"
    venv.create(folder, symlinks=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    for name in needed(metadata.get_all("Requires-Dist", [])):
        found = distribution(name)
        for top in {file.parts[0] for file in found.files or []} - {"..", "__pycache__"}:
            if not (packages / top).exists():
                (packages / top).symlink_to(found.locate_file(top))
    return folder / "bin" / "python"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """No paths of this one, and a libGL that cannot be loaded."""
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "libGL.so.1").write_bytes(b"")
    shared = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "HOME": str(tmp_path)}
    return {"PATH": os.environ["PATH"], "LD_LIBRARY_PATH": str(tmp_path / "lib"), **shared}


def test_the_quickstart_runs_and_says_what_it_says(
    python: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    steps: list[list[str] | str] = []
    wanted: dict[int, str] = {}  # what the docs say that a step prints
    for language, text in _BLOCK.findall(QUICKSTART.read_text(encoding="utf-8")):
        if language == "sh":
            for line in text.splitlines():
                arguments = arguments_of(line)
                assert arguments is not None, line
                steps.append(arguments)
        elif language == "python":
            steps.append(text)
        else:
            wanted[len(steps) - 1] = text
    first = len(steps)
    steps += [command.split() for command in FURTHER]
    ended = subprocess.run(
        [python, "-c", DRIVER],
        input=json.dumps(steps),
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    said = json.loads(ended.stdout)
    for step, text in wanted.items():
        # Digests of images depend on the processor.
        lines = [re.sub(r"\b[0-9a-f]{12}\b", "DIGEST", line) for line in (text + said[step]).splitlines()]
        expected, found = lines[: len(text.splitlines())], lines[len(text.splitlines()) :]
        assert [line for line in expected if line not in found] == []
    for begins, text in zip(FURTHER.values(), said[first:], strict=True):
        assert any(line.startswith(begins) for line in text.splitlines()), text


def test_it_starts_by_name(python: Path, environment: dict[str, str], wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("entry_points.txt"))
        assert "sface-data = sface_data.__main__:run" in archive.read(name).decode()
    program = "from sface_data.__main__ import run; run()"
    ended = subprocess.run(
        [python, "-c", program, "--help"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "generate" in ended.stdout


def test_the_wheel_has_all_that_it_reads_and_what_licences_ask_for(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for name in ("py.typed", "cards/policies/strict.toml", "assets/demo_embedder.onnx", "assets/mtcnn/NOTICE"):
        assert f"sface_data/{name}" in names
    assert any(name.endswith("licenses/sface_data/assets/mtcnn/NOTICE") for name in names)
    assert not [name for name in names if name.startswith(("tests", "scripts", "docs"))]


def test_what_the_index_shows_has_no_dead_links(metadata: Message) -> None:
    page = metadata.get_payload()
    assert page.startswith("# sface-data")
    assert re.findall(r"\]\((?!https?://)[^)]*\)", page) == []
    assert "Typing :: Typed" in metadata.get_all("Classifier", [])
    assert {"opencv-python", "insightface"}.isdisjoint(needed(metadata.get_all("Requires-Dist", [])))
