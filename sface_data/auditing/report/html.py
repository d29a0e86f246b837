"""Pages from templates: every text of others is shown as text, whatever it holds."""

from typing import Any

from sface_data.errors import shown
from sface_data.io.templates import templates


def rendered(template: str, **values: Any) -> str:
    """A template of `cards/` with its values."""
    from markupsafe import Markup

    pages = templates(
        autoescape=True,
        finalize=lambda value: shown(value) if type(value) is str else value,
    )
    pages.filters["svg"] = Markup  # ours, with every text in it escaped
    return pages.get_template(template).render(**values)
