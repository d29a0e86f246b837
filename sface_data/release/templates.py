"""The texts that people edit: templates, in `cards/`."""

import re
from typing import Any

from sface_data.errors import shown
from sface_data.io.files import cards_folder


def render(template: str, **values: Any) -> str:
    """A template of `cards/` with its values, each `shown`. One that is missing is an error, not empty."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(cards_folder()),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # Markdown and YAML, not HTML
        finalize=shown,
    )
    environment.filters["code"] = code
    return environment.get_template(template).render(**values)


def sections(text: str) -> dict[str, str]:
    """What stands below each heading `## NAME` of a text, by name, each in one line."""
    parts = [part.partition("\n") for part in text.split("## ")[1:]]
    return {name.strip(): " ".join(body.split()) for name, _, body in parts}


def code(text: object) -> str:
    """Text of others as code in Markdown, also in a table."""
    return "`" + re.sub(r"[`|<>]", lambda found: f"\\x{ord(found[0]):02x}", shown(text)) + "`"
