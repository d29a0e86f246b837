"""Checking shards: every byte against the manifest, every sample against the plan."""

import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sface_data.dataset.found_faces import ALIGNMENT, FoundFaces, found_faces
from sface_data.dataset.manifest import MANIFEST, Manifest
from sface_data.dataset.plan import SamplePlan, SampleSpec
from sface_data.dataset.shard_reader import ShardSample, read_shard
from sface_data.dataset.shard_writer import EncodedSample, ending, pack
from sface_data.errors import BadInput, shown
from sface_data.io.bare_images import is_bare
from sface_data.io.files import exists, is_file, read_json, sha256_of_file
from sface_data.io.images import decode_image
from sface_data.release.problems import Problem, problem_of
from sface_data.runtime.pool import cores
from sface_data.runtime.progress import progress_bar

_PER_SHARD = 20  # problems named in one shard; a swapped pair of shards would otherwise name thousands
_SMALLEST = 3 * 1024  # bytes of a sample in a tar: three members of a header and at least one block of 512
_SPARE = 1 << 20  # bytes that a shard may have too many, samples that it may have too few, to be looked into


def shard_problems(directory: Path, manifest: Manifest) -> list[Problem]:
    """What is wrong with the manifest, the shards and the folder that they are in."""
    problems = [*_manifest_problems(directory, manifest), *_foreign_files(directory, manifest)]
    faces = None
    try:
        faces = found_faces(directory, manifest.plan)
    except BadInput as error:
        problems.append(problem_of(directory, ALIGNMENT, error))
    with (
        ThreadPoolExecutor(cores()) as pool,
        progress_bar(manifest.num_bytes, "B", desc="checked", unit_scale=True, delay=5) as bar,
    ):
        numbers = range(len(manifest.shards))
        found = pool.map(lambda number: list(_shard_problems(directory, manifest, number, faces)), numbers)
        for shard, wrong in zip(manifest.shards, found, strict=True):
            problems += wrong
            bar.update(shard.num_bytes)
    return problems


def _manifest_problems(directory: Path, manifest: Manifest) -> Iterator[Problem]:
    plan = manifest.plan
    written = read_json(directory / MANIFEST)
    if written.get("plan_fingerprint") != plan.fingerprint:
        yield Problem(MANIFEST, "the fingerprint is not that of the plan")
    if written.get("identity") != manifest.identity:
        yield Problem(MANIFEST, "the identity is not that of plan and shards")
    listed = [(shard.filename, shard.num_samples) for shard in manifest.shards]
    if len(listed) != plan.num_shards or listed != [
        (plan.shard_filename(i), plan.shard_size(i)) for i in range(plan.num_shards)
    ]:
        yield Problem(MANIFEST, "the shards listed are not those of the plan")


def _foreign_files(directory: Path, manifest: Manifest) -> Iterator[Problem]:
    listed = {shard.filename for shard in manifest.shards}
    for path in sorted((directory / "data").glob("*")):
        name = f"data/{path.name}"
        if name not in listed:
            yield Problem(name, "not in the manifest; readers that take every file here would read it")


def _shard_problems(
    directory: Path, manifest: Manifest, number: int, faces: FoundFaces | None
) -> Iterator[Problem]:
    shard, path = manifest.shards[number], directory / manifest.shards[number].filename
    if not is_file(path):
        yield Problem(shard.filename, "not a regular file" if exists(path) else "missing")
        return
    if (size := path.stat().st_size) != shard.num_bytes:
        yield Problem(shard.filename, f"{size:,} bytes, not {shard.num_bytes:,}")
    elif (sha256 := sha256_of_file(path)) != shard.sha256:
        yield Problem(shard.filename, f"its SHA-256 is {sha256[:12]}..., not {shard.sha256[:12]}...")
    plan = manifest.plan
    if number >= plan.num_shards or (plan.align is not None and faces is None):
        return  # nothing says what should be in it
    if size > shard.num_bytes + _SPARE or plan.shard_size(number) > size // _SMALLEST + _SPARE:
        return  # far too much is there, or is missing: naming it sample by sample would take hours
    planned = plan.shard(number, None if faces is None else faces.indices)
    sentences = _content_problems(path, plan, {spec.key: spec for spec in planned}, shard.sha256)
    for count, sentence in enumerate(sentences):
        if count == _PER_SHARD:
            yield Problem(shard.filename, "and more")
            return
        yield Problem(shard.filename, sentence)


def _content_problems(path: Path, plan: SamplePlan, planned: dict[str, SampleSpec], sha256: str) -> Iterator[str]:
    found, sha, size, sound = [], hashlib.sha256(), 0, True
    try:
        for sample in read_shard(path):
            if sample.key not in planned:
                yield f"{sample.key!r}: not in the plan"
                continue
            found.append(sample.key)
            problems = list(_sample_problems(sample, planned[sample.key], plan))
            yield from problems
            sound = sound and not problems
            if sound:
                image = sample.members[plan.image.format]
                packed = pack(EncodedSample(planned[sample.key], image), plan.image.format)
                sha.update(packed)
                size += len(packed)
    except BadInput as error:
        yield str(error).removeprefix(f"{shown(path)}: ")
        return
    there = set(found)
    yield from (f"{key}: missing" for key in planned if key not in there)
    if sorted(found) == sorted(planned) and found != list(planned):
        yield "the samples are not in the order of the plan"
    elif sound and len(found) == len(planned):
        sha.update(ending(size))
        if sha.hexdigest() != sha256:
            yield "has bytes that belong to no sample; readers may make something of them"


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
    if not is_bare(data, plan.image.format):
        yield f"{name}: holds more than opaque RGB pixels of 8 bits; readers may see another picture"


def _parsed(data: bytes) -> object:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None
