"""The certificate: what an audit found, bound to the bytes that it looked at.

It is a statement as in-toto has them: a subject (names and SHA-256), and a predicate. Written as canonical JSON,
so that the same inputs give the same bytes; there is no time in it. It carries a digest of itself: a
changed byte voids it. That protects against accidents. Whoever means to forge one can compute the digest anew:
against that only a signature helps, with a key that the reader knows.
"""

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sface_data.auditing.certificate_words import NOT_SAID, in_words
from sface_data.auditing.consistency import contradiction
from sface_data.auditing.plain_words import findings
from sface_data.auditing.signature import SIGNATURE, load_public_key, signature, signature_problem
from sface_data.dataset.manifest import MANIFEST, Manifest
from sface_data.errors import BadInput
from sface_data.io.files import (
    atomic_write,
    canonical_json,
    os_errors_as_bad_input,
    parse_json,
    read_bytes,
    sha256_of_file,
)
from sface_data.runtime.provenance import version_of, versions

if TYPE_CHECKING:  # reading a certificate needs none of what makes one
    from sface_data.auditing.checks.run import AuditResult
    from sface_data.auditing.verdict import Verdict

CERTIFICATE = "audit/certificate.json"
REPORT = "audit/report.html"
TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "urn:sface-data:identity-relation-audit:1"
_DIGEST = "certificate_sha256"
_HEADLINES = {
    "pass": "No leakage above the limits was found",
    "fail": "This release leaks identities",
    "inconclusive": "This audit cannot tell",
}


