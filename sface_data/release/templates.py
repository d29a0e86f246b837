"""The texts that people edit: templates, in `cards/`."""

import re
from typing import Any

from sface_data.errors import shown
from sface_data.io.templates import templates


def render(template: str, **values: Any) -> str:
    """A template of `cards/` with its values, each `shown`."""
    texts = templates(keep_trailing_newline=True, autoescape=False, finalize=shown)  # Markdown and YAML, not HTML
    texts.filters["code"] = code
    return texts.get_template(template).render(**values)


def sections(text: str) -> dict[str, str]:
    """What stands below each heading `## NAME` of a text, by name, each in one line."""
    parts = [part.partition("\n") for part in text.split("## ")[1:]]
    return {name.strip(): " ".join(body.split()) for name, _, body in parts}


def code(text: object) -> str:
    """Text of others as code in Markdown, also in a table."""
    return "`" + re.sub(r"[`|<>]", lambda found: f"\\x{ord(found[0]):02x}", shown(text)) + "`"
