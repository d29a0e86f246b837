"""Everything in the folder of a data set that is not a shard."""

import itertools
from pathlib import Path, PurePosixPath

from sface_data.audit.certificate import (
    CERTIFICATE,
    REPORT,
    SIGNATURE,
    Certificate,
    certificate_problems,
    load_certificate,
)
from sface_data.dataset.manifest import MANIFEST, Manifest
from sface_data.dataset.workspace import Workspace
from sface_data.errors import BadInput
from sface_data.io.files import atomic_write, os_errors_as_bad_input, pretty_json, write_text
from sface_data.io.seal import unedited
from sface_data.release.card import (
    CARD,
    CITATION,
    LICENSE,
    card_text,
    citation_text,
    claims,
    read_front_matter,
)
from sface_data.release.croissant import CROISSANT, croissant
from sface_data.release.datasheet import DATASHEET, datasheet_text, unedited_but_for_answers, with_answers
from sface_data.release.preview import PREVIEW, write_preview
from sface_data.release.recognition_results import EVALUATION, read_results
from sface_data.release.templates import DEFAULT_LICENCE, LICENCES, licence_text


def check_licence(directory: Path, licence: str | None) -> None:
    """Refuses another licence than that of a data set that is finished.

    Raises:
        BadInput: with the command that changes it.
    """
    held = held_licence(directory)
    if licence is not None and held is not None and held != licence:
        raise BadInput(
            f"{directory / CARD}: the data set is finished, under {held}; to change its licence, run "
            f"sface-data card {directory} --licence {licence}"
        )


def held_licence(directory: Path) -> str | None:
    """The licence of a finished data set, by its card; None if it is not finished, or the card names none."""
    if not (directory / MANIFEST).exists():
        return None
    try:
        licence = read_front_matter(directory).get("license")
    except BadInput:
        return None
    return licence if licence in LICENCES else None


def finish(workspace: Workspace, manifest: Manifest, licence: str | None) -> None:
    """Writes what belongs around the shards, the manifest last, and tidies up.

    In a folder that was finished before, what people may have edited stays as it is.

    Args:
        licence: one of `texts.LICENCES`; by default the one that the folder has, or that of SFace.
    """
    directory = workspace.directory
    changed = not workspace.complete or Manifest.load(directory) != manifest
    if changed:
        _drop_audit(directory)
    write_card(directory, manifest, licence, keep=not changed)
    if changed or not (directory / PREVIEW).exists():
        write_preview(directory, manifest, directory / PREVIEW)
    if changed:
        manifest.save(directory)
    workspace.close()


def write_card(directory: Path, manifest: Manifest, licence: str | None, keep: bool = False) -> list[Path]:
    """Writes card, datasheet, citation, licence, the description for machines and the indexes of other readers.

    Answers in the datasheet are kept.

    Args:
        licence: see `finish`.
        keep: leave alone what people may have edited, if it is there: card, datasheet, citation and licence.

    Returns:
        The files that were written. Those that somebody edited are kept as `README.md.old` and so on.
    """
    licence = licence or held_licence(directory) or DEFAULT_LICENCE
    prose = _prose(directory, manifest, licence)
    texts = prose | {
        CROISSANT: pretty_json(croissant(manifest, licence)),
        "_info.json": pretty_json(manifest.timm_info()),
        "data/sizes.json": pretty_json(manifest.open_clip_sizes()),
    }
    finished = (directory / MANIFEST).exists()  # else what is there is left over from another data set
    written = []
    for name, text in texts.items():
        path = directory / name
        with os_errors_as_bad_input(path):
            there = path.read_bytes() if path.exists() else None
        if there is not None and name in prose:
            if keep or there == text.encode():
                continue
            if finished and not _as_written(name, there, text):
                _keep_copy(path, there)
            if name == DATASHEET:
                text = with_answers(text, there)
        if there != text.encode():
            write_text(path, text)
            written.append(path)
    return written


