"""The audit of a data set: what is judged is what its manifest lists, and its card says what came out."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sface_data.auditing.certificate import Certificate
from sface_data.auditing.run import run_audit
from sface_data.dataset.manifest import MANIFEST, Manifest
from sface_data.errors import BadInput
from sface_data.release.check_shards import shard_problems
from sface_data.release.contents import adopt_audit
from sface_data.runtime.arguments import Seed, StrPath, checks_arguments
from sface_data.runtime.progress import progress_bar


@checks_arguments
def audit(
    release: StrPath,
    *,
    training: StrPath,
    outdir: StrPath,
    control: StrPath | None = None,
    held_out: StrPath | None = None,
    embedder: Sequence[StrPath] = (),
    policy: StrPath = "strict",
    seed: Seed = 0,
    device: str = "auto",
    unrelated_labels: bool = False,
    show_pairs: bool = False,
    sign: StrPath | None = None,
) -> Certificate:
    """Asks whether images of a data set lead to the people its generator was trained on, and certifies the answer.

    Writes `certificate.json` and `report.html` to `outdir`; for a folder that `generate` made also into its folder
    `audit`, and its card says so. Embeddings are kept in `outdir`: stopped at any moment and called again with the
    same arguments, it goes on.

    Args:
        release: a folder that `generate` made, or faces of any other form that `embed` takes.
        training: all faces that the generator was trained on; here and below also embeddings that `embed` made.
        outdir: folder of certificate, report and cached embeddings.
        control: faces of other people, who were not in training: how near strangers come by chance. Without them
            no strict audit passes.
        held_out: other images of the training people, under the same names, that were not trained on.
        embedder: files of the embedders that judge, not one that took part in training the generator; none if all
            faces come as embeddings.
        policy: what must be shown: `strict`, `paper` (only what the paper on SFace reports), or a TOML file.
        seed: of all random choices.
        device: `auto`, `cpu`, `cuda` or `cuda:1`.
        unrelated_labels: the classes of the release are not meant to be training identities of the same names.
        show_pairs: also write `pairs.html`, the report with the closest pairs, photographs of people from
            training.
        sign: sign the certificate with this Ed25519 key (PEM).

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
    folder, out = Path(release), Path(outdir)
    finished = (folder / MANIFEST).is_file()
    if finished:
        for problem in shard_problems(folder, Manifest.load(folder)):
            raise BadInput(
                f"{folder / problem.file}: {problem.sentence}; `sface-data validate {folder}` names all "
                "that is wrong"
            )
    outcome = run_audit(
        folder,
        Path(training),
        out,
        control=None if control is None else Path(control),
        held_out=None if held_out is None else Path(held_out),
        embedder=[Path(file) for file in embedder],
        policy=os.fspath(policy),
        seed=seed,
        device=device,
        unrelated_labels=unrelated_labels,
        show_pairs=show_pairs,
        sign=None if sign is None else Path(sign),
        display=_display,
    )
    if finished:
        adopt_audit(folder, out)
    return outcome.certificate


@contextmanager
def _display(what: str, total: int) -> Iterator[Callable[[int], object]]:
    with progress_bar(total or None, "faces", desc=what, delay=1) as bar:
        yield bar.update
