"""Networks against recorded outputs of the published code, and operations against their definitions."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from sface_data.generator.config import DiscriminatorConfig, GeneratorConfig
from sface_data.generator.networks import (
    Discriminator,
    Generator,
    SynthesisLayer,
    ToRGB,
)
from sface_data.generator.nvlabs import read_generator
from sface_data.generator.ops import (
    Conv2d,
    Linear,
    blur,
    conv_down,
    conv_up,
    downsample2d,
    phases,
    upsample2d,
    with_filter,
)
from tests.generator.discriminators import read_discriminator

NAMES = ("conditional-32", "conditional-64-deepmap", "unconditional-32")
IMAGE_TOLERANCE = 2e-4
W_TOLERANCE = 1e-5
LOGIT_TOLERANCE = 1e-3  # relative


class Recorded:
    """One recorded network, and what the published code made of it."""

    def __init__(self, folder: Path, name: str) -> None:
        self.arrays = dict(np.load(folder / f"{name}.npz"))
        self.generator = read_generator(folder / f"{name}.pkl")
        self.discriminator = read_discriminator(folder / f"{name}.pkl")
        self.z = torch.from_numpy(self.arrays["z"]).float()
        self.classes = torch.from_numpy(self.arrays["labels"]) if self.generator.config.c_dim else None
        self.psi = float(self.arrays["psi"])
        cutoff = int(self.arrays["cutoff"])
        self.cutoff = None if cutoff == -1 else cutoff

    def off(self, name: str, value: Tensor) -> float:
        """The largest absolute difference from the recorded array of that name."""
        recorded = torch.from_numpy(self.arrays[name])
        assert recorded.shape == value.shape
        return (recorded - value).abs().max().item()


@pytest.fixture(scope="module", params=NAMES)
def recorded(request: pytest.FixtureRequest, golden: Path) -> Recorded:
    return Recorded(golden, request.param)


@pytest.fixture(scope="module")
def generator(golden: Path) -> Generator:
    return read_generator(golden / "conditional-32.pkl")


@torch.no_grad()
def test_w_is_as_recorded(recorded: Recorded) -> None:
    g = recorded.generator
    assert recorded.off("w", g.ws(recorded.z, recorded.classes)) < W_TOLERANCE
    truncated = g.ws(recorded.z, recorded.classes, recorded.psi, recorded.cutoff)
    assert recorded.off("w_trunc", truncated) < W_TOLERANCE


@torch.no_grad()
@pytest.mark.parametrize("noise", ["const", "none"])
def test_images_are_as_recorded(recorded: Recorded, noise: str) -> None:
    g, z, classes = recorded.generator, recorded.z, recorded.classes
    assert recorded.off(f"image_{noise}", g(z, classes, noise=noise)) < IMAGE_TOLERANCE
    truncated = g(z, classes, recorded.psi, recorded.cutoff, noise)
    assert recorded.off(f"image_{noise}_trunc", truncated) < IMAGE_TOLERANCE


@torch.no_grad()
def test_the_noise_that_was_recorded_matters(recorded: Recorded) -> None:
    images = recorded.generator(recorded.z, recorded.classes, noise="none")
    assert recorded.off("image_const", images) > 10 * IMAGE_TOLERANCE


@torch.no_grad()
def test_pixels_are_as_recorded(recorded: Recorded) -> None:
    images = recorded.generator(recorded.z, recorded.classes)
    pixels = (images * 127.5 + 128).clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)  # [N,H,W,C]
    off = (pixels.int() - torch.from_numpy(recorded.arrays["uint8_const"]).int()).abs()
    assert off.max() <= 1
    assert (off > 0).float().mean() <= 1e-3


@torch.no_grad()
def test_logits_are_as_recorded(recorded: Recorded) -> None:
    images = torch.from_numpy(recorded.arrays["image_const"])
    logits = recorded.discriminator(images, recorded.classes)
    expected = torch.from_numpy(recorded.arrays["d_logits"])
    torch.testing.assert_close(logits, expected, rtol=LOGIT_TOLERANCE, atol=1e-6)


@torch.no_grad()
def test_explicit_noise_equals_the_noise_of_the_network(generator: Generator) -> None:
    ws = generator.ws(torch.randn(2, 64), torch.tensor([3, 8]))
    layers = [m for m in generator.modules() if isinstance(m, SynthesisLayer)]
    noise = [layer.noise_const.expand(2, 1, -1, -1) for layer in layers]
    assert tuple(n.shape[-1] for n in noise) == generator.config.noise_resolutions
    torch.testing.assert_close(generator.synthesis(ws, noise), generator.synthesis(ws, "const"))


@torch.no_grad()
def test_an_image_does_not_depend_on_its_batch(generator: Generator) -> None:
    z, classes = torch.randn(7, 64), torch.arange(7)
    together = generator(z, classes, psi=0.6)
    alone = torch.cat([generator(z[i : i + 1], classes[i : i + 1], psi=0.6) for i in range(7)])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-5)


@torch.no_grad()
def test_a_generator_leaves_its_arguments_and_weights_as_they_are(generator: Generator) -> None:
    before = {name: tensor.clone() for name, tensor in generator.state_dict().items()}
    ws = generator.ws(torch.randn(1, 64), torch.tensor([1]))
    kept = ws.clone()
    first, second = generator.synthesis(ws), generator.synthesis(ws)
    assert torch.equal(first, second)
    assert torch.equal(ws, kept)
    assert all(torch.equal(before[name], tensor) for name, tensor in generator.state_dict().items())


@torch.no_grad()
def test_truncation_towards_a_centre(generator: Generator) -> None:
    z, classes, center = torch.randn(3, 64), torch.tensor([0, 1, 2]), torch.randn(3, 64)
    ws = generator.ws(z, classes, psi=0.0, cutoff=2, center=center)
    torch.testing.assert_close(ws[:, :2], center[:, None].expand(-1, 2, -1))
    assert torch.equal(ws[:, 2:], generator.ws(z, classes)[:, 2:])


def test_grad_mode_changes_nothing(generator: Generator) -> None:
    z, classes = torch.randn(2, 64), torch.tensor([4, 5])
    with torch.no_grad():
        without = generator(z, classes)
    torch.testing.assert_close(generator(z, classes), without, rtol=0, atol=1e-5)


def test_gradients_reach_every_parameter_of_the_generator(golden: Path) -> None:
    generator = read_generator(golden / "conditional-32.pkl").train().requires_grad_(True)
    generator(torch.randn(2, 64), torch.tensor([1, 2])).square().mean().backward()
    still = [name for name, p in generator.named_parameters() if p.grad is None or not p.grad.any()]
    assert still == []


def small_discriminator(architecture: str) -> Discriminator:
    torch.manual_seed(0)
    return Discriminator(
        DiscriminatorConfig(
            c_dim=5,
            img_resolution=16,
            architecture=architecture,  # type: ignore[arg-type]
            channel_base=128,
            channel_max=8,
            cmap_dim=8,
            mapping_layers=2,
        )
    )


@pytest.mark.parametrize("architecture", ["orig", "skip", "resnet"])
def test_every_architecture_of_the_discriminator(architecture: str) -> None:
    discriminator = small_discriminator(architecture)
    images = torch.randn(4, 3, 16, 16)
    logits = discriminator(images, torch.tensor([0, 1, 2, 3]))
    assert logits.shape == (4, 1)
    assert (logits - discriminator(images, torch.tensor([4, 1, 2, 3]))).abs()[0].item() > 1e-4
    with torch.no_grad():
        torch.testing.assert_close(discriminator(images, torch.tensor([0, 1, 2, 3])), logits)
    logits.square().sum().backward()
    still = [name for name, p in discriminator.named_parameters() if p.grad is None or not p.grad.any()]
    assert still == []


def test_architectures_take_the_image_where_the_paper_says() -> None:
    """Figure 7 of the StyleGAN2 paper: once at the top, at every resolution, once with residual paths."""

    def layers(architecture: str, kind: str) -> int:
        return sum(name.endswith(kind) for name, _ in small_discriminator(architecture).named_modules())

    assert [layers(a, "fromrgb") for a in ("orig", "skip", "resnet")] == [1, 3, 1]
    assert [layers(a, "skip") for a in ("orig", "skip", "resnet")] == [0, 0, 2]


def test_minibatch_deviation_by_hand() -> None:
    """Groups are strided: of 4 images in groups of 2, images 0 and 2 share one, 1 and 3 the other."""
    config = DiscriminatorConfig(0, 8, channel_base=8, channel_max=2, mbstd_group_size=2, cmap_dim=0)
    x = torch.zeros(4, 2, 4, 4)
    x[2] = 6.0  # with image 0: deviation 3 everywhere; images 1 and 3 are equal
    maps = Discriminator(config).b4._deviation(x)
    assert maps.shape == (4, 1, 4, 4)
    torch.testing.assert_close(maps[:, 0, 0, 0], torch.tensor([3.0, 1e-4, 3.0, 1e-4]))


def by_definition(x: Tensor, up: int, down: int, gain: float) -> Tensor:
    """Zero-stuffing, the filter [1,3,3,1] in both directions, thinning out; as upfirdn is defined.

    With 4 taps on a signal that is `up` times as dense, output i is centred between the two samples in the
    middle of its window: 2 zeros before and 1 behind for up 2, 1 and 1 for down 2.
    """
    n, c, h, w = x.shape
    stuffed = torch.zeros(n, c, h * up, w * up, dtype=x.dtype)
    stuffed[:, :, ::up, ::up] = x
    before = 2 if up == 2 else 1
    padded = nn.functional.pad(stuffed, (before, 1, before, 1))
    taps = [1 / 8, 3 / 8, 3 / 8, 1 / 8]
    height, width = padded.shape[2] - 3, padded.shape[3] - 3
    out = torch.zeros(n, c, height, width, dtype=x.dtype)
    for i, a in enumerate(taps):
        for j, b in enumerate(taps):
            out += a * b * padded[:, :, i : i + height, j : j + width]
    return gain * out[:, :, ::down, ::down]


@pytest.mark.parametrize("shape", [(2, 3, 4, 4), (1, 1, 6, 8), (1, 5, 2, 2)])
def test_resampling_is_its_definition(shape: tuple[int, ...]) -> None:
    x = torch.randn(shape, dtype=torch.float64)
    torch.testing.assert_close(upsample2d(x), by_definition(x, up=2, down=1, gain=4.0), rtol=0, atol=1e-6)
    torch.testing.assert_close(downsample2d(x), by_definition(x, up=1, down=2, gain=1.0), rtol=0, atol=1e-6)
    torch.testing.assert_close(blur(x, 1, gain=4.0), by_definition(x, 1, 1, gain=4.0), rtol=0, atol=1e-6)


@pytest.mark.parametrize("size", [1, 3])
def test_a_kernel_with_the_filter_in_it_is_both_in_turn(size: int) -> None:
    x, weight = torch.randn(2, 5, 8, 8), torch.randn(4, 5, size, size)
    joined = nn.functional.conv2d(x, with_filter(weight), stride=2, padding=size // 2 + 1)
    torch.testing.assert_close(joined, conv_down(x, weight), rtol=0, atol=1e-5)
    if size == 3:
        torch.testing.assert_close(conv_up(x, with_filter(weight, 4.0)), conv_up(x, weight), rtol=0, atol=1e-5)


@settings(max_examples=30, deadline=None)
@given(shape=st.tuples(*[st.integers(1, 6)] * 4), outer=st.integers(1, 5))
def test_a_convolution_by_phase_is_the_transposed_one(shape: tuple[int, int, int, int], outer: int) -> None:
    x, weight = torch.randn(shape), torch.randn(outer, shape[1], 3, 3)
    torch.testing.assert_close(conv_up(x, phases(weight)), conv_up(x, weight), rtol=0, atol=1e-4)


@pytest.mark.parametrize("activation", [False, True])
def test_a_row_equals_a_one_hot_input(activation: bool) -> None:
    layer = Linear(6, 4, activation=activation, lr_multiplier=0.01, bias_init=0.3)
    index = torch.tensor([5, 0, 5, 2])
    torch.testing.assert_close(layer.row(index), layer(nn.functional.one_hot(index, 6).float()))


@pytest.mark.parametrize("up", [False, True])
def test_modulation_of_activations_equals_modulation_of_weights(up: bool) -> None:
    """Equations 1 and 3 of the StyleGAN2 paper, sample by sample."""
    layer = SynthesisLayer(3, 5, w_dim=4, resolution=8, up=up, clamp=None)
    x, w = torch.randn(2, 3, 4 if up else 8, 4 if up else 8), torch.randn(2, 4)
    with torch.no_grad():
        style = layer.affine(w)
        rows = []
        for i in range(2):
            weight = layer.weight * style[i][None, :, None, None]
            weight = weight * (weight.square().sum(dim=(1, 2, 3), keepdim=True) + 1e-8).rsqrt()
            if up:
                row = nn.functional.conv_transpose2d(x[i : i + 1], weight.transpose(0, 1), stride=2)
                row = by_definition(row, 1, 1, gain=4.0)
            else:
                row = nn.functional.conv2d(x[i : i + 1], weight, padding=1)
            rows.append(nn.functional.leaky_relu(row, 0.2) * 2**0.5)
        torch.testing.assert_close(layer(x.clone(), w, None), torch.cat(rows), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("up", [False, True])
def test_gradients_of_a_synthesis_layer(up: bool) -> None:
    """Through style, convolution, noise and activation, against finite differences."""
    torch.manual_seed(1)
    size = 2 if up else 4
    conv = SynthesisLayer(2, 2, w_dim=3, resolution=4, up=up, clamp=None).double()
    with torch.no_grad():
        conv.noise_strength.fill_(0.3)
    x = torch.randn(2, 2, size, size, dtype=torch.float64, requires_grad=True)
    w = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)

    assert torch.autograd.gradcheck(lambda x, w: conv(x, w, conv.noise_const[None, None]), (x, w))


def test_gradients_of_discriminator_and_resampling() -> None:
    torch.manual_seed(1)
    halve = Conv2d(2, 3, 3, down=True, clamp=4.0).double()
    x = torch.randn(1, 2, 4, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(halve, (x,))
    assert torch.autograd.gradcheck(lambda x: upsample2d(downsample2d(x)), (x,))


def test_colours_are_modulated_without_demodulation() -> None:
    layer = ToRGB(4, 3, w_dim=2, clamp=None)
    x, w = torch.randn(2, 4, 8, 8), torch.randn(2, 2)
    with torch.no_grad():
        once, twice = layer(x, w), layer(2 * x, w)
    torch.testing.assert_close(twice, 2 * once)


def test_half_precision_stays_near() -> None:
    torch.manual_seed(0)
    config = GeneratorConfig(16, 3, 16, 16, channel_base=256, channel_max=16, mapping_layers=2)
    generator = Generator(config).eval().requires_grad_(False)
    with torch.no_grad():
        ws = generator.ws(torch.randn(2, 16), torch.tensor([0, 2]))
        full = generator.synthesis(ws)
        half = generator.synthesis(ws, dtype=torch.float16)
    assert half.dtype == torch.float32
    assert (half - full).abs().max() < 0.02 * full.abs().max()