def release_files(directory: Path, manifest: Manifest) -> list[str]:
    """The files of a data set, below its folder: those that it must have, and those that it may, if there."""
    belong = [CARD, DATASHEET, CITATION, LICENSE, CROISSANT, MANIFEST, PREVIEW, "_info.json", "data/sizes.json"]
    belong += [shard.filename for shard in manifest.shards]
    belong += [listed.filename for listed in (manifest.class_centers, manifest.aligned) if listed is not None]
    return sorted(
        belong + [name for name in (EVALUATION, CERTIFICATE, SIGNATURE, REPORT) if (directory / name).exists()]
    )


def strangers(directory: Path, files: list[str]) -> list[str]:
    """What lies in a folder besides some files and the folders that they are in, below it."""
    folders = {str(parent) for name in files for parent in PurePosixPath(name).parents}
    found = []
    with os_errors_as_bad_input(directory):
        for path in sorted(directory.rglob("*")):
            name = path.relative_to(directory).as_posix()
            folder = path.is_dir() and not path.is_symlink()
            if name not in (folders if folder else files):
                found.append(name)
    return found


def held_certificate(directory: Path, manifest: Manifest) -> Certificate | None:
    """The certificate in the folder of a data set, None if there is none.

    Raises:
        BadInput: if it was changed, or belongs to other bytes than these.
    """
    path = directory / CERTIFICATE
    if not path.exists():
        return None
    for problem in certificate_problems(directory, manifest):
        raise BadInput(f"{path}: {problem}; delete it, or run `sface-data audit` again")
    return load_certificate(path)


def adopt_audit(directory: Path, outdir: Path) -> None:
    """Copies certificate, signature and report of an audit into the data set's folder; its card then says so.

    In a card that somebody edited, only what is said of the certificate changes.
    """
    manifest = Manifest.load(directory)
    try:
        before = claims(manifest, held_certificate(directory, manifest))["certificate"]
    except BadInput:
        before = None
    with os_errors_as_bad_input(directory):
        (directory / CERTIFICATE).parent.mkdir(exist_ok=True)
    for name in (CERTIFICATE, SIGNATURE, REPORT):
        source, target = outdir / Path(name).name, directory / name
        if source.resolve() == target.resolve():
            continue
        with os_errors_as_bad_input(source):
            data = source.read_bytes() if source.is_file() else None
        if data is None:
            with os_errors_as_bad_input(target):
                target.unlink(missing_ok=True)
        else:
            with atomic_write(target) as file:
                file.write(data)
    card = directory / CARD
    with os_errors_as_bad_input(card):
        there = card.read_bytes() if card.is_file() else b""
    after = claims(manifest, held_certificate(directory, manifest))["certificate"]
    text = there.decode("utf-8", "replace")
    if there and not unedited(there) and before is not None and before in text:
        write_text(card, text.replace(before, after))
    elif after not in text:
        write_card(directory, manifest, None)


def _drop_audit(directory: Path) -> None:
    """Removes an audit of other bytes than those that are there now."""
    for name in (CERTIFICATE, SIGNATURE, REPORT):
        with os_errors_as_bad_input(directory / name):
            (directory / name).unlink(missing_ok=True)


def _prose(directory: Path, manifest: Manifest, licence: str) -> dict[str, str]:
    """The files that people may edit, as they are written."""
    return {
        CARD: card_text(manifest, licence, read_results(directory), held_certificate(directory, manifest)),
        DATASHEET: datasheet_text(manifest, licence, claims(manifest)["counts"]),
        CITATION: citation_text(manifest, licence),
        LICENSE: licence_text(licence),
    }


def _as_written(name: str, there: bytes, text: str) -> bool:
    """Whether a file that people may edit has nothing of theirs that the new text would lose."""
    if name == LICENSE:
        return there.decode("utf-8", "replace") in map(licence_text, LICENCES)
    return unedited_but_for_answers(there, text) if name == DATASHEET else unedited(there)


def _keep_copy(path: Path, data: bytes) -> None:
    """Writes `data` beside `path`, under the first name of `.old`, `.old2`, ... that is free."""
    names = (path.with_name(f"{path.name}.old{n if n > 1 else ''}") for n in itertools.count(1))
    with atomic_write(next(name for name in names if not name.exists())) as file:
        file.write(data)
