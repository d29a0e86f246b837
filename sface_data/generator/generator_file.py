"""Generators on disk: safetensors with the configuration in the metadata."""

import dataclasses
import hashlib
import os
import re
import struct
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save

from sface_data.errors import BadInput
from sface_data.generator import nvlabs
from sface_data.generator.config import GeneratorConfig, check_config
from sface_data.generator.networks import Generator
from sface_data.io.files import (
    atomic_write,
    canonical_json,
    exists,
    open_regular,
    os_errors_as_bad_input,
    parse_json,
    sha256_of_file,
)
from sface_data.io.typed_json import Sha256, decode
from sface_data.runtime.arguments import StrPath, checks_arguments
from sface_data.training.safetensors_file import fill, read_safetensors

# The generator that ships: 64x64, 1,000 identities of rendered faces. `cards/demo_generator.md` tells more.
DEMO_GENERATOR = Path(__file__).parent.parent / "assets" / "demo_generator.safetensors"
_METADATA_KEY = "sface_data.generator"


@dataclass(frozen=True)
class TrainedOn:
    """What the file of a generator says of the faces that it was trained on.

    Attributes:
        faces_sha256: their digest, see `faces.face_list`; None if not known.
        faces_left_out: how many of those training left out, as they cannot be decoded.
        identities: by class, whose faces they were, see `faces.base.identity_mark`; None if not known.
    """

    faces_sha256: Sha256 | None = None
    faces_left_out: int = 0
    identities: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if self.faces_sha256 is not None and not re.fullmatch("[0-9a-f]{64}", self.faces_sha256):
            raise BadInput("what it says of the faces it was trained on is no digest; get the file again")


@dataclass(frozen=True)
class GeneratorFile:
    """A generator, and the digests of what it was read from.

    Attributes:
        generator: in evaluation mode, float32, on the CPU.
        generator_sha256: digest of configuration and weights, the same for a snapshot and its conversion.
        file_sha256: digest of the file.
        layout: `safetensors` or `snapshot`.
        trained_on: what it says of the faces it was trained on: `faces_sha256`, `faces_left_out` and `identities`.
    """

    path: Path
    generator: Generator
    generator_sha256: str
    file_sha256: str
    layout: str
    trained_on: TrainedOn = TrainedOn()


@checks_arguments
def load_generator(path: StrPath) -> GeneratorFile:
    """Reads a generator from a `.safetensors` file of this project or a published snapshot.

    Args:
        path: the file; nothing in it is executed.

    Raises:
        BadInput: if it is neither, or broken.

    Example:
        >>> file = sface_data.load_generator(sface_data.DEMO_GENERATOR)
        >>> file.layout, file.generator.config.c_dim, file.generator.config.img_resolution
        ('safetensors', 1000, 64)
    """
    path = Path(path)
    with os_errors_as_bad_input(path), open_regular(path) as file:
        head, size = file.read(9), os.fstat(file.fileno()).st_size
    if head.startswith(b"PK"):
        raise BadInput(
            f"{path}: a zip archive, not a network; give a StyleGAN2-ADA snapshot or a .safetensors file"
        )
    # The length of a safetensors header may well begin with the byte that begins a pickle, so that comes first.
    trained_on = TrainedOn()
    if len(head) == 9 and head[8:] == b"{" and struct.unpack("<Q", head[:8])[0] <= size:
        generator, trained_on = _read_ours(path)
        layout = "safetensors"
    elif head.startswith(b"\x80"):
        generator, layout = nvlabs.read_generator(path), "snapshot"
    else:
        raise BadInput(
            f"{path}: no .safetensors file and no StyleGAN2-ADA snapshot, or cut short; get the file again"
        )
    return GeneratorFile(path, generator, digest(generator), sha256_of_file(path), layout, trained_on)


@checks_arguments
def convert_generator(source: StrPath, target: StrPath, *, overwrite: bool = False) -> GeneratorFile:
    """Converts a published StyleGAN2-ADA snapshot into a file that cannot execute anything.

    The averaged generator (G_ema) is kept, with its configuration in the metadata. Images and the digest of the
    generator stay the same.

    Args:
        source: the snapshot.
        target: the new file; its name ends in `.safetensors`.
        overwrite: replace the new file if it exists.

    Returns:
        What was read.

    Raises:
        BadInput: if the snapshot cannot be read, or the new file has another ending, exists or cannot be written.

    Example:
        >>> sface_data.convert_generator(sface_data.DEMO_GENERATOR, "copy.safetensors").layout
        'safetensors'
    """
    path = Path(target)
    if path.suffix != ".safetensors":
        raise BadInput(f"{path}: the name of the new file must end in .safetensors")
    if exists(path) and not overwrite:
        raise BadInput(f"{path}: exists; choose another name, or replace it with --overwrite")
    file = load_generator(source)
    save_generator(file.generator, path, trained_on=file.trained_on)
    return file


def save_generator(
    generator: Generator,
    path: Path,
    dtype: torch.dtype = torch.float32,
    trained_on: TrainedOn = TrainedOn(),
) -> None:
    """Writes configuration and weights, atomically.

    Args:
        dtype: of the weights in the file; they are read back as float32.
        trained_on: what is known of that.

    Raises:
        BadInput: if a weight is too large for the dtype; the tensor is named.
    """
    weights = {name: tensor.to(dtype).contiguous() for name, tensor in generator.state_dict().items()}
    for name, tensor in weights.items():
        if not torch.isfinite(tensor).all():
            raise BadInput(f"{path}: the tensor {name} has values that {dtype} cannot hold; nothing was written")
    known = {name: fact for name, fact in dataclasses.asdict(trained_on).items() if fact}
    facts = {**dataclasses.asdict(generator.config), **known}
    with atomic_write(path) as file:
        file.write(save(weights, {_METADATA_KEY: canonical_json(facts)}))  # one entry: of several the order varies


def digest(generator: Generator) -> str:
    """The hex SHA-256 of configuration and float32 weights: what images depend on, however it is stored."""
    sha = hashlib.sha256(canonical_json(dataclasses.asdict(generator.config)).encode())
    for name, tensor in sorted(generator.state_dict().items()):
        sha.update(f"\n{name} {list(tensor.shape)}\n".encode())
        sha.update(tensor.detach().float().cpu().contiguous().numpy().data)
    return sha.hexdigest()


def _read_ours(path: Path) -> tuple[Generator, TrainedOn]:
    weights, metadata = read_safetensors(path)
    if _METADATA_KEY not in metadata:
        raise BadInput(f"{path}: no generator of this project; `sface-data generator convert` makes one")
    try:
        facts = parse_json(metadata[_METADATA_KEY])
        known = {field.name for field in dataclasses.fields(TrainedOn)} & facts.keys()
        said = {name: facts.pop(name) for name in known}
        config = GeneratorConfig(**facts)
    except (ValueError, TypeError, AttributeError) as error:
        raise BadInput(f"{path}: its metadata is not the configuration of a generator") from error
    try:
        check_config(config)
        generator, trained_on = fill(lambda: Generator(config), weights), decode(TrainedOn, said)
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from error
    if trained_on.identities is not None and len(trained_on.identities) != config.c_dim:
        raise BadInput(
            f"{path}: names {len(trained_on.identities)} identities for {config.c_dim} classes; get the file again"
        )
    return generator, trained_on
