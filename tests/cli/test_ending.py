"""How commands end where the machine, and not the input, is at fault."""

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from sface_data.cli import ending, main
from sface_data.errors import BadInput, counted

RENDER = ["render", "--identities", "1", "--images-per-identity", "1", "--size", "16", "--outdir"]


def shell(command: str, tmp_path: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Runs a line of a shell in which `P` is the program."""
    line = command.replace("P ", f"{sys.executable} -m sface_data ")
    return subprocess.run(
        line,
        shell=True,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, **environment},
        timeout=120,
    )


@pytest.mark.parametrize("variable", ["TQDM_DISABLE", "TQDM_ASCII"])
def test_settings_of_progress_bars_in_the_environment(tmp_path: Path, variable: str) -> None:
    done = shell(f"P {' '.join(RENDER)} faces", tmp_path, **{variable: "1"})
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.splitlines()[-1] == "faces: 1 image of 1 identity"


@pytest.mark.parametrize("streams", ["2>/dev/full", "2>&-", ">&- 2>&- <&-"])
def test_what_cannot_be_said_stops_nothing(tmp_path: Path, streams: str) -> None:
    done = shell(f"P {' '.join(RENDER)} faces {streams}", tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert len(list((tmp_path / "faces").rglob("*.jpg"))) == 1


def test_an_answer_that_cannot_be_given_is_an_error(tmp_path: Path) -> None:
    done = shell("P --version >/dev/full", tmp_path)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("number", ending.SIGNALS)
def test_a_signal_while_modules_are_imported(number: signal.Signals) -> None:
    code = f"""
import importlib.abc, os, signal, sys
signal.signal({int(number)}, signal.SIG_DFL)
from sface_data.__main__ import run
class Stop(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "click":
            os.kill(os.getpid(), {int(number)})
sys.meta_path.insert(0, Stop())
run()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 128 + number
    assert done.stderr == "sface-data: stopped before anything was done\n"


def context() -> click.Context:
    return click.Context(main)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp:118] DefaultCPUAllocator: can't allocate memory: you tried"),
        RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB"),
        RuntimeError("std::bad_alloc"),
    ],
)
def test_too_little_memory(error: Exception) -> None:
    sentence = "out of memory; run the same command again with more memory; what was finished is kept"
    assert ending.explained(error, context()) == (sentence, 2)


RUN = (
    "with more memory or, by torchrun, on more GPUs or machines, or start a run with a smaller --batch in another"
)


@pytest.mark.parametrize(
    ("command", "advice"),
    [
        ("generate --batch 4096", "with --batch 2048, or"),
        ("generate --batch 1", "with more memory; what"),
        ("generate", "with a smaller --batch, or"),
        ("generator train --data .", RUN),
        ("recognition train --data . --recipe cls --batch 64", RUN),
    ],
)
def test_a_command_says_what_helps_when_memory_runs_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, advice: str
) -> None:
    def full(*arguments: object, **options: object) -> None:
        raise MemoryError

    for name in ("generate", "train_generator", "train_recognition"):
        monkeypatch.setattr(f"sface_data.api.{name}", full, raising=False)
    done = CliRunner().invoke(main, [*command.split(), "--outdir", str(tmp_path / "faces")])
    assert done.exit_code == 2
    assert f"out of memory; run the same command again {advice}" in done.stderr


def test_errors_of_the_system_and_faults_of_ours() -> None:
    denied = PermissionError(errno.EACCES, "Permission denied", "a\nb")
    assert ending.explained(denied, context()) == ("a\\nb: Permission denied", 2)
    full = OSError(errno.ENOSPC, "No space left on device")
    assert ending.explained(full, context()) == ("standard output: No space left on device", 2)
    assert ending.explained(BadInput("x: y"), context()) == ("x: y", 2)
    assert ending.explained(KeyError("x"), context()) is None
    assert ending.explained(RuntimeError("x"), context()) is None
    with pytest.raises(UnicodeEncodeError) as raised:
        "a\udcff".encode()
    assert ending.explained(raised.value, context()) == (
        "a\\udcff: a name that is not UTF-8, which no data set can hold; rename it",
        2,
    )


@pytest.mark.parametrize("option", ["--outdir", "--embedder"])
def test_addresses_are_no_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ["embed", "faces", "--embedder", "x.onnx", "--outdir", "out", option, "s3://bucket/x"]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 2
    assert "s3://bucket/x is an address; files are read and written on this machine only" in done.stderr
    assert not list(tmp_path.iterdir())


def test_the_home_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "home" / "faces").mkdir(parents=True)
    done = CliRunner().invoke(main, ["validate", "~/faces"])
    assert not (tmp_path / "~").exists()
    assert str(tmp_path / "home" / "faces") in done.output


@pytest.mark.parametrize(
    ("option", "value"),
    [("--strength", "nan"), ("--strength", "inf"), ("--seed", "9" * 23), ("--identities", "9" * 23)],
)
def test_numbers_that_are_none(tmp_path: Path, option: str, value: str) -> None:
    done = CliRunner().invoke(main, [*RENDER, str(tmp_path / "faces"), option, value])
    assert done.exit_code == 2
    assert not (tmp_path / "faces").exists()


def test_lists_of_choices_are_part_of_the_sentence(run: Callable[..., tuple[int, str, str]]) -> None:
    said = run("recognition", "train", "--data", "faces", "--outdir", "run")[2]
    assert said.startswith("sface-data: Missing option '--recipe'. Choose from: cls, kt, cls-kt. See `")


def test_counts_of_one() -> None:
    assert [counted(n, "class") for n in (0, 1, 2)] == ["0 classes", "1 class", "2 classes"]
    assert counted(1, "identity") == "1 identity" and counted(1000, "identity") == "1,000 identities"


@pytest.mark.parametrize("words", [[], ["generator"], ["recognition"]])
def test_summaries_of_commands_fit_into_a_line(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    commands = CliRunner().invoke(main, [*words, "--help"]).output.partition("Commands:\n")[2]
    assert commands and "..." not in commands
    assert all(line.startswith("  ") and line[2] != " " for line in commands.splitlines())
