"""`sface-data audit`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from sface_data.cli.options import DEVICE, NamedPath
from sface_data.errors import BadInput, CheckFailed


@click.command()
@click.argument("directory", metavar="DIR", type=NamedPath(path_type=Path))
@click.option(
    "--training",
    metavar="SOURCE",
    required=True,
    type=NamedPath(path_type=Path),
    help="The faces that the generator was trained on.",
)
@click.option(
    "--control",
    metavar="SOURCE",
    type=NamedPath(path_type=Path),
    help="Faces of other people, who were not in training: how near strangers come by chance. Without them no "
    "strict audit passes.",
)
@click.option(
    "--held-out",
    metavar="SOURCE",
    type=NamedPath(path_type=Path),
    help="Other images of the training people, under the same names, that were not trained on.",
)
@click.option(
    "--model",
    "models",
    metavar="FILE",
    multiple=True,
    type=NamedPath(path_type=Path),
    help="Embedder that judges, as for `embed`; may be given several times. Not one that took part in training "
    "the generator. Needed unless every SOURCE is embeddings.",
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
    help="What must be shown: strict, paper (only what the paper on SFace reports), or a TOML file.",
)
@click.option(
    "--seed", metavar="N", type=click.IntRange(min=0), default=0, show_default=True, help="Of everything drawn."
)
@DEVICE
@click.option(
    "--unrelated-labels",
    is_flag=True,
    help="The classes of DIR are not meant to be training identities of the same names.",
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
def audit(
    directory: Path,
    training: Path,
    control: Path | None,
    held_out: Path | None,
    models: tuple[Path, ...],
    outdir: Path,
    policy: str,
    seed: int,
    device: str,
    unrelated_labels: bool,
    show_pairs: bool,
    sign: Path | None,
) -> None:
    """Ask whether images of a data set lead to the people its generator was trained on, and certify the answer.

    DIR is a folder made by `generate`, or any other SOURCE. A SOURCE is a folder per identity, WebDataset shards,
    RecordIO (.rec), a folder of `datasets`, or a folder made by `embed`.

    Writes certificate.json and report.html to AUDIT; for a folder made by `generate` also into its folder
    `audit`, and its card says so. It can be stopped at any moment: run the same command again.

    Exit codes: 0 only if the verdict is pass; 1 if it is fail or inconclusive; 2 wrong usage or bad input.

    \b
    Examples:
      sface-data audit faces --training train.rec --control control --model judge.onnx --outdir audit
      sface-data audit faces --training train.rec --model judge.onnx --policy paper --outdir audit
    """
    from sface_data.audit.certificate import CERTIFICATE, REPORT, load_private_key, write_certificate
    from sface_data.audit.policy import load_policy
    from sface_data.audit.report.page import PAIRS, write_report
    from sface_data.audit.run import Request
    from sface_data.audit.run import audit as run
    from sface_data.dataset.manifest import MANIFEST, Manifest
    from sface_data.io.files import os_errors_as_bad_input
    from sface_data.release.check_shards import shard_problems
    from sface_data.release.contents import adopt_audit

    key = None if sign is None else load_private_key(sign)
    request = Request(
        directory=directory,
        training=training,
        control=control,
        held_out=held_out,
        models=models,
        policy=load_policy(policy),
        seed=seed,
        device=device,
        outdir=outdir,
        labels_related=not unrelated_labels,
    )
    finished = (directory / MANIFEST).is_file()
    if finished:
        for problem in shard_problems(directory, Manifest.load(directory)):
            raise BadInput(
                f"{directory / problem.file}: {problem.sentence}; `sface-data validate {directory}` names all "
                "that is wrong"
            )
    with os_errors_as_bad_input(outdir):
        outdir.mkdir(parents=True, exist_ok=True)
    outcome = run(request, _display)
    certificate = outcome.certificate
    write_certificate(outdir, certificate, key)
    report, pairs = outdir / Path(REPORT).name, outdir / PAIRS
    write_report(report, outcome)
    with os_errors_as_bad_input(pairs):
        pairs.unlink(missing_ok=True)  # of another audit
    if show_pairs:
        write_report(pairs, outcome, show_pairs=True)
    if finished:
        adopt_audit(directory, outdir)
    click.echo(f"{outdir / Path(CERTIFICATE).name}: {certificate.statement['predicate']['in_words']}", err=True)
    click.echo(f"{report}: the report, for a browser", err=True)
    if show_pairs:
        click.echo(f"{pairs}: the same with photographs of people from training; keep it to yourself", err=True)
    if certificate.verdict != "pass":
        raise CheckFailed(f"{directory}: the verdict is {certificate.verdict}")
    click.echo(f"{directory}: the verdict is pass", err=True)


@contextmanager
def _display(what: str, total: int) -> Iterator[Callable[[int], object]]:
    from sface_data.runtime.progress import progress_bar

    with progress_bar(total or None, "faces", desc=what, delay=1) as bar:
        yield bar.update
