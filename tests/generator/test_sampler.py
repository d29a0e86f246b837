"""The sampler: what an image depends on, and what not."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sface_data.dataset.plan import ImageFormat, SamplePlan, SampleSpec, Truncation, spec_of
from sface_data.errors import BadInput
from sface_data.generator.config import GeneratorConfig
from sface_data.generator.generator_file import load_generator
from sface_data.generator.networks import Generator
from sface_data.generator.sampler import (
    Sampler,
    class_center,
    latents,
    noise_map,
    resize,
)
from sface_data.runtime.devices import DTYPES

NAMES = ("conditional-32", "conditional-64-deepmap", "unconditional-32")
CPU = torch.device("cpu")
GPU = pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU"))
on_each_device = pytest.mark.parametrize("device", ["cpu", GPU])


@pytest.fixture(scope="module")
def network(golden: Path) -> Generator:
    return load_generator(golden / "conditional-32.pkl").generator


def plan_for(generator: Generator, **fields: Any) -> SamplePlan:
    classes = tuple(range(max(generator.config.c_dim, 1)))
    image = ImageFormat(generator.config.img_resolution, "png", None)
    return SamplePlan(**{"generator_sha256": "0" * 64, "generator_classes": generator.config.c_dim,
                         "classes": classes, "samples_per_class": 4, "image": image, **fields})  # fmt: skip


def images_of(sampler: Sampler, specs: list[SampleSpec]) -> dict[str, np.ndarray]:
    """Images by key, as integers that can be subtracted."""
    found = {}
    for batch in sampler.batches(specs):
        assert batch.images.dtype == np.uint8
        assert batch.images.shape[0] == len(batch.specs)
        found |= {spec.key: image.astype(int) for spec, image in zip(batch.specs, batch.images, strict=True)}
    return found


def everything(plan: SamplePlan) -> list[SampleSpec]:
    return [spec for i in range(plan.num_shards) for spec in plan.shard(i)]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("truncated", [False, True])
def test_images_are_those_of_the_published_code(golden: Path, name: str, truncated: bool) -> None:
    recorded = np.load(golden / f"{name}.npz")
    generator = load_generator(golden / f"{name}.pkl").generator
    cutoff = int(recorded["cutoff"])
    truncation = Truncation(float(recorded["psi"]), cutoff if cutoff > 0 else None) if truncated else Truncation()
    sampler = Sampler(generator, plan_for(generator, truncation=truncation), CPU, batch=4)
    specs = [
        SampleSpec(f"{label:06d}_{i:06d}", int(label), i, int(seed))
        for i, (label, seed) in enumerate(zip(recorded["labels"], recorded["seeds"], strict=True))
    ]
    images = np.stack(list(images_of(sampler, specs).values()))
    wanted = recorded["image_const_trunc" if truncated else "image_const"]
    wanted = (wanted * 127.5 + 128).clip(0, 255).astype(np.uint8).transpose(0, 2, 3, 1).astype(int)
    assert np.abs(images - wanted).max() <= 1
    assert (images != wanted).mean() <= 0.001


@pytest.fixture(scope="module")
def alone(network: Generator) -> dict[str, dict[str, np.ndarray]]:
    """Images that were made one by one, for each kind of noise."""
    plans = {mode: plan_for(network, noise_mode=mode) for mode in ("const", "random", "none")}
    return {
        mode: images_of(Sampler(network, plan, CPU, batch=1), everything(plan)) for mode, plan in plans.items()
    }


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_an_image_does_not_move_with_what_is_made_beside_it(
    network: Generator, alone: dict[str, dict[str, np.ndarray]], data: st.DataObject
) -> None:
    mode = data.draw(st.sampled_from(sorted(alone)))
    plan = plan_for(network, noise_mode=mode)
    classes = data.draw(st.sets(st.integers(0, 9), min_size=1).map(sorted).map(tuple))
    other = replace(
        plan,
        classes=classes,
        samples_per_class=data.draw(st.integers(1, 6)),
        samples_per_shard=data.draw(st.integers(1, 40)),
    )
    batch = data.draw(st.integers(1, 33))
    for key, image in images_of(Sampler(network, other, CPU, batch), everything(other)).items():
        if key in alone[mode]:
            assert np.array_equal(image, alone[mode][key]), f"{key} moved with batch {batch}"


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("noise_mode", ["const", "random"])
def test_halves_that_fit_into_the_cache_change_nothing(precision: str, noise_mode: str) -> None:
    torch.manual_seed(0)
    config = GeneratorConfig(16, 4, 16, 64, channel_base=4096, channel_max=64)
    generator = Generator(config).eval().requires_grad_(False)
    plan = plan_for(generator, precision=precision, noise_mode=noise_mode)
    block, below = generator.synthesis.blocks()[-1], torch.empty(13, 64, 32, 32, dtype=DTYPES[precision])
    with torch.inference_mode():
        assert block.outgrows_cache(below), "the batch is not halved: nothing is tried"
        assert not block.outgrows_cache(below[:3])
    few, many = (images_of(Sampler(generator, plan, CPU, batch), everything(plan)) for batch in (3, 13))
    assert all(np.array_equal(few[key], many[key]) for key in few)


@on_each_device
def test_the_same_call_gives_the_same_bytes(network: Generator, device: str) -> None:
    plan = plan_for(network, precision="bf16")
    one, two = (images_of(Sampler(network, plan, torch.device(device), 7), everything(plan)) for _ in range(2))
    assert all(np.array_equal(one[key], two[key]) for key in one)


def test_length_and_order(network: Generator) -> None:
    plan = plan_for(network)
    specs = everything(plan)
    batches = Sampler(network, plan, CPU, 16).batches(specs)
    seen = list(batches)
    assert len(batches) == len(seen) == 3
    assert [len(batch.specs) for batch in seen] == [16, 16, 8]
    assert [spec for batch in seen for spec in batch.specs] == specs


def test_an_empty_batch_list(network: Generator) -> None:
    batches = Sampler(network, plan_for(network), CPU, 16).batches([])
    assert len(batches) == 0
    assert list(batches) == []


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
@on_each_device
def test_low_precision_stays_close(golden: Path, name: str, precision: str, device: str) -> None:
    generator = load_generator(golden / f"{name}.pkl").generator
    plan = plan_for(generator, samples_per_class=3)
    full = images_of(Sampler(generator, plan, CPU, 16), everything(plan))
    sampler = Sampler(generator, replace(plan, precision=precision), torch.device(device), 16)
    low = images_of(sampler, everything(plan))
    error = np.mean([(full[key] - low[key]) ** 2 for key in full])
    assert error > 0, "the precision changed nothing: it was not used"
    assert 10 * np.log10(255**2 / error) >= 38  # dB


def test_noise(network: Generator) -> None:
    made = {
        mode: images_of(Sampler(network, plan_for(network, noise_mode=mode), CPU, 8), [spec_of(0, 3, 1)])
        for mode in ("const", "random", "none")
    }
    assert all(
        not np.array_equal(made[a]["000003_000001"], made[b]["000003_000001"])
        for a, b in (("const", "random"), ("const", "none"), ("random", "none"))
    )


def test_noise_is_a_function_of_seed_and_layer() -> None:
    one, two = spec_of(0, 0, 0), spec_of(0, 0, 1)
    both = noise_map([one, two], layer=2, size=64)
    assert both.shape == (2, 1, 64, 64)
    assert torch.equal(both[1:], noise_map([two], layer=2, size=64))
    assert not torch.equal(both[0], both[1])
    assert not torch.equal(both, noise_map([one, two], layer=3, size=64))
    # Streams of neighbouring layers must not overlap, as counters that are too close would.
    first, second = (set(noise_map([one], layer, 64).flatten().tolist()) for layer in (0, 1))
    assert len(first & second) < 10
    assert abs(both.mean()) < 0.05
    assert abs(both.std() - 1) < 0.05


def test_latents_are_those_of_the_published_tools() -> None:
    spec = SampleSpec("000000_000000", 0, 0, seed=123)
    assert np.array_equal(latents([spec], 512)[0], np.random.RandomState(123).randn(512).astype(np.float32))


def test_psi_zero_gives_the_centre(network: Generator) -> None:
    plan = plan_for(network, truncation=Truncation(0.0))
    images = images_of(Sampler(network, plan, CPU, 8), everything(plan))
    assert len({image.tobytes() for image in images.values()}) == 1


@pytest.fixture
def centers(network: Generator) -> Iterator[torch.Tensor]:
    yield torch.stack([class_center(network, c, 200) for c in range(10)])


def test_truncation_towards_the_class(network: Generator, centers: torch.Tensor) -> None:
    plan = plan_for(network, truncation=Truncation(0.0, None, "class", 200))
    images = images_of(Sampler(network, plan, CPU, 8, centers), everything(plan))
    by_class = {key[:6]: {images[k].tobytes() for k in images if k[:6] == key[:6]} for key in images}
    assert all(len(made) == 1 for made in by_class.values())
    assert len(set.union(*by_class.values())) == 10
    # A part of the classes gets the same centres.
    part = replace(plan, classes=(2, 7))
    again = images_of(Sampler(network, part, CPU, 3, centers[[2, 7]]), everything(part))
    assert all(np.abs(again[key] - images[key]).max() <= 1 for key in again)


def test_the_centre_is_the_mean_of_w(network: Generator) -> None:
    with torch.no_grad():
        z = torch.from_numpy(np.random.RandomState(5).randn(20_000, 64).astype(np.float32))
        mean = network.mapping(z, torch.full((20_000,), 4)).mean(dim=0)
        spread = network.mapping(z[:2000], torch.full((2000,), 4)).std(dim=0).norm()
    assert (class_center(network, 4, 1000) - mean).norm() < 0.05 * spread


def test_class_conditional_networks_heed_the_class(network: Generator) -> None:
    specs = [SampleSpec(f"{c:06d}_000000", c, 0, seed=1) for c in range(10)]
    images = images_of(Sampler(network, plan_for(network), CPU, 10), specs)
    assert len({image.tobytes() for image in images.values()}) == 10


def test_sizes(network: Generator) -> None:
    plan = plan_for(network, image=ImageFormat(112, "png", None))
    batch = next(iter(Sampler(network, plan, CPU, 2).batches(everything(plan))))
    assert batch.images.shape == (2, 112, 112, 3)


def test_resizing_keeps_flat_colours_and_brightness() -> None:
    flat = torch.full((1, 3, 64, 64), 0.25)
    assert torch.allclose(resize(flat, 112), torch.full((1, 3, 112, 112), 0.25), atol=1e-6)
    noise = torch.randn(1, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    assert abs(resize(noise, 48).mean() - noise.mean()) < 0.01
    assert resize(noise, 48).std() < 0.6  # antialiased: picking pixels would keep it at 1
    assert resize(flat, 64) is flat


def test_grey_networks_give_three_equal_channels() -> None:
    torch.manual_seed(0)
    config = GeneratorConfig(16, 0, 16, 16, img_channels=1, channel_base=128, channel_max=16)
    generator = Generator(config).eval().requires_grad_(False)
    plan = plan_for(generator)
    batch = next(iter(Sampler(generator, plan, CPU, 4).batches(everything(plan))))
    assert batch.images.shape == (4, 16, 16, 3)
    assert np.array_equal(batch.images[..., 0], batch.images[..., 2])


def test_values_that_are_not_finite_are_an_error(network: Generator) -> None:
    broken = Generator(network.config)
    broken.load_state_dict(network.state_dict())
    broken.synthesis.get_submodule("b8.conv1").bias.data[3] = 3e38  # the gain of the layer makes it infinite
    with pytest.raises(BadInput, match="not finite for 000000_000000 to 000003_000000"):
        next(iter(Sampler(broken, plan_for(network), CPU, 4).batches(everything(plan_for(network)))))


def test_cutoff_beyond_the_layers(network: Generator) -> None:
    with pytest.raises(BadInput, match="8 layers"):
        Sampler(network, plan_for(network, truncation=Truncation(0.5, 9)), CPU, 4)


def test_the_callers_generator_is_left_alone(network: Generator) -> None:
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    plan = plan_for(network, precision="bf16")
    list(Sampler(network, plan, CPU, 16).batches(everything(plan)))
    after = network.state_dict()
    assert all(
        after[name].dtype == tensor.dtype and torch.equal(after[name], tensor) for name, tensor in before.items()
    )
