"""The command line `sface-data`: one module per command; each parses, calls and prints."""

import sys
from typing import Any

import click

from sface_data.cli.ending import explained


class _Commands(click.Group):
    """Ends with one sentence and the right exit code where something a user can mend went wrong."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BaseException as error:
            ending = explained(error, ctx)
            if ending is None:
                raise
            click.echo(f"sface-data: {ending[0]}", err=True)
            sys.exit(ending[1])


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="sface-data", prog_name="sface-data")
def main() -> None:
    """Generate, use and certify class-labelled synthetic face data sets.

    Exit codes: 0 done; 1 a check failed; 2 wrong usage or bad input.
    """


def _add_commands() -> None:
    # Light imports: a command imports what it needs when it runs.
    from sface_data.cli.audit import audit
    from sface_data.cli.card import card
    from sface_data.cli.embed import embed
    from sface_data.cli.export import export
    from sface_data.cli.generate import generate
    from sface_data.cli.generator import generator
    from sface_data.cli.merge import merge
    from sface_data.cli.preview import preview
    from sface_data.cli.publish import publish
    from sface_data.cli.recognition import recognition
    from sface_data.cli.render import render
    from sface_data.cli.validate import validate

    for command in (
        generate,
        merge,
        validate,
        audit,
        preview,
        card,
        export,
        publish,
        generator,
        recognition,
        render,
        embed,
    ):
        main.add_command(command)


_add_commands()
