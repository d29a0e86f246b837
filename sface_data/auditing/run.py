"""The audit: sets of faces, embeddings, comparisons, checks, certificate, report."""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import KW_ONLY, dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

from sface_data.auditing.certificate import (
    CERTIFICATE,
    REPORT,
    certify,
    listed_subjects,
    load_certificate,
    subjects_of,
    write_certificate,
)
from sface_data.auditing.certificate_words import IN_WORDS
from sface_data.auditing.checks.neighbours import PIXEL_DUPLICATES
from sface_data.auditing.checks.run import run_checks
from sface_data.auditing.checks.views import KIND, VIEW
from sface_data.auditing.compare.backend import backend_on
from sface_data.auditing.known_judges import MODELS, judges_at_hand, known_as
from sface_data.auditing.outcome import Outcome
from sface_data.auditing.planning import AuditSize
from sface_data.auditing.policy import Policy, load_policy
from sface_data.auditing.report.compare import COMPARISON, write_comparison
from sface_data.auditing.report.page import PAIRS, write_report
from sface_data.auditing.sets.audit_sets import AuditSets
from sface_data.auditing.sets.face_set import FaceSet, names_of_classes, open_face_set
from sface_data.auditing.sets.judged_sets import CONTROL, HELD_OUT, RELEASE, TRAINING, JudgedSets
from sface_data.auditing.sets.pixel_embedder import PixelEmbedder
from sface_data.auditing.sets.sampled_images import SampledImages
from sface_data.auditing.signature import load_private_key
from sface_data.auditing.verdict import CLAIM, LABEL, SEARCH
from sface_data.dataset.drawn_identities import read_relations
from sface_data.dataset.manifest import MANIFEST, Manifest
from sface_data.embedding.embedder import Embedder
from sface_data.embedding.embeddings_folder import is_embeddings
from sface_data.embedding.open import open_embedder
from sface_data.errors import BadInput
from sface_data.faces.base import numbers_with_gaps
from sface_data.io.files import is_file, os_errors_as_bad_input
from sface_data.runtime.arguments import StrPath
from sface_data.runtime.devices import choose_device
from sface_data.runtime.progress import Progress
from sface_data.runtime.ray_workers import Cluster, Engine

CACHE = "cache"
FACES = "faces"  # the subject where the release is no finished data set; its folder may have any name

# Opens the display of a step: (what is done, how many faces), gives what is told of progress.
Display = Callable[[str, int], AbstractContextManager[Progress]]


@contextmanager
def no_display(what: str, total: int) -> Iterator[Progress]:
    """Shows nothing."""
    yield lambda count: None


@dataclass(frozen=True)
class AuditOptions:
    """What a release is audited with.

    Attributes:
        training: all faces that the generator was trained on; here and below also embeddings that `embed` made.
        outdir: folder of certificate, report and cached embeddings.
        control: faces of other people, who were not in training: how near strangers come by chance. Without them
            no strict audit passes.
        held_out: other images of the training people, under the same names, that were not trained on.
        embedder: the embedders that judge, each as for `embed`, not one that took part in training the generator;
            by default up to two of insightface's that are known (`docs/judges.md`) and lie in
            `~/.insightface/models`; none if all faces come as embeddings.
        policy: what must be shown: `strict`, `standard` (for releases of about 1,000 classes and more; `sface-data
            audit --plan` says whether yours is large enough), `paper` (only what the paper on SFace reports), or a
            TOML file.
        device: `auto`, `cpu`, `cuda` or `cuda:1`.
        unrelated_labels: the classes of the release are not meant to be training identities of the same names:
            each is compared with the training person who is nearest, and with a namesake if there is one.
        show_pairs: also write `pairs.html`, the report with the closest pairs, photographs of people from
            training.
        sign: sign the certificate with this Ed25519 key (PEM).
        compare: folder of another audit; `comparison.html` then shows both side by side.
        engine: `local`: comparisons are made by this process; `ray`: by workers on a cluster of Ray.
        address: of that cluster, as `ray.init` takes it; by default the one that the environment names, else one
            on this machine.
    """

    _: KW_ONLY
    training: StrPath
    outdir: StrPath
    control: StrPath | None = None
    held_out: StrPath | None = None
    embedder: Sequence[StrPath] = ()
    policy: StrPath = "strict"
    device: str = "auto"
    unrelated_labels: bool = False
    show_pairs: bool = False
    sign: StrPath | None = None
    compare: StrPath | None = None
    engine: Engine = "local"
    address: str | None = None


