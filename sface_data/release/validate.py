"""Checking every byte of a finished folder against its manifest, its card and its certificate."""

from dataclasses import dataclass
from pathlib import Path

from sface_data.dataset.manifest import MANIFEST, Manifest
from sface_data.dataset.workspace import Workspace, plan_in
from sface_data.errors import BadInput, counted
from sface_data.io.files import exists
from sface_data.release.check_shards import shard_problems
from sface_data.release.check_texts import surrounding_problems
from sface_data.release.problems import Problem
from sface_data.runtime.arguments import StrPath, checks_arguments


@dataclass(frozen=True)
class Validation:
    """The outcome: the identity of the release, what was read, what is wrong."""

    identity: str
    num_shards: int
    num_samples: int
    problems: tuple[Problem, ...]

    @property
    def valid(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


@checks_arguments
def validate(directory: StrPath, *, public_key: StrPath | None = None) -> Validation:
    """Reads every byte of a data set.

    Checked are: size and SHA-256 of each shard; its samples against the plan (none missing, doubled, foreign
    or out of order; members, label, facts); that each image decodes and has the size planned; files in
    `data/` that do not belong; the centres of truncation and the faces that were found; front matter and blocks of
    the card; blocks of datasheet and citation; licence, indexes and preview; the certificate, if there is one,
    that it is of exactly these bytes, and the report, that it is of this certificate and unedited.

    Args:
        directory: a finished data set.
        public_key: an Ed25519 key (PEM) that must have signed the certificate, which must be there then.

    Raises:
        BadInput: if the data set is not finished, there is no manifest to check against, or the key cannot be
            read.

    Example:
        >>> sface_data.validate("faces").valid
        True
    """
    folder, key = Path(directory), None if public_key is None else Path(public_key)
    _check_finished(folder)
    manifest = Manifest.load(folder)
    problems = [*shard_problems(folder, manifest), *surrounding_problems(folder, manifest, key)]
    return Validation(manifest.identity, len(manifest.shards), manifest.num_samples, tuple(problems))


def _check_finished(folder: Path) -> None:
    """Raises BadInput for a data set that is being made; it says how much of it is there."""
    plan = None if exists(folder / MANIFEST) else plan_in(folder)
    if plan is not None:
        there = len(Workspace(folder, plan).finished())
        raise BadInput(
            f"{folder}: not finished: {there:,} of {counted(plan.num_shards, 'shard')} are there; run the same "
            "`sface-data generate` again, or merge the parts"
        )
