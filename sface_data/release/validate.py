"""Checking every byte of a finished folder against its manifest and its card."""

import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from sface_data.audit.certificate import CERTIFICATE, REPORT, SIGNATURE, certificate_problems, load_certificate
from sface_data.dataset.found_faces import ALIGNMENT, FoundFaces, found_faces
from sface_data.dataset.manifest import MANIFEST, Manifest
from sface_data.dataset.plan import SamplePlan, SampleSpec
from sface_data.dataset.shard_reader import ShardSample, read_shard
from sface_data.errors import BadInput
from sface_data.io.files import os_errors_as_bad_input, read_json, sha256_of_file
from sface_data.io.images import decode_image
from sface_data.io.seal import unedited
from sface_data.release.card import CARD, CITATION, LICENSE, claims, front_matter, read_front_matter
from sface_data.release.contents import held_licence
from sface_data.release.croissant import CROISSANT, croissant
from sface_data.release.datasheet import DATASHEET
from sface_data.release.preview import PREVIEW
from sface_data.release.templates import LICENCES, licence_text

_PER_SHARD = 20  # problems named in one shard; a swapped pair of shards would otherwise name thousands


@dataclass(frozen=True)
class Problem:
    """Something that is not as the manifest says: the file, and what is wrong with it."""

    file: str
    sentence: str


