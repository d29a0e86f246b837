"""The licence of a data set: the one that it has, or the one that it gets."""

from pathlib import Path
from typing import Literal

import sface_data
from sface_data.dataset.card import CARD, read_front_matter
from sface_data.dataset.manifest import MANIFEST, Manifest
from sface_data.errors import BadInput
from sface_data.io.files import cards_folder, is_file, os_errors_as_bad_input, read_bytes, sha256_of_file

LICENSE = "LICENSE"
Licence = Literal["cc-by-nc-sa-4.0", "cc-by-nc-4.0", "cc-by-4.0", "cc0-1.0"]
LICENCES = {
    "cc-by-nc-sa-4.0": "CC-BY-NC-SA-4.0",
    "cc-by-nc-4.0": "CC-BY-NC-4.0",
    "cc-by-4.0": "CC-BY-4.0",
    "cc0-1.0": "CC0-1.0",
}  # as the hub writes them: as SPDX does
DEFAULT_LICENCE = "cc-by-nc-sa-4.0"  # that of SFace
DEMO_LICENCE = "cc0-1.0"  # of the generator that ships: no photograph or other data of a person went into it
_DEMO_GENERATOR = Path(sface_data.__file__).parent / "assets" / "demo_generator.safetensors"


def licence_text(licence: str) -> str:
    """The full text of a licence."""
    path = cards_folder() / "licences" / f"{licence}.txt"
    with os_errors_as_bad_input(path):
        return path.read_text(encoding="utf-8")


def held_licence(directory: Path) -> str | None:
    """The licence of a finished data set, by its card, else by its LICENSE; None if neither names one of ours.

    None also for a folder that is not finished: what lies there may be of another data set.
    """
    if not is_file(directory / MANIFEST):
        return None
    try:
        named = read_front_matter(directory).get("license")
        if isinstance(named, str) and named in LICENCES:
            return named
    except BadInput:
        pass  # the other file may know
    return shipped_text_in(directory)


def shipped_text_in(directory: Path) -> str | None:
    """The licence of which LICENSE has the text, to the letter; None if it is another text, or not there."""
    try:
        text = read_bytes(directory / LICENSE).decode("utf-8", "replace").replace("\r\n", "\n")
    except BadInput:
        return None
    return next((licence for licence in LICENCES if licence_text(licence) == text), None)


def default_licence(manifest: Manifest) -> str:
    """The licence where none was chosen: that of the generator that ships for its images, else that of SFace."""
    files = {environment["network"]["sha256"] for environment in manifest.environments}
    return DEMO_LICENCE if files == {sha256_of_file(_DEMO_GENERATOR)} else DEFAULT_LICENCE


def check_licence(directory: Path, licence: str | None) -> None:
    """Refuses another licence than that of a data set that is finished.

    Raises:
        BadInput: with the command that changes it.
    """
    held = held_licence(directory)
    if licence is not None and held is not None and held != licence:
        raise BadInput(
            f"{directory / CARD}: the data set is finished, under {held}; to change its licence, run "
            f"sface-data card {directory} --licence {licence}"
        )
