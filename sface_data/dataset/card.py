"""The card of a data set, `README.md`: facts in its front matter, and prose."""

import re
from pathlib import Path
from typing import Any

from sface_data.errors import BadInput, at_path, brief
from sface_data.io.files import read_bytes

CARD = "README.md"
_LARGEST = 2 << 20  # bytes of a card: the names of 50,000 classes take 1.6 MB
_BOM = "\ufeff"


def read_card(directory: Path) -> str:
    """The text of the card in a folder.

    Raises:
        BadInput: if there is none, or it is no text in UTF-8.
    """
    path = directory / CARD
    try:
        return read_bytes(path, _LARGEST).decode()
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}: not a text in UTF-8 ({error.reason}); save it as one") from error


def read_front_matter(directory: Path) -> dict[str, Any]:
    """The facts of the card in a folder; none, if it has no front matter.

    Raises:
        BadInput: if there is no card, or its front matter cannot be parsed.
    """
    try:
        return split_card(read_card(directory))[0]
    except BadInput as error:
        raise at_path(directory / CARD, error) from error


def split_card(text: str) -> tuple[dict[str, Any], str]:
    """The facts and the prose of a card.

    Raises:
        BadInput: if its front matter cannot be parsed.
    """
    import yaml
    from huggingface_hub import DatasetCardData
    from huggingface_hub.repocard import REGEX_YAML_BLOCK

    found = REGEX_YAML_BLOCK.match(text.removeprefix(_BOM))
    if found is None:
        return {}, text
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        facts = yaml.load(found[2], Loader=loader) or {}
        DatasetCardData(**facts).to_dict()  # as `datasets` and the hub read it
    except Exception as error:  # constructors of numbers, dates and cards raise whatever they come upon
        reason = re.sub(r"\s+", " ", str(error))  # YAML explains in many lines
        raise BadInput(f"its front matter cannot be parsed ({reason}); mend it, or delete it") from error
    return facts, text.removeprefix(_BOM)[found.end() :]


def join_card(facts: dict[str, Any], prose: str) -> str:
    """The text of a card.

    Raises:
        BadInput: if its facts, which others may have written, cannot be.
    """
    from huggingface_hub import DatasetCardData

    try:
        yaml = DatasetCardData.to_yaml(DatasetCardData(**facts), original_order=list(facts))
    except Exception as error:  # what is too long or too deep to be written was read without complaint
        raise BadInput(
            f"its front matter cannot be written again ({brief(error)}); mend it, or delete it"
        ) from error
    return f"---\n{yaml}\n---\n{prose}"
