"""A data set in the forms that trainers take: the same images, byte for byte, in another container."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from sface_data.auditing.certificate import REPORT
from sface_data.dataset.card import CARD
from sface_data.dataset.manifest import MANIFEST, Manifest
from sface_data.errors import BadInput
from sface_data.faces.face_list import FaceList
from sface_data.faces.shard_source import ShardSource
from sface_data.faces.sources import open_source
from sface_data.io.files import os_errors_as_bad_input, pretty_json, read_json, sha256_of_file, write_text
from sface_data.io.folders import claim_folder, differences
from sface_data.release.audit_files import AUDIT_FILES, held_certificate
from sface_data.release.exports.faces import ExportedFaces
from sface_data.release.exports.folder import write_folder
from sface_data.release.exports.lmdb import write_lmdb
from sface_data.release.exports.parquet import write_parquet
from sface_data.release.exports.record import write_records
from sface_data.release.licences import LICENCES, LICENSE, default_licence, held_licence
from sface_data.release.templates import render
from sface_data.runtime.arguments import StrPath, checks_arguments
from sface_data.runtime.progress import progress_bar

REQUEST = "export.json"
Form = Literal["rec", "folder", "parquet", "lmdb"]
FORMS: dict[str, Callable[[ExportedFaces, Path], Iterator[int]]] = {
    "rec": write_records,
    "folder": write_folder,
    "parquet": write_parquet,
    "lmdb": write_lmdb,
}
_NUMBERED = ("rec", "lmdb")  # forms in which a class has no name but its number


@dataclass(frozen=True)
class Export:
    """A data set in another form.

    Attributes:
        directory: the folder.
        num_images: how many images are in it.
        faces_sha256: the identity of images and classes, in whichever form they come; of new identities in forms
            that number them another than in those that name them.
    """

    directory: Path
    num_images: int
    faces_sha256: str


@checks_arguments
def export(directory: StrPath, outdir: StrPath, *, to: Form) -> Export:
    """Writes a data set in another form, image files as they are, and compares what was written with the shards.

    Labels are the classes of the generator, also where only some of them were drawn. Certificate, report and
    licence go along; the certificate stays that of the data set, which README.md says. Stopped at any moment and
    called again with the same arguments, it goes on where it was.

    Args:
        directory: a finished data set.
        outdir: folder of the export: new, empty, or one to go on with.
        to: `rec`: RecordIO, as arcface_torch reads it; `folder`: a folder per class; `parquet`: with columns image
            and label, as `datasets` and the hub show it; `lmdb`: as Vec2Face reads it.

    Raises:
        BadInput: if it is no data set or not as its manifest says, the folder holds something else, or what was
            written is not what was to be written.

    Example:
        >>> sface_data.export("faces", "faces-parquet", to="parquet").num_images
        8
    """
    folder, target = Path(directory), Path(outdir)
    manifest = Manifest.load(folder)
    if to == "rec" and manifest.plan.image.format == "webp":
        raise BadInput(
            f"{folder}: its images are WebP, which readers of RecordIO do not decode; choose another form"
        )
    certificate = held_certificate(folder, manifest)
    request = {"manifest_sha256": sha256_of_file(folder / MANIFEST), "to": to}
    with claim_folder(target, "exported faces", partial(_held, target, request)):
        source, faces = _checked(folder, manifest)
        if to not in _NUMBERED:
            names = tuple(manifest.plan.class_name(int(name)) for name in faces.class_names)
            faces = replace(faces, class_names=names)
        write_text(target / REQUEST, pretty_json(request))
        exported = ExportedFaces(manifest.plan, source, manifest.num_bytes)
        with os_errors_as_bad_input(target), progress_bar(len(source), "images", desc="writing", delay=1) as bar:
            for count in FORMS[to](exported, target):
                bar.update(count)
        _compare(target, to, faces)
        with os_errors_as_bad_input(target):
            for name in (LICENSE, *AUDIT_FILES):
                if (folder / name).exists():
                    shutil.copyfile(folder / name, target / Path(name).name)
        licence = held_licence(folder) or default_licence(manifest)
        facts: dict[str, Any] = {"manifest": manifest, "certificate": certificate, "licence": LICENCES[licence]}
        facts |= {"faces_sha256": faces.sha256, "report": (folder / REPORT).exists()}
        text = render("export.md.j2", **facts, **request)
        write_text(target / CARD, text)
    return Export(target, len(source), faces.sha256)


def _held(target: Path, request: dict[str, str]) -> bool | None:
    """Whether the folder is to be gone on with. Raises BadInput if it holds another export."""
    if not (target / REQUEST).exists():
        return None
    there = read_json(target / REQUEST)
    if there != request:
        raise BadInput(
            f"{target}: holds another export; choose another folder. Asked for, and held:",
            *differences(request, there),
        )
    return True


def _checked(folder: Path, manifest: Manifest) -> tuple[ShardSource, FaceList]:
    """The faces of a data set. Raises BadInput if its shards are not those of the manifest."""
    paths = [folder / shard.filename for shard in manifest.shards]
    with progress_bar(manifest.num_bytes, "B", desc="checking", unit_scale=True, delay=1) as bar:
        for path, shard in zip(paths, manifest.shards, strict=True):
            if sha256_of_file(path) != shard.sha256:
                raise BadInput(
                    f"{path}: is not as the manifest says; `sface-data validate {folder}` names all problems"
                )
            bar.update(shard.num_bytes)
    source = ShardSource(folder, paths)
    return source, FaceList.of(source)


def _compare(target: Path, to: str, faces: FaceList) -> None:
    """Reads what was written, as everybody else would. Raises BadInput unless it is the same faces."""
    source = open_source(target, min_classes=1)
    with progress_bar(len(source), "images", desc="comparing", delay=1) as bar:
        written = FaceList.of(source, bar.update)
    if written.sha256 != faces.sha256:
        raise BadInput(
            f"{target}: is not what was written there; delete the folder and run the same command again"
        )
