"""The main job: a plan, workers that make its images, and a shard writer make a data set."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import torch
from safetensors.torch import save

from sface_data.dataset.found_faces import FoundFaces
from sface_data.dataset.manifest import (
    Environment,
    ShardInfo,
    decisive,
)
from sface_data.dataset.plan import Truncation, format_ranges, spec_of
from sface_data.dataset.shard_writer import Packed, encode, write_shard
from sface_data.dataset.workspace import CENTERS, Workspace, check_alike
from sface_data.generation.find_faces import find_faces
from sface_data.generation.image_maker import ImageMaker, Stretch
from sface_data.generation.job import Job
from sface_data.generator.generator_file import GeneratorFile
from sface_data.generator.sampler import Sampler, class_center
from sface_data.io.files import atomic_write
from sface_data.runtime.devices import described
from sface_data.runtime.memory import is_of_memory
from sface_data.runtime.pool import Workers, cores
from sface_data.runtime.progress import Progress, progress_bar
from sface_data.runtime.provenance import versions
from sface_data.runtime.ray_workers import Cluster, ray_workers
from sface_data.runtime.workers import local_workers, one_thread

_BATCHES = 8  # of a stretch, which is what a worker is given at a time
_IMAGES_PER_WORKER = 256  # at least: a process takes seconds to start


@dataclass(frozen=True)
class Estimate:
    """What a plan will come to: bytes of all shards, from the mean size of `images` images made for it."""

    num_bytes: int
    images: int


def build(
    workspace: Workspace,
    job: Job,
    workers: int | None = None,
    overwrite: bool = False,
    cluster: Cluster | None = None,
) -> None:
    """Makes the shards of a part of a plan that are not there yet.

    It can be stopped at any moment, and goes on where it was when it is called again.

    Args:
        workspace: the folder, opened for the plan of the job.
        workers: at most so many; one for each core, or GPU, by default.
        overwrite: make shards again that were made where images may come out otherwise.
        cluster: where the workers run; on this machine by default.

    Raises:
        BadInput: if the disk is full, the cluster cannot be used, the generator gives values that are not finite,
            a class has too few images with a face, a worker was killed, or shards are there that were made where
            images may come out otherwise.
    """
    plan, environment = workspace.plan, describe_environment(job)
    if job.identities is not None:
        job.identities.save(workspace.directory, plan, workspace.own)
    numbers = workspace.part.of(plan.num_shards)
    unknown = plan.align is not None and workspace.faces() is None
    missing = list(numbers) if unknown else _missing(workspace, numbers, environment, overwrite)
    with one_thread():
        centers = None
        if plan.truncation.center == "class" and (missing or not workspace.has_centers()):
            centers = _class_centers(workspace, job.network)
        if not missing:
            return
        detector = None if job.detector is None else job.detector.opens
        maker = ImageMaker(job.network.generator, plan, job.device, job.batch, centers, detector)
        with _workers(maker, workers, sum(map(plan.shard_size, missing)), cluster) as pool:
            if unknown:
                with progress_bar(len(plan.classes), "classes", smoothing=0.05) as bar:
                    find_faces(workspace, pool, bar.update)
                missing = _missing(workspace, numbers, environment, overwrite)
            _make_shards(workspace, pool, missing, job.batch * _BATCHES, environment)


def fitted(job: Job) -> Job:
    """The job with half of its images at a time, or a quarter and so on, if its device has no memory for more."""
    plan = replace(job.plan, align=None, truncation=Truncation())
    specs = [spec_of(plan.base_seed, plan.classes[0], i) for i in range(job.batch)]
    while True:
        try:
            Sampler(job.network.generator, plan, job.device, job.batch).start(specs[: job.batch]).result()
            return job
        except (RuntimeError, MemoryError) as error:
            if not is_of_memory(error) or job.batch == 1:
                raise
        torch.cuda.empty_cache()
        job = replace(job, batch=job.batch // 2)


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
    network, detector = job.network, job.detector
    found: Environment = {"device": described(job.device)}
    if job.device.type == "cuda":
        found["batch"] = job.batch  # libraries choose among routines by it, which round differently
    faces_sha256 = network.trained_on.faces_sha256
    trained_on = {} if faces_sha256 is None else {"faces_sha256": faces_sha256}
    file = {"file": network.path.name, "sha256": network.file_sha256, **trained_on}
    found |= {"versions": versions(), "network": file}
    if detector is not None:
        found["detector"] = {"file": detector.name, "sha256": detector.sha256, "versions": detector.versions}
    return found


def _missing(workspace: Workspace, numbers: range, environment: Environment, overwrite: bool) -> list[int]:
    """The shards to make, of some; raises BadInput where they would not be like those that there are."""
    done = workspace.finished(numbers)
    if overwrite:
        done = {n: made for n, made in done.items() if decisive(made[1]) == decisive(environment)}
    missing = [number for number in numbers if number not in done]
    if missing and not overwrite:
        others = workspace.recorded(range(workspace.plan.num_shards))
        new = ShardInfo(workspace.plan.shard_filename(missing[0]), 0, 0, ""), environment
        check_alike(workspace.directory, [new, *others.values()])
    return missing


def _make_shards(
    workspace: Workspace, workers: Workers[ImageMaker], missing: list[int], size: int, environment: Environment
) -> None:
    """Makes some shards, from stretches of so many images; workers make those of the next one meanwhile."""
    plan, faces = workspace.plan, workspace.faces()
    stretches = (stretch for number in missing for stretch in _stretches(workspace, number, size, faces))
    made = workers.map(ImageMaker.make, stretches)
    total = sum(plan.shard_size(number) for number in workspace.part.of(plan.num_shards))
    found = total - sum(plan.shard_size(number) for number in missing)
    with progress_bar(total, "images", initial=found, smoothing=0.05) as bar:
        for number in missing:
            parts = islice(made, -(-plan.shard_size(number) // size))
            counted = _counted(parts, bar.update)
            filename = plan.shard_filename(number)
            shard = write_shard(workspace.directory, filename, counted, workspace.own)
            workspace.record(number, shard, environment)


def _counted(parts: Iterator[Packed], progress: Progress) -> Iterator[Packed]:
    for part in parts:
        yield part
        progress(part.num_samples)


def _stretches(workspace: Workspace, number: int, size: int, faces: FoundFaces | None) -> Iterator[Stretch]:
    specs = workspace.plan.shard(number, None if faces is None else faces.indices)
    while stretch := tuple(islice(specs, size)):
        yield Stretch(stretch, None if faces is None else [faces.landmarks_of(spec) for spec in stretch])


def _workers(
    maker: ImageMaker, asked: int | None, images: int, cluster: Cluster | None
) -> AbstractContextManager[Workers[ImageMaker]]:
    """As many as are asked for; by default one for each core, or GPU, if there is enough to do."""
    if cluster is not None:
        return ray_workers(cluster, asked, maker.elsewhere(), maker.device)
    most = cores()
    if maker.device.type == "cuda":
        most = torch.cuda.device_count() if str(maker.device) == "cuda" else 1
    count = asked or min(most, max(images // _IMAGES_PER_WORKER, 1))
    return local_workers(count, (lambda: maker) if count == 1 else maker.elsewhere(), "images")


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
    with atomic_write(workspace.directory / CENTERS, workspace.own) as file:
        file.write(save({"w_avg": centers}, {"classes": format_ranges(plan.classes)}))
    return centers
