"""`python -m sface_data`, which torchrun can start, and the program `sface-data`."""

import os
import signal
import sys
from contextlib import suppress
from types import FrameType
from typing import Any


class _Stderr:
    """Standard error that may be full or gone: what cannot be said there must not end what is done."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Writes a text if it can."""
        try:
            return self._stream.write(text)
        except (OSError, ValueError):
            return len(text)

    def flush(self) -> None:
        """Flushes it if it can."""
        with suppress(OSError, ValueError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _end_at_once(number: int, frame: FrameType | None) -> None:
    os.write(2, b"sface-data: stopped before anything was done\n")
    os._exit(128 + number)


def _open_closed_streams() -> None:
    """Opens what the caller closed: the next file would take its number, and get what libraries print."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115, PTH123
    sys.stderr = _Stderr(sys.stderr or open(os.devnull, "w"))  # noqa: SIM115, PTH123


def run() -> None:
    """Runs the command line; signals that ask it to stop end it with a sentence, also while it is imported."""
    _open_closed_streams()
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end_at_once)
    from sface_data.cli import main
    from sface_data.cli.ending import exit_if_stopped, stop_on_signals

    stop_on_signals()
    try:
        main()
    except OSError as error:  # before a command has begun: its help or version cannot be printed
        sys.stderr.write(f"sface-data: standard output: {error.strerror}\n")
        os._exit(2)  # what is left in its buffer cannot be printed either
    finally:
        exit_if_stopped()


if __name__ == "__main__":
    run()
