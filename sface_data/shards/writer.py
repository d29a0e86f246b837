"""Writing shards: the same samples always give the same bytes."""

import hashlib
import io
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from sface_data.files import atomic_write, canonical_json
from sface_data.plan import SampleSpec


@dataclass(frozen=True, slots=True)
class Record:
    """One sample as it goes into a shard: what it is, and its image as bytes of a file."""

    spec: SampleSpec
    image: bytes


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """Number of samples and bytes of a finished shard, and its hex SHA-256."""

    num_samples: int
    num_bytes: int
    sha256: str


def write_shard(path: Path, records: Iterable[Record], extension: str, scratch: Path) -> WrittenFile:
    """Writes a tar with the members `KEY.cls`, `KEY.<extension>` and `KEY.json` of each sample, atomically.

    USTAR, time 0, owner 0, mode 0644, so that nothing but the samples shows in the bytes.

    Args:
        path: the tar; its folder must exist.
        records: the samples, in order.
        extension: `jpg`, `png` or `webp`.
        scratch: folder for the unfinished file, on the same file system.

    Raises:
        BadInput: if the operating system refuses (disk full, no permission, ...); then there is no tar.
    """
    count = 0
    with atomic_write(path, scratch) as file:
        hashed = _HashedFile(file)
        with tarfile.open(fileobj=hashed, mode="w", format=tarfile.USTAR_FORMAT) as tar:  # type: ignore[call-overload]
            for record in records:
                spec = record.spec
                facts = {"class_index": spec.class_index, "index": spec.index, "seed": spec.seed}
                _add(tar, f"{spec.key}.cls", str(spec.class_index).encode())
                _add(tar, f"{spec.key}.{extension}", record.image)
                _add(tar, f"{spec.key}.json", canonical_json(facts).encode())
                count += 1
    return WrittenFile(count, hashed.tell(), hashed.sha256())


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)  # time 0, owner 0 and mode 0644 are its defaults
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))


class _HashedFile:
    """What tarfile needs of a file to write to, hashing what goes through."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._sha = hashlib.sha256()
        self._position = 0

    def write(self, data: bytes) -> int:
        self._sha.update(data)
        self._position += len(data)
        return self._file.write(data)

    def tell(self) -> int:
        return self._position

    def sha256(self) -> str:
        return self._sha.hexdigest()
