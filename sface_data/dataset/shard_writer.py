"""Writing shards: the same samples always give the same bytes."""

import hashlib
import io
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import simplejpeg
from PIL import Image

from sface_data.dataset.manifest import ShardInfo
from sface_data.dataset.plan import ImageFormat, SampleSpec
from sface_data.io.files import atomic_write, canonical_json
from sface_data.io.images import Pixels

_WEBP_METHOD = 4  # the encoder's own balance of time and size


@dataclass(frozen=True, slots=True)
class EncodedSample:
    """One sample as it goes into a shard: what it is, and its image as bytes of a file."""

    spec: SampleSpec
    image: bytes


def encode(image: Pixels, form: ImageFormat) -> bytes:
    """The file that holds an image [H,W,3], RGB; `jpg` keeps full colour resolution (4:4:4)."""
    if form.format == "jpg":
        return simplejpeg.encode_jpeg(image, quality=form.quality, colorspace="RGB", colorsubsampling="444")
    buffer = io.BytesIO()
    if form.format == "png":
        Image.fromarray(image).save(buffer, "png")
    else:
        Image.fromarray(image).save(buffer, "webp", quality=form.quality, method=_WEBP_METHOD)
    return buffer.getvalue()


@dataclass(frozen=True, slots=True)
class Packed:
    """Samples as they stand in a tar, one after the other: how many, and their bytes."""

    num_samples: int
    data: bytes


def write_shard(directory: Path, filename: str, samples: Iterable[Packed], scratch: Path) -> ShardInfo:
    """Writes a tar, atomically.

    Args:
        directory: the folder of the data set.
        filename: the tar's path below it; its folder must exist.
        samples: what goes in, in order.
        scratch: folder for the unfinished file, on the same file system.

    Raises:
        BadInput: if the operating system refuses (disk full, no permission, ...); then there is no tar.
    """
    num_samples = num_bytes = 0
    sha = hashlib.sha256()
    with atomic_write(directory / filename, scratch) as file:
        for packed in samples:
            sha.update(packed.data)
            num_bytes += file.write(packed.data)
            num_samples += packed.num_samples
        end = ending(num_bytes)
        sha.update(end)
        num_bytes += file.write(end)
    return ShardInfo(filename, num_samples, num_bytes, sha.hexdigest())


def ending(num_bytes: int) -> bytes:
    """What ends a tar of so many bytes: two empty blocks, and more of them up to whole records."""
    blocks = 2 * tarfile.BLOCKSIZE
    return bytes(blocks + -(num_bytes + blocks) % tarfile.RECORDSIZE)


def pack(encoded: EncodedSample, extension: str) -> bytes:
    """The stretch of a tar that holds one sample: the members `KEY.cls`, `KEY.<extension>` and `KEY.json`.

    USTAR, time 0, owner 0, mode 0644, so that nothing but the sample shows in the bytes.

    Args:
        extension: `jpg`, `png` or `webp`.
    """
    spec = encoded.spec
    facts = {"class_index": spec.class_index, "index": spec.index, "seed": spec.seed}
    members = (
        ("cls", str(spec.class_index).encode()),
        (extension, encoded.image),
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
