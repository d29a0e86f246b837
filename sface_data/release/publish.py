"""Publishing: a data set goes to the hub only when everything about it holds, and nothing else goes with it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sface_data.audit.certificate import CERTIFICATE, REPORT, certificate_problems, load_certificate
from sface_data.audit.policy import load_policy
from sface_data.dataset.manifest import Manifest
from sface_data.errors import BadInput, CheckFailed, SfaceDataError
from sface_data.io.files import os_errors_as_bad_input, write_text
from sface_data.release.card import CARD, with_notice
from sface_data.release.contents import release_files, strangers
from sface_data.release.datasheet import DATASHEET, unanswered
from sface_data.release.validate import validate

if TYPE_CHECKING:
    from huggingface_hub.hf_api import HfApi, RepoFile

POLICY = "strict"  # that a certificate must pass
_BRANCH = re.compile(r"(?!.*(\.\.|//|\.lock$|/$|\.$))[A-Za-z0-9][A-Za-z0-9._/-]*")
_MADE_BY_THE_HUB = ".gitattributes"  # comes with the repository
_NO_CONNECTION = {"TransportError", "ConnectionError", "TimeoutError"}  # of httpx, of requests, of Python
_AGAIN = "; what was uploaded is kept: run the same command again"


@dataclass(frozen=True)
class Destination:
    """Where a data set goes.

    Attributes:
        repo: `ORG/NAME` of a data set on the hub.
        branch: of it; made if it is not there.
        private: whether nobody else may see it.
    """

    repo: str
    branch: str = "main"
    private: bool = False

    def __post_init__(self) -> None:
        from huggingface_hub.errors import HFValidationError
        from huggingface_hub.utils import validate_repo_id

        try:
            validate_repo_id(self.repo)
            good = self.repo.count("/") == 1
        except HFValidationError:
            good = False
        if not good:
            raise BadInput(
                f"{self.repo!r} is no name of a repository; write ORG/NAME in letters, digits, - _ and ."
            )
        if _BRANCH.fullmatch(self.branch) is None:
            raise BadInput(f"{self.branch!r} is no name of a branch; write letters, digits, - _ . and /")


@dataclass(frozen=True)
class Release:
    """What goes there: a folder that may be published, file by file.

    Attributes:
        directory: the folder.
        files: names below it.
        num_bytes: of all files.
        summary: the data set in a few words.
        card: the text of the card, which says so in its first lines if no certificate that passes comes with it.
    """

    directory: Path
    files: tuple[str, ...]
    num_bytes: int
    summary: str
    card: str


def find_token() -> str:
    """The token for the hub, from the variable HF_TOKEN or the login of huggingface_hub.

    Raises:
        BadInput: if there is none.
    """
    from huggingface_hub import get_token

    token = get_token()
    if token is None:
        raise BadInput("no token for the hub; log in with `hf auth login`, or set the variable HF_TOKEN")
    return token


def prepare(directory: Path, reason: str | None = None) -> Release:
    """Checks everything about a folder, and changes nothing.

    Args:
        reason: why it is published without a certificate that passes under `strict`.

    Raises:
        CheckFailed: with the first thing that is in the way: strange files, no certificate, one of other bytes,
            with another verdict or under another policy, a report with pictures, open questions in the datasheet,
            a folder that is not valid.
        BadInput: if it is no data set, or the reason is empty or not needed.
    """
    manifest = Manifest.load(directory)
    if reason is not None and not (reason := " ".join(reason.split())):
        raise BadInput("--without-certificate needs a reason, which the card will give")
    files = release_files(directory, manifest)
    _check_files(directory, files)
    _check_certificate(directory, manifest, reason)
    _check_report(directory)
    _check_datasheet(directory)
    outcome = validate(directory)
    if not outcome.valid:
        first = outcome.problems[0]
        raise CheckFailed(
            f"{directory}: not valid, so not published: {first.file}: {first.sentence} "
            f"(problem 1 of {len(outcome.problems)}; `sface-data validate {directory}` names all)"
        )
    with os_errors_as_bad_input(directory):
        num_bytes = sum((directory / name).stat().st_size for name in files)
        card = with_notice((directory / CARD).read_bytes().decode(), reason)
    summary = f"{manifest.num_samples:,} images of {len(manifest.plan.classes):,} classes, manifest "
    return Release(directory, tuple(files), num_bytes, summary + outcome.manifest_sha256[:12], card)


def publish(release: Release, destination: Destination, token: str) -> str:
    """Uploads a folder: the shards first, then what makes them a data set. Run again, it goes on where it was.

    Returns:
        The address of the data set.

    Raises:
        BadInput: if the hub cannot be reached or refuses, or the repository holds something else. Nothing has been
            uploaded then, unless the connection broke on the way.
        CheckFailed: if the hub holds other bytes than were sent.
    """
    from huggingface_hub import HfApi

    api = HfApi(token=token)
    with _explained(api.endpoint, destination, token):
        url = _make_repository(api, destination)
        _check_repository(api, destination, release)
        if release.card.encode() != (release.directory / CARD).read_bytes():
            write_text(release.directory / CARD, release.card)
        shards = [name for name in release.files if name.endswith(".tar")]
        for files, part in ((shards, "Shards"), (list(release.files), "Data set")):
            api.upload_folder(
                repo_id=destination.repo,
                repo_type="dataset",
                revision=destination.branch,
                folder_path=release.directory,
                allow_patterns=files,
                commit_message=f"{part}: {release.summary}",
            )
        _check_upload(api, destination, release)
    return url


def _check_files(directory: Path, files: list[str]) -> None:
    missing = [name for name in files if not (directory / name).is_file()]
    if missing:
        raise CheckFailed(
            f"{directory / missing[0]}: missing; `sface-data validate {directory}` names all problems"
        )
    found = strangers(directory, files)
    if found:
        others = f" and {len(found) - 1} more" if len(found) > 1 else ""
        raise CheckFailed(f"{directory / found[0]}{others}: not part of the data set; move it out of the folder")


def _check_certificate(directory: Path, manifest: Manifest, reason: str | None) -> None:
    path = directory / CERTIFICATE
    if not path.exists():
        if reason is None:
            raise CheckFailed(
                f"{directory}: no certificate; run `sface-data audit`, or say with --without-certificate why not"
            )
        return
    for problem in certificate_problems(directory, manifest):
        raise CheckFailed(f"{path}: {problem}; audit the data set again, or remove {path.parent}")
    certificate, demanded = load_certificate(path), load_policy(POLICY)
    verdict, strict = certificate.verdict, certificate.policy_sha256 == demanded.sha256
    if reason is not None:
        if verdict == "pass" and strict:
            raise BadInput(f"{path}: passes; leave out --without-certificate")
        return
    if verdict != "pass":
        raise CheckFailed(
            f"{path}: the verdict is `{verdict}`, not `pass`; to publish all the same, say why with "
            "--without-certificate"
        )
    if not strict:
        raise CheckFailed(
            f"{path}: passes under {certificate.policy_in_words} ({certificate.policy_sha256[:12]}), not under "
            f"the `{POLICY}` of this version ({demanded.sha256[:12]}); audit the data set under that, or say with "
            "--without-certificate why not"
        )


def _check_report(directory: Path) -> None:
    # Its plots are drawings; pictures are only in a page with pairs, of which one is of the training set.
    path = directory / REPORT
    if path.exists():
        with os_errors_as_bad_input(path):
            pictures = b"data:image/" in path.read_bytes()
        if pictures:
            raise CheckFailed(f"{path}: shows pictures, which may be of people; run `sface-data audit` again")


def _check_datasheet(directory: Path) -> None:
    path = directory / DATASHEET
    with os_errors_as_bad_input(path):
        questions = unanswered(path.read_bytes().decode("utf-8", "replace"))
    if questions:
        raise CheckFailed(f"{path}: {len(questions)} questions wait for an answer, the first: {questions[0]}")


def _make_repository(api: "HfApi", destination: Destination) -> str:
    """Makes repository and branch, where they are not there, and returns the address."""
    repo, branch = destination.repo, destination.branch
    url = api.create_repo(repo, repo_type="dataset", private=destination.private or None, exist_ok=True)
    if destination.private and not api.repo_info(repo, repo_type="dataset").private:
        raise BadInput(f"{repo}: is there already and public; choose another name, or make it private on the hub")
    if branch != "main":
        api.create_branch(repo, branch=branch, repo_type="dataset", exist_ok=True)
    return str(url)


def _check_repository(api: "HfApi", destination: Destination, release: Release) -> None:
    """Refuses a repository that holds anything else: it would be mixed up, or written over."""
    strange = sorted(_files_there(api, destination).keys() - {*release.files, _MADE_BY_THE_HUB})
    if strange:
        raise BadInput(
            f"{destination.repo}: holds {strange[0]}, which is not of this data set; delete it on the hub, or "
            "choose another name"
        )


def _check_upload(api: "HfApi", destination: Destination, release: Release) -> None:
    """Compares what the hub has now with the folder: sizes of all files, digests of the shards."""
    digests = {shard.filename: shard.sha256 for shard in Manifest.load(release.directory).shards}
    there = _files_there(api, destination)
    for name in release.files:
        file = there.get(name)
        arrived = file is not None and file.size == (release.directory / name).stat().st_size
        if file is not None and file.lfs is not None and name in digests:
            arrived = arrived and file.lfs.sha256 == digests[name]
        if not arrived:
            raise CheckFailed(f"{destination.repo}: {name} is not there as it is here; run the same command again")


def _files_there(api: "HfApi", destination: Destination) -> dict[str, "RepoFile"]:
    from huggingface_hub.hf_api import RepoFile

    entries = api.list_repo_tree(
        destination.repo, repo_type="dataset", revision=destination.branch, recursive=True
    )
    return {entry.path: entry for entry in entries if isinstance(entry, RepoFile)}


@contextmanager
def _explained(endpoint: str, destination: Destination, token: str) -> Iterator[None]:
    """Turns whatever the hub's client raises into one sentence, without the token."""
    try:
        yield
    except SfaceDataError:
        raise
    except Exception as error:
        sentence = _sentence(error, endpoint).replace(token, "...")
        raise BadInput(f"{destination.repo}: {sentence}") from error


def _sentence(error: Exception, endpoint: str) -> str:
    causes = list(_causes(error))
    answers = [getattr(cause, "response", None) for cause in causes]
    status = next((answer.status_code for answer in answers if answer is not None), None)
    if status == 401:
        return "the hub does not accept the token; log in anew with `hf auth login`, or set the variable HF_TOKEN"
    if status == 403:
        return "the token may not write there; use one that may, or another name"
    if status == 404:
        return "the hub does not know it, or does not show it to the owner of the token"
    if status is not None:
        return f"the hub answers with status {status}" + (_AGAIN if status == 429 or status >= 500 else "")
    if any(kind.__name__ in _NO_CONNECTION for cause in causes for kind in type(cause).__mro__):
        return f"the hub at {endpoint} cannot be reached ({type(causes[-1]).__name__}){_AGAIN}"
    reason = " ".join(str(causes[-1]).split())[:300]
    return f"the upload failed ({type(causes[-1]).__name__}: {reason}){_AGAIN}"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__
