"""Networks for larger images that start as the functions they were for smaller ones.

Weights of the same names are taken over. What is new adds nothing at first: the new toRGB of a generator and the
last convolution of each new block of a discriminator begin at zero, and learn from there.
"""

import torch

from sface_data.generator.networks import Discriminator, Generator


@torch.no_grad()
def grow_generator(smaller: Generator, larger: Generator) -> None:
    """Makes `larger` give what `smaller` gives, enlarged by `ops.upsample2d`, for every z, class and noise."""
    _take_over(smaller, larger)
    for block in larger.synthesis.blocks()[len(smaller.synthesis.blocks()) :]:
        for parameter in (block.torgb.weight, block.torgb.bias):
            parameter.zero_()


@torch.no_grad()
def grow_discriminator(smaller: Discriminator, larger: Discriminator) -> None:
    """Makes `larger` judge images as `smaller` judges them reduced by `ops.downsample2d`.

    Raises:
        ValueError: if the architecture is not `skip`: in others nothing but the new layers sees the image.
    """
    if larger.config.architecture != "skip":
        raise ValueError("only a discriminator of the architecture skip can be grown")
    _take_over(smaller, larger)
    for block in larger.blocks()[: len(larger.blocks()) - len(smaller.blocks())]:
        for parameter in block.conv1.parameters():
            parameter.zero_()


def _take_over(smaller: torch.nn.Module, larger: torch.nn.Module) -> None:
    unknown = larger.load_state_dict(smaller.state_dict(), strict=False).unexpected_keys
    if unknown:
        raise ValueError(f"{unknown[0]} is in the smaller network only")