@dataclass(frozen=True)
class Validation:
    """The outcome: the identity of the release (SHA-256 of its manifest), what was read, what is wrong."""

    manifest_sha256: str
    num_shards: int
    num_samples: int
    problems: tuple[Problem, ...]

    @property
    def valid(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


def validate(directory: Path, public_key: Path | None = None) -> Validation:
    """Reads every byte of a data set.

    Checked are: size and SHA-256 of each shard; its samples against the plan (none missing, doubled, strange
    or out of order; members, label, facts); that each image decodes and has the size planned; files in
    `data/` that do not belong; the centres of truncation; the facts of the card; the indexes for other readers;
    the certificate, if there is one, that it is of exactly these bytes, and the report, that it is of this
    certificate and unedited.

    Args:
        public_key: an Ed25519 key (PEM) that must have signed the certificate, which must be there then.

    Raises:
        BadInput: if there is no manifest to check against, or the key cannot be read.
    """
    manifest = Manifest.load(directory)
    problems = shard_problems(directory, manifest)
    problems += _certificate_problems(directory, manifest, public_key)
    problems += _report_problems(directory)
    problems += _card_problems(directory, manifest)
    problems += _side_problems(directory, manifest)
    return Validation(
        sha256_of_file(directory / MANIFEST), len(manifest.shards), manifest.num_samples, tuple(problems)
    )


def shard_problems(directory: Path, manifest: Manifest) -> list[Problem]:
    """What is wrong with the manifest, the shards and the folder that they are in."""
    problems = [*_manifest_problems(directory, manifest), *_strangers(directory, manifest)]
    faces = None
    try:
        faces = found_faces(directory, manifest.plan)
    except BadInput as error:
        problems.append(_problem(directory, ALIGNMENT, error))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        numbers = range(len(manifest.shards))
        for found in pool.map(lambda number: list(_shard_problems(directory, manifest, number, faces)), numbers):
            problems += found
    return problems


def _certificate_problems(directory: Path, manifest: Manifest, public_key: Path | None) -> Iterator[Problem]:
    if any(not (directory / shard.filename).is_file() for shard in manifest.shards):
        return  # the missing shards have been named
    if public_key is None and not (directory / CERTIFICATE).exists():
        if (directory / SIGNATURE).exists():
            yield Problem(SIGNATURE, "signs a certificate that is not there")
        return
    for sentence in certificate_problems(directory, manifest, public_key):
        yield Problem(CERTIFICATE, sentence)


def _report_problems(directory: Path) -> Iterator[Problem]:
    path = directory / REPORT
    if not path.exists():
        return
    again = "run `sface-data audit` again, or remove it"
    with os_errors_as_bad_input(path):
        data = path.read_bytes()
    if not unedited(data):
        yield Problem(REPORT, f"not as `sface-data audit` wrote it; {again}")
        return
    try:
        description = load_certificate(directory / CERTIFICATE).description
    except BadInput:
        description = None
    if description is None or description.encode() not in data:
        yield Problem(REPORT, f"not the report of the certificate beside it; {again}")


def _manifest_problems(directory: Path, manifest: Manifest) -> Iterator[Problem]:
    plan = manifest.plan
    if read_json(directory / MANIFEST).get("plan_fingerprint") != plan.fingerprint:
        yield Problem(MANIFEST, "the fingerprint is not that of the plan")
    planned = [(plan.shard_filename(i), plan.shard_size(i)) for i in range(plan.num_shards)]
    listed = [(shard.filename, shard.num_samples) for shard in manifest.shards]
    if planned != listed:
        yield Problem(MANIFEST, "the shards listed are not those of the plan")


def _strangers(directory: Path, manifest: Manifest) -> Iterator[Problem]:
    listed = {shard.filename for shard in manifest.shards} | {"data/sizes.json"}
    for path in sorted((directory / "data").glob("*")):
        name = f"data/{path.name}"
        if name not in listed:
            yield Problem(name, "not in the manifest; readers that take every file here would read it")


def _shard_problems(
    directory: Path, manifest: Manifest, number: int, faces: FoundFaces | None
) -> Iterator[Problem]:
    shard, path = manifest.shards[number], directory / manifest.shards[number].filename
    if not path.is_file():
        yield Problem(shard.filename, "missing")
        return
    if (size := path.stat().st_size) != shard.num_bytes:
        yield Problem(shard.filename, f"{size:,} bytes, not {shard.num_bytes:,}")
    if (sha256 := sha256_of_file(path)) != shard.sha256:
        yield Problem(shard.filename, f"its SHA-256 is {sha256[:12]}..., not {shard.sha256[:12]}...")
    if number >= manifest.plan.num_shards or (manifest.plan.align is not None and faces is None):
        return  # nothing says what should be in it
    planned = manifest.plan.shard(number, None if faces is None else faces.indices)
    sentences = _content_problems(path, manifest.plan, {spec.key: spec for spec in planned})
    for count, sentence in enumerate(sentences):
        if count == _PER_SHARD:
            yield Problem(shard.filename, "and more")
            return
        yield Problem(shard.filename, sentence)


def _content_problems(path: Path, plan: SamplePlan, planned: dict[str, SampleSpec]) -> Iterator[str]:
    found = []
    try:
        for sample in read_shard(path):
            if sample.key not in planned:
                yield f"{sample.key!r}: not in the plan"
                continue
            found.append(sample.key)
            yield from _sample_problems(sample, planned[sample.key], plan)
    except BadInput as error:
        yield str(error).removeprefix(f"{path}: ")
        return
    there = set(found)
    yield from (f"{key}: missing" for key in planned if key not in there)
    if sorted(found) == sorted(planned) and found != list(planned):
        yield "the samples are not in the order of the plan"


def _sample_problems(sample: ShardSample, spec: SampleSpec, plan: SamplePlan) -> Iterator[str]:
    wanted = {"cls", plan.image.format, "json"}
    for extension in sorted(wanted - sample.members.keys()):
        yield f"{spec.key}.{extension}: missing"
    for extension in sorted(sample.members.keys() - wanted):
        name = f"{spec.key}.{extension}"
        yield f"{name!r}: not in the plan"
    if "cls" in sample.members and sample.members["cls"] != str(spec.class_index).encode():
        label = sample.members["cls"].decode("ascii", "replace")
        yield f"{spec.key}: labelled {label!r}, not {spec.class_index}"
    if "json" in sample.members:
        facts = {"class_index": spec.class_index, "index": spec.index, "seed": spec.seed}
        if _parsed(sample.members["json"]) != facts:
            yield f"{spec.key}.json: not the facts of the plan"
    if plan.image.format in sample.members:
        yield from _image_problems(sample.members[plan.image.format], spec, plan)


def _image_problems(data: bytes, spec: SampleSpec, plan: SamplePlan) -> Iterator[str]:
    name = f"{spec.key}.{plan.image.format}"
    try:
        height, width, _ = decode_image(data, name, plan.image.format).shape
    except BadInput as error:
        yield str(error)
        return
    if (height, width) != (plan.image.size, plan.image.size):
        yield f"{name}: {width}x{height} pixels, not {plan.image.size}x{plan.image.size}"


def _problem(directory: Path, name: str, error: BadInput) -> Problem:
    return Problem(name, str(error).removeprefix(f"{directory / name}: "))


def _parsed(data: bytes) -> object:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def _card_problems(directory: Path, manifest: Manifest) -> Iterator[Problem]:
    try:
        card = read_front_matter(directory)
    except BadInput as error:
        yield _problem(directory, CARD, error)
        return
    wanted = front_matter(manifest, licence="")
    for name in ("configs", "dataset_info", "size_categories"):
        if card.get(name) != wanted[name]:
            yield Problem(CARD, f"`{name}` in its front matter is not what the manifest says")
    licence = card.get("license")
    if licence not in LICENCES:
        yield Problem(CARD, f"`license` in its front matter is none of {', '.join(LICENCES)}")
    elif (
        not (directory / LICENSE).exists() or (directory / LICENSE).read_bytes() != licence_text(licence).encode()
    ):
        yield Problem(LICENSE, f"not the text of {licence}, the licence that the card names")
    prose = (directory / CARD).read_text(encoding="utf-8")
    try:
        certificate = load_certificate(directory / CERTIFICATE) if (directory / CERTIFICATE).exists() else None
    except BadInput:
        return  # named above; a card that repeats it is no better
    for name, words in claims(manifest, certificate).items():
        if words not in prose:
            source = "certificate" if name == "certificate" and certificate is not None else "manifest"
            yield Problem(CARD, f"does not say {words!r}, as the {source} has it ({name})")


def _side_problems(directory: Path, manifest: Manifest) -> Iterator[Problem]:
    values = {"_info.json": manifest.timm_info(), "data/sizes.json": manifest.open_clip_sizes()}
    if (licence := held_licence(directory)) is not None:
        values[CROISSANT] = croissant(manifest, licence)
    for name, value in values.items():
        if not (directory / name).is_file():
            yield Problem(name, "missing; `sface-data card` makes it")
            continue
        try:
            if read_json(directory / name) != value:
                yield Problem(name, "not what the manifest says; `sface-data card` makes it anew")
        except BadInput as error:
            yield _problem(directory, name, error)
    for name, command in ((CITATION, "card"), (DATASHEET, "card"), (PREVIEW, "preview")):
        if not (directory / name).is_file():
            yield Problem(name, f"missing; `sface-data {command}` makes it")
        elif name == DATASHEET and claims(manifest)["counts"].encode() not in (directory / name).read_bytes():
            yield Problem(name, f"does not say {claims(manifest)['counts']!r}, as the manifest has it")
    for listed in (manifest.class_centers, manifest.aligned):
        if listed is None:
            continue
        path = directory / listed.filename
        if not path.is_file():
            yield Problem(listed.filename, "missing")
        elif sha256_of_file(path) != listed.sha256:
            yield Problem(listed.filename, "its SHA-256 is not that of the manifest")
