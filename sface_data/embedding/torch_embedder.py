"""Embedders that are networks of torch: weights of a run, published ones, a network in training."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sface_data.embedding.backbone_file import load_backbone
from sface_data.embedding.backbones import INPUT_SIZE, on_device
from sface_data.embedding.embedder import flip_sum, resized
from sface_data.runtime.devices import choose_device, moved


class NetworkEmbedder:
    """Embeds faces with a network in evaluation mode; see `embedding.embedder.Embedder`.

    Args:
        name: names it in errors.
    """

    size = INPUT_SIZE

    def __init__(self, network: nn.Module, device: torch.device, name: str) -> None:
        self.name = name
        self._network, self._device = network, device

    @torch.no_grad()
    def embed(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Vectors [N,D] of length 1 of RGB images [N,H,H,3]: of image and mirror image, added up."""
        if images.shape[1:3] != (self.size, self.size):
            images = np.stack([resized(image, self.size) for image in images])
        values = network_input(torch.from_numpy(images), self._device)
        straight, mirrored = (self._network(x).float().cpu().numpy() for x in (values, values.flip(3)))
        return flip_sum(straight, mirrored, self.name)


class TorchEmbedder(NetworkEmbedder):
    """The network in a `.safetensors` of a run or a published `.pth`.

    Raises:
        BadInput: if there is none, or the device is asked for and not there.
    """

    def __init__(self, path: Path, device: str = "auto") -> None:
        where = choose_device(device)
        file = load_backbone(path)
        super().__init__(on_device(file.network, where), where, path.name)
        self.sha256, self.dimensions = file.file_sha256, file.dimensions


def network_input(pixels: Tensor, device: torch.device) -> Tensor:
    """Pixels uint8 [N,H,W,3] as the networks take them: float32 [N,3,H,W], -1 to 1, channels last."""
    images = moved(pixels, device).permute(0, 3, 1, 2)
    return images.float().sub_(127.5).div_(127.5)
