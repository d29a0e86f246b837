"""The certificate: what an audit found, bound to the bytes that it looked at.

It is a statement as in-toto has them: a subject (names and SHA-256), and a predicate. Written as canonical JSON,
so that the same inputs and seed give the same bytes; there is no time in it. It carries a digest of itself: a
changed byte voids it. That protects against accidents. Whoever means to forge one can compute the digest anew:
against that only a signature helps, with a key that the reader knows.
"""

import base64
import binascii
import hashlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sface_data.auditing.consistency import contradiction
from sface_data.auditing.plain_words import findings
from sface_data.dataset.manifest import Manifest
from sface_data.errors import BadInput
from sface_data.io.files import (
    atomic_write,
    canonical_json,
    exists,
    os_errors_as_bad_input,
    parse_json,
    read_bytes,
    sha256_of_file,
)
from sface_data.runtime.provenance import version_of, versions

if TYPE_CHECKING:  # reading a certificate needs none of what makes one
    from sface_data.auditing.checks.run import AuditResult
    from sface_data.auditing.policy import Policy
    from sface_data.auditing.verdict import Check, Verdict

CERTIFICATE = "audit/certificate.json"
REPORT = "audit/report.html"
SIGNATURE = "audit/certificate.sig"
IDENTITY = "identity"  # of a data set: the subject that is no file
TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "urn:sface-data:identity-relation-audit:1"
_DIGEST = "certificate_sha256"
_SIGNATURE_BYTES = 64  # of Ed25519
_FOUND = 0.95  # of trials in which a disguise stops a pass
# What the generator's own file says of the training faces that were given.
_NAMED = {
    "the same": "The training faces given are those that the generator's file names.",
    "others": "The training faces given are not those that the generator's file names: it may know others.",
    "none": "No file of the generator names the faces that it was trained on: they were taken to be those given.",
}
_HEADLINES = {
    "pass": "No leakage above the limits was found",
    "fail": "This release leaks identities",
    "inconclusive": "This audit cannot tell",
}
NOT_SAID = (
    "It speaks of the identities of the training set that was given. Whether that is all the generator was "
    "trained on, it cannot know.",
    "It relies on the control group being what it is said to be: people who were not in training, of a like "
    "population, photographed under like conditions.",
    "It takes labels on trust: a class of the release is the training identity of the same name, and numbers are "
    "compared without leading zeros and `class_` (0000045, 45 and class_45 are one). Where labels are said to "
    "mean nothing, it looks at the training people who are nearest, as found by the judge and as claimed by the "
    "manifest, against what strangers have: a weaker relation shows only where labels tell of it.",
    "That a judge tells the classes of the release apart does not prove that it recognises the people in them. "
    "Some images were looked at in other views, and compared with training in light, colour, sharpness and the "
    "place of the face; a disguise that is none of those listed, or is rare, may hide somebody all the same.",
    "It says what the named judges see. A judge that served as teacher or identity loss in training may be the "
    "one that the generator learned to deceive; another judge may see more. Any file can be a judge: of each it "
    "says whether this version knows it.",
    "It does not speak of attributes, of places or of anything but identity; nor of what can be done with the "
    "generator itself, or with other images of it.",
    "A pass is no proof of anonymity, and no legal opinion: it says that leakage above the limits of the policy "
    "was looked for and not found; with what power, the planted images of each check tell.",
    "Without a signature that you check, nothing protects it against being forged.",
)


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
    """Identity of a finished data set, and SHA-256 of every shard, from its bytes."""
    digests = {shard.filename: sha256_of_file(directory / shard.filename) for shard in manifest.shards}
    return {IDENTITY: manifest.identity} | digests


