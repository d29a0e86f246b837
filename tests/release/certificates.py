"""Certificates for tests, without an audit."""

from pathlib import Path

from sface_data.auditing import certificate as module
from sface_data.auditing.policy import load_policy
from sface_data.auditing.verdict import Verdict
from sface_data.dataset.manifest import Manifest
from sface_data.release.contents import write_card
from tests.auditing.forged import made_up_predicate


def certify(
    folder: Path,
    verdict: Verdict = "pass",
    policy: str = "strict",
    judge: str = "judge.onnx",
    training: str = "the same",
) -> Path:
    """Writes a certificate of the bytes in a folder, of an audit that was not made, and the card anew."""
    manifest = Manifest.load(folder)
    predicate = made_up_predicate(load_policy(policy), judge, verdict, training)
    subjects = module.subjects_of(folder, manifest)
    statement = {
        "_type": module.TYPE,
        "subject": [{"name": name, "digest": {"sha256": sha256}} for name, sha256 in sorted(subjects.items())],
        "predicateType": module.PREDICATE_TYPE,
        "predicate": predicate,
    }
    predicate["certificate_sha256"] = module._own_digest(statement)
    path = folder / module.CERTIFICATE
    module.write_certificate(path.parent, module.Certificate(statement, ""))
    write_card(folder)
    return path
