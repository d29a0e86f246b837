"""Run as a program: fills a folder again and again, killed at random moments, until it is finished.

    python killing.py FOLDER UNDISTURBED KILLS SEED generate --network ... --outdir

adds the name of a folder to that command, and so fills UNDISTURBED in one go, and FOLDER/0, FOLDER/1, ... with
KILLS interruptions in all; prints how many folders.

Everything is imported once, then every attempt is a fork of its own that gets SIGKILL.
"""

import os
import random
import signal
import sys
import time

import sface_data.generation.build
import sface_data.generator.generator_file
import sface_data.release.contents  # noqa: F401
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


def kill_often(arguments: list[str], folder: str, duration: float, kills: int, seed: int) -> int:
    """Kills attempts at random moments of their work, as many as asked for; a folder that was finished in spite
    of it is followed by another. Returns how many folders were begun."""
    moments = random.Random(seed)
    number = killed = 0
    while killed < kills:
        process = attempt([*arguments, f"{folder}/{number}"])
        time.sleep(moments.uniform(0, 0.35 * duration))
        os.kill(process, signal.SIGKILL)
        _, status = os.waitpid(process, 0)
        if os.WIFSIGNALED(status):
            killed += 1
        else:
            assert status == 0, f"an attempt ended with {status} by itself"
            number += 1
    return number + 1


if __name__ == "__main__":
    folder, undisturbed, kills, seed = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    command = sys.argv[5:]
    if "--detector" in command:
        import insightface.model_zoo  # noqa: F401
    duration = finish([*command, undisturbed])
    folders = kill_often(command, folder, duration, kills, seed)
    for number in range(folders):
        finish([*command, f"{folder}/{number}"])
    print(folders)
