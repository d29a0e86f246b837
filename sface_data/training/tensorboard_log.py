"""Figures of a training run for TensorBoard, an extra."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from sface_data.errors import BadInput
from sface_data.io.files import os_errors_as_bad_input

BOARD = "tensorboard"


class Board:
    """The folder `tensorboard` of a run. What a stopped run showed behind `images` is hidden."""

    def __init__(self, outdir: Path, images: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        with os_errors_as_bad_input(outdir / BOARD):
            self._writer = SummaryWriter(str(outdir / BOARD), purge_step=images + 1)

    def add(self, figures: Mapping[str, float], images: int) -> None:
        """Shows figures by name, at so many images."""
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
        raise BadInput("--tensorboard needs TensorBoard: pip install 'sface-data[tensorboard]'") from error


@contextmanager
def opened_board(outdir: Path, images: int, wanted: bool) -> Iterator[Board | None]:
    """The board of a run that has shown `images`, or None where it is not wanted."""
    if not wanted:
        yield None
        return
    board = Board(outdir, images)
    try:
        yield board
    finally:
        board.close()
