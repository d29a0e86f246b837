"""Certificates for tests, without an audit."""

from pathlib import Path

from sface_data.audit.certificate import CERTIFICATE
from sface_data.files import canonical_json, sha256_of_file
from sface_data.shards.index import DatasetIndex


def certify(folder: Path, verdict: str = "pass") -> Path:
    """Writes a certificate of the bytes that are in a folder."""
    names = ["manifest.json", *(shard.filename for shard in DatasetIndex.load(folder).shards)]
    subject = [{"name": name, "digest": {"sha256": sha256_of_file(folder / name)}} for name in names]
    path = folder / CERTIFICATE
    path.parent.mkdir(exist_ok=True)
    path.write_text(canonical_json({"subject": subject, "predicate": {"verdict": verdict}}))
    return path
