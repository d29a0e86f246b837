"""The folder of a data set: which files belong in it, and writing those that surround the shards."""

from dataclasses import replace
from pathlib import Path, PurePosixPath

from sface_data.auditing.certificate import CERTIFICATE, REPORT
from sface_data.auditing.signature import SIGNATURE
from sface_data.dataset.card import CARD, join_card, read_card, split_card
from sface_data.dataset.manifest import MANIFEST, Manifest
from sface_data.dataset.workspace import Workspace
from sface_data.errors import BadInput, at_path
from sface_data.io.blocks import update_blocks
from sface_data.io.files import (
    exists,
    is_dir,
    os_errors_as_bad_input,
    pretty_json,
    read_bytes,
    remove_unfinished,
    sha256_of_file,
    write_text,
)
from sface_data.recognition.published import EVALUATION
from sface_data.release.audit_files import copy_audit, drop_audit, held_certificate
from sface_data.release.card import CITATION, Facts, card_prose, citation_text, named_preview
from sface_data.release.croissant import CROISSANT, croissant
from sface_data.release.datasheet import DATASHEET, datasheet_text
from sface_data.release.front_matter import MANAGED, front_matter
from sface_data.release.licences import (
    LICENSE,
    Licence,
    default_licence,
    held_licence,
    licence_text,
    shipped_text_in,
)
from sface_data.release.preview import PREVIEW, write_preview
from sface_data.release.recognition_results import read_results
from sface_data.runtime.arguments import StrPath, checks_arguments

TIMM_INFO = "_info.json"


def release_files(directory: Path, manifest: Manifest) -> list[str]:
    """The files of a data set, below its folder: those that it must have, and those that it may, if there."""
    belong = [CARD, DATASHEET, CITATION, LICENSE, CROISSANT, MANIFEST, PREVIEW, TIMM_INFO]
    belong += [shard.filename for shard in manifest.shards]
    belong += manifest.side_files
    return sorted(
        belong + [name for name in (EVALUATION, CERTIFICATE, SIGNATURE, REPORT) if exists(directory / name)]
    )


def foreign_files(directory: Path, files: list[str]) -> list[str]:
    """What lies in a folder besides some files and the folders that they are in, below it."""
    folders = {str(parent) for name in files for parent in PurePosixPath(name).parents}
    found = []
    with os_errors_as_bad_input(directory):
        for path in sorted(directory.rglob("*")):
            name = path.relative_to(directory).as_posix()
            folder = is_dir(path) and not path.is_symlink()
            if name not in (folders if folder else files):
                found.append(name)
    return found


def edited_texts(facts: Facts) -> dict[str, str]:
    """The texts that people may edit, as they are when nobody has; the card without its front matter."""
    return {CARD: card_prose(facts), DATASHEET: datasheet_text(facts), CITATION: citation_text(facts)}


def indexes(facts: Facts) -> dict[str, str]:
    """The files for machines, which nobody edits."""
    return {
        CROISSANT: pretty_json(croissant(facts.manifest, facts.licence)),
        TIMM_INFO: pretty_json(facts.manifest.timm_info()),
    }


def facts_of(directory: Path, manifest: Manifest, licence: str | None = None) -> Facts:
    """What the texts of a data set have to say, by what lies in its folder; without a notice.

    Args:
        licence: one of `LICENCES`; by default the one that it has, else that of its generator.

    Raises:
        BadInput: if the card cannot be read, or certificate or results of recognition are not what they should be.
    """
    certificate = held_certificate(directory, manifest)
    preview_sha256 = _named_preview(directory)
    licence = licence or held_licence(directory) or default_licence(manifest)
    return Facts(manifest, licence, certificate, read_results(directory), preview_sha256)


def updated_card(card: str, facts: Facts) -> str:
    """A card with other facts: its blocks, and its front matter where that is not what the manifest says.

    Raises:
        BadInput: if the front matter cannot be parsed, a block comes twice or has no end.
    """
    held, prose = split_card(card)
    wanted = front_matter(facts.manifest, facts.licence)
    prose_now = update_blocks(prose, card_prose(facts))
    if held and all(held.get(name) == wanted[name] for name in MANAGED):
        return card.removesuffix(prose) + prose_now
    managed = {name: wanted[name] for name in MANAGED} if held else wanted
    return join_card(held | managed, prose_now)


