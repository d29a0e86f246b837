"""Ends work at a moment at which it changes the disk, as a kill or a power cut would.

A moment is the opening of a file to write, an fsync (with half of what was written there, and with all of it),
a rename, or the removal of a file. The work runs in a fork, which ends there and then: nothing is tidied up, and
what was not written is lost. Functions run in a fork of this process; commands, which use threads, in a fork of a
server that has imported everything.
"""

import json
import os
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any, NoReturn

from tests.processes import SERVER

_KILLED, _DONE, _NEVER = 99, 0, 1 << 30
_WRITES = os.O_WRONLY | os.O_RDWR


def tree(folder: Path) -> dict[str, bytes]:
    """The bytes of every file below a folder, of hidden ones too but for locks."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def steps_in(metrics: bytes) -> list[dict[str, Any]]:
    """The lines of a training's metrics without its speed."""
    return [{**json.loads(line), "images_per_second": None} for line in metrics.splitlines()]


def crash_points(
    prepare: Callable[[], Path], function: Callable[[Path], object], step: int = 1
) -> Iterator[tuple[str, Path]]:
    """Runs a function on a folder made anew again and again, each time until a later moment.

    Args:
        step: how many moments later.

    Yields:
        What it was about to do, and the folder as it was left. The last time it came to its end.
    """
    for point in range(0, _NEVER, step):
        folder = prepare()
        log = folder.parent / "moments"
        process = os.fork()
        if process == 0:
            _run_until(point, log, partial(function, folder))
        status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        assert status in (_KILLED, _DONE), f"the function failed by itself at moment {point}"
        yield log.read_text().splitlines()[-1], folder
        if status == _DONE:
            return


def killed_again_and_again(
    command: Callable[[Path], Sequence[object]], folder: Path, kills: int = 2
) -> tuple[Path, Path]:
    """Runs a command to its end, and again with kills at fixed moments, each time run again until it ends.

    Args:
        command: the arguments that fill a folder.
        folder: for both folders.

    Returns:
        The folder of the undisturbed run, and that of the killed one.
    """
    whole, killed = folder / "whole", folder / "killed"
    moments = _run(command(whole), _NEVER, folder / "moments")
    step = max(2, len(moments) // (kills + 1))
    for kill in range(kills):
        reached = _run(command(killed), step + kill, folder / "moments")  # from kill to kill another kind
        assert kill > 0 or len(reached) == step + 1, "it was finished before it was killed"
    _run(command(killed), _NEVER, folder / "moments")
    return whole, killed


def killed_at_random(
    command: Callable[[Path], Sequence[object]], folder: Path, whole: Path, kills: int, seed: int
) -> list[Path]:
    """Runs a command to its end, and again with a SIGKILL each time after as long as chance says.

    Args:
        command: the arguments that fill a folder.
        whole: for the undisturbed run.

    Returns:
        Folders below `folder` that were filled: one that was finished in spite of all is followed by another.
    """
    start, moments = time.perf_counter(), random.Random(seed)
    _run(command(whole), _NEVER, folder / "moments")
    duration = time.perf_counter() - start
    filled = [folder / "0"]
    for _ in range(kills):
        process = _started(command(filled[-1]), _NEVER, folder / "moments")
        process.join(moments.uniform(0, 0.35 * duration))
        process.kill()
        process.join()
        if process.exitcode == _DONE:
            filled.append(folder / str(len(filled)))
    for path in filled:
        _run(command(path), _NEVER, folder / "moments")
    return filled


def moments_of(command: Sequence[object], log: Path) -> list[str]:
    """Runs a command to its end, and returns what it was about to do at each of its moments."""
    return _run(command, _NEVER, log)[:-1]


def stopped_at(command: Sequence[object], point: int, log: Path) -> str:
    """Runs a command until a moment, and returns what it was about to do."""
    return _run(command, point, log)[-1]


def signalled_at(command: Sequence[object], point: int, number: int, log: Path) -> tuple[int | None, str]:
    """Runs the program with a signal to itself at a moment; returns how it ended, and what it said."""
    said = log.with_name("said")
    process = SERVER.Process(target=_run_program, args=(command, point, number, log, said))
    process.start()
    process.join()
    return process.exitcode, said.read_text(errors="replace")


def _run(command: Sequence[object], point: int, log: Path) -> list[str]:
    """Runs a command until a moment, and returns what it had done and was about to do."""
    process = _started(command, point, log)
    process.join()
    assert process.exitcode in (_KILLED, _DONE), f"the command failed by itself: {process.exitcode}"
    return log.read_text().splitlines()


def _started(command: Sequence[object], point: int, log: Path) -> ForkServerProcess:
    process = SERVER.Process(target=_run_until, args=(point, log, partial(_call, command)))
    process.start()
    return process


def _call(command: Sequence[object]) -> None:
    from sface_data.cli import main
    from sface_data.errors import CheckFailed

    try:
        main([str(argument) for argument in command], standalone_mode=False)
    except SystemExit as ending:
        if ending.code != CheckFailed.exit_code:  # which is how an audit that does not pass comes to its end
            raise


def _run_program(command: Sequence[object], point: int, number: int, log: Path, said: Path) -> NoReturn:
    """As a shell starts it in the foreground, but for its standard error."""
    os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
    sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = ["sface-data", *(str(argument) for argument in command)]
    _run_until(point, log, _call_program, number)


def _call_program() -> NoReturn:
    from sface_data.__main__ import run

    code: Any = 0
    try:
        run()
    except SystemExit as ending:
        code = ending.code or 0
    sys.stderr.flush()
    os._exit(code)


def _run_until(point: int, log: Path, function: Callable[[], object], number: int | None = None) -> NoReturn:
    """Ends this process at a moment of the function, or after it; the log has a line for each moment.

    Args:
        number: of the signal that it gets then; by default it ends there and then.
    """
    log.unlink(missing_ok=True)
    lines = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    left = point

    def moment(what: str, last: Callable[[], object] = lambda: None) -> None:
        nonlocal left
        if left < 0:  # it has ended
            return
        os.write(lines, f"{what}\n".encode())
        left -= 1
        if left < 0 and number is None:
            last()
            os._exit(_KILLED)
        elif left < 0 and number is not None:
            os.kill(os.getpid(), number)

    real_fsync = os.fsync

    def fsync(descriptor: int) -> None:
        path = os.readlink(f"/proc/self/fd/{descriptor}")  # noqa: PTH115
        size = os.fstat(descriptor).st_size
        if not Path(path).is_dir():
            moment(f"half of a write to {path}", lambda: os.ftruncate(descriptor, size // 2))
        moment(f"fsync of {path}")
        real_fsync(descriptor)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "os.rename" or (event == "os.remove" and os.path.lexists(arguments[0])):
            moment(f"{event} of {arguments[0]}")
        elif event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITES:
            moment(f"open of {arguments[0]}")

    try:
        os.fsync = fsync
        sys.addaudithook(hook)
        function()
        left = -1
        os.write(lines, b"end\n")
        os._exit(_DONE)
    except BaseException:
        traceback.print_exc()
    os._exit(1)
