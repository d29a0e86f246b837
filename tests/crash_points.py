"""Ends a function at each moment at which it changes the disk, as a kill or a power cut would.

A moment is the opening of a file to write, an fsync (with what was written there, and with half of it), a rename,
or the removal of a file. The function runs in a fork of this process, which ends there and then: nothing is tidied
up, and what was not written is lost.
"""

import os
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

_KILLED, _DONE = 99, 0
_WRITES = os.O_WRONLY | os.O_RDWR


def crash_points(
    prepare: Callable[[], Path], function: Callable[[Path], object], step: int = 1
) -> Iterator[tuple[str, Path]]:
    """Runs a function on a folder made anew again and again, each time until a later moment.

    Args:
        step: how many moments later.

    Yields:
        What it was about to do, and the folder as it was left. The last time it came to its end.
    """
    point = 0
    while True:
        folder = prepare()
        said = folder.parent / "moment"
        process = os.fork()
        if process == 0:
            _run_until(point, said, lambda folder=folder: function(folder))
        status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        assert status in (_KILLED, _DONE), f"the function failed by itself at moment {point}"
        if status == _DONE:
            yield "end", folder
            return
        yield said.read_text(), folder
        point += step


def _run_until(point: int, said: Path, function: Callable[[], object]) -> NoReturn:
    left = point

    def moment(what: str, last: Callable[[], object] = lambda: None) -> None:
        nonlocal left
        if left == 0:
            left = -1  # what follows meets no other moment
            last()
            said.write_text(what)
            os._exit(_KILLED)
        left -= left > 0

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
        os._exit(_DONE)
    except BaseException:
        traceback.print_exc()
    os._exit(1)
