"""A folder that a data set grows in, and what in it can be trusted after a stop."""

import dataclasses
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from sface_data.dataset.drawn_identities import IDENTITIES, RELATIONS
from sface_data.dataset.found_faces import ALIGNMENT, FoundFaces
from sface_data.dataset.manifest import (
    MANIFEST,
    AlignedFaces,
    ClassCenters,
    Environment,
    IdentityFiles,
    Manifest,
    ShardInfo,
    check_environment,
    decisive,
)
from sface_data.dataset.part import Part
from sface_data.dataset.plan import SamplePlan
from sface_data.errors import BadInput
from sface_data.io.files import (
    atomic_write,
    exists,
    is_file,
    os_errors_as_bad_input,
    pretty_json,
    read_json,
    sha256_of_file,
)
from sface_data.io.folders import check_folder, claim_folder, differences
from sface_data.io.typed_json import decode

CENTERS = "class_w_avg.safetensors"
SIDE_FILES = (CENTERS, ALIGNMENT, IDENTITIES, RELATIONS)
_NAME = ".sface-data-build"
_PLAN = "plan.json"
_LOCK = "lock"

FinishedShard = tuple[ShardInfo, Environment]  # whole and of this plan, and what made it


class Workspace:
    """The folder of one plan. Unfinished files and records of finished shards lie in a folder of it until the end.

    Several parts may work in it at a time: each has a folder of its own for what is unfinished, and whatever has
    been made is recorded for all. Make one with `open_workspace`.
    """

    def __init__(self, directory: Path, plan: SamplePlan, part: Part = Part()) -> None:  # noqa: B008 (frozen)
        self.directory = directory
        self.plan = plan
        self.part = part
        self.scratch = directory / _NAME
        self.own = self.scratch / f"part-{part.index}-of-{part.count}"

    @property
    def manifest(self) -> Manifest | None:
        """That of the finished data set, if it is finished."""
        if not exists(self.directory / MANIFEST):
            return None
        found = Manifest.load(self.directory)
        return found if found.plan == self.plan else None

    def finished(self, numbers: range | None = None) -> dict[int, FinishedShard]:
        """The shards that need not be made again, by number: recorded, and their bytes have the digest.

        Args:
            numbers: of those that are asked for; all by default.
        """
        asked = range(self.plan.num_shards) if numbers is None else numbers
        recorded = self.recorded(asked)
        return {number: made for number, made in recorded.items() if self._is_whole(made[0])}

    def recorded(self, numbers: range) -> dict[int, FinishedShard]:
        """The shards that are said to be finished, by number; their bytes are not looked at."""
        made_by = self._made_by()
        read = ((number, self._record(number, made_by)) for number in numbers)
        records = {number: made for number, made in read if made is not None}
        manifest = self.manifest
        if manifest is None:
            return records
        listed = (manifest.aligned, manifest.identities)
        if any(one is not None and one.sha256 != self._sha256_of(one.filename) for one in listed):
            return records
        shards = ((number, manifest.shards[number]) for number in numbers if number < len(manifest.shards))
        # A record is of what was made since.
        return {number: (shard, manifest.environments[shard.environment]) for number, shard in shards} | records

    def found(self) -> Manifest:
        """The manifest of what is there: of the data set if it is finished, else of the shards that are.

        Raises:
            BadInput: if the shards were made in environments that may give other bytes.
        """
        done = [made for _, made in sorted(self.finished().items())]
        check_alike(self.directory, done)
        environments: list[Environment] = []
        for _, environment in done:
            if environment not in environments:
                environments.append(environment)
        shards = tuple(dataclasses.replace(s, environment=environments.index(e)) for s, e in done)
        digests = {name: self._sha256_of(name) or "" for name in SIDE_FILES}
        kept = aligned = drawn = None
        if self.plan.truncation.center == "class":
            kept = ClassCenters(CENTERS, digests[CENTERS])
        if environments and (faces := self.faces()) is not None:
            aligned = AlignedFaces(ALIGNMENT, digests[ALIGNMENT], environments[0]["detector"]["file"], faces.drawn)
        if self.plan.identities is not None:
            drawn = IdentityFiles(IDENTITIES, digests[IDENTITIES], RELATIONS, digests[RELATIONS])
        trained_on = environments[0]["network"].get("faces_sha256") if environments else None
        return Manifest(self.plan, shards, tuple(environments), kept, aligned, trained_on, drawn)

    def has_centers(self) -> bool:
        """Whether the centres of truncation that the manifest lists are there and have the digest."""
        manifest = self.manifest
        kept = None if manifest is None else manifest.class_centers
        path = self.directory / CENTERS
        return kept is not None and is_file(path) and sha256_of_file(path) == kept.sha256

    def faces(self) -> FoundFaces | None:
        """The faces that were found for this plan before; None if there are none, or not yet."""
        if self.plan.align is None or (sha256 := self._sha256_of(ALIGNMENT)) is None:
            return None
        if (manifest := self.manifest) is not None:
            aligned = manifest.aligned
            if aligned is None or aligned.sha256 != sha256:
                return None
        try:
            return FoundFaces.load(self.directory / ALIGNMENT, self.plan)
        except BadInput:
            return None

    def _made_by(self) -> dict[str, str | None]:
        """What the images of a shard depend on: the plan, and what is found or drawn for it."""
        files = {ALIGNMENT: self.plan.align, IDENTITIES: self.plan.identities}
        digests = {name: self._sha256_of(name) for name, wanted in files.items() if wanted is not None}
        return {"plan_fingerprint": self.plan.fingerprint, **digests}

    def _sha256_of(self, filename: str) -> str | None:
        path = self.directory / filename
        return sha256_of_file(path) if is_file(path) else None

    def record(self, number: int, shard: ShardInfo, environment: Environment) -> None:
        """Notes that a shard is finished."""
        made: dict[str, Any] = {"info": dataclasses.asdict(shard), "environment": environment}
        self._write(self._record_path(number), {"made_by": self._made_by(), **made})

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Inside the block no other part begins or ends; waits for those that do.

        What the last one leaves of its work is removed at the end of the block if the data set is finished then.
        """
        with _alone(self.directory):
            yield
            if self.manifest is not None:
                self.close()

    def close(self) -> None:
        """Removes what only unfinished work needs."""
        with os_errors_as_bad_input(self.scratch), suppress(FileNotFoundError):  # another part does the same
            shutil.rmtree(self.scratch)

    def _write(self, path: Path, value: Any) -> None:
        with atomic_write(path, self.own) as file:
            file.write(pretty_json(value).encode())

    def _record(self, number: int, made_by: dict[str, str | None]) -> FinishedShard | None:
        path = self._record_path(number)
        if not exists(path):
            return None
        try:
            value = read_json(path)
            if value["made_by"] != made_by:
                return None
            environment = decode(dict[str, Any], value["environment"], "environment")
            check_environment(environment, self.plan)
            return decode(ShardInfo, value["info"], "info"), environment
        except (BadInput, KeyError, TypeError, AttributeError):
            return None  # a record that cannot be read vouches for nothing: the shard is made again

    def _record_path(self, number: int) -> Path:
        return self.scratch / f"{Path(self.plan.shard_filename(number)).stem}.json"

    def _is_whole(self, shard: ShardInfo) -> bool:
        path = self.directory / shard.filename
        return is_file(path) and path.stat().st_size == shard.num_bytes and sha256_of_file(path) == shard.sha256

    def prepare(self, found: SamplePlan | None, extend: bool) -> None:
        """Makes the folder that of this plan, and removes what this part left that was killed.

        Args:
            found: the plan that it is of.
            extend: keep the full shards of that plan.
        """
        if found not in (None, self.plan) and not extend:
            _clear(self.directory, found)
        with os_errors_as_bad_input(self.directory):
            self.own.mkdir(parents=True, exist_ok=True)  # one that finishes removes all
            for unfinished in self.own.glob(".*.part"):
                unfinished.unlink()
        if found not in (None, self.plan) and extend:
            self._keep_full_shards(Manifest.load(self.directory))
        if plan_in(self.directory) != self.plan or not exists(self.scratch / _PLAN):
            self._write(self.scratch / _PLAN, self.plan.to_json())
        with os_errors_as_bad_input(self.directory):  # last: with this and no plan, the folder is a stranger's
            (self.directory / "data").mkdir(exist_ok=True)
        if exists(self.directory / MANIFEST) and self.manifest is None:  # of the plan that this one extends
            (self.directory / MANIFEST).unlink()

    def _keep_full_shards(self, manifest: Manifest) -> None:
        """Samples are ordered by index first: more of each class come after those that there were."""
        for number, shard in enumerate(manifest.shards):
            if shard.num_samples == self.plan.samples_per_shard:
                kept = dataclasses.replace(shard, environment=0)
                self.record(number, kept, manifest.environments[shard.environment])


@contextmanager
def open_workspace(
    directory: Path,
    plan: SamplePlan,
    part: Part = Part(),  # noqa: B008 (frozen)
    overwrite: bool = False,
    extend: bool = False,
) -> Iterator[Workspace]:
    """Claims a part of a folder for a plan: a new or empty one, or one that holds this plan, finished or not.

    Args:
        overwrite: remove the data set of another plan from the folder first, its files and nothing else.
        extend: of a finished data set with fewer samples per class keep the shards that are full.

    Raises:
        BadInput: if the folder holds another plan (with what differs), things that are not ours, cannot be
            written, or another process is making the same part. Nothing in it has been touched then.
    """
    workspace = Workspace(directory, plan, part)

    def held() -> SamplePlan | None:
        found = plan_in(directory)
        if found not in (None, plan) and not overwrite and not (extend and _grows(directory, found, plan)):
            raise BadInput(
                f"{directory}: holds another data set; choose another folder, or replace it with --overwrite"
                f"{' (more samples per class: --extend)' if _grows(directory, found, plan) else ''}. "
                "Asked for, and held:",
                *differences(plan.to_json(), found.to_json()),
            )
        return found

    check_folder(directory, "a data set", held)
    with claim_folder(directory, "a data set", held, lock=f"{_NAME}/{workspace.own.name}/{_LOCK}"):
        with _alone(directory):
            found = check_folder(directory, "a data set", held)
            if found not in (None, plan):
                _check_idle(workspace)
            workspace.prepare(found, extend and _grows(directory, found, plan))
        yield workspace


def check_alike(directory: Path, shards: Iterable[FinishedShard]) -> None:
    """Raises BadInput where shards were made in environments that may give other bytes; names what differs."""
    first: FinishedShard | None = None
    for shard, environment in shards:
        if first is None:
            first = shard, environment
        elif decisive(environment) != decisive(first[1]):
            raise BadInput(
                f"{directory}: {shard.filename} was made where images may come out otherwise than "
                f"{first[0].filename}; go on there, or make it again with --overwrite. There, and here:",
                *differences(decisive(environment), decisive(first[1])),
            )


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    path = directory / _NAME / _LOCK
    with os_errors_as_bad_input(path):
        lock = FileLock(path)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _check_idle(workspace: Workspace) -> None:
    """Raises BadInput if a process is making another part."""
    for path in workspace.scratch.glob(f"part-*/{_LOCK}"):
        if path.parent == workspace.own:
            continue
        try:
            with FileLock(path, timeout=0):
                pass
        except Timeout as error:
            raise BadInput(
                f"{workspace.directory}: another process is filling this folder; wait for it"
            ) from error


def _grows(directory: Path, found: SamplePlan | None, plan: SamplePlan) -> bool:
    """Whether a folder holds a finished data set that differs from a plan in having fewer samples per class.

    With faces looked for, all would have to be looked for again: those are not extended.
    """
    if found is None or plan.align is not None or not exists(directory / MANIFEST):
        return False
    fewer = found.samples_per_class < plan.samples_per_class
    return fewer and dataclasses.replace(found, samples_per_class=plan.samples_per_class) == plan


def plan_in(directory: Path) -> SamplePlan | None:
    """The plan of a folder, finished or not; None if it has none. Raises BadInput if it cannot be read."""
    path = directory / _NAME / _PLAN
    if exists(path):
        try:
            return SamplePlan.from_json(read_json(path))
        except BadInput as error:
            raise BadInput(f"{directory}: {_NAME}/{_PLAN} is broken; choose another folder ({error})") from error
    return Manifest.load(directory).plan if exists(directory / MANIFEST) else None


def _clear(directory: Path, plan: SamplePlan) -> None:
    # Until all is gone, the folder is this plan's.
    with atomic_write(directory / _NAME / _PLAN) as file:
        file.write(pretty_json(plan.to_json()).encode())
    with os_errors_as_bad_input(directory):
        for number in range(plan.num_shards):
            (directory / plan.shard_filename(number)).unlink(missing_ok=True)
        for record in (directory / _NAME).glob("*.json"):
            if record.name != _PLAN:
                record.unlink()
        for part in (directory / _NAME).glob("alignment-*.safetensors"):
            part.unlink()
        for name in (MANIFEST, *SIDE_FILES):
            (directory / name).unlink(missing_ok=True)
