"""The audit: sources, embeddings, comparisons, checks, certificate, report."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sface_data.audit.certificate import Certificate, certify, subjects_of
from sface_data.audit.checks.run import PIXEL_CHECK, Examination, examine
from sface_data.audit.policy import Policy
from sface_data.audit.sets.altered_copies import PLANTED
from sface_data.audit.sets.inputs import Faces, Inputs
from sface_data.dataset.manifest import MANIFEST, Manifest
from sface_data.embedding.embedder import Embedder
from sface_data.embedding.embeddings_folder import is_embeddings
from sface_data.embedding.open import open_embedder
from sface_data.errors import BadInput
from sface_data.runtime.devices import choose_device
from sface_data.runtime.progress import Progress

CACHE = "cache"
FACES = "faces"  # the subject where the release is no finished data set; its folder may have any name

# Opens the display of a step: (what is done, how many faces), gives what is told of progress.
Display = Callable[[str, int], AbstractContextManager[Progress]]


@dataclass(frozen=True)
class Request:
    """What is to be audited, and by what.

    Attributes:
        directory: the release: a finished data set, or any other SOURCE.
        training, control, held_out: SOURCEs.
        models: files of embedders; none if every SOURCE is embeddings of one.
        outdir: where embeddings are kept, below `cache`.
        labels_related: whether classes of the release are meant to be the training classes of the same names.
    """

    directory: Path
    training: Path
    control: Path | None
    held_out: Path | None
    models: tuple[Path, ...]
    policy: Policy
    seed: int
    device: str
    outdir: Path
    labels_related: bool = True


@dataclass(frozen=True)
class Outcome:
    """What came of it."""

    certificate: Certificate
    examination: Examination
    inputs: Inputs


def audit(request: Request, display: Display) -> Outcome:
    """Audits a release.

    Embeddings are kept: a run that was stopped goes on where it was when it is called again.

    Raises:
        BadInput: for faces or judges that cannot be used, or must not be used together, and if the release
            changes meanwhile.
    """
    embedders = open_judges(request)
    directory = request.directory
    manifest = Manifest.load(directory) if (directory / MANIFEST).is_file() else None
    before = None if manifest is None else subjects_of(directory, manifest)
    inputs = _inputs(request, manifest, display)
    inputs.check()
    cache = request.outdir / CACHE
    with display("embedding", _to_embed(inputs, len(embedders), request.policy)) as progress:
        judges = [inputs.under(embedder, _name(embedder, inputs), cache, progress) for embedder in embedders]
        pixels = inputs.pixels(cache, progress) if PIXEL_CHECK in request.policy.checks else None
    with display("comparing", 0):
        device = str(choose_device(request.device))
        examination = examine(judges, pixels, request.policy, request.seed, device)
    described = [
        {
            "name": sets.judge,
            "sha256": sets.training.embedder_sha256,
            "dimensions": sets.training.dimensions,
            "detector_sha256": sets.training.detector_sha256,
        }
        for sets in judges
    ]
    subjects = {FACES: inputs.synthetic.sha256}
    if manifest is not None:
        subjects = subjects_of(directory, manifest)
        if subjects != before:
            raise BadInput(f"{directory}: was changed while it was audited; run the same command again")
    facts = _described(inputs)
    facts["synthetic"]["plan_detector_sha256"] = _plan_detector(manifest)
    certificate = certify(examination, subjects, described, facts)
    return Outcome(certificate, examination, inputs)


def open_judges(request: Request) -> list[Embedder | None]:
    """The embedders; [None] where all faces come as embeddings.

    Raises:
        BadInput: if one cannot be opened, is named twice, or none is named that is needed.
    """
    given = [request.directory, request.training, request.control, request.held_out]
    if not request.models:
        images = [path for path in given if path is not None and not is_embeddings(path)]
        if images:
            raise BadInput(f"{images[0]}: holds images; name an embedder that judges them with --model FILE")
        return [None]
    embedders: list[Embedder | None] = []
    seen: dict[str, Path] = {}
    for model in request.models:
        if not model.is_file():
            raise BadInput(f"{model}: no such file; --model names an embedder")
        embedder = open_embedder(model, request.device)
        if embedder.sha256 in seen:
            raise BadInput(
                f"{model}: the same embedder as {seen[embedder.sha256]}; a second opinion needs another"
            )
        seen[embedder.sha256] = model
        embedders.append(embedder)
    return embedders


def _inputs(request: Request, manifest: Manifest | None, display: Display) -> Inputs:
    opened = {}
    for role in ("directory", "training", "control", "held_out"):
        path = getattr(request, role)
        with display(f"reading {role.replace('_', '-').replace('directory', 'release')}", 0) as progress:
            release = manifest if role == "directory" else None
            opened[role] = None if path is None else Faces.open(path, progress, release)
    synthetic, training = opened["directory"], opened["training"]
    assert synthetic is not None and training is not None
    return Inputs(synthetic, training, opened["control"], opened["held_out"], request.labels_related, request.seed)


def _to_embed(inputs: Inputs, judges: int, policy: Policy) -> int:
    images = [len(faces) for faces in inputs.by_role.values() if faces.source is not None]
    by_pixels = 2 if PIXEL_CHECK in policy.checks and len(images) == len(inputs.by_role) else 0
    altered = 0 if inputs.training.source is None else min(PLANTED, len(inputs.training))
    return (sum(images) + altered) * (judges + by_pixels)


def _name(embedder: Embedder | None, inputs: Inputs) -> str:
    if embedder is not None:
        return embedder.name
    held = inputs.training.embeddings
    return f"embedder {held.embedder_sha256[:12]}" if held is not None else "embedder"


def _plan_detector(manifest: Manifest | None) -> str | None:
    """What a finished data set says that its faces were aligned by; None if it says nothing."""
    align = None if manifest is None else manifest.plan.align
    return None if align is None else align.detector_sha256


def _described(inputs: Inputs) -> dict[str, Any]:
    described: dict[str, Any] = {}
    for role, faces in inputs.by_role.items():
        held: Any = faces.listed if faces.listed is not None else faces.embeddings
        described[role] = {
            "sha256": faces.sha256,
            "faces": len(faces),
            "classes": len(np.unique(held.class_index)),
            "form": "images" if faces.source is not None else "embeddings",
            "left_out": 0 if faces.embeddings is None else len(faces.embeddings.left_out),
            "detector_sha256": None if faces.embeddings is None else faces.embeddings.detector_sha256,
            "image_sizes": faces.image_sizes(),
        }
    described["labels_related"] = inputs.labels_related
    return described
