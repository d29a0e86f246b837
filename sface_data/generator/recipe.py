"""Recipes of training: data, of which one loop makes runs."""

from dataclasses import dataclass

from sface_data.generator.networks import DiscriminatorConfig, GeneratorConfig


@dataclass(frozen=True)
class Recipe:
    """Everything that a training run depends on, but for its faces, its length and its random numbers.

    Attributes:
        z_dim, w_dim, mapping_layers, channel_base, channel_max, conv_clamp: see `GeneratorConfig`.
        class_mapping_layers: depth of the network that embeds the class for the discriminator.
        mbstd_group_size: see `DiscriminatorConfig`.
        batch: images a step, over all processes.
        learning_rate: of Adam (betas 0 and 0.99), of both networks.
        r1_gamma: weight of the gradient penalty.
        r1_interval: it is computed every so many steps.
        path_weight: weight of path-length regularisation; 0 leaves it out.
        path_interval: it is computed every so many steps, over half of the batch.
        style_mixing: probability of a second z from a random layer on.
        ema_kimg: half-life of the averaged generator, in thousands of images.
        ema_rampup: its half-life is at most this share of the images so far.
        mirror: every face is also shown mirrored.
        augment: groups of transforms, of `augment.GROUPS`; empty for none.
        augment_target: what the mean sign of the discriminator's output on real faces is steered to.
        augment_kimg: thousands of images in which the strength can go from 0 to 1.
    """

    z_dim: int
    w_dim: int
    mapping_layers: int
    channel_base: int
    channel_max: int
    conv_clamp: float | None
    class_mapping_layers: int
    mbstd_group_size: int
    batch: int
    learning_rate: float
    r1_gamma: float
    r1_interval: int
    path_weight: float
    path_interval: int
    style_mixing: float
    ema_kimg: float
    ema_rampup: float
    mirror: bool
    augment: tuple[str, ...]
    augment_target: float
    augment_kimg: float
    kimg: float  # length of the run unless another is asked for, in thousands of images

    def generator_config(self, resolution: int, classes: int) -> GeneratorConfig:
        """The generator of images of `resolution` pixels of `classes` classes."""
        return GeneratorConfig(
            z_dim=self.z_dim,
            c_dim=classes,
            w_dim=self.w_dim,
            img_resolution=resolution,
            mapping_layers=self.mapping_layers,
            channel_base=self.channel_base,
            channel_max=self.channel_max,
            conv_clamp=self.conv_clamp,
        )

    def discriminator_config(self, resolution: int, classes: int) -> DiscriminatorConfig:
        """The discriminator of images of `resolution` pixels of `classes` classes."""
        return DiscriminatorConfig(
            c_dim=classes,
            img_resolution=resolution,
            channel_base=self.channel_base,
            channel_max=self.channel_max,
            conv_clamp=self.conv_clamp,
            cmap_dim=min(self.channel_base // 4, self.channel_max),
            mapping_layers=self.class_mapping_layers,
            mbstd_group_size=self.mbstd_group_size,
        )


PRESETS = {
    # The configuration `auto` of StyleGAN2-ADA for 128x128 on 4 GPUs, which SFace was trained with.
    "sface": Recipe(
        z_dim=512,
        w_dim=512,
        mapping_layers=2,
        channel_base=16384,
        channel_max=512,
        conv_clamp=256.0,
        class_mapping_layers=8,
        mbstd_group_size=4,
        batch=64,
        learning_rate=0.0025,
        r1_gamma=0.0512,
        r1_interval=16,
        path_weight=2.0,
        path_interval=4,
        style_mixing=0.9,
        ema_kimg=20.0,
        ema_rampup=0.05,
        mirror=True,
        augment=("pixels", "geometry", "colour"),  # `bgc` in the paper
        augment_target=0.6,
        augment_kimg=500.0,
        kimg=25000.0,
    ),
    # What two CPU cores train in an hour at 64x64.
    "demo": Recipe(
        z_dim=64,
        w_dim=128,
        mapping_layers=2,
        channel_base=2048,
        channel_max=128,
        conv_clamp=None,
        class_mapping_layers=0,
        mbstd_group_size=4,
        batch=32,
        learning_rate=0.0025,
        r1_gamma=0.1,
        r1_interval=16,
        path_weight=2.0,
        path_interval=8,
        style_mixing=0.9,
        ema_kimg=10.0,
        ema_rampup=0.05,
        mirror=True,
        augment=("pixels", "geometry", "colour"),
        augment_target=0.6,
        augment_kimg=200.0,
        kimg=150.0,
    ),
}
