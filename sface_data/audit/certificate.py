"""The certificate of a data set: what an audit found, bound to the bytes that it looked at."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sface_data.errors import BadInput
from sface_data.files import canonical_json, explained, read_json, sha256_of_file
from sface_data.shards.index import MANIFEST, DatasetIndex

CERTIFICATE = "audit/certificate.json"
REPORT = "audit/report.html"


@dataclass(frozen=True)
class Certificate:
    """A statement about files, by their SHA-256."""

    statement: dict[str, Any]
    sha256: str

    @property
    def verdict(self) -> str:
        """`pass`, `fail` or `inconclusive`."""
        return self.statement["predicate"]["verdict"]

    @property
    def subjects(self) -> dict[str, str]:
        """The hex SHA-256 of each file that was audited."""
        return {subject["name"]: subject["digest"]["sha256"] for subject in self.statement["subject"]}


def load_certificate(path: Path) -> Certificate:
    """Reads a certificate. Raises BadInput if it is none, or was edited."""
    value = read_json(path)
    with explained(path):
        data = path.read_bytes()
    if data != canonical_json(value).encode() or not isinstance(value, dict) or "predicate" not in value:
        raise BadInput(f"{path}: not a certificate, or edited")
    return Certificate(value, hashlib.sha256(data).hexdigest())


def certificate_problems(directory: Path, index: DatasetIndex, public_key: Path | None = None) -> Iterator[str]:
    """What is wrong with the certificate of a folder; nothing if it belongs to exactly these bytes."""
    try:
        certificate = load_certificate(directory / CERTIFICATE)
    except BadInput as error:
        yield str(error).removeprefix(f"{directory / CERTIFICATE}: ")
        return
    wanted = {shard.filename: shard.sha256 for shard in index.shards}
    if certificate.subjects != wanted | {MANIFEST: sha256_of_file(directory / MANIFEST)}:
        yield "of other bytes than those in this folder"
