"""The main job: a plan, a sampler and a shard writer make a data set."""

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import torch
from safetensors.torch import save
from tqdm import tqdm

from sface_data.dataset.drawn_identities import IDENTITIES, RELATIONS
from sface_data.dataset.found_faces import ALIGNMENT, FoundFaces
from sface_data.dataset.manifest import AlignedFaces, ClassCenters, Environment, IdentityFiles, Manifest
from sface_data.dataset.plan import ImageFormat, format_ranges, spec_of
from sface_data.dataset.shard_writer import EncodedSample, encode, write_shard
from sface_data.dataset.workspace import CENTERS, FinishedShard, Workspace
from sface_data.faces.alignment import warp
from sface_data.faces.detector import Detector
from sface_data.generation.find_faces import find_faces
from sface_data.generation.job import Job
from sface_data.generator.generator_file import GeneratorFile
from sface_data.generator.sampler import SampleBatch, Sampler, class_center
from sface_data.io.files import atomic_write, sha256_of_file
from sface_data.runtime.prefetch import prefetch
from sface_data.runtime.progress import progress_bar
from sface_data.runtime.provenance import versions

_BATCHES_AHEAD = 8  # batches that wait for an encoder; bounds the memory


@dataclass(frozen=True)
class Estimate:
    """What a plan will come to: bytes of all shards, from the mean size of `images` images made for it."""

    num_bytes: int
    images: int


def build(workspace: Workspace, job: Job) -> Manifest:
    """Makes the shards of a plan that are not there yet.

    It can be stopped at any moment, and goes on where it was when it is called again.

    Args:
        workspace: the folder, opened for the plan of the job.

    Returns:
        The manifest of the finished data set, not saved yet.

    Raises:
        BadInput: if the disk is full, the generator gives values that are not finite, or a class has too few
            images with a face.
    """
    plan, detector = workspace.plan, job.detector
    environment = describe_environment(job)
    if job.identities is not None:
        job.identities.save(workspace.directory, plan, workspace.scratch)
    faces = workspace.faces()
    unknown = plan.align is not None and faces is None
    done = {} if unknown else workspace.finished()
    missing = [number for number in range(plan.num_shards) if number not in done]
    centers = None
    if plan.truncation.center == "class" and (missing or not workspace.has_centers()):
        centers = _class_centers(workspace, job.network)
    if missing:
        sampler = Sampler(job.network.generator, plan, job.device, job.batch, centers)
        if unknown:
            assert detector is not None
            with progress_bar(len(plan.classes), "classes", smoothing=0.05) as bar:
                faces = find_faces(workspace, sampler, detector, bar.update)
            done = workspace.finished()
            missing = [number for number in missing if number not in done]
        indices = None if faces is None else faces.indices
        found = sum(shard.num_samples for shard, _ in done.values())
        with (
            progress_bar(plan.num_samples, "images", initial=found, smoothing=0.05) as bar,
            ThreadPoolExecutor(_encoders()) as encoders,
        ):
            for number in missing:
                batches = _counted(sampler.batches(plan.shard(number, indices)), bar)
                shard = write_shard(
                    workspace.directory,
                    plan.shard_filename(number),
                    encoded(batches, plan.image, encoders, faces),
                    plan.image.format,
                    workspace.scratch,
                )
                done[number] = shard, environment
                workspace.record(number, shard, environment)
    return replace(_manifest(workspace, done, detector), training_faces_sha256=job.network.faces_sha256)


