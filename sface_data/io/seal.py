"""Seals: a last line, the digest of all above it, tells a text that was edited by hand from one that was not."""

import hashlib
import re

HTML = MARKDOWN = ("<!-- ", " -->")  # what comments begin and end with
YAML = ("# ", "")
_LINE = re.compile(rb"(?:<!-- |# )written by sface-data, sha256 of the text above: ([0-9a-f]{64})(?: -->)?\n\Z")


def sealed(text: str, comment: tuple[str, str]) -> str:
    """The text with its seal, in place of the one it has."""
    text = _LINE.sub(b"", text.encode()).decode().rstrip("\n") + "\n\n"
    digest = hashlib.sha256(text.encode()).hexdigest()
    return f"{text}{comment[0]}written by sface-data, sha256 of the text above: {digest}{comment[1]}\n"


def unedited(data: bytes) -> bool:
    """Whether a file is as it was written. One without a seal counts as edited."""
    found = _LINE.search(data)
    return found is not None and hashlib.sha256(data[: found.start()]).hexdigest() == found[1].decode()
