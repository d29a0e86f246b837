"""How a command ends that is not done: with one sentence and an exit code."""

import os
import signal
import sys
from contextlib import suppress
from types import FrameType
from typing import Any, NoReturn

import click

from sface_data.errors import SfaceDataError, shown
from sface_data.runtime.memory import is_of_memory

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
REMEDY_KEY = "sface_data.remedy"  # of `click.Context.meta`: what helps the command when memory runs out
_received: list[int] = []  # signals that ask this process to stop


def stop_on_signals() -> None:
    """From now on SIGINT, SIGTERM and SIGHUP raise KeyboardInterrupt once, so that what is unfinished is removed.

    Those that are ignored stay so, as under `nohup` and in the background of a shell.
    """
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _stop)


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    for each in SIGNALS:
        signal.signal(each, signal.SIG_IGN)  # what tidies up is not disturbed
    _received.append(number)
    raise KeyboardInterrupt


def exit_if_stopped() -> None:
    """Ends the process at once if a signal asked for it: threads and finalizers have nothing more to say."""
    if _received:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(128 + _received[0])


def explained(error: BaseException, ctx: click.Context) -> tuple[str, int] | None:
    """The sentence and the exit code for what ended a command; None for a fault of this program."""
    if _received or isinstance(error, KeyboardInterrupt):
        number = _received[0] if _received else signal.SIGINT
        how = "interrupted" if number == signal.SIGINT else f"stopped by {signal.Signals(number).name}"
        return f"{how}; run the same command again to go on", 128 + number
    if isinstance(error, SfaceDataError):
        return str(error), error.exit_code
    if isinstance(error, click.UsageError):
        path = error.ctx.command_path if error.ctx is not None else "sface-data"
        message = shown(" ".join(error.format_message().split()))
        return f"{message}{'' if message.endswith(('.', '?')) else '.'} See `{path} --help`.", error.exit_code
    if is_of_memory(error):
        remedy = ctx.meta.get(REMEDY_KEY, "run the same command again with more memory")
        return f"out of memory; {remedy}; what was finished is kept", 2
    if isinstance(error, OSError) and not isinstance(error, BrokenPipeError):  # click ends at a closed pipe
        where = "standard output" if error.filename is None else shown(os.fsdecode(_name(error.filename)))
        return f"{where}: {error.strerror or shown(error)}", 2
    if isinstance(error, UnicodeEncodeError):
        return f"{shown(error.object)[:200]}: a name that is not UTF-8, which no data set can hold; rename it", 2
    return None


def _name(filename: Any) -> str | bytes:
    return filename if isinstance(filename, (str, bytes)) else str(filename)
