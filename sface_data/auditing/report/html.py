"""Pages from templates: every text of others is shown as text, whatever it holds."""

from typing import Any

from sface_data.errors import shown
from sface_data.io.files import cards_folder


def rendered(template: str, **values: Any) -> str:
    """A template of `cards/` with its values. One that is missing is an error, not empty."""
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(cards_folder()),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=True,
        finalize=lambda value: shown(value) if type(value) is str else value,
    )
    environment.filters["svg"] = Markup  # ours, with every text in it escaped
    return environment.get_template(template).render(**values)
