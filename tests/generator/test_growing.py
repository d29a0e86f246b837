"""Networks that grow are the functions they were, for images of any content."""

import dataclasses

import pytest
import torch

from sface_data.generator.config import DiscriminatorConfig, GeneratorConfig
from sface_data.generator.growing import grow_discriminator, grow_generator
from sface_data.generator.networks import Discriminator, Generator
from sface_data.generator.ops import downsample2d, upsample2d

GENERATOR = GeneratorConfig(z_dim=8, c_dim=3, w_dim=8, img_resolution=8, channel_base=256, channel_max=16)
DISCRIMINATOR = DiscriminatorConfig(
    c_dim=3, img_resolution=8, architecture="skip", channel_base=256, channel_max=16, cmap_dim=8, mapping_layers=1
)
CLASSES = torch.tensor([0, 1, 2, 1])


def random_biases(network: torch.nn.Module) -> None:
    """Fresh networks have biases and strengths of noise of zero, which would hide mistakes."""
    for name, parameter in network.named_parameters():
        if name.endswith(("bias", "noise_strength")):
            torch.nn.init.normal_(parameter)


@pytest.mark.parametrize("doublings", [1, 2])
def test_a_grown_generator_gives_the_image_enlarged(doublings: int) -> None:
    torch.manual_seed(0)
    small = Generator(GENERATOR)
    random_biases(small)
    large = Generator(dataclasses.replace(GENERATOR, img_resolution=8 * 2**doublings))
    grow_generator(small, large)
    z = torch.randn(4, 8)
    for noise in ("const", "none"):
        expected = small(z, CLASSES, noise=noise)
        for _ in range(doublings):
            expected = upsample2d(expected)
        assert torch.equal(large(z, CLASSES, noise=noise), expected)


@pytest.mark.parametrize("doublings", [1, 2])
def test_a_grown_discriminator_judges_the_image_reduced(doublings: int) -> None:
    torch.manual_seed(1)
    small = Discriminator(DISCRIMINATOR)
    random_biases(small)
    large = Discriminator(dataclasses.replace(DISCRIMINATOR, img_resolution=8 * 2**doublings))
    grow_discriminator(small, large)
    images = torch.randn(4, 3, 8 * 2**doublings, 8 * 2**doublings)
    reduced = images
    for _ in range(doublings):
        reduced = downsample2d(reduced)
    # The order of sums in the filter depends on the layout in memory.
    assert torch.allclose(large(images, CLASSES), small(reduced, CLASSES), rtol=1e-5, atol=1e-6)


def test_new_layers_of_grown_networks_learn() -> None:
    torch.manual_seed(2)
    generator = Generator(dataclasses.replace(GENERATOR, img_resolution=16))
    discriminator = Discriminator(dataclasses.replace(DISCRIMINATOR, img_resolution=16))
    grow_generator(Generator(GENERATOR), generator)
    grow_discriminator(Discriminator(DISCRIMINATOR), discriminator)
    discriminator(generator(torch.randn(4, 8), CLASSES), CLASSES).sum().backward()
    for network, name in ((generator, "synthesis.b16.torgb"), (discriminator, "b16.conv1")):
        gradient = network.get_parameter(f"{name}.weight").grad
        assert gradient is not None and gradient.abs().max() > 0


@pytest.mark.parametrize("architecture", ["resnet", "orig"])
def test_other_discriminators_cannot_grow(architecture: str) -> None:
    config = dataclasses.replace(DISCRIMINATOR, architecture=architecture)
    with pytest.raises(ValueError, match="only a discriminator of the architecture skip"):
        grow_discriminator(Discriminator(config), Discriminator(dataclasses.replace(config, img_resolution=16)))
