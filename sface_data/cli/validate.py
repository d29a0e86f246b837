"""`sface-data validate`."""

import json
from pathlib import Path
from typing import Any

import click

from sface_data import api
from sface_data.cli.options import DATASET, NamedPath, say, warn_of_name
from sface_data.errors import CheckFailed, counted


@click.command(short_help="Check every byte of a data set")
@DATASET
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON on standard output.")
@click.option(
    "--public-key",
    metavar="KEY.pem",
    type=NamedPath(path_type=Path),
    help="Ed25519 key that must have signed the certificate. Without it no signature is looked at, and a "
    "certificate protects against accidents, not against forgers.",
)
def validate(directory: Path, as_json: bool, **options: Any) -> None:
    """Check every byte of a data set against its manifest, card and certificate.

    Each problem is named; exit code 1 if there is any.

    \b
    Example:
      sface-data validate faces
    """
    outcome = api.validate(directory, **options)
    if as_json:
        value = {
            "valid": outcome.valid,
            "identity": outcome.identity,
            "num_shards": outcome.num_shards,
            "num_samples": outcome.num_samples,
            "problems": [{"file": p.file, "problem": p.sentence} for p in outcome.problems],
        }
        click.echo(json.dumps(value, indent=2))
    warn_of_name(directory)
    for problem in outcome.problems:
        say(f"{directory / problem.file}: {problem.sentence}")
    if not outcome.valid:
        raise CheckFailed(f"{directory}: not valid: {counted(len(outcome.problems), 'problem')}")
    say(
        f"{directory}: valid: {counted(outcome.num_samples, 'sample')} in {counted(outcome.num_shards, 'shard')}, "
        f"identity {outcome.identity[:12]}"
    )
