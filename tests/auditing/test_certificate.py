"""A certificate is bound to bytes, and any changed byte voids it."""

import base64
import copy
import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from sface_data.auditing.certificate import (
    CERTIFICATE,
    REPORT,
    Certificate,
    _own_digest,
    certificate_problems,
    certify,
    load_certificate,
    subjects_of,
    write_certificate,
)
from sface_data.auditing.certificate_words import in_words
from sface_data.auditing.checks.run import AuditResult
from sface_data.auditing.known_judges import KNOWN
from sface_data.auditing.outcome import Outcome
from sface_data.auditing.policy import Policy, load_policy
from sface_data.auditing.report.page import report_text
from sface_data.auditing.sets.face_set import EmbeddedSet
from sface_data.auditing.signature import SIGNATURE, load_private_key, load_public_key
from sface_data.auditing.verdict import Check, Finding
from sface_data.dataset.manifest import Manifest
from sface_data.embedding.embed import listed_sha256
from sface_data.embedding.embeddings import EmbeddingSet
from sface_data.errors import BadInput
from sface_data.io.files import canonical_json
from sface_data.release.contents import adopt_audit
from sface_data.release.validate import validate
from tests.auditing.forged import made_up_checks

LABELS = {"labels_related": True, "relations": {"label": "the training person of the same name"}}
TRAINING = {"sha256": "0" * 64, "faces": 300, "classes": 50, "form": "embeddings", "named_by_generator": "none"}


def certificate_of(result: AuditResult, subjects: dict[str, str]) -> Certificate:
    """Of an audit with one judge, who is called `simulated`."""
    return certify(
        result,
        subjects,
        [{"name": "simulated", "sha256": "0" * 64, "dimensions": 64, "known_as": None}],
        {"training": TRAINING, **LABELS},
    )


@pytest.fixture
def certified(dataset: Path, sound: AuditResult, tmp_path: Path) -> Path:
    """A copy of a data set with a certificate, and a card that says so."""
    folder = shutil.copytree(dataset, tmp_path / "faces")
    certificate = certificate_of(sound, subjects_of(folder, Manifest.load(folder)))
    write_certificate(tmp_path / "out", certificate)
    adopt_audit(folder, tmp_path / "out")
    return folder


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Path, Path]:
    """A private and a public key."""
    return write_keys(tmp_path / "key.pem", tmp_path / "public.pem", ed25519.Ed25519PrivateKey.generate())


def write_keys(
    private: Path, public: Path, key: ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey
) -> tuple[Path, Path]:
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    private.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    public.write_bytes(key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo))
    return private, public


def problems(folder: Path, public_key: Path | None = None) -> list[str]:
    return list(certificate_problems(folder, Manifest.load(folder), public_key))


def held_in(outcome: Outcome) -> dict[str, EmbeddingSet]:
    return {role: faces.listed for role, faces in outcome.sets.by_role.items() if isinstance(faces, EmbeddedSet)}


def test_it_is_an_in_toto_statement_with_all_that_was_found(outcome: Outcome) -> None:
    statement = json.loads(outcome.certificate.to_bytes())
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    digests = {role: listed_sha256(held) for role, held in held_in(outcome).items()}
    assert statement["subject"] == [{"name": "faces", "digest": {"sha256": digests["release"]}}]
    predicate = statement["predicate"]
    assert predicate["policy"]["content"]["name"] == "strict" and len(predicate["policy"]["sha256"]) == 64
    assert predicate["inputs"]["training"] == {
        "sha256": digests["training"],
        "faces": 300,
        "classes": 50,
        "form": "embeddings",
        "left_out": 0,
        "detector_sha256": None,
        "image_sizes": {},
        "named_by_generator": "none",
    }
    assert predicate["verdict"] == outcome.result.verdict == "fail"
    assert outcome.certificate.headline == "This release leaks identities"
    assert "beyond chance" in predicate["in_words"] and len(predicate["not_said"]) >= 5
    by_name = {check["name"]: check for check in predicate["checks"]}
    assert by_name["near-duplicates"]["verdict"] == "fail"
    assert {"value", "low", "high", "method", "n"} <= by_name["near-duplicates"]["statistic"].keys()
    assert by_name["near-duplicates"]["facts"]["planted"][0]["kind"] == "simulated"
    assert predicate["in_words"].endswith("were simulated from embeddings, not made from images.")
    assert "torch" in predicate["versions"] and "/" not in json.dumps(predicate["inputs"])


