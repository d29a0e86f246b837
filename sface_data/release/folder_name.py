"""Names of folders that `datasets` does not take as they are."""

import re
from pathlib import Path

_PATTERNS = re.compile(r"[\[\]?*]|::")


def name_warning(directory: Path) -> str | None:
    """What to say of a folder that `datasets.load_dataset` may not find, or take for others; None if nothing.

    It reads `[`, `]`, `?` and `*` anywhere in a path as parts of a pattern, and `::` as one address in another.
    """
    found = _PATTERNS.search(str(directory.absolute()))
    if found is None:
        return None
    return (
        f"{directory}: has {found[0]!r} in its path, which `datasets` reads as part of a pattern: it may find "
        "nothing there, or read other folders as well; rename the folder before you load it"
    )
