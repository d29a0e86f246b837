"""Run as a program: fills a folder again and again, killed at random moments, until it is finished.

    python killing.py FOLDER UNDISTURBED KILLS SEED generate --network ...

fills UNDISTURBED in one go and FOLDER with KILLS interruptions, and prints how many hit it at work.

Everything is imported once, then every attempt is a fork of its own that gets SIGKILL.
"""

import os
import random
import signal
import sys
import time

import sface_data.build
import sface_data.generator.checkpoint
import sface_data.release.folder  # noqa: F401
from sface_data.cli import main


def attempt(arguments: list[str]) -> int:
    """Starts the command in a process of its own and returns its number."""
    process = os.fork()
    if process == 0:
        sys.stderr = sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123
        try:
            main(arguments, standalone_mode=False)
            os._exit(0)
        finally:
            os._exit(99)
    return process


def finish(arguments: list[str]) -> float:
    """Runs the command undisturbed and returns how long it took, in seconds."""
    start = time.perf_counter()
    _, status = os.waitpid(attempt(arguments), 0)
    assert status == 0, f"the undisturbed run ended with {status}"
    return time.perf_counter() - start


def kill_often(arguments: list[str], duration: float, kills: int, seed: int) -> int:
    """Kills attempts at random moments; returns how many were killed in the middle of their work."""
    moments = random.Random(seed)
    killed = 0
    for _ in range(kills):
        process = attempt(arguments)
        time.sleep(moments.uniform(0, 0.35 * duration))
        os.kill(process, signal.SIGKILL)
        _, status = os.waitpid(process, 0)
        killed += os.WIFSIGNALED(status)
    return killed


if __name__ == "__main__":
    folder, undisturbed, kills, seed = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    command = sys.argv[5:]
    duration = finish([*command, "--outdir", undisturbed])
    print(kill_often([*command, "--outdir", folder], duration, kills, seed))
    finish([*command, "--outdir", folder])
