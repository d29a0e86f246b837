"""Publishing: a data set goes to the hub only when everything about it holds, and nothing else goes with it."""

from dataclasses import dataclass
from pathlib import Path

from sface_data.errors import CheckFailed
from sface_data.release.datasheet import read_answers
from sface_data.release.gate import Candidate, CheckedRelease
from sface_data.release.hub import Destination, find_token, upload
from sface_data.runtime.arguments import StrPath, checks_arguments


@dataclass(frozen=True)
class Publication:
    """What went to the hub, or would go there.

    Attributes:
        url: address of the data set; None if nothing was uploaded, as it was a dry run.
        files: bytes of each file, by name.
        obstacles: all that is in the way, a sentence each; only of a dry run, else the first one is raised.
        policy: under which its certificate passes, in words; empty if it has obstacles or no certificate.
    """

    url: str | None
    files: dict[str, int]
    obstacles: tuple[str, ...] = ()
    policy: str = ""


@checks_arguments
def publish(
    directory: StrPath,
    repo: str,
    *,
    private: bool = False,
    revision: str = "main",
    dry_run: bool = False,
    without_certificate: str | None = None,
    answers: StrPath | None = None,
) -> Publication:
    """Publishes a data set on the Hugging Face hub, once everything about it holds.

    The folder must be valid, have a certificate that passes under the policy strict or standard and belongs to its
    bytes, a datasheet without open questions, and nothing in it that is not part of the data set. What is uploaded
    is what was checked: a file that changes meanwhile stops it. Run again, a stopped upload goes on where it was.

    Args:
        directory: a finished data set.
        repo: `ORG/NAME` of a data set on the hub; made if it is not there.
        private: let nobody see it but ORG; an existing public one is refused.
        revision: branch; made if it is not there.
        dry_run: find all that is in the way, and upload nothing; needs neither token nor network.
        without_certificate: why it is published without a certificate that passes under strict or standard; the
            card gives the reason in its first lines.
        answers: a TOML file with the answers to the open questions of the datasheet, which are written into it.

    Raises:
        CheckFailed: with the first thing that is in the way, unless it is a dry run; nothing has been uploaded
            then, unless a file changed during the upload.
        BadInput: if it is no data set, a name is wrong, a question has no answer in the file, there is no token,
            or the hub refuses.

    Example:
        >>> trial = sface_data.publish("faces", repo="org/name", dry_run=True, without_certificate="for reviewers")
        >>> trial.obstacles
        ('faces/DATASHEET.md: 6 questions wait for an answer, the first: ...',)
    """
    destination = Destination(repo, revision, private)
    said = None if answers is None else read_answers(Path(answers))
    candidate = Candidate.at(Path(directory), without_certificate, said)
    if dry_run:
        return _tried(candidate)
    for obstacle in candidate.evident_obstacles():
        raise CheckFailed(obstacle)
    token = find_token()  # before the shards are read, which takes time
    release, texts = candidate.checked()
    return Publication(upload(release, texts, destination, token), _sizes(release), policy=candidate.policy)


def _tried(candidate: Candidate) -> Publication:
    obstacles = tuple(candidate.obstacles())
    if obstacles:
        return Publication(None, {}, obstacles)
    return Publication(None, _sizes(candidate.checked()[0]), policy=candidate.policy)


def _sizes(release: CheckedRelease) -> dict[str, int]:
    return {name: file.num_bytes for name, file in release.files.items()}
