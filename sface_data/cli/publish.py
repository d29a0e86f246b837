"""`sface-data publish`."""

from pathlib import Path
from typing import Any

import click

from sface_data import api
from sface_data.cli.options import DATASET, NamedPath, say
from sface_data.errors import CheckFailed, shown


@click.command(short_help="Upload a data set to the Hugging Face hub")
@DATASET
@click.option(
    "--repo", metavar="ORG/NAME", required=True, help="The data set on the hub; made if it is not there."
)
@click.option("--private", is_flag=True, help="Let nobody see it but ORG; an existing public one is refused.")
@click.option(
    "--revision", metavar="BRANCH", default="main", show_default=True, help="Branch; made if it is not there."
)
@click.option(
    "--answers",
    metavar="FILE.toml",
    type=NamedPath(path_type=Path),
    help="Answers to the open questions of the datasheet, which are written into it (docs/publish.md).",
)
@click.option(
    "--dry-run",
    is_flag=True,
    help="Check everything, say what would go where or all that is in the way, and upload nothing.",
)
@click.option(
    "--without-certificate",
    metavar="REASON",
    help="Publish without a certificate that passes under strict or standard; the card gives the reason in its "
    "first lines.",
)
def publish(directory: Path, repo: str, private: bool, revision: str, **options: Any) -> None:
    """Publish a data set on the Hugging Face hub, once everything about it holds.

    The folder must be valid, have a certificate that passes under the policy strict or standard and belongs to its
    bytes, a datasheet without open questions, and nothing in it that is not part of the data set; else nothing is
    uploaded, exit code 1.

    The token comes from `hf auth login` or the variable HF_TOKEN. A stopped upload goes on when the same command
    is run again.

    \b
    Examples:
      sface-data publish faces --repo org/name --dry-run --answers answers.toml
      sface-data publish faces --repo org/name --private --without-certificate "for the reviewers"
    """
    done = api.publish(directory, repo=repo, private=private, revision=revision, **options)
    if done.policy:
        say(f"{directory}: its certificate passes under {done.policy}")
    if done.url is not None:
        say(f"{directory}: published, {done.url}")
        return
    if done.obstacles:
        for obstacle in done.obstacles[:-1]:
            say(obstacle)
        raise CheckFailed(done.obstacles[-1])
    for name, num_bytes in done.files.items():
        click.echo(f"{num_bytes:>16,}  {shown(name)}")
    seen = "private" if private else "public"
    say(
        f"{directory}: {len(done.files):,} files, {sum(done.files.values()):,} bytes would go to {repo}, "
        f"branch {revision}, {seen}; nothing was uploaded"
    )
