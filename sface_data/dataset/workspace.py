"""A folder that a data set grows in, and what in it can be trusted after a stop."""

import dataclasses
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sface_data.dataset.drawn_identities import IDENTITIES, RELATIONS
from sface_data.dataset.found_faces import ALIGNMENT, FoundFaces
from sface_data.dataset.manifest import MANIFEST, Environment, Manifest, ShardInfo
from sface_data.dataset.plan import SamplePlan
from sface_data.errors import BadInput
from sface_data.io.files import (
    exists,
    is_file,
    os_errors_as_bad_input,
    pretty_json,
    read_json,
    sha256_of_file,
    write_text,
)
from sface_data.io.folders import claim_folder, differences
from sface_data.io.typed_json import decode

CENTERS = "class_w_avg.safetensors"
_NAME = ".sface-data-build"
_PLAN = "plan.json"


FinishedShard = tuple[ShardInfo, Environment]  # whole and of this plan, and what made it


class Workspace:
    """The folder of one plan. Unfinished files and records of finished shards lie in a folder of it until the end.

    Make one with `open_workspace`.
    """

    def __init__(self, directory: Path, plan: SamplePlan) -> None:
        self.directory = directory
        self.plan = plan
        self.scratch = directory / _NAME

    @property
    def complete(self) -> bool:
        """Whether a manifest has been written."""
        return exists(self.directory / MANIFEST)

    def finished(self) -> dict[int, FinishedShard]:
        """The shards that need not be made again, by number: recorded, and their bytes have the digest."""
        if self.complete:
            manifest = Manifest.load(self.directory)
            listed = (manifest.aligned, manifest.identities)
            if any(one is not None and one.sha256 != self._sha256_of(one.filename) for one in listed):
                return {}
            recorded = {
                i: (shard, manifest.environments[shard.environment]) for i, shard in enumerate(manifest.shards)
            }
        else:
            recorded = dict(self._records())
        return {i: made for i, made in recorded.items() if self._is_whole(made[0])}

    def has_centers(self) -> bool:
        """Whether the centres of truncation that the manifest lists are there and have the digest."""
        kept = Manifest.load(self.directory).class_centers if self.complete else None
        path = self.directory / CENTERS
        return kept is not None and is_file(path) and sha256_of_file(path) == kept.sha256

    def faces(self) -> FoundFaces | None:
        """The faces that were found for this plan before; None if there are none, or not yet."""
        if self.plan.align is None or (sha256 := self._sha256_of(ALIGNMENT)) is None:
            return None
        if self.complete:
            aligned = Manifest.load(self.directory).aligned
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
        write_text(self._record_path(number), pretty_json({"made_by": self._made_by(), **made}))

    def close(self) -> None:
        """Removes what only unfinished work needs."""
        with os_errors_as_bad_input(self.scratch):
            shutil.rmtree(self.scratch)

    def _records(self) -> Iterator[tuple[int, FinishedShard]]:
        made_by = self._made_by()
        for number in range(self.plan.num_shards):
            path = self._record_path(number)
            if not exists(path):
                continue
            try:
                value = read_json(path)
                if value["made_by"] == made_by:
                    environment = decode(dict[str, Any], value["environment"], "environment")
                    yield number, (decode(ShardInfo, value["info"], "info"), environment)
            except (BadInput, KeyError, TypeError, AttributeError):
                continue  # a record that cannot be read vouches for nothing: the shard is made again

    def _record_path(self, number: int) -> Path:
        return self.scratch / f"{Path(self.plan.shard_filename(number)).stem}.json"

    def _is_whole(self, shard: ShardInfo) -> bool:
        path = self.directory / shard.filename
        return is_file(path) and path.stat().st_size == shard.num_bytes and sha256_of_file(path) == shard.sha256


@contextmanager
def open_workspace(directory: Path, plan: SamplePlan, overwrite: bool = False) -> Iterator[Workspace]:
    """Claims a folder for a plan: a new or empty one, or one that holds this plan, finished or not.

    Args:
        overwrite: remove the data set of another plan from the folder first, its files and nothing else.

    Raises:
        BadInput: if the folder holds another plan (with what differs), things that are not ours, cannot be
            written, or is being filled by another process. Nothing in it has been touched then.
    """
    workspace = Workspace(directory, plan)

    def held() -> SamplePlan | None:
        found = _plan_in(directory)
        if found not in (None, plan) and not overwrite:
            raise BadInput(
                f"{directory}: holds another data set; choose another folder, or replace it with --overwrite. "
                "Asked for, and held:",
                *differences(plan.to_json(), found.to_json()),
            )
        return found

    with claim_folder(directory, "a data set", held, lock=f"{_NAME}/lock") as found:
        if found not in (None, plan):
            _clear(directory, found)
        write_text(workspace.scratch / _PLAN, pretty_json(plan.to_json()))
        with os_errors_as_bad_input(directory):
            (directory / "data").mkdir(exist_ok=True)
            for unfinished in workspace.scratch.glob(".*.part"):
                unfinished.unlink()
        yield workspace


def _plan_in(directory: Path) -> SamplePlan | None:
    path = directory / _NAME / _PLAN
    if exists(path):
        try:
            return SamplePlan.from_json(read_json(path))
        except BadInput as error:
            raise BadInput(f"{directory}: {_NAME}/{_PLAN} is broken; choose another folder ({error})") from error
    return Manifest.load(directory).plan if exists(directory / MANIFEST) else None


def _clear(directory: Path, plan: SamplePlan) -> None:
    # Until all is gone, the folder is this plan's.
    write_text(directory / _NAME / _PLAN, pretty_json(plan.to_json()))
    with os_errors_as_bad_input(directory):
        for number in range(plan.num_shards):
            (directory / plan.shard_filename(number)).unlink(missing_ok=True)
        for record in (directory / _NAME).glob("*.json"):
            if record.name != _PLAN:
                record.unlink()
        for part in (directory / _NAME).glob("alignment-*.safetensors"):
            part.unlink()
        for name in (MANIFEST, CENTERS, ALIGNMENT, IDENTITIES, RELATIONS):
            (directory / name).unlink(missing_ok=True)
