"""The templates in `cards/`, with which texts and pages are written."""

from typing import TYPE_CHECKING, Any

from sface_data.io.files import cards_folder

if TYPE_CHECKING:
    import jinja2


def templates(**options: Any) -> "jinja2.Environment":
    """The templates; a value that one lacks is an error, not empty.

    Args:
        options: of `jinja2.Environment`: how values are shown, which differs between pages and texts.
    """
    import jinja2

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(cards_folder()),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        **options,
    )