def test_the_same_findings_give_the_same_bytes_and_no_time(sound: AuditResult, simulated: Callable) -> None:
    first, second = certificate_of(sound, {"a": "0"}), certificate_of(simulated(), {"a": "0"})
    assert first.to_bytes() == second.to_bytes()
    assert first.to_bytes() == (canonical_json(json.loads(first.to_bytes())) + "\n").encode()


def test_a_pass_says_under_which_policy_and_what_was_shown(sound: AuditResult) -> None:
    def check(name: str, *demands: str) -> Check:
        facts = {"planted": [{"demand": demand, "kind": "altered"} for demand in demands]}
        return Check(Finding(name, "j", "", "", 0.1, facts=facts), "pass", "", None, True)

    def in_words(policy: Policy, *checks: Check) -> str:
        certificate = certificate_of(dataclasses.replace(sound, policy=policy, checks=checks), {"a": "0"})
        return certificate.in_words.partition(" Each class")[0]

    strict, seen, blind = sound.policy, check("a", "fail", ""), check("b", "")
    assert in_words(strict, seen, blind) == (
        "Every check that the policy strict needs passes. 1 of the 2 checks that it needs were shown "
        "to find leakage that is planted (all but b)."
    )
    custom = dataclasses.replace(strict, positive_control=None)
    assert in_words(custom, blind) == (
        "Every check that the custom policy strict needs passes. None of its checks was shown to find "
        "leakage that is planted."
    )
    changed = dataclasses.replace(sound, policy=custom)
    assert certificate_of(sound, {"a": "0"}).policy_in_words == "the policy `strict` that ships"
    assert certificate_of(changed, {"a": "0"}).policy_in_words == "the custom policy `strict`"


def test_a_judge_to_whom_all_are_alike_is_warned_about(sound: AuditResult) -> None:
    certificate = certificate_of(sound, {})
    assert certificate.warnings == ()
    (judge,) = [check for check in certificate.checks if check["name"] == "judge"]
    assert abs(judge["facts"]["mean_nonmated"]) < 0.1
    judge["facts"]["mean_nonmated"] = 0.94
    (warning,) = certificate.warnings
    assert warning.startswith("simulated: different people have nearly the same vector (cosine 0.94 on average)")


def test_it_is_read_back(sound: AuditResult, tmp_path: Path) -> None:
    written = certificate_of(sound, {"b": "1", "a": "0"})
    write_certificate(tmp_path, written)
    read = load_certificate(tmp_path / "certificate.json")
    assert read == written
    assert (read.verdict, read.policy, read.judges) == ("inconclusive", "strict", ("simulated",))
    assert read.subjects == {"a": "0", "b": "1"}


def test_numbers_that_count_nobody_are_one_sentence(sound: AuditResult, tmp_path: Path) -> None:
    statement = copy.deepcopy(certificate_of(sound, {"a": "0" * 64}).statement)
    exposed = next(check for check in statement["predicate"]["checks"] if check["name"] == "exposure")
    exposed["facts"]["training_people"] = 0
    statement["predicate"]["certificate_sha256"] = _own_digest(statement)
    (tmp_path / "certificate.json").write_text(canonical_json(statement) + "\n")
    with pytest.raises(BadInput, match=r"certificate.json: not a certificate"):
        load_certificate(tmp_path / "certificate.json")


