"""What must hold before a data set is published, and the proof that it still does when it is uploaded."""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from sface_data.auditing.certificate import CERTIFICATE, REPORT, certificate_problems, load_certificate
from sface_data.auditing.policy import load_policy
from sface_data.dataset.card import CARD, read_card
from sface_data.dataset.manifest import Manifest
from sface_data.errors import BadInput, CheckFailed, shown
from sface_data.io.files import (
    exists,
    is_file,
    open_regular,
    os_errors_as_bad_input,
    read_bytes,
    sha256_of_file,
    write_text,
)
from sface_data.release.card import Facts, counts, notice
from sface_data.release.check_texts import block_problems
from sface_data.release.contents import edited_texts, facts_of, foreign_files, release_files, updated_card
from sface_data.release.datasheet import DATASHEET, unanswered, with_answers
from sface_data.release.validate import validate

POLICIES = ("strict", "standard")  # one of which a certificate must pass
PICTURES = re.compile(rb"data:\s*image/|<\s*(img|image|picture|object|embed|iframe|video|canvas)\b", re.IGNORECASE)


@dataclass(frozen=True)
class CheckedFile:
    """A file as it was when it was checked.

    Attributes:
        num_bytes: its size.
        sha256: hex digest of its bytes.
        state: inode, size and times, by which a change shows.
    """

    num_bytes: int
    sha256: str
    state: tuple[int, ...]


@dataclass(frozen=True)
class CheckedRelease:
    """A folder that may be published, file by file.

    Attributes:
        directory: the folder.
        files: by name below it.
        summary: the data set in a few words.
    """

    directory: Path
    files: dict[str, CheckedFile]
    summary: str

    @property
    def num_bytes(self) -> int:
        """Bytes of all files."""
        return sum(file.num_bytes for file in self.files.values())

    def check_unchanged(self) -> None:
        """Raises CheckFailed if a file is not as it was when it was checked."""
        for name, file in self.files.items():
            if _state(self.directory / name) != file.state:
                raise _changed(self.directory / name)

    def git_sha1(self, name: str) -> str:
        """The digest under which git knows a file, of the bytes that were checked."""
        path, file = self.directory / name, self.files[name]
        sha256, sha1 = hashlib.sha256(), hashlib.sha1(b"blob %d\0" % file.num_bytes)
        with os_errors_as_bad_input(path), open_regular(path) as opened:
            while chunk := opened.read(1 << 20):
                sha256.update(chunk)
                sha1.update(chunk)
        if sha256.hexdigest() != file.sha256:
            raise _changed(path)
        return sha1.hexdigest()

    def with_text(self, name: str, text: str) -> "CheckedRelease":
        """The release with another text in one of its files, which is written."""
        if text.encode() == read_bytes(self.directory / name):
            return self
        write_text(self.directory / name, text)
        return replace(self, files=self.files | {name: _checked(self.directory / name)})


