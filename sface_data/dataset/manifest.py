"""What exists: the manifest of a finished data set, and the indexes that other readers look for."""

import dataclasses
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sface_data.dataset.plan import SamplePlan
from sface_data.errors import BadInput
from sface_data.io.files import exists, pretty_json, read_json, sha256_of_json, write_text
from sface_data.io.typed_json import Sha256, decode

MANIFEST = "manifest.json"
_FORMAT = "sface-data manifest 1"
_DERIVED = ("format", "plan_fingerprint", "identity")  # what is written and follows from the rest

_FILE = re.compile(r"(data/)?\w[\w.-]{0,254}")

Environment = dict[str, Any]


def decisive(environment: Environment) -> dict[str, Any]:
    """What of an environment may show in the bytes of images: device, batch on a GPU, versions of libraries."""
    found = {name: environment.get(name) for name in ("device", "batch")}
    for where, parts in (("versions", environment), ("detector", environment.get("detector") or {})):
        found |= {f"{where} {name}": version for name, version in (parts.get("versions") or {}).items()}
    return {name: value for name, value in found.items() if name != "versions python"}


@dataclass(frozen=True)
class ShardInfo:
    """One finished shard.

    Attributes:
        filename: its path below the folder of the data set.
        num_samples, num_bytes: what it holds, and its size.
        sha256: hex digest of its bytes.
        environment: which of the manifest's environments made it.
    """

    filename: str
    num_samples: int
    num_bytes: int
    sha256: Sha256
    environment: int = 0


@dataclass(frozen=True)
class ClassCenters:
    """The file with the centres of truncation by class: where it is, and its hex SHA-256."""

    filename: str
    sha256: Sha256


@dataclass(frozen=True)
class AlignedFaces:
    """How the faces of an aligned data set were found.

    Attributes:
        filename, sha256: the list of them, and its hex SHA-256.
        detector: name of the detector's file; the plan has its digest.
        drawn: images looked at until each class had enough with a face.
    """

    filename: str
    sha256: Sha256
    detector: str
    drawn: int


@dataclass(frozen=True)
class IdentityFiles:
    """The files on identities that were drawn: what they are, and what they are near to.

    Attributes:
        filename, sha256: their embeddings, and the hex SHA-256.
        relations, relations_sha256: table of the training classes nearest to each and mixed into it. A claim of
            whoever made the data set: it takes the generator to check it.
    """

    filename: str
    sha256: Sha256
    relations: str
    relations_sha256: Sha256


