"""What is wrong with a file of a data set."""

from dataclasses import dataclass
from pathlib import Path

from sface_data.errors import BadInput, shown


@dataclass(frozen=True)
class Problem:
    """Something that is not as the manifest says: the file, and what is wrong with it, in a sentence."""

    file: str
    sentence: str


def problem_of(directory: Path, name: str, error: BadInput) -> Problem:
    """What an error says of a file in a folder."""
    return Problem(name, str(error).removeprefix(f"{shown(directory / name)}: "))