@dataclass(frozen=True)
class PreparedAudit:
    """An audit before an image is read: all that can be refused cheaply has been.

    Attributes:
        release: a finished data set, whose manifest and shards are certified, or any other SOURCE.
        options: see there; comparisons are the same on every device.
        manifest: of a finished data set.
        policy: what must be shown.
        key: signs the certificate; None for none.
        embedders: the judges; [None] where all faces come as embeddings.
        cluster: where comparisons are made; None for this machine.
    """

    release: Path
    options: AuditOptions
    manifest: Manifest | None
    policy: Policy
    key: Any
    embedders: tuple[Embedder | None, ...]
    cluster: Cluster | None

    @classmethod
    def of(cls, release: Path, options: AuditOptions) -> "PreparedAudit":
        """Opens policy, key and embedders, looks for the cluster, and makes the folder.

        Raises:
            BadInput: for what cannot be used, or must not be used together.
        """
        policy = load_policy(os.fspath(options.policy))
        cluster = Cluster.of(options.engine, options.address)
        if cluster is not None:
            cluster.check()
        key = None if options.sign is None else load_private_key(Path(options.sign))
        if options.compare is not None:
            load_certificate(Path(options.compare) / Path(CERTIFICATE).name)  # hours before it is needed
        manifest = Manifest.load(release) if is_file(release / MANIFEST) else None
        paths = _paths(release, options)
        _check_apart(paths)
        embedders = _open_embedders([Path(file) for file in options.embedder], paths, options.device)
        with os_errors_as_bad_input(Path(options.outdir)):
            Path(options.outdir).mkdir(parents=True, exist_ok=True)
        return cls(release, options, manifest, policy, key, tuple(embedders), cluster)

    @property
    def related(self) -> bool:
        """Whether classes of the release are meant to be training identities of the same names."""
        drawn = self.manifest is not None and self.manifest.plan.identities is not None  # called otherwise
        return not (self.options.unrelated_labels or drawn)

    def size(self) -> AuditSize:
        """How much there is to compare; no image is embedded.

        Raises:
            BadInput: for faces that cannot be used, or must not be used together.
        """
        counts: dict[str, tuple[int, int]] = {CONTROL: (0, 0)}
        for role, faces in self._sets(no_display).by_role.items():
            classes = len(faces.class_names)
            counts[role] = (classes, len(faces) // classes)
        relations = (LABEL,) if self.related else (SEARCH,) if self.options.unrelated_labels else (CLAIM, SEARCH)
        sides = (*counts[RELEASE], *counts[TRAINING], *counts[CONTROL])
        return AuditSize(*sides, relations, len(self.embedders))

    def _sets(self, display: Display) -> AuditSets:
        """All faces, read once and checked against each other."""
        manifest = self.manifest
        opened = _open_sets(_paths(self.release, self.options), manifest, display)
        named = manifest is not None and manifest.plan.training_identities is not None
        claims = None if manifest is None else _claims(self.release, manifest, opened[TRAINING])
        sets = AuditSets(opened, self.related, _seed_of(opened[RELEASE]), named, claims)
        sets.check()
        return sets

    def run(self, display: Display = no_display) -> Outcome:
        """Audits the release, and writes certificate and report.

        A run that was stopped goes on when it is called again.

        Args:
            display: shows progress.

        Raises:
            BadInput: for faces that cannot be used, or must not be used together, and if the release changes
                meanwhile, or is not as its manifest lists it.
        """
        options, manifest, outdir = self.options, self.manifest, Path(self.options.outdir)
        before = None if manifest is None else listed_subjects(self.release, manifest)
        sets = self._sets(display)
        if {VIEW.name, KIND.name} & self.policy.checks.keys():
            with display("making views", 0) as progress:
                sets = replace(sets, sampled=SampledImages.of(sets.by_role, progress))
        by_pixels = PIXEL_DUPLICATES.name in self.policy.checks and sets.all_images
        judges, pixels = _embedded(sets, self.embedders, by_pixels, outdir / CACHE, display)
        with display("comparing", 0), backend_on(str(choose_device(options.device)), self.cluster) as backend:
            result = run_checks(judges, pixels, self.policy, sets.seed, backend)
        subjects = {FACES: sets.by_role[RELEASE].sha256}
        if manifest is not None and (subjects := subjects_of(self.release, manifest)) != before:
            raise BadInput(f"{self.release}: was changed while it was audited; run the same command again")
        facts = _described_sets(sets, manifest, judges[0].relations)
        outcome = Outcome(certify(result, subjects, [_described(each) for each in judges], facts), result, sets)
        write_certificate(outdir, outcome.certificate, self.key)
        _write_reports(outdir, outcome, options.show_pairs)
        if options.compare is not None:
            write_comparison(outdir / COMPARISON, outcome.certificate, Path(options.compare))
        return outcome


def _seed_of(release: FaceSet) -> int:
    """Of all random choices: nobody can try which of them a release passes with, unless by changing its faces."""
    return int(release.sha256[:8], 16)


def _paths(release: Path, options: AuditOptions) -> dict[str, Path]:
    """The SOURCEs that were given, by role."""
    given = {TRAINING: options.training, CONTROL: options.control, HELD_OUT: options.held_out}
    return {RELEASE: release} | {role: Path(path) for role, path in given.items() if path is not None}


def _check_apart(paths: Mapping[str, Path]) -> None:
    """Raises BadInput where one SOURCE is given for two roles."""
    for (role, path), (other, same) in combinations(paths.items(), 2):
        if os.path.realpath(path) == os.path.realpath(same):
            raise BadInput(f"{path}: given as {role} and as {other}; each is a set of its own")


def _open_embedders(files: Sequence[Path], paths: Mapping[str, Path], device: str) -> list[Embedder | None]:
    """The judges, by default those that are known and at hand; [None] where all faces come as embeddings.

    Raises:
        BadInput: if one cannot be opened, is named twice, or there is none that is needed.
    """
    images = [path for path in paths.values() if not is_embeddings(path)]
    if not files and not images:
        return [None]
    files = files or judges_at_hand()
    if not files:
        raise BadInput(
            f"{images[0]}: holds images; name an embedder that judges them with --embedder (docs/judges.md), as "
            f"there is none of those that are known in {MODELS}"
        )
    embedders: list[Embedder | None] = []
    seen: dict[str, Path] = {}
    for file in files:
        embedder = open_embedder(file, device)
        if embedder.sha256 in seen:
            raise BadInput(f"{file}: the same embedder as {seen[embedder.sha256]}; a second opinion needs another")
        seen[embedder.sha256] = file
        embedders.append(embedder)
    return embedders


def _open_sets(paths: Mapping[str, Path], manifest: Manifest | None, display: Display) -> dict[str, FaceSet]:
    opened: dict[str, FaceSet] = {}
    for role in sorted(paths, key=(TRAINING, RELEASE, CONTROL, HELD_OUT).index):
        with display(f"reading {role}", 0) as progress:
            if role == RELEASE and manifest is not None:
                trained = names_of_classes(manifest.plan, opened[TRAINING])
                opened[role] = open_face_set(paths[role], progress, manifest, trained)
            else:
                opened[role] = open_face_set(paths[role], progress)
    return opened


def _claims(release: Path, manifest: Manifest, training: FaceSet) -> dict[str, tuple[str, ...]] | None:
    """See `AuditSets.claims`; None as well where numbers of classes do not tell who is meant."""
    plan = manifest.plan
    unknown = plan.training_identities is None and numbers_with_gaps(training.class_names.values())
    if plan.identities is None or unknown:
        return None
    names = names_of_classes(plan, training)
    related = read_relations(release, manifest)
    return {name: tuple(names[index] for index in classes) for name, classes in related.items()}


def _embedded(
    sets: AuditSets, embedders: Sequence[Embedder | None], by_pixels: bool, cache: Path, display: Display
) -> tuple[list[JudgedSets], JudgedSets | None]:
    """All faces under every judge, and as pixels if they are wanted so."""
    views = 0 if sets.sampled is None else len(sets.sampled)
    looks = len(embedders) + by_pixels
    with display("embedding", sets.to_embed() * looks + views * len(embedders)) as progress:
        judges = [sets.under(each, cache, progress) for each in embedders]
        return _told_apart(judges), sets.under(PixelEmbedder(), cache, progress) if by_pixels else None


def _told_apart(judges: Sequence[JudgedSets]) -> list[JudgedSets]:
    """The judges, those whose files have the same name with the beginning of their digests."""
    times = Counter(each.judge for each in judges)

    def told_apart(sets: JudgedSets) -> JudgedSets:
        twins = times[sets.judge] > 1
        return replace(sets, judge=f"{sets.judge} ({sets.training.embedder_sha256[:12]})") if twins else sets

    return [told_apart(each) for each in judges]


def _described(sets: JudgedSets) -> dict[str, Any]:
    """What the certificate says of a judge."""
    return {
        "name": sets.judge,
        "sha256": sets.training.embedder_sha256,
        "known_as": known_as(sets.training.embedder_sha256),
        "dimensions": sets.training.dimensions,
        "detector_sha256": sets.training.detector_sha256,
    }


def _described_sets(sets: AuditSets, manifest: Manifest | None, relations: Sequence[str]) -> dict[str, Any]:
    """What the certificate says of the sets, and what a finished data set says of its alignment and generator.

    Args:
        relations: by which classes and training people were compared.
    """
    align = None if manifest is None else manifest.plan.align
    facts = sets.described() | {"relations": {name: IN_WORDS[name] for name in relations}}
    facts[RELEASE]["plan_detector_sha256"] = None if align is None else align.detector_sha256
    facts[TRAINING]["named_by_generator"] = _named_by_generator(sets, manifest)
    return facts


def _named_by_generator(sets: AuditSets, manifest: Manifest | None) -> str:
    """Whether the generator's file names the training faces: `the same`, `others`, or `none` at all."""
    named = None if manifest is None else manifest.training_faces_sha256
    if named is None:
        return "none"
    return "the same" if named == sets.by_role[TRAINING].sha256 else "others"


def _write_reports(outdir: Path, outcome: Outcome, show_pairs: bool) -> None:
    write_report(outdir / Path(REPORT).name, outcome)
    pairs = outdir / PAIRS
    with os_errors_as_bad_input(pairs):
        pairs.unlink(missing_ok=True)  # of another audit
    if show_pairs:
        write_report(pairs, outcome, show_pairs=True)
