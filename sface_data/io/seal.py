"""A seal: the last line of a page, a digest of all above it, tells one that was edited from one that was not."""

import hashlib
import re

_LINE = re.compile(rb"<!-- written by sface-data, sha256 of the text above: ([0-9a-f]{64}) -->\n\Z")


def sealed(page: str) -> str:
    """A page of HTML with its seal."""
    page = page.rstrip("\n") + "\n\n"
    digest = hashlib.sha256(page.encode()).hexdigest()
    return f"{page}<!-- written by sface-data, sha256 of the text above: {digest} -->\n"


def unedited(data: bytes) -> bool:
    """Whether a page is as it was written. One without a seal counts as edited."""
    found = _LINE.search(data)
    return found is not None and hashlib.sha256(data[: found.start()]).hexdigest() == found[1].decode()
