"""Embedding networks on disk: ours as safetensors with the configuration in the metadata, and published ones."""

import hashlib
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn

from sface_data.embedding.backbone_names import BACKBONES
from sface_data.embedding.backbones import create_backbone
from sface_data.errors import BadInput
from sface_data.io.files import MAX_ARRAYS, atomic_write, canonical_json, parse_json, read_bytes
from sface_data.training.safetensors_file import fill, read_safetensors
from sface_data.training.torch_files import is_state_dict, load_tensors_only

_METADATA_KEY = "sface_data.recognition"
_MOST_DIMENSIONS = 1 << 16
# A tensor that names the family, and the one whose first axis is the embedding.
_EMBEDDING = {"iresnet": "fc.weight", "mobilefacenet": "features.layers.2.weight", "tiny": "fc.weight"}
_STATE_DICTS = ("state_dict_backbone", "state_dict", "backbone", "model")
_PREFIXES = ("module.", "_orig_mod.", "backbone.", "model.", "net.")
_MOST_PREFIXES = 8


@dataclass(frozen=True)
class BackboneFile:
    """A backbone, and what its file says of it.

    Attributes:
        network: in evaluation mode, float32, on the CPU, without gradients.
        name, dimensions: of the backbone.
        file_sha256: digest of the file.
        about: what a training run wrote of itself; empty for published weights.
    """

    network: nn.Module
    name: str
    dimensions: int
    file_sha256: str
    about: dict[str, Any]


def save_backbone(network: nn.Module, name: str, dimensions: int, about: Mapping[str, Any], path: Path) -> None:
    """Writes the weights and what is to be known of them, atomically."""
    weights = {key: tensor.detach().cpu().contiguous() for key, tensor in network.state_dict().items()}
    facts = {**about, "backbone": name, "dimensions": dimensions}
    with atomic_write(path) as file:
        file.write(save(weights, {_METADATA_KEY: canonical_json(facts)}))


def load_backbone(path: Path) -> BackboneFile:
    """Reads a backbone from `.safetensors` of a training run or a published `.pth`.

    The backbone of a published file is recognised by the names and shapes of its tensors. Nothing in the file
    is executed.

    Raises:
        BadInput: if it is neither, or broken, or of an unknown network.
    """
    data = read_bytes(path, MAX_ARRAYS)
    weights, facts = _read_ours(path) if path.suffix == ".safetensors" else (_read_pth(path, data), {})
    try:
        name, dimensions = _declared(facts) if facts else recognise(weights)
        network = fill(lambda: create_backbone(name, dimensions), weights)
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from error
    about = {key: value for key, value in facts.items() if key not in ("backbone", "dimensions")}
    return BackboneFile(network, name, dimensions, hashlib.sha256(data).hexdigest(), about)


def recognise(weights: Mapping[str, Tensor]) -> tuple[str, int]:
    """Name and dimensions of the backbone that tensors belong to.

    Raises:
        BadInput: if it is none of BACKBONES.
    """
    for name in BACKBONES:
        final = weights.get(_EMBEDDING["iresnet" if name.startswith("iresnet") else name])
        if final is None or final.ndim != 2 or not 0 < len(final) <= _MOST_DIMENSIONS:
            continue
        with torch.device("meta"):
            expected = create_backbone(name, len(final)).state_dict()
        if expected.keys() == weights.keys() and all(
            weights[key].shape == tensor.shape for key, tensor in expected.items()
        ):
            return name, len(final)
    raise BadInput(f"its tensors are those of no backbone that is known here ({', '.join(BACKBONES)})")


def _declared(facts: dict[str, Any]) -> tuple[str, int]:
    name, dimensions = facts.get("backbone"), facts.get("dimensions")
    if not isinstance(name, str) or name not in BACKBONES:
        raise BadInput(f"its metadata names the backbone {reprlib.repr(name)}, which is none of this version")
    if type(dimensions) is not int or not 0 < dimensions <= _MOST_DIMENSIONS:
        raise BadInput(f"its metadata says {reprlib.repr(dimensions)} dimensions, which no backbone has")
    return name, dimensions


def _read_ours(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    weights, metadata = read_safetensors(path)
    try:
        facts = parse_json(metadata.get(_METADATA_KEY, "null"))
    except ValueError as error:
        raise BadInput(f"{path}: its metadata is broken ({error})") from error
    if facts is not None and not isinstance(facts, dict):
        raise BadInput(f"{path}: its metadata is not the description of a backbone")
    return weights, facts or {}


def _read_pth(path: Path, data: bytes) -> dict[str, Tensor]:
    try:
        weights = load_tensors_only(data)
    except ValueError as error:
        raise BadInput(
            f"{path}: not a file of weights that can be read without executing what is in it; give a .pth that "
            "holds a state dict as current torch saves it, a .safetensors of a run, or an .onnx"
        ) from error
    weights = _unwrapped(weights)
    if not is_state_dict(weights):
        raise BadInput(f"{path}: holds no state dict, which is a dictionary of named tensors and nothing else")
    return weights


def _unwrapped(content: Any) -> Any:
    """The state dict of the backbone in a checkpoint, under the names that the network itself has.

    arcface_torch keeps it under `state_dict_backbone`, Lightning under `state_dict` beside the head's; parallel
    training puts `module.` before each name, and torch.compile `_orig_mod.`.
    """
    if isinstance(content, dict):
        content = next((content[key] for key in _STATE_DICTS if isinstance(content.get(key), dict)), content)
    if not is_state_dict(content):
        return content
    for _ in range(_MOST_PREFIXES):
        prefix = next((p for p in _PREFIXES if any(name.startswith(p) for name in content)), None)
        if prefix is None:
            break
        content = {n.removeprefix(prefix): tensor for n, tensor in content.items() if n.startswith(prefix)}
    return content
