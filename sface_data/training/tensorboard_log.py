"""Metrics of a training run for TensorBoard, an extra."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from sface_data.errors import BadInput
from sface_data.io.files import os_errors_as_bad_input

TENSORBOARD = "tensorboard"


class TensorBoardLog:
    """The folder `tensorboard` of a run. Events that an interrupted run logged after `images` are purged."""

    def __init__(self, outdir: Path, images: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        with os_errors_as_bad_input(outdir / TENSORBOARD):
            self._writer = SummaryWriter(str(outdir / TENSORBOARD), purge_step=images + 1)

    def add(self, figures: Mapping[str, float], images: int) -> None:
        """Logs figures by name, after `images` images."""
        for name, value in figures.items():
            self._writer.add_scalar(name, value, images)
        self._writer.flush()

    def close(self) -> None:
        """Ends the files."""
        self._writer.close()


def check_tensorboard() -> None:
    """Raises BadInput where TensorBoard is not installed."""
    try:
        import tensorboard  # noqa: F401
    except ImportError as error:
        raise BadInput("--tensorboard needs TensorBoard: `pip install tensorboard`") from error


@contextmanager
def tensorboard_log(outdir: Path, images: int, wanted: bool) -> Iterator[TensorBoardLog | None]:
    """The log of a run that has shown `images`, or None where it is not wanted."""
    if not wanted:
        yield None
        return
    log = TensorBoardLog(outdir, images)
    try:
        yield log
    finally:
        log.close()
