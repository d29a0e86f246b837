"""How well face recognition trained on a data set did, if `evaluation.json` lies in its folder."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sface_data.errors import BadInput
from sface_data.io.files import exists, read_json, sha256_of_file
from sface_data.recognition.published import EVALUATION, FORMAT, PUBLISHED


@dataclass(frozen=True)
class Result:
    """The accuracy on one benchmark, 0 to 1.

    Attributes:
        benchmark: its name.
        accuracy, deviation: mean and standard deviation over the folds.
        low, high: 95 % interval of the accuracy.
    """

    benchmark: str
    accuracy: float
    deviation: float
    low: float
    high: float


@dataclass(frozen=True)
class Results:
    """The accuracies of one network of faces.

    Attributes:
        network, sha256: its file, and the file's digest.
        rows: one for each benchmark.
        file_sha256: digest of `evaluation.json`.
    """

    network: str
    sha256: str
    rows: tuple[Result, ...]
    file_sha256: str


def read_results(directory: Path) -> Results | None:
    """What `sface-data recognition eval` wrote, if it lies beside a data set.

    Raises:
        BadInput: if the file is no such record.
    """
    path = directory / EVALUATION
    if not exists(path):
        return None
    value = read_json(path)
    try:
        if value["evaluation"] != FORMAT:
            raise BadInput(
                f"{path}: a record of another version; measure again with `sface-data recognition eval`"
            )
        network, sha256 = _text(value["embedder"]["file"]), _text(value["embedder"]["sha256"])
        return Results(network, sha256, tuple(map(_result, value["benchmarks"])), sha256_of_file(path))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, BadInput):
            raise
        raise BadInput(f"{path}: not a record of `sface-data recognition eval` ({error!r})") from error


def _result(value: dict[str, Any]) -> Result:
    low, high = value["interval_95"]
    name = _text(value["name"])
    shares = map(_share, (value["accuracy"], value["deviation"], low, high))
    return Result(PUBLISHED.get(name, name), *shares)


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value or any(character in "|`<>\n" for character in value):
        raise ValueError(f"{value!r} is not a name")
    return value


def _share(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ValueError(f"{value!r} is not from 0 to 1")
    return float(value)
