"""The hub: a repository, what it holds, and an upload of exactly what was checked."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sface_data.errors import BadInput, CheckFailed, SfaceDataError
from sface_data.release.gate import CheckedRelease

if TYPE_CHECKING:
    from huggingface_hub.hf_api import HfApi, RepoFile

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
                f"{self.repo!r} is not the name of a repository; write ORG/NAME in letters, digits, - _ and ."
            )
        if _BRANCH.fullmatch(self.branch) is None:
            raise BadInput(f"{self.branch!r} is not the name of a branch; write letters, digits, - _ . and /")


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


def upload(release: CheckedRelease, texts: Mapping[str, str], destination: Destination, token: str) -> str:
    """Uploads a folder: the shards first, then what makes them a data set. Run again, it goes on where it was.

    Args:
        texts: what card and datasheet shall say, by file; they are written into the folder once the hub has been
            found to take it.

    Returns:
        The address of the data set.

    Raises:
        BadInput: if the hub cannot be reached or refuses, or the repository holds something else. Nothing has been
            uploaded then, unless the connection broke on the way.
        CheckFailed: if a file changed since it was checked, or the hub holds other bytes than were checked.
    """
    from huggingface_hub import HfApi

    api = HfApi(token=token)
    with _explained(api.endpoint, destination, token):
        url = _make_repository(api, destination)
        _check_repository(api, destination, release)
        release.check_unchanged()
        for name, text in texts.items():
            release = release.with_text(name, text)
        shards = [name for name in release.files if name.endswith(".tar")]
        for names, part in ((shards, "Shards"), (list(release.files), "Data set")):
            release.check_unchanged()
            api.upload_folder(
                repo_id=destination.repo,
                repo_type="dataset",
                revision=destination.branch,
                folder_path=release.directory,
                allow_patterns=names,
                commit_message=f"{part}: {release.summary}",
            )
        release.check_unchanged()
        _check_upload(api, destination, release)
    return url


def _make_repository(api: "HfApi", destination: Destination) -> str:
    """Makes repository and branch, where they are not there, and returns the address."""
    repo, branch = destination.repo, destination.branch
    url = api.create_repo(repo, repo_type="dataset", private=destination.private or None, exist_ok=True)
    if destination.private and not api.repo_info(repo, repo_type="dataset").private:
        raise BadInput(f"{repo}: exists already and is public; choose another name, or make it private on the hub")
    if branch != "main":
        api.create_branch(repo, branch=branch, repo_type="dataset", exist_ok=True)
    return str(url)


def _check_repository(api: "HfApi", destination: Destination, release: CheckedRelease) -> None:
    """Refuses a repository that holds anything else: it would be mixed up, or written over."""
    foreign = sorted(_files_there(api, destination).keys() - {*release.files, _MADE_BY_THE_HUB})
    if foreign:
        raise BadInput(
            f"{destination.repo}: holds {foreign[0]}, which is not of this data set; delete it on the hub, or "
            "choose another name"
        )


def _check_upload(api: "HfApi", destination: Destination, release: CheckedRelease) -> None:
    """Compares what the hub has now with what was checked: sizes and digests of all files."""
    there = _files_there(api, destination)
    for name, file in release.files.items():
        arrived = there.get(name)
        if arrived is not None and arrived.lfs is not None:
            same = arrived.lfs.sha256 == file.sha256
        else:
            same = arrived is not None and arrived.blob_id == release.git_sha1(name)
        if not same:
            raise CheckFailed(
                f"{destination.repo}: {name} is not there as it was checked here; run the same command again"
            )


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