@dataclass(frozen=True)
class Manifest:
    """A finished data set: the plan, its shards in order, and what made them.

    Saved as `manifest.json`, written last.

    Attributes:
        class_centers: with truncation towards the class.
        aligned: with a plan that aligns.
        training_faces_sha256: of the faces that the generator's file says it was trained on, as
            `faces.face_list.faces_sha256`; None where it does not say.
        identities: with a plan whose classes are drawn.
    """

    plan: SamplePlan
    shards: tuple[ShardInfo, ...]
    environments: tuple[Environment, ...]
    class_centers: ClassCenters | None = None
    aligned: AlignedFaces | None = None
    training_faces_sha256: Sha256 | None = None
    identities: IdentityFiles | None = None

    @property
    def num_samples(self) -> int:
        """Samples in all shards."""
        return sum(shard.num_samples for shard in self.shards)

    @property
    def num_bytes(self) -> int:
        """Bytes of all shards."""
        return sum(shard.num_bytes for shard in self.shards)

    @property
    def side_files(self) -> dict[str, str]:
        """What else the images were made by: hex SHA-256 by path below the folder of the data set."""
        listed = (self.class_centers, self.aligned, self.identities)
        files = {one.filename: one.sha256 for one in listed if one is not None}
        if self.identities is not None:
            files[self.identities.relations] = self.identities.relations_sha256
        return files

    @property
    def identity(self) -> str:
        """The identity of the release: hex SHA-256 of plan, shards and side files, whatever made them."""
        shards = [[shard.filename, shard.num_samples, shard.num_bytes, shard.sha256] for shard in self.shards]
        return sha256_of_json({"plan": self.plan.to_json(), "shards": shards, "files": self.side_files})

    def save(self, directory: Path) -> None:
        """Writes `manifest.json`, atomically."""
        value = {
            "format": _FORMAT,
            "plan": self.plan.to_json(),
            "plan_fingerprint": self.plan.fingerprint,
            "identity": self.identity,
            "environments": list(self.environments),
            "class_centers": None if self.class_centers is None else dataclasses.asdict(self.class_centers),
            "shards": [dataclasses.asdict(shard) for shard in self.shards],
        }
        if self.aligned is not None:
            value["aligned"] = dataclasses.asdict(self.aligned)
        if self.identities is not None:
            value["identities"] = dataclasses.asdict(self.identities)
        if self.training_faces_sha256 is not None:
            value["training_faces_sha256"] = self.training_faces_sha256
        write_text(directory / MANIFEST, pretty_json(value))

    @classmethod
    def load(cls, directory: Path) -> "Manifest":
        """Reads `manifest.json`.

        Raises:
            BadInput: if it is missing, or no such manifest.
        """
        path = directory / MANIFEST
        if not exists(path):
            raise BadInput(
                f"{directory}: no finished data set, as it has no {MANIFEST}; `sface-data generate` makes one"
            )
        value = read_json(path)
        try:
            if value["format"] != _FORMAT:
                raise BadInput(f"{path}: its format is {value['format']!r}; this version reads {_FORMAT!r}")
            plan = SamplePlan.from_json(value["plan"])
            fields = {name: item for name, item in value.items() if name not in _DERIVED}
            manifest = decode(cls, {**fields, "plan": plan})
            _check(manifest)
        except (KeyError, TypeError, AttributeError) as error:
            raise BadInput(f"{path}: not a manifest of a data set made by sface-data ({error})") from error
        except BadInput as error:
            raise BadInput(f"{path}: {error}" if str(path) not in str(error) else str(error)) from error
        return manifest

    def timm_info(self) -> dict[str, Any]:
        """The contents of `_info.json`, which the WebDataset reader of timm looks for."""
        names = [shard.filename for shard in self.shards]  # from the folder that `_info.json` is in
        lengths = [shard.num_samples for shard in self.shards]
        split = {
            "name": self.plan.split,
            "num_samples": self.num_samples,
            "filenames": names,
            "shard_lengths": lengths,
        }
        return {"splits": {self.plan.split: split}}


@dataclass(frozen=True)
class _NetworkFile:
    """The entry `network` of an environment."""

    file: str
    sha256: Sha256
    faces_sha256: Sha256 | None = None


@dataclass(frozen=True)
class _DetectorFile:
    """The entry `detector` of an environment."""

    file: str
    sha256: Sha256
    versions: dict[str, str] | None = None


def check_environment(environment: Environment, plan: SamplePlan) -> None:
    """Raises BadInput where an environment has not what is read from it; the rest may be anything."""
    decode(_NetworkFile, environment.get("network"), "network of an environment")
    for kind, name in ((_DetectorFile, "detector"), (dict[str, str], "versions")):
        if environment.get(name) is not None or (name == "detector" and plan.align is not None):
            decode(kind, environment.get(name), f"{name} of an environment")


def _check(manifest: Manifest) -> None:
    """Raises BadInput where the parts of a manifest do not fit together."""
    for name in (*(shard.filename for shard in manifest.shards), *manifest.side_files):
        if not _FILE.fullmatch(name):
            raise BadInput(f"{name!r} is no name of a file in a data set")
    for shard in manifest.shards:
        if not 0 <= shard.environment < len(manifest.environments):
            raise BadInput(f"{shard.filename} was made in an environment that is not listed")
    for environment in manifest.environments:
        check_environment(environment, manifest.plan)
    if (manifest.aligned is None) != (manifest.plan.align is None):
        raise BadInput("the plan aligns and no list of faces is named, or the reverse")
