"""`sface-data audit`."""

from pathlib import Path
from typing import Any

import click

from sface_data import api
from sface_data.cli.options import ADDRESS, DEVICE, ENGINE, NamedPath, SourcePath, say
from sface_data.errors import CheckFailed


@click.command(short_help="Find out whether a data set leaks training people; certify it")
@click.argument("release", metavar="DIR", type=SourcePath(path_type=Path))
@click.option(
    "--training",
    metavar="SOURCE",
    required=True,
    type=SourcePath(path_type=Path),
    help="The faces that the generator was trained on.",
)
@click.option(
    "--control",
    metavar="SOURCE",
    type=SourcePath(path_type=Path),
    help="Faces of other people, who were not in training: how near strangers come by chance. Without them no "
    "strict audit passes.",
)
@click.option(
    "--held-out",
    metavar="SOURCE",
    type=SourcePath(path_type=Path),
    help="Other images of the training people, under the same names, that were not trained on.",
)
@click.option(
    "--embedder",
    metavar="FILE|demo",
    multiple=True,
    type=NamedPath(path_type=Path),
    help="Embedder that judges, as for `embed`; may be given several times. Not one that took part in training "
    "the generator.  [default: up to two of insightface's that are known, in ~/.insightface/models; none if every "
    "SOURCE is embeddings]",
)
@click.option(
    "--outdir",
    metavar="AUDIT",
    required=True,
    type=NamedPath(path_type=Path, file_okay=False),
    help="Folder of certificate, report and cached embeddings.",
)
@click.option(
    "--policy",
    metavar="NAME|FILE",
    default="strict",
    show_default=True,
    help="What must be shown: strict, standard (for releases of about 1,000 classes and more; --plan says whether "
    "yours is large enough), paper (only what the paper on SFace reports), or a TOML file.",
)
@DEVICE
@ENGINE
@ADDRESS
@click.option(
    "--unrelated-labels",
    is_flag=True,
    help="The classes of DIR are not meant to be training identities of the same names: each is compared with the "
    "training person who is nearest, and with a namesake if there is one.",
)
@click.option(
    "--show-pairs",
    is_flag=True,
    help="Also write AUDIT/pairs.html, the report with the closest pairs: it contains photographs of people from "
    "training. It never goes into DIR.",
)
@click.option(
    "--sign",
    metavar="KEY.pem",
    type=NamedPath(path_type=Path),
    help="Sign the certificate with this Ed25519 key.",
)
@click.option(
    "--compare",
    metavar="OTHER",
    type=NamedPath(path_type=Path),
    help="Folder of another audit, OTHER: also write AUDIT/comparison.html, both side by side.",
)
@click.option(
    "--plan",
    is_flag=True,
    help="Say which checks sets of these sizes, and of others, are too small to pass; embed nothing.",
)
def audit(release: Path, outdir: Path, show_pairs: bool, plan: bool, **options: Any) -> None:
    """Ask whether images of a data set lead to the people its generator was trained on, and certify the answer.

    DIR is a folder made by `generate`, or any other SOURCE. A SOURCE is a folder per identity, WebDataset shards,
    RecordIO (.rec), LMDB (.lmdb), Parquet or a folder of `datasets`, a data set on the hub (hf://ORG/NAME), or a
    folder made by `embed`.

    Writes certificate.json and report.html to AUDIT; for a folder made by `generate` also into its folder
    `audit`, and its card says so. It can be stopped at any moment: run the same command again. With --engine ray
    a cluster makes the comparisons; the certificate is the same, byte for byte.

    Exit codes: 0 only if the verdict is pass; 1 if it is fail or inconclusive; 2 wrong usage or bad input.

    \b
    Examples:
      sface-data audit faces --training train.rec --control control --embedder judge.onnx --outdir out
      sface-data audit faces --training train.rec --embedder judge.onnx --policy paper --outdir audit
    """
    from sface_data.auditing.certificate import CERTIFICATE, REPORT
    from sface_data.auditing.report.compare import COMPARISON
    from sface_data.auditing.report.page import PAIRS

    if plan:
        _print_plan(release, outdir=outdir, show_pairs=show_pairs, **options)
        return
    certificate = api.audit(release, outdir=outdir, show_pairs=show_pairs, **options)
    say(f"{outdir / Path(CERTIFICATE).name}: {certificate.headline}. {certificate.in_words}")
    for sentence in certificate.findings:
        say(f"- {sentence}")
    for warning in certificate.warnings:
        say(warning)
    say(f"{outdir / Path(REPORT).name}: the report, for a browser")
    if options["compare"] is not None:
        say(f"{outdir / COMPARISON}: beside the audit in {options['compare']}")
    if show_pairs:
        pairs = outdir / PAIRS
        say(f"{pairs}: the same with photographs of people from training; keep it to yourself")
    if certificate.verdict != "pass":
        raise CheckFailed(f"{release}: the verdict is {certificate.verdict}")
    say(f"{release}: the verdict is pass")


def _print_plan(release: Path, **options: Any) -> None:
    """A line for each size of release and control group, with the checks that it blocks."""
    from sface_data.auditing.planning import table
    from sface_data.auditing.run import AuditOptions, PreparedAudit

    prepared = PreparedAudit.of(release, AuditOptions(**options))
    asked = prepared.size()
    click.echo(f"{'release':>15}  {'control':>15}  likely to stay inconclusive under {prepared.policy.name}")
    for size, blocked in table(prepared.policy, asked):
        release_size, control = f"{size.classes:,} x {size.images}", f"{size.strangers:,} x {size.pictures}"
        click.echo(f"{release_size:>15}  {control:>15}  {', '.join(blocked) or 'nothing: it can pass'}")
