"""Augmentation: what each transform does at strength 0 and 1, and its derivatives."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from sface_data.generator import augment as module
from sface_data.generator.augment import (
    COLOUR,
    GEOMETRY,
    GROUPS,
    PIXELS,
    TransformSampler,
    augment,
    band_filters,
    brightness,
    contrast,
    flip,
    hue,
    luma_flip,
    move,
    quarter_turns,
    rotate,
    saturation,
    scale,
    shift,
    stretch,
)
from sface_data.training.random_numbers import BatchRandom

CPU = torch.device("cpu")
EVERYTHING = tuple(GROUPS)
N = 4000  # draws of a distribution
LN2 = math.log(2)


def sampler(p: float, n: int = N, size: int = 64, seed: int = 0) -> TransformSampler:
    return TransformSampler(BatchRandom(seed, CPU), n, torch.tensor(p), size)


def images(n: int = 6, size: int = 16) -> Tensor:
    return torch.rand(n, 3, size, size, generator=torch.Generator().manual_seed(1)) * 2 - 1


def is_normal(values: Tensor, std: float) -> None:
    """Mean and deviation within five standard errors, and the share within one deviation."""
    assert abs(values.mean()) < 5 * std / len(values) ** 0.5
    assert values.std().item() == pytest.approx(std, rel=5 / (2 * len(values)) ** 0.5)
    assert (values.abs() < std).float().mean().item() == pytest.approx(0.683, abs=0.04)


def is_uniform(values: Tensor, low: float, high: float) -> None:
    shares = torch.histc(values, 8, low, high) / len(values)
    assert shares.sum().item() == pytest.approx(1)
    assert (shares - 1 / 8).abs().max() < 0.03


@pytest.mark.parametrize("transform", [*PIXELS, *GEOMETRY, *COLOUR])
def test_a_matrix_is_the_identity_at_strength_zero(transform: object) -> None:
    matrices = transform(sampler(0.0, n=50))
    assert torch.equal(matrices, torch.eye(matrices.shape[1]).expand_as(matrices))


@pytest.mark.parametrize("group", EVERYTHING)
def test_strength_zero_changes_nothing(group: str) -> None:
    before = images()
    after = augment(before, (group,), torch.tensor(0.0), BatchRandom(0, CPU))
    assert torch.allclose(after, before, atol=1e-5)


@pytest.mark.parametrize("group", EVERYTHING)
def test_about_the_share_p_of_the_images_changes(group: str) -> None:
    before = images(400)
    after = augment(before, (group,), torch.tensor(0.3), BatchRandom(0, CPU))
    changed = (after - before).abs().amax(dim=(1, 2, 3)) > 1e-4
    transforms = {"pixels": 3, "geometry": 4, "colour": 5, "filter": 4, "noise": 1, "cutout": 1}[group]
    idle = {"pixels": (1 - 0.3 / 2) * (1 - 0.3 * 3 / 4) * (1 - 0.3)}.get(group, 0.7**transforms)
    if group == "colour":
        idle = 0.7**4 * (1 - 0.3 / 2)  # the luma flip does nothing one time in two
    assert changed.float().mean().item() == pytest.approx(1 - idle, abs=0.1)


def test_flips_and_quarter_turns_are_drawn_evenly() -> None:
    assert flip(sampler(1.0))[:, 0, 0].eq(-1).float().mean().item() == pytest.approx(0.5, abs=0.04)
    turns = quarter_turns(sampler(1.0))
    angles = torch.atan2(turns[:, 1, 0], turns[:, 0, 0]).div(math.pi / 2).round().remainder(4)
    assert (torch.bincount(angles.long(), minlength=4) / N - 0.25).abs().max() < 0.04


def test_shifts_are_whole_pixels_up_to_an_eighth() -> None:
    pixels = shift(sampler(1.0, size=64))[:, :2, 2] * 64
    assert torch.equal(pixels, pixels.round())
    assert pixels.abs().max() == 8
    assert pixels.std().item() == pytest.approx(16 / 12**0.5, rel=0.05)


def test_scales_and_stretches_are_lognormal() -> None:
    is_normal(scale(sampler(1.0))[:, 0, 0].log(), 0.2 * LN2)
    matrices = stretch(sampler(1.0))
    is_normal(matrices[:, 0, 0].log(), 0.2 * LN2)
    assert torch.allclose(matrices[:, 0, 0] * matrices[:, 1, 1], torch.ones(N))


def test_rotations_are_uniform_and_two_of_them_come_with_probability_p() -> None:
    turns = rotate(sampler(1.0))
    is_uniform(torch.atan2(turns[:, 1, 0], turns[:, 0, 0]), -math.pi, math.pi)
    drawn = sampler(0.4)
    either = (rotate(drawn)[:, 1, 0] != 0) | (rotate(drawn)[:, 1, 0] != 0)
    assert either.float().mean().item() == pytest.approx(0.4, abs=0.04)


def test_moves_are_normal() -> None:
    is_normal(move(sampler(1.0))[:, :2, 2].flatten(), 0.125)


def test_colours_are_moved_as_the_paper_says() -> None:
    is_normal(brightness(sampler(1.0))[:, 0, 3], 0.2)
    is_normal(contrast(sampler(1.0))[:, 0, 0].log(), 0.5 * LN2)
    white, red = torch.ones(4), torch.tensor([1.0, -1.0, 0.0, 1.0])  # red has no luma
    flipped = luma_flip(sampler(1.0)) @ white
    assert flipped[:, 0].lt(0).float().mean().item() == pytest.approx(0.5, abs=0.04)
    assert torch.allclose(luma_flip(sampler(1.0)) @ red, red.expand(N, 4), atol=1e-6)
    turned = hue(sampler(1.0))
    assert torch.allclose(turned @ white, white.expand(N, 4), atol=1e-5)
    assert torch.allclose(turned @ turned.transpose(1, 2), torch.eye(4).expand(N, 4, 4), atol=1e-5)
    is_uniform(torch.acos(((turned[:, :3, :3] @ red[:3]) @ red[:3] / 2).clamp(-1, 1)), 0, math.pi)
    saturated = saturation(sampler(1.0))
    assert torch.allclose(saturated @ white, white.expand(N, 4), atol=1e-4)
    is_normal((saturated @ red)[:, 0].log(), LN2)


def test_a_flip_a_turn_and_a_shift_move_pixels_where_they_belong() -> None:
    before = images(64)
    after = augment(before, ("pixels",), torch.tensor(1.0), BatchRandom(3, CPU))
    candidates = [torch.rot90(x, k, dims=(2, 3)) for x in (before, before.flip(3)) for k in range(4)]
    for i in range(64):  # the middle of each is a shifted piece of one of the eight views
        middle = after[i, :, 4:12, 4:12]
        windows = [c[i].unfold(1, 8, 1).unfold(2, 8, 1).permute(1, 2, 0, 3, 4) for c in candidates]
        assert any((window == middle).all(dim=(2, 3, 4)).any() for window in windows)


def test_geometry_turns_a_smooth_picture_as_its_matrix_says() -> None:
    size = 64
    at = (torch.arange(size) + 0.5) / size - 0.5
    y, x = torch.meshgrid(at, at, indexing="ij")

    def blob(cx: Tensor, cy: Tensor) -> Tensor:
        return torch.exp(-((x - cx[:, None, None]) ** 2 + (y - cy[:, None, None]) ** 2) / 0.005)

    n = 24
    before = blob(torch.full((n,), 0.12), torch.full((n,), -0.05))[:, None].expand(-1, 3, -1, -1)
    after = augment(before, ("geometry",), torch.tensor(1.0), BatchRandom(5, CPU))
    again = sampler(1.0, n=n, size=size, seed=5)
    matrix = torch.eye(3).expand(n, 3, 3)
    for transform in GEOMETRY:
        matrix = transform(again) @ matrix
    middle = (matrix @ torch.tensor([0.12, -0.05, 1.0]))[:, :2]
    seen = middle.abs().amax(dim=1) < 0.3
    assert seen.sum() > 10
    # Not its reflections at the borders.
    near = (x - middle[:, :1, None]).abs().maximum((y - middle[:, 1:, None]).abs()) < 0.15
    weight = after[:, 0].clamp(min=0) ** 4 * near
    mass = weight.sum(dim=(1, 2))
    found = torch.stack([(weight * x).sum(dim=(1, 2)) / mass, (weight * y).sum(dim=(1, 2)) / mass], dim=1)
    assert (found - middle)[seen].abs().max() < 0.1 / size


@pytest.mark.parametrize("shape", [(2, 3, 16, 16), (1, 3, 14, 22)])
def test_separable_wavelet_filters_are_the_square_ones(shape: tuple[int, int, int, int]) -> None:
    """Against the two-dimensional filters, and their gradients."""
    images = torch.randn(shape, generator=torch.Generator().manual_seed(0)).requires_grad_()
    n, c, height, width = shape
    line = torch.tensor(module._SYM6)
    square = torch.outer(line, line)[None, None]
    flat = module._padded(images, 3).reshape(n * c, 1, height + 6, width + 6)
    doubled = F.conv_transpose2d(flat, square * 2, stride=2)[:, :, 11 : 11 + 2 * height, 11 : 11 + 2 * width]
    halved = F.conv2d(images.reshape(n * c, 1, height, width), square / 2, stride=2)
    for found, expected in ((module._double(images), doubled), (module._halve(images), halved)):
        expected = expected.reshape(found.shape)
        assert torch.allclose(found, expected, atol=1e-5)
        gradients = [
            torch.autograd.grad(x.square().sum(), images, retain_graph=True)[0] for x in (found, expected)
        ]
        assert torch.allclose(*gradients, atol=1e-4)


def test_band_filters_sum_to_an_impulse_and_pass_their_octave() -> None:
    bank = band_filters()
    impulse = torch.zeros(bank.shape[1])
    impulse[bank.shape[1] // 2] = 1
    assert torch.allclose(bank.sum(dim=0), impulse, atol=1e-6)
    response = torch.fft.rfft(bank, 1024).abs()  # [4,513], 512 is the highest frequency
    for band, (low, high) in enumerate([(0, 64), (64, 128), (128, 256), (256, 513)]):
        assert response[:, (low + high) // 2].argmax() == band


def test_filtering_keeps_what_the_paper_calls_power() -> None:
    """White noise filtered by random gains: the expected power of a photograph is 1 for every draw."""
    before = images(300, 32)
    after = augment(before, ("filter",), torch.tensor(1.0), BatchRandom(0, CPU))
    assert torch.isfinite(after).all()
    ratio = (after.std(dim=(1, 2, 3)) / before.std(dim=(1, 2, 3))).log2()
    assert ratio.std() > 0.3


def test_noise_is_half_normal_and_cutout_takes_a_quarter() -> None:
    nothing = torch.zeros(600, 3, 16, 16)
    noise = augment(nothing, ("noise",), torch.tensor(1.0), BatchRandom(0, CPU))
    strength = noise.std(dim=(1, 2, 3))
    assert strength.mean().item() == pytest.approx(0.1 * (2 / math.pi) ** 0.5, rel=0.1)
    cut = augment(torch.ones(600, 3, 16, 16), ("cutout",), torch.tensor(1.0), BatchRandom(0, CPU))
    assert set(cut.unique().tolist()) == {0.0, 1.0}
    removed = 1 - cut.mean(dim=(1, 2, 3))
    assert removed.max() <= 0.25 + 1e-6
    assert removed.mean().item() == pytest.approx(0.25 * (7 / 8) ** 2, rel=0.1)  # parts that lie outside


def test_augmentation_can_be_differentiated_twice() -> None:
    x = images(3, 8).double().float().requires_grad_()
    weight = torch.randn(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))

    def penalty(values: Tensor) -> Tensor:
        out = augment(values, EVERYTHING, torch.tensor(1.0), BatchRandom(7, CPU))
        (gradient,) = torch.autograd.grad((out.pow(3) * weight).sum(), values, create_graph=True)
        return gradient.square().mean()

    (second,) = torch.autograd.grad(penalty(x), x)
    direction = torch.randn(x.shape, generator=torch.Generator().manual_seed(2))
    step = 1e-2
    ahead, behind = (penalty((x + s * direction).detach().requires_grad_()) for s in (step, -step))
    assert (second * direction).sum().item() == pytest.approx(((ahead - behind) / (2 * step)).item(), rel=0.02)


def test_processes_draw_what_one_draws() -> None:
    whole = BatchRandom(3, CPU).normal(8, 2)
    parts = [BatchRandom(3, CPU, rank, 2).normal(4, 2) for rank in range(2)]
    assert torch.equal(torch.stack(parts, dim=1).reshape(8, 2), whole)