@dataclass(frozen=True)
class Candidate:
    """A data set that somebody wants to publish; nothing in it is changed by looking at it.

    Attributes:
        directory: the folder.
        manifest: what is in it.
        reason: why it is published without a certificate that passes; None if it has one.
        answers: to questions of the datasheet that are open, by question.
    """

    directory: Path
    manifest: Manifest
    reason: str | None
    answers: Mapping[str, str]

    @classmethod
    def at(
        cls, directory: Path, reason: str | None = None, answers: Mapping[str, str] | None = None
    ) -> "Candidate":
        """Raises BadInput if it is no data set, or the reason is empty."""
        manifest = Manifest.load(directory)
        if reason is not None and not (reason := shown(" ".join(reason.split()))):
            raise BadInput("--without-certificate needs a reason, which the card will give")
        return cls(directory, manifest, reason, answers or {})

    def obstacles(self) -> Iterator[str]:
        """All that is in the way of publishing it, what is found at once first; a sentence each.

        Raises:
            BadInput: if the reason is not needed, or a file cannot be read.
        """
        yield from self.evident_obstacles()
        outcome = validate(self.directory)
        if not outcome.valid:
            first = outcome.problems[0]
            yield (
                f"{self.directory}: not valid, so not published: {first.file}: {first.sentence} "
                f"(problem 1 of {len(outcome.problems)}; `sface-data validate {self.directory}` names all)"
            )

    @property
    def policy(self) -> str:
        """The policy of the certificate, in words; empty if it is published without one."""
        if self.reason is not None:
            return ""
        return load_certificate(self.directory / CERTIFICATE).policy_in_words

    def evident_obstacles(self) -> Iterator[str]:
        """Those that are found without reading the shards. Raises as `obstacles`."""
        names = release_files(self.directory, self.manifest)
        yield from _of_files(self.directory, names)
        yield from _of_certificate(self.directory, self.manifest, self.reason)
        yield from _of_report(self.directory)
        if (self.directory / DATASHEET).is_file() and (self.directory / CARD).is_file():
            yield from self._of_datasheet()

    def checked(self) -> tuple[CheckedRelease, dict[str, str]]:
        """What was checked, and the texts that card and datasheet shall have.

        Raises:
            CheckFailed: with the first obstacle, or if a file changes meanwhile.
            BadInput: as `obstacles`.
        """
        names = release_files(self.directory, self.manifest)
        states = {name: _state(self.directory / name) for name in names if (self.directory / name).exists()}
        for obstacle in self.obstacles():
            raise CheckFailed(obstacle)
        digests = {shard.filename: shard.sha256 for shard in self.manifest.shards}
        files = {name: _checked(self.directory / name, digests.get(name)) for name in names}
        identity = self.manifest.identity
        release = CheckedRelease(self.directory, files, f"{counts(self.manifest)}, identity {identity[:12]}")
        replace(release, files={n: replace(f, state=states[n]) for n, f in files.items()}).check_unchanged()
        facts = self._facts()
        texts = {CARD: updated_card(read_card(self.directory), facts), DATASHEET: self._datasheet()}
        written = edited_texts(facts)
        for name, text in texts.items():
            for problem in block_problems(name, text, written[name]):
                raise CheckFailed(f"{self.directory / name}: as it would go out, {problem.sentence}")
        return release, texts

    def _facts(self) -> Facts:
        facts = facts_of(self.directory, self.manifest)
        return replace(facts, notice=notice(self.reason) if self.reason else "")

    def _datasheet(self) -> str:
        text = read_bytes(self.directory / DATASHEET).decode("utf-8", "replace")
        return with_answers(text, self.answers)

    def _of_datasheet(self) -> Iterator[str]:
        questions = unanswered(self._datasheet(), self._facts())
        if questions:
            count = f"{len(questions)} questions wait for an answer, the first: {questions[0]}"
            yield f"{self.directory / DATASHEET}: {count}"


def _state(path: Path) -> tuple[int, ...]:
    with os_errors_as_bad_input(path):
        found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _checked(path: Path, sha256: str | None = None) -> CheckedFile:
    """The file as it is; with the digest that its bytes were found to have, if they were just read."""
    state = _state(path)
    return CheckedFile(state[1], sha256 or sha256_of_file(path), state)


def _changed(path: Path) -> CheckFailed:
    return CheckFailed(f"{path}: changed after it was checked; the upload has stopped: run the same command again")


def _of_files(directory: Path, names: list[str]) -> Iterator[str]:
    for name in names:
        path = directory / name
        if path.is_symlink():
            yield f"{path}: a link; put the file itself there"
        elif not is_file(path):
            yield f"{path}: missing; `sface-data validate {directory}` names all problems"
    found = foreign_files(directory, names)
    if found:
        others = f" and {len(found) - 1} more" if len(found) > 1 else ""
        yield f"{directory / found[0]}{others}: not part of the data set; move it out of the folder"


def _of_certificate(directory: Path, manifest: Manifest, reason: str | None) -> Iterator[str]:
    path = directory / CERTIFICATE
    if not exists(path):
        if reason is None:
            yield f"{directory}: no certificate; run `sface-data audit`, or say with --without-certificate why not"
        return
    for problem in certificate_problems(directory, manifest):
        yield f"{path}: {problem}; audit the data set again, or remove {path.parent}"
        return
    certificate, demanded = load_certificate(path), [load_policy(name).sha256 for name in POLICIES]
    verdict, enough = certificate.verdict, certificate.policy_sha256 in demanded
    if reason is not None:
        if verdict == "pass" and enough and not certificate.training_is_other:
            raise BadInput(f"{path}: passes; leave out --without-certificate")
    elif verdict != "pass":
        yield (
            f"{path}: the verdict is `{verdict}`, not `pass`; to publish all the same, say why with "
            "--without-certificate"
        )
    elif not enough:
        wanted = " or ".join(f"`{name}`" for name in POLICIES)
        yield (
            f"{path}: passes under {certificate.policy_in_words} ({certificate.policy_sha256[:12]}), not under "
            f"the {wanted} of this version; audit the data set under one of those, or say with "
            "--without-certificate why not"
        )
    elif certificate.training_is_other:
        yield (
            f"{path}: compares with other faces than those that the generator's file says it was trained on; "
            "audit the data set with them as --training, or say with --without-certificate why not"
        )


def _of_report(directory: Path) -> Iterator[str]:
    # Its plots are drawings; pictures are only in a page with pairs, of which one is of the training set.
    path = directory / REPORT
    if exists(path) and PICTURES.search(read_bytes(path)):
        yield f"{path}: shows pictures, which may be of people; run `sface-data audit` again"
