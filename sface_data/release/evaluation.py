"""`evaluation.json`: how well face recognition trained on the data set did, if somebody measured it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sface_data.errors import BadInput
from sface_data.files import read_json

EVALUATION = "evaluation.json"


@dataclass(frozen=True)
class Result:
    """The accuracy on one benchmark, 0 to 1: mean and standard deviation over its folds."""

    benchmark: str
    accuracy: float
    std: float | None


def read_results(directory: Path) -> tuple[Result, ...]:
    """The results beside a data set; none if nobody measured any.

    Raises:
        BadInput: if the file is not a list of results.
    """
    path = directory / EVALUATION
    if not path.exists():
        return ()
    value = read_json(path)
    if not isinstance(value, list):
        raise BadInput(f"{path}: not a list of results, as `sface-data recognition eval` writes them")
    return tuple(_result(path, item) for item in value)


def _result(path: Path, item: Any) -> Result:
    name = item.get("benchmark") if isinstance(item, dict) else None
    if not isinstance(name, str) or not name or any(character in name for character in "|\n`<>"):
        raise BadInput(f"{path}: a result without the name of its benchmark")
    accuracy, std = item.get("accuracy"), item.get("std")
    if not _is_share(accuracy) or not (std is None or _is_share(std)):
        raise BadInput(f"{path}: {name}: accuracy and std must be numbers from 0 to 1")
    return Result(name, float(accuracy), None if std is None else float(std))


def _is_share(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1
