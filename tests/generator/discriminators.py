"""Discriminators of snapshots, which training does not start from."""

from pathlib import Path

from sface_data.generator.config import DiscriminatorConfig
from sface_data.generator.networks import Discriminator
from sface_data.generator.nvlabs import read_snapshot
from sface_data.training.safetensors_file import fill


def read_discriminator(path: Path) -> Discriminator:
    """The discriminator (`D`) of a snapshot."""
    network = read_snapshot(path)["D"]
    resolution, classes = network.integer("img_resolution"), network.integer("c_dim")
    finest = network.child(f"b{resolution}")
    config = DiscriminatorConfig(
        c_dim=classes,
        img_resolution=resolution,
        img_channels=network.integer("img_channels"),
        architecture=finest.get("architecture"),
        channel_base=network.argument("channel_base", 32768),
        channel_max=network.argument("channel_max", 512),
        conv_clamp=finest.child("conv0").get("conv_clamp"),
        mapping_layers=network.child("mapping").get("num_layers") if classes else 0,
        mbstd_group_size=network.argument("mbstd_group_size", 4),
        mbstd_num_channels=network.argument("mbstd_num_channels", 1),
        cmap_dim=network.child("b4").get("cmap_dim"),
    )
    tensors = network.tensors().items()
    weights = {name: tensor for name, tensor in tensors if not name.endswith("resample_filter")}
    return fill(lambda: Discriminator(config), weights)