@dataclass(frozen=True)
class Certificate:
    """A certificate as it was read.

    Attributes:
        statement: its JSON.
        sha256: of its bytes.
    """

    statement: dict[str, Any]
    sha256: str

    @property
    def verdict(self) -> "Verdict":
        """`pass`, `fail` or `inconclusive`."""
        return self.statement["predicate"]["verdict"]

    @property
    def policy(self) -> str:
        """Name of the policy."""
        return self.statement["predicate"]["policy"]["content"]["name"]

    @property
    def policy_sha256(self) -> str:
        """Digest of the policy, see `policy.Policy.sha256`."""
        return self.statement["predicate"]["policy"]["sha256"]

    @property
    def policy_in_words(self) -> str:
        """Which policy it was: a name alone could be that of any."""
        shipped = self.statement["predicate"]["policy"]["shipped"]
        return f"the policy `{self.policy}` that ships" if shipped else f"the custom policy `{self.policy}`"

    @property
    def training_is_other(self) -> bool:
        """Whether it compared with other faces than those that the generator's file says it was trained on."""
        return self.statement["predicate"]["inputs"]["training"]["named_by_generator"] == "others"

    @property
    def on_privacy(self) -> bool:
        """Whether its policy asks for a proof that leakage would be found; without one a pass says too little."""
        return self.statement["predicate"]["policy"]["content"]["positive-control"] is not None

    @property
    def headline(self) -> str:
        """The verdict in a few words."""
        if self.verdict == "pass" and not self.on_privacy:
            return f"The checks of the policy {self.policy} pass, which is no statement on privacy"
        return _HEADLINES[self.verdict]

    @property
    def findings(self) -> tuple[str, ...]:
        """What was found, in at most five sentences for people who know no statistics."""
        return findings(self.checks)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What may be wrong with the judges, a sentence each."""
        from sface_data.auditing.verdict import JUDGE
        from sface_data.embedding.embeddings import warning_of_strangers

        asked = [check for check in self.checks if check["name"] == JUDGE and "mean_nonmated" in check["facts"]]
        told = [warning_of_strangers(check["judge"], check["facts"]["mean_nonmated"]) for check in asked]
        return tuple(filter(None, told))

    @property
    def in_words(self) -> str:
        """The verdict in a sentence or two."""
        return self.statement["predicate"]["in_words"]

    @property
    def description(self) -> str:
        """By which a report is known to be of this certificate."""
        return f"Identity-relation audit: {self.verdict}; certificate sha256:{self.sha256}"

    @property
    def judges(self) -> tuple[str, ...]:
        """Names of the embedders."""
        return tuple(judge["name"] for judge in self.statement["predicate"]["judges"])

    @property
    def subjects(self) -> dict[str, str]:
        """SHA-256 by name."""
        return {subject["name"]: subject["digest"]["sha256"] for subject in self.statement["subject"]}

    @property
    def checks(self) -> list[dict[str, Any]]:
        """The checks, see `verdict.Check.to_json`."""
        return self.statement["predicate"]["checks"]

    def to_bytes(self) -> bytes:
        """As it is written."""
        return _bytes(self.statement)


def subjects_of(directory: Path, manifest: Manifest) -> dict[str, str]:
    """SHA-256 of the manifest of a finished data set and of every shard, from their bytes."""
    names = [MANIFEST, *(shard.filename for shard in manifest.shards)]
    return {name: sha256_of_file(directory / name) for name in names}


def listed_subjects(directory: Path, manifest: Manifest) -> dict[str, str]:
    """The same as the manifest lists them: of shards whose bytes are compared with it elsewhere."""
    shards = {shard.filename: shard.sha256 for shard in manifest.shards}
    return {MANIFEST: sha256_of_file(directory / MANIFEST)} | shards


def certify(
    result: "AuditResult",
    subjects: dict[str, str],
    judges: list[dict[str, Any]],
    inputs: dict[str, Any],
) -> Certificate:
    """The certificate of an audit.

    Args:
        subjects: SHA-256 by name.
        judges: name, digest and dimensions of each embedder.
        inputs: digest and counts of each set of faces, by its role; of training, `named_by_generator`; `relations`
            in words, by name.
    """
    policy = result.policy
    predicate = {
        "judges": judges,
        "inputs": inputs,
        "seed": result.seed,
        "versions": versions()
        | {"onnxruntime": version_of("onnxruntime-gpu", "onnxruntime"), "scipy": version_of("scipy")},
        "checks": [check.to_json() for check in result.checks],
        "verdict": result.verdict,
        "not_said": list(NOT_SAID),
    }
    statement: dict[str, Any] = {
        "_type": TYPE,
        "subject": [{"name": name, "digest": {"sha256": sha256}} for name, sha256 in sorted(subjects.items())],
        "predicateType": PREDICATE_TYPE,
        "predicate": _plain(predicate),
    }
    # To the last digit, for its digest.
    shipped = {"content": policy.to_json(), "sha256": policy.sha256, "shipped": policy.shipped}
    statement["predicate"]["policy"] = shipped
    statement["predicate"]["in_words"] = in_words(statement["predicate"])
    statement["predicate"][_DIGEST] = _own_digest(statement)
    return Certificate(statement, hashlib.sha256(_bytes(statement)).hexdigest())


def load_certificate(path: Path) -> Certificate:
    """Reads a certificate.

    Raises:
        BadInput: if it is none, or is not as it was written.
    """
    data = read_bytes(path)
    try:
        statement = parse_json(data)
    except ValueError as error:
        raise BadInput(f"{path}: not a certificate, as it is no JSON ({error})") from error
    try:
        if (statement["_type"], statement["predicateType"]) != (TYPE, PREDICATE_TYPE):
            raise BadInput(f"{path}: not a certificate that this version reads ({statement['predicateType']!r})")
        certificate = Certificate(statement, hashlib.sha256(data).hexdigest())
        _check_shape(certificate)
        if certificate.to_bytes() != data or statement["predicate"][_DIGEST] != _own_digest(statement):
            raise BadInput(f"{path}: was changed after it was written; it certifies nothing")
        wrong = contradiction(statement["predicate"])
        if wrong:
            raise BadInput(f"{path}: not a certificate as `sface-data audit` of this version makes it: {wrong}")
    except (KeyError, TypeError, AttributeError, ValueError, ArithmeticError) as error:
        if isinstance(error, BadInput):
            raise
        raise BadInput(f"{path}: not a certificate made by sface-data ({error!r})") from error
    return certificate


def certificate_problems(directory: Path, manifest: Manifest, public_key: Path | None = None) -> Iterator[str]:
    """What is wrong with the certificate in the folder of a data set, in sentences; nothing if all is well.

    Args:
        public_key: an Ed25519 key (PEM) that must have signed it.

    Raises:
        BadInput: if the public key cannot be read.
    """
    key = None if public_key is None else load_public_key(public_key)
    try:
        certificate = load_certificate(directory / CERTIFICATE)
    except BadInput as error:
        yield str(error).removeprefix(f"{directory / CERTIFICATE}: ")
        return
    found = subjects_of(directory, manifest)
    for name in sorted(found.keys() | certificate.subjects.keys()):
        if name not in found:
            yield f"speaks of {name!r}, which the manifest does not list"
        elif name not in certificate.subjects:
            yield f"does not speak of {name}"
        elif certificate.subjects[name] != found[name]:
            yield f"was made for another {name} ({certificate.subjects[name][:12]}..., not {found[name][:12]}...)"
    problem = signature_problem(directory, certificate.to_bytes(), key)
    if problem:
        yield problem


def write_certificate(folder: Path, certificate: Certificate, private_key: Any = None) -> list[Path]:
    """Writes `certificate.json`, and `certificate.sig` if there is a key; an old signature goes.

    Args:
        private_key: an Ed25519 key, see `signature.load_private_key`.
    """
    path, signed = folder / Path(CERTIFICATE).name, folder / Path(SIGNATURE).name
    with os_errors_as_bad_input(folder):
        folder.mkdir(parents=True, exist_ok=True)
        signed.unlink(missing_ok=True)
    with atomic_write(path) as file:
        file.write(certificate.to_bytes())
    if private_key is None:
        return [path]
    with atomic_write(signed) as file:
        file.write(signature(certificate.to_bytes(), private_key))
    return [path, signed]


def _check_shape(certificate: Certificate) -> None:
    """Raises KeyError or TypeError where a file has not what the properties promise."""
    predicate = certificate.statement["predicate"]
    texts = [certificate.headline, certificate.policy, certificate.in_words, *certificate.judges]
    texts += [*certificate.findings, *certificate.subjects, *certificate.subjects.values(), predicate[_DIGEST]]
    if not all(isinstance(text, str) for text in texts):
        raise TypeError("a name or digest is no text")
    for check in certificate.checks:
        if check["verdict"] not in ("pass", "fail", "inconclusive") or not isinstance(check["needed"], bool):
            raise TypeError(f"the verdict of {check['name']!r} is {check['verdict']!r}")


def _own_digest(statement: dict[str, Any]) -> str:
    predicate = {key: value for key, value in statement["predicate"].items() if key != _DIGEST}
    return hashlib.sha256(canonical_json({**statement, "predicate": predicate}).encode()).hexdigest()


def _bytes(statement: dict[str, Any]) -> bytes:
    return (canonical_json(statement) + "\n").encode()


def _plain(value: Any) -> Any:
    """JSON without what JSON does not have: tuples are lists, infinite numbers words, others 8 digits."""
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if isinstance(value, bool) or value is None or isinstance(value, (int, str)):
        return value
    number = float(value)
    if not math.isfinite(number):
        return "not a number" if math.isnan(number) else "infinite" if number > 0 else "minus infinite"
    return float(f"{number:.8g}")
