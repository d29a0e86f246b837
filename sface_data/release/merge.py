"""Parts of a data set that were made in several folders, put together."""

import heapq
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations, islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from sface_data.dataset.found_faces import ALIGNMENT, FoundFaces, found_faces
from sface_data.dataset.plan import SamplePlan, format_ranges
from sface_data.dataset.shard_reader import read_shard
from sface_data.dataset.shard_writer import EncodedSample, Packed, pack, write_shard
from sface_data.dataset.workspace import (
    CENTERS,
    SIDE_FILES,
    FinishedShard,
    Workspace,
    check_alike,
    open_workspace,
    plan_in,
)
from sface_data.errors import BadInput
from sface_data.io.files import MAX_ARRAYS, atomic_write, exists, os_errors_as_bad_input, put_in_place, read_bytes
from sface_data.io.folders import differences
from sface_data.release.contents import finish
from sface_data.release.generate import FaceDataset
from sface_data.release.licences import Licence, check_licence
from sface_data.runtime.arguments import StrPath, checks_arguments
from sface_data.runtime.progress import progress_bar


@checks_arguments
def merge(parts: Sequence[StrPath], outdir: StrPath, *, licence: Licence | None = None) -> FaceDataset:
    """Puts parts of a data set together that were made in several folders, finished or not.

    Parts of one plan (`generate --part`): shards are linked, or copied where that cannot be. Finished data sets
    that differ in their classes alone: shards are written anew. The bytes are those of one run for the whole.

    Args:
        parts: folders of the parts; nothing in them is changed.
        outdir: folder of the data set: new, empty, or one to go on with.
        licence: by default the one that the folder has, else that of the generator.

    Returns:
        The data set.

    Raises:
        BadInput: for folders that are no parts, are given twice, are of different plans or were made where images
            may come out otherwise; for data sets of other classes that share one; and where shards are missing,
            which are named.

    Example:
        >>> few = {"classes": "0-3", "samples_per_class": 4, "samples_per_shard": 4}
        >>> halves = [sface_data.generate(f"half-{i}", part=f"{i}/2", **few) for i in range(2)]
        >>> sface_data.merge(halves, "both").manifest.num_samples
        16
    """
    opened = [_opened(Path(part)) for part in parts]
    if not opened:
        raise BadInput("no parts are named; give the folders to merge")
    if double := next((a for a, b in combinations(opened, 2) if a.directory.samefile(b.directory)), None):
        raise BadInput(f"{double.directory}: given twice; name each part once")
    plan, folder = _whole([part.plan for part in opened], [part.directory for part in opened]), Path(outdir)
    done = [part.finished() for part in opened]
    check_alike(folder, [shard for shards in done for shard in shards.values()])
    check_licence(folder, licence)
    with open_workspace(folder, plan) as workspace:
        if all(part.plan == plan for part in opened):
            _link(workspace, opened, done)
        else:
            _repack(workspace, opened, done)
        with workspace.alone():
            manifest = workspace.found()
            there = {shard.filename for shard in manifest.shards}
            wanted = [plan.shard_filename(number) for number in range(plan.num_shards)]
            if missing := [name for name in wanted if name not in there]:
                raise BadInput(
                    f"{folder}: {missing[0]} is in none of the parts ({len(missing)} of {len(wanted)} are "
                    "missing); make their parts, and merge again"
                )
            finish(workspace, manifest, licence)
    return FaceDataset(folder, manifest)


def _opened(directory: Path) -> Workspace:
    plan = plan_in(directory)
    if plan is None:
        raise BadInput(f"{directory}: no part of a data set; `sface-data generate --part` makes one")
    return Workspace(directory, plan)


def _whole(plans: list[SamplePlan], directories: list[Path]) -> SamplePlan:
    """The plan of all: the one that they have, or that of all their classes."""
    first = plans[0]
    for plan, directory in zip(plans, directories, strict=True):
        if replace(plan, classes=first.classes) != first or (plan != first and plan.identities is not None):
            raise BadInput(
                f"{directory}: of another plan than {directories[0]}; parts may differ in their classes alone. "
                "Here, and there:",
                *differences(plan.to_json(), first.to_json()),
            )
    if all(plan == first for plan in plans):
        return first
    classes = sorted(c for plan in plans for c in plan.classes)
    twice = next((a for a, b in pairwise(classes) if a == b), None)
    if twice is not None:
        raise BadInput(f"class {twice} is in several of the parts; merge parts with other classes")
    return replace(first, classes=tuple(classes))