def finish(workspace: Workspace, manifest: Manifest, licence: str | None) -> None:
    """Writes what belongs around the shards, the manifest last.

    Args:
        licence: one of `LICENCES`; by default the one that the folder has, else that of its generator.
    """
    directory = workspace.directory
    changed = workspace.manifest != manifest
    if changed:
        drop_audit(directory)
    _write_texts(directory, facts_of(directory, manifest, licence), redraw=changed)
    if changed:
        manifest.save(directory)


@checks_arguments
def write_card(directory: StrPath, *, licence: Licence | None = None) -> list[Path]:
    """Writes what surrounds the shards of a data set anew: card, datasheet, citation, licence, indexes, preview.

    Of `README.md`, `DATASHEET.md` and `CITATION.cff` only the blocks of sface-data are written, and the front
    matter of the card where it is not what the manifest says; a person's words around them stay as they are. A
    `LICENSE` with a text of somebody else stays as well. The preview is drawn where it is not the one that the
    card names.

    Args:
        directory: a finished data set.
        licence: by default the one that it has.

    Returns:
        The files that were written.

    Raises:
        BadInput: if it is no data set, a block comes twice, the front matter cannot be parsed, or certificate or
            results of recognition are not what they should be. Nothing has been written then.

    Example:
        >>> [path.name for path in sface_data.write_card("faces", licence="cc-by-4.0")]
        ['README.md', 'DATASHEET.md', 'CITATION.cff', 'LICENSE', 'croissant.json']
    """
    folder = Path(directory)
    return _write_texts(folder, facts_of(folder, Manifest.load(folder), licence), redraw=False)


def adopt_audit(directory: Path, outdir: Path) -> None:
    """Copies certificate, signature and report of an audit into the data set's folder; its card then says so."""
    copy_audit(directory, outdir)
    write_card(directory)


def _write_texts(directory: Path, facts: Facts, redraw: bool) -> list[Path]:
    texts = _texts(directory, facts)
    for name in release_files(directory, facts.manifest):
        remove_unfinished(directory / name)
    written = []
    if redraw or not _shows(directory, facts):
        write_preview(directory, facts.manifest, directory / PREVIEW)
        written.append(directory / PREVIEW)
        texts = _texts(directory, replace(facts, preview_sha256=sha256_of_file(directory / PREVIEW)))
    for name, text in texts.items():
        if _held(directory / name) != text.encode():
            write_text(directory / name, text)
            written.append(directory / name)
    return written


def _texts(directory: Path, facts: Facts) -> dict[str, str]:
    """All texts around the shards, as they shall be."""
    texts = {}
    for name, new in edited_texts(facts).items():
        held = _held(directory / name)
        try:
            text = new if held is None else held.decode()
            texts[name] = updated_card(text, facts) if name == CARD else update_blocks(text, new)
        except (BadInput, UnicodeDecodeError) as error:
            raise at_path(directory / name, error) from error
    if _held(directory / LICENSE) is None or shipped_text_in(directory) is not None:
        texts[LICENSE] = licence_text(facts.licence)
    return texts | indexes(facts)


def _shows(directory: Path, facts: Facts) -> bool:
    """Whether the preview is the one that the card names, and names for this plan."""
    path = directory / PREVIEW
    if not exists(path) or not exists(directory / CARD):
        return False
    named = facts.manifest.plan.fingerprint in read_card(directory)
    return named and sha256_of_file(path) == facts.preview_sha256


def _named_preview(directory: Path) -> str:
    if not exists(directory / CARD):
        return ""
    try:
        return named_preview(read_card(directory))
    except BadInput as error:
        raise at_path(directory / CARD, error) from error


def _held(path: Path) -> bytes | None:
    return read_bytes(path) if exists(path) else None