def estimate(job: Job, images: int = 8) -> Estimate:
    """What a plan will come to, from a few images spread over its classes, of the size and format planned."""
    plan, generator = job.plan, job.network.generator
    num_samples = plan.num_samples
    classes = [plan.classes[i * len(plan.classes) // images] for i in range(images)]
    specs = [spec_of(plan.base_seed, c, i) for i, c in enumerate(classes)]
    centers = None
    if plan.truncation.center == "class":
        samples = plan.truncation.center_samples or 1
        plan = replace(plan, classes=tuple(sorted(set(classes))))
        centers = torch.stack([class_center(generator, c, samples) for c in plan.classes])
    sampler = Sampler(generator, replace(plan, align=None), job.device, images, centers)
    sizes = [len(encode(image, plan.image)) for batch in sampler.batches(specs) for image in batch.images]
    blocks = 3 + 2 + np.mean([-(-size // 512) for size in sizes])  # headers, .cls and .json, image
    return Estimate(int(num_samples * blocks * 512), images)


def describe_environment(job: Job) -> Environment:
    """What the last bit of an image may depend on, and which files generator and detector came from."""
    device, network, detector = job.device, job.network, job.detector
    if device.type == "cuda":
        processor = torch.cuda.get_device_name(device)
    else:
        processor = f"cpu {torch.backends.cpu.get_cpu_capability()}, {torch.get_num_threads()} threads"
    found: Environment = {
        "device": processor,
        "batch": job.batch,
        "versions": versions(),
        "network": {"file": network.path.name, "sha256": network.file_sha256},
    }
    if detector is not None:
        found["detector"] = {"file": detector.name, "sha256": detector.sha256, "versions": detector.versions}
    return found


def encoded(
    batches: Iterable[SampleBatch], form: ImageFormat, pool: ThreadPoolExecutor, faces: FoundFaces | None = None
) -> Iterator[EncodedSample]:
    """The samples as records, in order, aligned if faces are given, encoded in threads while others are made."""
    for records in prefetch(pool, lambda batch: _encode_batch(batch, form, faces), batches, _BATCHES_AHEAD):
        yield from records


def _encode_batch(batch: SampleBatch, form: ImageFormat, faces: FoundFaces | None) -> list[EncodedSample]:
    records = []
    for spec, image in zip(batch.specs, batch.images, strict=True):
        shown = image if faces is None else warp(image, faces.landmarks_of(spec), form.size)
        records.append(EncodedSample(spec, encode(shown, form)))
    return records


def _counted(batches: Iterable[SampleBatch], bar: tqdm) -> Iterator[SampleBatch]:
    for batch in batches:
        yield batch
        bar.update(len(batch.specs))


def _class_centers(workspace: Workspace, network: GeneratorFile) -> torch.Tensor:
    """The mean w of each class of the plan, float32 [classes,w_dim]; kept in the folder."""
    plan = workspace.plan
    assert plan.truncation.center_samples is not None
    rows = []
    with progress_bar(len(plan.classes), "classes", smoothing=0.05) as bar:
        for c in plan.classes:
            rows.append(class_center(network.generator, c, plan.truncation.center_samples))
            bar.update()
    centers = torch.stack(rows)
    with atomic_write(workspace.directory / CENTERS, workspace.scratch) as file:
        file.write(save({"w_avg": centers}, {"classes": format_ranges(plan.classes)}))
    return centers


def _manifest(workspace: Workspace, done: dict[int, FinishedShard], detector: Detector | None) -> Manifest:
    environments: list[Environment] = []
    shards = []
    for _, (shard, environment) in sorted(done.items()):
        if environment not in environments:
            environments.append(environment)
        shards.append(replace(shard, environment=environments.index(environment)))
    centers = workspace.directory / CENTERS
    kept = None
    if workspace.plan.truncation.center == "class":
        kept = ClassCenters(CENTERS, sha256_of_file(centers))
    aligned = None
    if (faces := workspace.faces()) is not None and detector is not None:
        sha256 = sha256_of_file(workspace.directory / ALIGNMENT)
        aligned = AlignedFaces(ALIGNMENT, sha256, detector.name, faces.drawn)
    drawn = None
    if workspace.plan.identities is not None:
        digests = (sha256_of_file(workspace.directory / name) for name in (IDENTITIES, RELATIONS))
        drawn = IdentityFiles(IDENTITIES, next(digests), RELATIONS, next(digests))
    return Manifest(workspace.plan, tuple(shards), tuple(environments), kept, aligned, identities=drawn)


def _encoders() -> int:
    """Threads that encode: a share of the cores, for on a CPU synthesis needs them more."""
    return min(max((os.cpu_count() or 1) // 2, 1), 8)