def test_every_changed_byte_voids_it(sound: AuditResult, tmp_path: Path) -> None:
    write_certificate(tmp_path, certificate_of(sound, {"a": "0" * 64}))
    path = tmp_path / "certificate.json"
    data = path.read_bytes()
    for offset in range(0, len(data), len(data) // 60):
        for byte in (data[offset] ^ 1, ord(" ")):
            path.write_bytes(data[:offset] + bytes([byte]) + data[offset + 1 :])
            if byte != data[offset]:
                with pytest.raises(BadInput, match=r"certificate.json: "):
                    load_certificate(path)
    for changed in (data[:-1], data + b"\n", data + b" ", b"", b"[]", b"{}", b"null", b"[" * 100_000):
        path.write_bytes(changed)
        with pytest.raises(BadInput, match=r"certificate.json: "):
            load_certificate(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s["predicate"].update(verdict="pass"),
        lambda s: s["predicate"].update(verdict="splendid"),
        lambda s: s["predicate"].update(verdict="pass", checks=[]),
        lambda s: s["predicate"].pop("in_words"),
        lambda s: s["predicate"]["policy"]["content"].update({"positive-control": None}),
        lambda s: s["predicate"]["policy"].update(sha256="0" * 64),
        lambda s: s["predicate"]["policy"].pop("shipped"),
        lambda s: s["predicate"].update(in_words=7),
        lambda s: s["predicate"].update(checks=7),
        lambda s: s["predicate"]["checks"].pop(),
        lambda s: s["predicate"]["checks"][4].update(limit=7.0),
        lambda s: s["predicate"]["checks"][2]["statistic"].update(low=2.0),
        lambda s: s.update(subject=[{"name": "a"}]),
        lambda s: s.update(predicateType="another"),
    ],
)
def test_a_digest_computed_anew_does_not_make_nonsense_a_certificate(
    change: Callable, sound: AuditResult, tmp_path: Path
) -> None:
    statement = json.loads(certificate_of(sound, {"a": "0"}).to_bytes())
    change(statement)
    statement["predicate"]["certificate_sha256"] = _own_digest(statement)
    (tmp_path / "certificate.json").write_text(canonical_json(statement) + "\n")
    with pytest.raises(BadInput, match=r"certificate.json: not a certificate"):
        load_certificate(tmp_path / "certificate.json")


def test_a_certified_folder_is_valid_and_its_card_says_what_the_certificate_says(certified: Path) -> None:
    assert problems(certified) == []
    assert validate(certified).problems == ()
    card = (certified / "README.md").read_text()
    assert "**Identity-relation audit: inconclusive.**" in card and "No certificate yet" not in card
    assert load_certificate(certified / CERTIFICATE).sha256 in card


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("name", ["manifest.json", "data/train-000001.tar", CERTIFICATE])
def test_one_changed_byte_voids_it(certified: Path, name: str) -> None:
    if name == "manifest.json":  # so that it can still be read, and says of the machine what is another
        manifest = certified / name
        manifest.write_text(manifest.read_text().replace('"torch": "', '"torch": "9'))
    else:
        flip(certified / name)
    found = [problem for problem in validate(certified).problems if problem.file == CERTIFICATE]
    assert len(found) == 1
    assert (name in found[0].sentence) == (name != CERTIFICATE)


def test_a_certificate_of_other_files_is_not_this_ones(certified: Path, sound: AuditResult) -> None:
    subjects = subjects_of(certified, Manifest.load(certified))
    first = subjects.pop("data/train-000000.tar")
    write_certificate(certified / "audit", certificate_of(sound, {**subjects, "data/x\n.tar": first}))
    assert problems(certified) == [
        "does not speak of data/train-000000.tar",
        "speaks of 'data/x\\n.tar', which the manifest does not list",
    ]


def test_a_card_that_says_something_else_is_found(certified: Path) -> None:
    card = certified / "README.md"
    card.write_text(card.read_text().replace("audit: inconclusive", "audit: pass"))
    assert [problem.file for problem in validate(certified).problems] == ["README.md"]


def test_an_edited_card_keeps_its_edits_when_the_certificate_changes(
    dataset: Path, sound: AuditResult, tmp_path: Path
) -> None:
    folder = shutil.copytree(dataset, tmp_path / "faces")
    card = folder / "README.md"
    card.write_text(card.read_text().replace("## Privacy", "## Privacy\n\nOur own words."))
    write_certificate(tmp_path / "out", certificate_of(sound, subjects_of(folder, Manifest.load(folder))))
    adopt_audit(folder, tmp_path / "out")
    text = card.read_text()
    assert "Our own words." in text and "audit: inconclusive" in text and "No certificate yet" not in text
    assert validate(folder).valid