def listed_subjects(manifest: Manifest) -> dict[str, str]:
    """The same as the manifest lists them: of shards whose bytes are compared with it elsewhere."""
    return {IDENTITY: manifest.identity} | {shard.filename: shard.sha256 for shard in manifest.shards}


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
    named = _NAMED[inputs["training"]["named_by_generator"]]
    predicate = {
        "judges": judges,
        "inputs": inputs,
        "seed": result.seed,
        "versions": versions()
        | {"onnxruntime": version_of("onnxruntime-gpu", "onnxruntime"), "scipy": version_of("scipy")},
        "checks": [check.to_json() for check in result.checks],
        "verdict": result.verdict,
        "in_words": " ".join(
            [
                in_words(result.verdict, result.checks, policy),
                _related(inputs["relations"]),
                named,
                *disclosed(result.checks),
            ]
        ),
        "not_said": list(NOT_SAID),
    }
    statement = {
        "_type": TYPE,
        "subject": [{"name": name, "digest": {"sha256": sha256}} for name, sha256 in sorted(subjects.items())],
        "predicateType": PREDICATE_TYPE,
        "predicate": _plain(predicate),
    }
    # To the last digit, for its digest.
    shipped = {"content": policy.to_json(), "sha256": policy.sha256, "shipped": policy.shipped}
    statement["predicate"]["policy"] = shipped
    statement["predicate"][_DIGEST] = _own_digest(statement)
    return Certificate(statement, hashlib.sha256(_bytes(statement)).hexdigest())


def _related(relations: dict[str, str]) -> str:
    """To whom classes were related, in a sentence."""
    return f"Each class was compared with {', and with '.join(relations.values())}."


def in_words(verdict: "Verdict", checks: "tuple[Check, ...]", policy: "Policy") -> str:
    """What the verdict rests on, in a sentence or two; `Certificate.headline` comes before it."""
    failed = [check for check in checks if check.verdict == "fail"]
    open_ = dict.fromkeys(c.finding.name for c in checks if c.needed and c.verdict == "inconclusive")
    if verdict == "fail":
        return (
            f"{len(failed)} of {len(checks)} checks found more than the policy allows, beyond chance. The release "
            "should not be published as free of the people whose photographs its generator was trained on."
        )
    called = f"policy {policy.name}" if policy.shipped else f"custom policy {policy.name}"
    if verdict == "pass":
        return f"Every check that the {called} needs passes. {_shown(checks)}"
    names = _listed(list(open_))
    return f"No check failed, but {len(open_)} that the {called} needs could not be passed ({names}): no pass."


def _shown(checks: "tuple[Check, ...]") -> str:
    """Which of the checks that a pass needs were shown to find leakage, in a sentence."""
    needed = [check for check in checks if check.needed]
    blind = [check for check in needed if not any(p["demand"] for p in check.finding.facts.get("planted", []))]
    if len(blind) == len(needed):
        return "None of its checks was shown to find leakage that is planted."
    found = f"{len(needed) - len(blind)} of the {len(needed)} checks that it needs were shown to find leakage"
    but = f" (all but {_listed([check.finding.name for check in blind], len(blind))})" if blind else ""
    return f"{found} that is planted{but}."


def disclosed(checks: "tuple[Check, ...]") -> Iterator[str]:
    """What a reader of the verdict must know of how it was come by, in sentences."""
    plantings = [planting for check in checks for planting in check.finding.facts.get("planted", [])]
    if any(planting["kind"] == "simulated" for planting in plantings):
        yield "The copies that were planted were simulated from embeddings, not made from images."
    rows = [row for check in checks for row in check.finding.facts.get("disguises", ())]
    if rows:
        names = dict.fromkeys(row["disguise"] for row in rows)
        found = [n for n in names if all(row["stopped"]["0.1"] >= _FOUND for row in rows if row["disguise"] == n)]
        yield (
            f"Of {len(names)} disguises in which training images were planted, {len(found)} would have stopped a "
            "pass with one image in ten."
        )
    for check in checks:
        for role, count in check.finding.facts.get("without_embedding", {}).items():
            if count["left_out"]:
                share = f"{count['left_out']:,} of {count['faces']:,}"
                yield f"{check.finding.judge} was not shown {share} faces of {role}, which have no embedding."


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
            raise BadInput(f"{path}: not a certificate that `sface-data audit` made: {wrong}")
    except (KeyError, TypeError, AttributeError, ValueError) as error:
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
    problem = _signature_problem(directory, certificate, key)
    if problem:
        yield problem


