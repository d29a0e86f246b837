"""Metrics of a training run, as lines of JSON and a progress bar."""

import json
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from sface_data.errors import BadInput
from sface_data.io.files import MAX_ARRAYS, exists, os_errors_as_bad_input, read_bytes, write_text
from sface_data.runtime.progress import progress_bar
from sface_data.training.distributed import ProcessGroup


class MetricsLog:
    """Means of what the steps measure, as lines of JSON; and the check that they are finite.

    Lines of steps after the checkpoint that a run goes on from are dropped.

    Args:
        path: of the lines, in the folder of the run.
        images: shown so far.
        advice: what to do when a mean is not finite.
    """

    def __init__(self, path: Path, group: ProcessGroup, images: int, advice: str) -> None:
        self._path = path
        self._group = group
        self._advice = advice
        self._measured: dict[str, list[Tensor]] = {}
        self._since = images
        self._clock = time.perf_counter()
        if exists(path) and group.rank == 0:
            kept = [line for line, found in read_lines(path) if round(found["kimg"] * 1000) <= images]
            write_text(path, "".join(f"{line}\n" for line in kept))

    def add(self, measured: Mapping[str, Tensor]) -> None:
        """Takes what one step measured, each a tensor []."""
        for name, value in measured.items():
            self._measured.setdefault(name, []).append(value)

    def write(self, images: int, more: Mapping[str, float]) -> dict[str, float]:
        """Adds a line of the means since the last one, and returns it.

        Args:
            images: shown so far.
            more: other numbers for the line.

        Raises:
            BadInput: if one of the means is not finite.
        """
        means = {
            name: self._group.mean(torch.stack(values).mean()).item() for name, values in self._measured.items()
        }
        kimg = images / 1000
        wrong = [name for name, value in means.items() if not math.isfinite(value)]
        if wrong:
            raise BadInput(
                f"{self._path.parent}: {wrong[0].replace('_', ' ')} is not finite at {kimg:g} kimg; the last good "
                f"checkpoint is kept: {self._advice}"
            )
        now = time.perf_counter()
        speed = (images - self._since) / (now - self._clock)
        self._since, self._clock = images, now
        self._measured = {}
        figures = {"images_per_second": speed, **more, **means}
        line = {"kimg": kimg, **{name: float(f"{value:.6g}") for name, value in figures.items()}}
        if self._group.rank == 0:
            with os_errors_as_bad_input(self._path), self._path.open("a") as file:
                file.write(json.dumps(line) + "\n")
        return line


def read_lines(path: Path, name: str = "kimg") -> list[tuple[str, dict[str, Any]]]:
    """The lines of a file of metrics, each as it stands and as what it says.

    A line that is broken, as by a stop or an editor, or that has no finite number called `name`, is left out.
    """
    lines = read_bytes(path, MAX_ARRAYS).decode(errors="replace").splitlines()
    found = []
    for line in lines:
        try:
            said = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(said, dict) and _is_number(said.get(name)):
            found.append((line, said))
    return found


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and abs(value) < 1e15  # NaN is not


def images_bar(images: int, total: int, rank: int) -> tqdm:
    """A bar of images with images/s and time left, on standard error, of the first process only."""
    # "12.8k" images are 12.8 kimg.
    return progress_bar(total, "images", initial=images, unit_scale=True, disable=rank > 0)


def crossed_multiple(before: int, now: int, interval: int) -> bool:
    """Whether a multiple of `interval` was reached between `before` and `now`."""
    return before // interval != now // interval
