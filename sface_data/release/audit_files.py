"""The audit in the folder of a data set: certificate, signature and report."""

from pathlib import Path

from sface_data.auditing.certificate import (
    CERTIFICATE,
    REPORT,
    Certificate,
    certificate_problems,
    load_certificate,
)
from sface_data.auditing.signature import SIGNATURE
from sface_data.dataset.manifest import Manifest
from sface_data.errors import BadInput
from sface_data.io.files import atomic_write, exists, os_errors_as_bad_input, read_bytes

AUDIT_FILES = (CERTIFICATE, SIGNATURE, REPORT)


def held_certificate(directory: Path, manifest: Manifest) -> Certificate | None:
    """The certificate in the folder of a data set, None if there is none.

    Raises:
        BadInput: if it was changed, or belongs to other bytes than these.
    """
    path = directory / CERTIFICATE
    if not exists(path):
        return None
    for problem in certificate_problems(directory, manifest):
        raise BadInput(f"{path}: {problem}; delete it, or run `sface-data audit` again")
    return load_certificate(path)


def copy_audit(directory: Path, outdir: Path) -> None:
    """Copies certificate, signature and report of an audit into the data set's folder; what it lacks goes."""
    with os_errors_as_bad_input(directory):
        (directory / CERTIFICATE).parent.mkdir(exist_ok=True)
    for name in AUDIT_FILES:
        source, target = outdir / Path(name).name, directory / name
        with os_errors_as_bad_input(source):
            if source.resolve() == target.resolve():
                continue
            if not exists(source):
                target.unlink(missing_ok=True)
                continue
        data = read_bytes(source)
        with atomic_write(target) as file:
            file.write(data)


def drop_audit(directory: Path) -> None:
    """Removes an audit of other bytes than those that are there now."""
    for name in AUDIT_FILES:
        with os_errors_as_bad_input(directory / name):
            (directory / name).unlink(missing_ok=True)