def write_certificate(folder: Path, certificate: Certificate, private_key: Any = None) -> list[Path]:
    """Writes `certificate.json`, and `certificate.sig` if there is a key; an old signature goes.

    Args:
        private_key: an Ed25519 key, see `load_private_key`.
    """
    path, signature = folder / Path(CERTIFICATE).name, folder / Path(SIGNATURE).name
    with os_errors_as_bad_input(folder):
        folder.mkdir(parents=True, exist_ok=True)
        signature.unlink(missing_ok=True)
    with atomic_write(path) as file:
        file.write(certificate.to_bytes())
    if private_key is None:
        return [path]
    with atomic_write(signature) as file:
        file.write(base64.b64encode(private_key.sign(certificate.to_bytes())) + b"\n")
    return [path, signature]


def load_private_key(path: Path) -> Any:
    """An Ed25519 key in a PEM file.

    Raises:
        BadInput: if there is none.
    """
    serialization, ed25519 = _cryptography()
    return _load_key(
        path,
        lambda data: serialization.load_pem_private_key(data, password=None),
        ed25519.Ed25519PrivateKey,
        "private key in PEM without a password; `openssl genpkey -algorithm ed25519` makes one",
    )


def load_public_key(path: Path) -> Any:
    """An Ed25519 public key in a PEM file.

    Raises:
        BadInput: if there is none.
    """
    serialization, ed25519 = _cryptography()
    return _load_key(
        path,
        serialization.load_pem_public_key,
        ed25519.Ed25519PublicKey,
        "public key in PEM; `openssl pkey -in KEY.pem -pubout` makes it from a private one",
    )


def _load_key(path: Path, read: Callable[[bytes], Any], kind: type, wanted: str) -> Any:
    data = read_bytes(path)
    try:
        key = read(data)
    except (ValueError, TypeError) as error:
        raise BadInput(f"{path}: no {wanted}") from error
    except _unsupported() as error:
        raise BadInput(f"{path}: a key of an unknown kind; it must be Ed25519") from error
    if not isinstance(key, kind):
        raise BadInput(f"{path}: not an Ed25519 key; `openssl genpkey -algorithm ed25519` makes one")
    return key


def _signature_problem(directory: Path, certificate: Certificate, key: Any | None) -> str:
    """What is wrong with the signature; without a key, whether it could be one."""
    path = directory / SIGNATURE
    if not exists(path):
        return "" if key is None else f"is not signed: there is no {SIGNATURE}"
    try:
        signature = base64.b64decode(read_bytes(path).strip(), validate=True)
    except (binascii.Error, ValueError):  # BadInput is one of the latter
        signature = b""
    if len(signature) != _SIGNATURE_BYTES:
        return f"{SIGNATURE} is no signature, which is {_SIGNATURE_BYTES} bytes in base64"
    if key is None:
        return ""
    from cryptography.exceptions import InvalidSignature

    try:
        key.verify(signature, certificate.to_bytes())
    except InvalidSignature:
        return f"{SIGNATURE} is not its signature with the public key given"
    return ""


def _cryptography() -> tuple[Any, Any]:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ed25519

    return serialization, ed25519


def _unsupported() -> type[Exception]:
    from cryptography.exceptions import UnsupportedAlgorithm

    return UnsupportedAlgorithm


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


def _listed(names: list[str], most: int = 4) -> str:
    unique = list(dict.fromkeys(names))
    more = f" and {len(unique) - most} more" if len(unique) > most else ""
    return ", ".join(unique[:most]) + more
