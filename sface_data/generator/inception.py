"""Inception's features, in which published Frechet distances are measured: torch-fidelity's network, an extra."""

import tempfile
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from sface_data.errors import BadInput
from sface_data.io.files import MAX_ARRAYS, is_file, read_bytes
from sface_data.training.torch_files import is_state_dict, load_tensors_only

SOURCE = (
    "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth"
)


class Inception:
    """The Inception-v3 of 2015, converted from TensorFlow, on the CPU.

    torch-fidelity unpickles the file that it is given, so it is given a copy of the tensors alone.

    Args:
        weights: the published file, see SOURCE.

    Raises:
        BadInput: if torch-fidelity is not installed, or the file is not that of the network.
    """

    def __init__(self, weights: Path) -> None:
        try:
            from torch_fidelity import FeatureExtractorInceptionV3
        except ImportError as error:
            raise BadInput(f"--inception needs torch-fidelity: `pip install torch-fidelity` ({error})") from error
        tensors = _tensors(weights)
        with tempfile.NamedTemporaryFile(suffix=".pth") as copy:
            torch.save(tensors, copy)
            copy.flush()
            try:
                self._network = FeatureExtractorInceptionV3(
                    "inception-v3-compat", ["2048"], feature_extractor_weights_path=copy.name
                )
            except RuntimeError as error:  # names or shapes
                raise BadInput(f"{weights}: not the weights of Inception; get {SOURCE}") from error

    @torch.no_grad()
    def embed(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Features [N,2048] of images [N,H,W,3], RGB; not of length 1."""
        (features,) = self._network(torch.from_numpy(images.copy()).permute(0, 3, 1, 2))
        return features.numpy()


def _tensors(path: Path) -> dict[str, torch.Tensor]:
    if not is_file(path):
        raise BadInput(f"{path}: no such file; the weights of Inception are at {SOURCE}")
    data = read_bytes(path, MAX_ARRAYS)
    try:
        content = load_tensors_only(data, old_formats=True)
    except ValueError as error:
        raise BadInput(f"{path}: not a file of weights; get {SOURCE}") from error
    if not is_state_dict(content):
        raise BadInput(f"{path}: not the weights of Inception; get {SOURCE}")
    return content
