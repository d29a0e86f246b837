"""Everything in the folder of a data set that is not a shard."""

from pathlib import Path

from sface_data.errors import BadInput
from sface_data.files import explained, pretty_json, write_text
from sface_data.release.card import CARD, card_text, citation_text
from sface_data.release.preview import PREVIEW, write_preview
from sface_data.release.texts import DEFAULT_LICENCE, licence_text
from sface_data.shards.index import MANIFEST, DatasetIndex
from sface_data.shards.workspace import Workspace

CITATION = "CITATION.cff"
LICENSE = "LICENSE"
_EDITED = (CARD, CITATION, LICENSE)


def finish(workspace: Workspace, index: DatasetIndex, licence: str | None) -> None:
    """Writes what belongs around the shards, the manifest last, and tidies up.

    In a folder that was finished before, what people may have edited stays as it is.

    Args:
        licence: one of `texts.LICENCES`; that of SFace by default.

    Raises:
        BadInput: if a licence is given and the folder was finished before under another one.
    """
    directory = workspace.directory
    changed = not workspace.complete or DatasetIndex.load(directory) != index
    held = directory / LICENSE
    if licence is not None and not changed and held.exists() and _text(held) != licence_text(licence):
        raise BadInput(
            f"{held}: not the text of {licence}; to change the licence of a finished data set, run "
            f"sface-data card {directory} --licence {licence}"
        )
    write_card(directory, index, licence or DEFAULT_LICENCE, keep=not changed)
    if changed or not (directory / PREVIEW).exists():
        write_preview(directory, index, directory / PREVIEW)
    if changed:
        index.save(directory)
    workspace.close()


def _text(path: Path) -> str:
    with explained(path):
        return path.read_text(encoding="utf-8")


def write_card(directory: Path, index: DatasetIndex, licence: str, keep: bool = False) -> list[Path]:
    """Writes card, citation, licence and the indexes of other readers.

    Args:
        keep: leave alone what people may have edited: card, citation and licence, if they are there.

    Returns:
        The files that were written. A card of other contents is kept as `README.md.old`.
    """
    texts = {
        CARD: card_text(index, licence),
        CITATION: citation_text(index, licence),
        LICENSE: licence_text(licence),
        "_info.json": pretty_json(index.timm_info()),
        "data/sizes.json": pretty_json(index.open_clip_sizes()),
    }
    written = []
    for name, text in texts.items():
        path = directory / name
        with explained(path):
            if path.exists() and ((keep and name in _EDITED) or path.read_bytes() == text.encode()):
                continue
            if path.exists() and name == CARD and (directory / MANIFEST).exists():
                path.replace(directory / f"{CARD}.old")
        write_text(path, text)
        written.append(path)
    return written