def _link(workspace: Workspace, parts: list[Workspace], done: list[dict[int, FinishedShard]]) -> None:
    """Takes over the shards of parts of the same plan."""
    for name in SIDE_FILES:
        for part in parts:
            if exists(part.directory / name):
                _put(part.directory / name, workspace, name)
    there = workspace.finished()
    for part, shards in zip(parts, done, strict=True):
        for number, (shard, environment) in shards.items():
            if number not in there:
                _put(part.directory / shard.filename, workspace, shard.filename)
                workspace.record(number, shard, environment)


def _put(source: Path, workspace: Workspace, name: str) -> None:
    """Links a file into the data set, or copies it; it is replaced by others, and never written to."""
    target, unfinished = workspace.directory / name, workspace.own / f".{Path(name).name}.link.part"
    with os_errors_as_bad_input(source):
        unfinished.unlink(missing_ok=True)
        try:
            os.link(source, unfinished)
            put_in_place(unfinished, target)
        except OSError:  # another file system
            with source.open("rb") as file, atomic_write(target, workspace.own) as copy:
                while chunk := file.read(1 << 20):
                    copy.write(chunk)
        finally:
            unfinished.unlink(missing_ok=True)


def _repack(workspace: Workspace, parts: list[Workspace], done: list[dict[int, FinishedShard]]) -> None:
    """Writes the shards of finished data sets of other classes anew, in the order of the plan of all."""
    plan = workspace.plan
    for part, shards in zip(parts, done, strict=True):
        missing = [number for number in range(part.plan.num_shards) if number not in shards]
        if missing:
            name = part.plan.shard_filename(missing[0])
            raise BadInput(f"{part.directory}: {name} is missing or was changed; make it again, and merge again")
    _join_side_files(workspace, parts)
    streams = [_samples(part) for part in parts]
    merged = (packed for _, packed in heapq.merge(*streams, key=lambda sample: sample[0]))
    there, environment = workspace.finished(), next(iter(done[0].values()))[1]
    with progress_bar(plan.num_samples, "images") as bar:
        for number in range(plan.num_shards):
            samples = islice(merged, plan.shard_size(number))
            if number in there:
                for _ in samples:
                    pass
            else:
                shard = write_shard(workspace.directory, plan.shard_filename(number), samples, workspace.own)
                workspace.record(number, shard, environment)
            bar.update(plan.shard_size(number))


def _samples(part: Workspace) -> Iterator[tuple[tuple[int, int], Packed]]:
    """The samples of a part in order, with their place among those of their class, and the class."""
    plan, place = part.plan, 0
    faces = part.faces()
    for number in range(plan.num_shards):
        specs = plan.shard(number, None if faces is None else faces.indices)
        path = part.directory / plan.shard_filename(number)
        for spec, sample in zip(specs, read_shard(path), strict=True):
            if sample.key != spec.key:
                raise BadInput(f"{path}: holds {sample.key!r} where the plan has {spec.key}; make the part again")
            image = sample.members[plan.image.format]
            packed = Packed(1, pack(EncodedSample(spec, image), plan.image.format))
            yield (place // len(plan.classes), spec.class_index), packed
            place += 1


def _centers(part: Workspace) -> NDArray[Any]:
    """The centres of truncation [classes,w_dim] of a part.

    Raises:
        BadInput: if they are not those that it was made with.
    """
    path = part.directory / CENTERS
    try:
        rows = load(read_bytes(path, MAX_ARRAYS))["w_avg"]
        if (part.manifest is None or part.has_centers()) and len(rows) == len(part.plan.classes):
            return rows
    except (SafetensorError, KeyError, TypeError):  # TypeError: a single number has no length
        pass
    raise BadInput(f"{path}: not the centres of its classes; make the part again, and merge again")


def _join_side_files(workspace: Workspace, parts: list[Workspace]) -> None:
    plan = workspace.plan
    order = np.argsort(np.concatenate([part.plan.classes for part in parts]))
    if plan.truncation.center == "class":
        rows = [_centers(part) for part in parts]
        with atomic_write(workspace.directory / CENTERS, workspace.own) as file:
            centers = np.ascontiguousarray(np.concatenate(rows)[order])
            file.write(save({"w_avg": centers}, {"classes": format_ranges(plan.classes)}))
    if plan.align is not None:
        found = [found_faces(part.directory, part.plan) for part in parts]
        rows = [np.concatenate([getattr(f, name) for f in found])[order] for name in ("indices", "landmarks")]
        FoundFaces(plan.classes, *rows).save(workspace.directory / ALIGNMENT, plan, workspace.own)
