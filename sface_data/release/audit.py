"""The audit of a data set: what is judged is what its manifest lists, and its card says what came out."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sface_data.auditing.certificate import Certificate
from sface_data.auditing.run import AuditOptions, PreparedAudit
from sface_data.errors import BadInput
from sface_data.release.check_shards import shard_problems
from sface_data.release.contents import adopt_audit
from sface_data.runtime.arguments import StrPath, takes
from sface_data.runtime.progress import progress_bar


@takes(AuditOptions)
def audit(release: StrPath, options: AuditOptions) -> Certificate:
    """Asks whether images of a data set lead to the people its generator was trained on, and certifies the answer.

    Writes `certificate.json` and `report.html` to `outdir`; for a folder that `generate` made also into its folder
    `audit`, and its card says so. Embeddings are kept in `outdir`: stopped at any moment and called again with the
    same arguments, it goes on.

    Args:
        release: a folder that `generate` made, or faces of any other form that `embed` takes.

    Returns:
        The certificate; its `verdict` is `pass`, `fail` or `inconclusive`.

    Raises:
        BadInput: for faces, embedders, policies or keys that cannot be used, or must not be used together, and a
            data set that is damaged or changes meanwhile.

    Example:
        >>> judges = [sface_data.DEMO_EMBEDDER]
        >>> certificate = sface_data.audit("faces", training="authentic", outdir="audit", embedder=judges)
        >>> certificate.verdict  # eight images are too few to tell
        'inconclusive'
    """
    folder = Path(release)
    prepared = PreparedAudit.of(folder, options)
    if prepared.manifest is not None:
        for problem in shard_problems(folder, prepared.manifest):
            raise BadInput(
                f"{folder / problem.file}: {problem.sentence}; `sface-data validate {folder}` names all "
                "that is wrong"
            )
    outcome = prepared.run(_display)
    if prepared.manifest is not None:
        adopt_audit(folder, Path(options.outdir))
    return outcome.certificate


@contextmanager
def _display(what: str, total: int) -> Iterator[Callable[[int], object]]:
    with progress_bar(total or None, "faces", desc=what, delay=1) as bar:
        yield bar.update
