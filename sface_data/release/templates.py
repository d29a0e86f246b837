"""The texts that people edit: templates and licences, in `cards/`."""

from typing import Any

from sface_data.io.files import cards_folder, os_errors_as_bad_input

LICENCES = {
    "cc-by-nc-sa-4.0": "CC-BY-NC-SA-4.0",
    "cc-by-nc-4.0": "CC-BY-NC-4.0",
    "cc-by-4.0": "CC-BY-4.0",
    "cc0-1.0": "CC0-1.0",
}  # as the hub writes them: as SPDX does
DEFAULT_LICENCE = "cc-by-nc-sa-4.0"  # that of SFace


def render(template: str, **values: Any) -> str:
    """A template of `cards/` with its values; a value that is missing is an error, not an empty string."""
    import jinja2  # here, because the command line reads LICENCES to print its help

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(cards_folder()),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # Markdown and YAML, not HTML
    )
    return environment.get_template(template).render(**values)


def sections(text: str) -> dict[str, str]:
    """What stands below each heading `## NAME` of a text, by name, each in one line."""
    parts = [part.partition("\n") for part in text.split("## ")[1:]]
    return {name.strip(): " ".join(body.split()) for name, _, body in parts}


def licence_text(licence: str) -> str:
    """The full text of a licence."""
    path = cards_folder() / "licences" / f"{licence}.txt"
    with os_errors_as_bad_input(path):
        return path.read_text(encoding="utf-8")
