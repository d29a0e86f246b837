"""Certificates for tests, without an audit."""

from pathlib import Path
from typing import Any

from sface_data.auditing import certificate as module
from sface_data.auditing.policy import load_policy
from sface_data.auditing.verdict import Verdict
from sface_data.dataset.manifest import Manifest
from sface_data.release.contents import write_card
from tests.auditing.forged import made_up_checks


def certify(
    folder: Path,
    verdict: Verdict = "pass",
    policy: str = "strict",
    in_words: str = "For tests.",
    judge: str = "judge.onnx",
    training: str = "the same",
) -> Path:
    """Writes a certificate of the bytes in a folder, of an audit that was not made, and the card anew."""
    manifest = Manifest.load(folder)
    demanded = load_policy(policy)
    predicate: dict[str, Any] = {
        "policy": {"content": demanded.to_json(), "sha256": demanded.sha256, "shipped": demanded.shipped},
        "inputs": {
            "labels_related": True,
            "relations": {"label": "the training person of the same name"},
            "training": {"named_by_generator": training},
        },
        "judges": [{"name": judge, "sha256": "0" * 64, "dimensions": 2, "known_as": None}],
        "checks": made_up_checks(demanded, judge, verdict),
        "verdict": verdict,
        "in_words": in_words,
    }
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