def test_a_report_is_of_its_certificate_and_unedited(certified: Path, outcome: Outcome) -> None:
    def found() -> list[str]:
        return [problem.sentence[:40] for problem in validate(certified).problems if problem.file == REPORT]

    report = certified / REPORT
    page = report_text(dataclasses.replace(outcome, certificate=load_certificate(certified / CERTIFICATE)))
    report.write_text(page)
    assert found() == []
    for edited in (page.replace("inconclusive", "pass"), page + "\n", "<script>1</script>"):
        report.write_text(edited)
        assert found() == ["not as `sface-data audit` wrote it; run "]
    report.write_text(report_text(outcome))
    assert found() == ["not the report of the certificate beside"]
    report.write_text(page)
    (certified / CERTIFICATE).unlink()
    assert found() == ["not the report of the certificate beside"]


def test_signatures(certified: Path, sound: AuditResult, keys: tuple[Path, Path], tmp_path: Path) -> None:
    private, public = keys
    assert problems(certified, public) == ["is not signed: there is no audit/certificate.sig"]
    certificate = load_certificate(certified / CERTIFICATE)
    write_certificate(certified / "audit", certificate, load_private_key(private))
    assert problems(certified, public) == []
    assert len(base64.b64decode((certified / SIGNATURE).read_bytes())) == 64
    other = write_keys(tmp_path / "k", tmp_path / "p", ed25519.Ed25519PrivateKey.generate())[1]
    assert problems(certified, other) == ["audit/certificate.sig is not its signature with the public key given"]
    (certified / SIGNATURE).write_bytes(base64.b64encode(b"0" * 64))
    assert problems(certified, public) == [f"{SIGNATURE} is not its signature with the public key given"]
    for broken in (b"", b"rubbish", b"not base64!", base64.b64encode(b"0" * 63)):
        (certified / SIGNATURE).write_bytes(broken)
        for key in (public, None):
            assert problems(certified, key) == [f"{SIGNATURE} is no signature, which is 64 bytes in base64"]
    write_certificate(certified / "audit", certificate)
    assert not (certified / SIGNATURE).exists()  # an old signature goes


def test_a_forged_certificate_needs_the_key(certified: Path, keys: tuple[Path, Path]) -> None:
    """Who makes up numbers and their digest deceives a reader without a key, and none with one."""
    private, public = keys
    certificate = load_certificate(certified / CERTIFICATE)
    write_certificate(certified / "audit", certificate, load_private_key(private))
    statement = json.loads(certificate.to_bytes())
    judges = statement["predicate"]["judges"]
    judges.append(judges[0] | {"name": "other"})
    for judge, digest in zip(judges, KNOWN, strict=False):
        judge["sha256"] = digest
    statement["predicate"]["checks"] = made_up_checks(load_policy("strict"), [judge["name"] for judge in judges])
    statement["predicate"]["verdict"] = "pass"
    statement["predicate"]["in_words"] = in_words(statement["predicate"])
    statement["predicate"]["certificate_sha256"] = _own_digest(statement)
    (certified / CERTIFICATE).write_text(canonical_json(statement) + "\n")
    assert problems(certified) == []
    assert problems(certified, public) == ["audit/certificate.sig is not its signature with the public key given"]


def test_keys_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_text("key")
    private, public = write_keys(tmp_path / "r.pem", tmp_path / "rp.pem", rsa.generate_private_key(65537, 2048))
    for load in (load_private_key, load_public_key):
        with pytest.raises(BadInput, match=r"key.pem: no .* key in PEM"):
            load(tmp_path / "key.pem")
        with pytest.raises(BadInput, match=r"missing.pem: No such file"):
            load(tmp_path / "missing.pem")
    with pytest.raises(BadInput, match=r"r.pem: not an Ed25519 key"):
        load_private_key(private)
    with pytest.raises(BadInput, match=r"rp.pem: not an Ed25519 key"):
        load_public_key(public)


@pytest.mark.parametrize(("folder", "policy"), [("release", "standard"), ("release/strict", "strict")])
def test_the_certificates_in_the_docs_are_of_this_version(folder: str, policy: str) -> None:
    found = load_certificate(Path(__file__).parents[2] / "docs" / folder / "certificate.json")
    assert (found.verdict, found.policy) == ("pass", policy)
