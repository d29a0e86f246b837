"""Writing shards: the same samples always give the same bytes."""

import hashlib
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sface_data.dataset.plan import SampleSpec
from sface_data.io.files import atomic_write, canonical_json


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
    num_samples = num_bytes = 0
    sha = hashlib.sha256()
    with atomic_write(path, scratch) as file:
        for record in records:
            sample = _packed(record, extension)
            sha.update(sample)
            num_bytes += file.write(sample)
            num_samples += 1
        blocks = 2 * tarfile.BLOCKSIZE  # two empty ones end a tar, which is then filled up to whole records
        end = bytes(blocks + -(num_bytes + blocks) % tarfile.RECORDSIZE)
        sha.update(end)
        num_bytes += file.write(end)
    return WrittenFile(num_samples, num_bytes, sha.hexdigest())


def _packed(record: Record, extension: str) -> bytes:
    """The stretch of a tar that holds one sample."""
    spec = record.spec
    facts = {"class_index": spec.class_index, "index": spec.index, "seed": spec.seed}
    members = (
        ("cls", str(spec.class_index).encode()),
        (extension, record.image),
        ("json", canonical_json(facts).encode()),
    )
    parts = []
    for suffix, data in members:
        parts += [_header(f"{spec.key}.{suffix}".encode(), len(data)), data, bytes(-len(data) % tarfile.BLOCKSIZE)]
    return b"".join(parts)


# A header is 512 bytes, of which only the name, the size and the checksum differ from member to member; filling
# them in is several times faster than making each header anew. Offsets are those of POSIX.1-1988 (ustar).
_BLANK = tarfile.TarInfo().tobuf(tarfile.USTAR_FORMAT)  # time 0, owner 0 and mode 0644 are its defaults
_BLANK_SUM = sum(_BLANK[:148]) + sum(b" " * 8) + sum(_BLANK[156:]) - sum(_BLANK[124:135])


def _header(name: bytes, size: int) -> bytes:
    digits = b"%011o" % size
    checksum = _BLANK_SUM + sum(name) + sum(digits)
    return (
        name.ljust(100, b"\0") + _BLANK[100:124] + digits + _BLANK[135:148] + b"%06o\0 " % checksum + _BLANK[156:]
    )
