"""Publishing: a data set goes to the hub only when everything about it holds, and nothing else goes with it."""

from dataclasses import dataclass
from pathlib import Path

from sface_data.release.gate import check_release
from sface_data.release.hub import Destination, find_token, upload
from sface_data.runtime.arguments import StrPath, checks_arguments


@dataclass(frozen=True)
class Publication:
    """What went to the hub, or would go there.

    Attributes:
        url: address of the data set; None if nothing was uploaded, as it was a dry run.
        files: bytes of each file, by name.
    """

    url: str | None
    files: dict[str, int]


@checks_arguments
def publish(
    directory: StrPath,
    repo: str,
    *,
    private: bool = False,
    revision: str = "main",
    dry_run: bool = False,
    without_certificate: str | None = None,
) -> Publication:
    """Publishes a data set on the Hugging Face hub, once everything about it holds.

    The folder must be valid, have a certificate that passes under the policy strict and belongs to exactly its
    bytes, a datasheet without open questions, and nothing in it that is not part of the data set. What is uploaded
    is what was checked: a file that changes meanwhile stops it. Run again, a stopped upload goes on where it was.

    Args:
        directory: a finished data set.
        repo: `ORG/NAME` of a data set on the hub; made if it is not there.
        private: let nobody see it but ORG; an existing public one is refused.
        revision: branch; made if it is not there.
        dry_run: check everything, and upload nothing; needs neither token nor network.
        without_certificate: why it is published without a certificate that passes under the policy strict; the
            card gives the reason in its first lines.

    Raises:
        CheckFailed: with the first thing that is in the way; nothing has been uploaded then, unless a file changed
            during the upload.
        BadInput: if it is no data set, a name is wrong, there is no token, or the hub refuses.

    Example:
        >>> sface_data.publish("faces", repo="org/name", dry_run=True, without_certificate="for the reviewers")
        Traceback (most recent call last):
            ...
        sface_data.errors.CheckFailed: faces/DATASHEET.md: 6 questions wait for an answer, the first: ...
    """
    destination = Destination(repo, revision, private)
    token = "" if dry_run else find_token()  # before anything that takes time
    release, card = check_release(Path(directory), without_certificate)
    url = None if dry_run else upload(release, card, destination, token)
    return Publication(url, {name: file.num_bytes for name, file in release.files.items()})
