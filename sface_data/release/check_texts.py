"""Checking what surrounds the shards: texts, indexes, certificate and report, against manifest and certificate."""

from collections.abc import Iterator, Set
from dataclasses import replace
from pathlib import Path

from sface_data.auditing.certificate import CERTIFICATE, REPORT, certificate_problems, load_certificate
from sface_data.auditing.signature import SIGNATURE
from sface_data.dataset.card import CARD, read_card, split_card
from sface_data.dataset.drawn_identities import RELATIONS, read_relations
from sface_data.dataset.manifest import Manifest
from sface_data.errors import BadInput
from sface_data.io.blocks import read_blocks
from sface_data.io.files import exists, is_file, read_bytes, sha256_of_file
from sface_data.io.seal import unedited
from sface_data.recognition.published import EVALUATION
from sface_data.release.card import Facts, held_notice, named_preview
from sface_data.release.contents import edited_texts, indexes
from sface_data.release.front_matter import MANAGED, front_matter
from sface_data.release.licences import LICENCES, LICENSE, held_licence, licence_text
from sface_data.release.preview import PREVIEW
from sface_data.release.problems import Problem, problem_of
from sface_data.release.recognition_results import read_results

_AGAIN = "`sface-data card` writes it"


def surrounding_problems(directory: Path, manifest: Manifest, public_key: Path | None) -> Iterator[Problem]:
    """What is wrong with the files around the shards.

    Args:
        public_key: see `validate`.
    """
    yield from _certificate_problems(directory, manifest, public_key)
    yield from _report_problems(directory)
    yield from _text_problems(directory, manifest)
    if (licence := held_licence(directory)) is not None:
        for name, text in indexes(Facts(manifest, licence)).items():
            yield from _differences(directory, name, text.encode(), "not what the manifest says")
    for name, sha256 in manifest.side_files.items():
        problems = list(_digest_problems(directory, name, sha256, "`sface-data generate` makes it"))
        if name == RELATIONS and not problems:
            problems += _relation_problems(directory, manifest)
        yield from problems


def _relation_problems(directory: Path, manifest: Manifest) -> Iterator[Problem]:
    try:
        read_relations(directory, manifest)
    except BadInput as error:
        yield problem_of(directory, RELATIONS, error)


def _certificate_problems(directory: Path, manifest: Manifest, public_key: Path | None) -> Iterator[Problem]:
    if any(not is_file(directory / shard.filename) for shard in manifest.shards):
        return  # the missing shards have been named
    if public_key is None and not exists(directory / CERTIFICATE):
        if exists(directory / SIGNATURE):
            yield Problem(SIGNATURE, "signs a certificate that is not there")
        return
    for sentence in certificate_problems(directory, manifest, public_key):
        yield Problem(CERTIFICATE, sentence)


def _report_problems(directory: Path) -> Iterator[Problem]:
    path = directory / REPORT
    if not exists(path):
        return
    again = "run `sface-data audit` again, or remove it"
    try:
        data = read_bytes(path)
    except BadInput as error:
        yield problem_of(directory, REPORT, error)
        return
    if not unedited(data):
        yield Problem(REPORT, f"not as `sface-data audit` wrote it; {again}")
        return
    try:
        description = load_certificate(directory / CERTIFICATE).description
    except BadInput:
        description = None
    if description is None or description.encode() not in data:
        yield Problem(REPORT, f"not the report of the certificate beside it; {again}")


def _text_problems(directory: Path, manifest: Manifest) -> Iterator[Problem]:
    """What is wrong with card, datasheet, citation, licence and preview."""
    try:
        held, prose = split_card(read_card(directory))
        named, notice = named_preview(prose), held_notice(prose)
    except BadInput as error:
        yield problem_of(directory, CARD, error)
        return
    licence = held.get("license")
    if not isinstance(licence, str) or licence not in LICENCES:
        yield Problem(CARD, f"`license` in its front matter is none of {', '.join(LICENCES)}")
        return
    wanted = front_matter(manifest, licence)
    for name in MANAGED:
        if held.get(name) != wanted[name]:
            yield Problem(CARD, f"`{name}` in its front matter is not what the manifest says; {_AGAIN}")
    other = f"not the text of {licence}, the licence that the card names; delete it first, then"
    yield from _differences(directory, LICENSE, licence_text(licence).encode(), other)
    unknown: set[str] = set()
    facts = Facts(manifest, licence, preview_sha256=named, notice=notice)
    try:
        if exists(directory / CERTIFICATE):
            facts = replace(facts, certificate=load_certificate(directory / CERTIFICATE))
    except BadInput:
        unknown.add("certificate")  # which was named
    try:
        facts = replace(facts, results=read_results(directory))
    except BadInput as error:
        unknown.add("evaluation")
        yield problem_of(directory, EVALUATION, error)
    for name, new in edited_texts(facts).items():
        try:
            text = read_bytes(directory / name).decode() if exists(directory / name) else None
        except UnicodeDecodeError:
            yield Problem(name, "not a text in UTF-8; save it as one")
            continue
        except BadInput as error:
            yield problem_of(directory, name, error)
            continue
        yield from block_problems(name, text, new, unknown)
    if named:
        yield from _digest_problems(directory, PREVIEW, named, "`sface-data card` draws it anew")


def block_problems(name: str, text: str | None, new: str, unknown: Set[str] = frozenset()) -> Iterator[Problem]:
    """How the blocks of a text differ from those of a new one, but for those of which nothing is known."""
    if text is None:
        yield Problem(name, f"missing; {_AGAIN}")
        return
    try:
        held = read_blocks(text)
    except BadInput as error:
        yield Problem(name, str(error))
        return
    wanted = read_blocks(new)
    for block in wanted:
        if block not in held:
            yield Problem(name, f"its block `{block}` is missing; {_AGAIN}")
        elif held[block] != wanted[block] and block not in unknown:
            yield Problem(name, f"its block `{block}` is not what manifest and certificate say; {_AGAIN}")
    for block in held.keys() - wanted.keys():
        yield Problem(name, f"its block `{block}` is none of sface-data; delete it")


def _differences(directory: Path, name: str, wanted: bytes, otherwise: str) -> Iterator[Problem]:
    """Whether a file that nobody edits has other bytes than it should."""
    if not exists(directory / name):
        yield Problem(name, f"missing; {_AGAIN}")
        return
    try:
        if read_bytes(directory / name) != wanted:
            yield Problem(name, f"{otherwise}; {_AGAIN}")
    except BadInput as error:
        yield problem_of(directory, name, error)


def _digest_problems(directory: Path, name: str, sha256: str, remedy: str) -> Iterator[Problem]:
    try:
        if not exists(directory / name):
            yield Problem(name, f"missing; {remedy}")
        elif (found := sha256_of_file(directory / name)) != sha256:
            yield Problem(name, f"its SHA-256 is {found[:12]}..., not {sha256[:12]}...; {remedy}")
    except BadInput as error:
        yield problem_of(directory, name, error)
