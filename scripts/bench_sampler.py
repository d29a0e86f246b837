#!/usr/bin/env python3
"""How fast data sets are made, against the published procedure, in one run.

Baseline: one image at a time in fp32, convolution weights modulated per image, Pillow PNG into a folder per class;
same weights, same seeds, written for this comparison from the description of the published tools.

    scripts/bench_sampler.py                    small network, then a large one (about five minutes on two cores)
    scripts/bench_sampler.py --networks small   one of them

Prints images/s end to end, ratios to the baseline, the share of encoding and writing, peak memory, and how time
grows with images and classes. Ratios hold on other machines better than figures.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from sface_data.dataset.plan import ImageFormat, SamplePlan, spec_of
from sface_data.dataset.workspace import open_workspace
from sface_data.generation.build import build
from sface_data.generation.job import Job
from sface_data.generator.config import GeneratorConfig
from sface_data.generator.generator_file import GeneratorFile, digest, load_generator, save_generator
from sface_data.generator.networks import Generator, SynthesisLayer, ToRGB
from sface_data.generator.ops import normalize_2nd_moment
from sface_data.generator.sampler import Sampler, default_batch
from sface_data.runtime.devices import choose_device, choose_precision

NETWORKS = {
    # 64x64, 48 classes: what two cores can train
    "small": GeneratorConfig(128, 48, 128, 64, channel_base=2048, channel_max=128),
    # that of SFace: 128x128, 10,572 classes
    "large": GeneratorConfig(512, 10572, 512, 128, channel_base=16384, channel_max=512),
}
IMAGES = {"small": (192, 1536), "large": (12, 64)}  # of the baseline, of ours: some seconds each on two cores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", choices=list(NETWORKS), default=list(NETWORKS))
    parser.add_argument("--device", default="auto")
    parser.add_argument("--batch", type=int)
    parser.add_argument("--repeats", type=int, default=3, help="each is timed so often; the best counts")
    parser.add_argument(
        "--peak-memory", nargs=4, metavar=("NAME", "PRECISION", "BATCH", "FILE"), help=argparse.SUPPRESS
    )
    arguments = parser.parse_args()
    if arguments.peak_memory:
        print_peak_memory(*arguments.peak_memory)
        return
    device = choose_device(arguments.device)
    processor = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    print(f"{processor}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    for name in arguments.networks:
        config = NETWORKS[name]
        batch = arguments.batch or default_batch(device, config, config.img_resolution)
        bench(name, device, batch, arguments.repeats)


def bench(name: str, device: torch.device, batch: int, repeats: int) -> None:
    """Times one network and prints what came out."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        network = make_network(NETWORKS[name], folder / "network.safetensors")
        config = network.generator.config
        check_baseline(network.generator)
        few, many = IMAGES[name] if device.type == "cpu" else (400, 8192)
        precisions = ["fp32", choose_precision("auto", device, config.conv_clamp)]
        print(f"\n{name}: {config.img_resolution}x{config.img_resolution}, {config.c_dim:,} classes, "
              f"{flops(network.generator) / 1e9:.2f} GFLOP an image, batch {batch}")  # fmt: skip
        base = sampler = 0.0
        ours: dict[str, float] = {}
        for repeat in range(repeats):  # in turn, so that a machine that slows down slows all of them
            base = max(
                base, few / timed(published_procedure, network.generator, folder / f"base{repeat}", few, device)
            )
            for precision in dict.fromkeys(precisions):
                plan = plan_for(network, many, precision)
                rate = many / timed(end_to_end, network, plan, folder / f"{precision}{repeat}", device, batch)
                ours[precision] = max(ours.get(precision, 0.0), rate)
            sampler = max(sampler, many / timed(drain, network, plan, device, batch))
        print(f"  one image at a time, fp32, PNG   {base:8.1f} images/s")
        for precision, rate in ours.items():
            print(f"  end to end, {precision:20} {rate:8.1f} images/s   {rate / base:5.2f}x")
        best = ours[precisions[-1]]
        print(f"  sampler alone, {precisions[-1]:17} {sampler:8.1f} images/s; encoding and writing cost "
              f"{100 * (sampler / best - 1):.1f} % of its time")  # fmt: skip
        print(f"  of the peak of matrix products in {precisions[-1]}: "
              f"{100 * sampler * flops(network.generator) / peak(device, precisions[-1]):.0f} %")  # fmt: skip
        print_growth(network, precisions[-1], device, batch, many)
        if device.type == "cpu":
            for precision in dict.fromkeys(precisions):
                print(f"  peak memory, {precision}: {peak_memory(name, precision, batch, network.path):,} MB")


def published_procedure(generator: Generator, folder: Path, images: int, device: torch.device) -> None:
    """The baseline."""
    generator = generator.to(device)
    config = generator.config
    for i in range(images):
        c = i % config.c_dim
        z = torch.from_numpy(np.random.RandomState(spec_of(0, c, i // config.c_dim).seed).randn(1, config.z_dim))
        label = torch.zeros(1, config.c_dim, device=device)
        label[:, c] = 1
        with torch.no_grad():
            image = naive_image(generator, z.float().to(device), label)
        levels = (image.permute(0, 2, 3, 1) * 127.5 + 128).clamp(0, 255).to(torch.uint8)
        path = folder / f"{c:05d}" / f"{i:06d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(levels[0].cpu().numpy(), "RGB").save(path)
    generator.cpu()


def naive_image(generator: Generator, z: Tensor, label: Tensor) -> Tensor:
    """One image [1,3,R,R] from z [1,z_dim] and a one-hot label [1,c_dim], as the papers write it."""
    mapping = generator.mapping
    w = torch.cat([normalize_2nd_moment(z), normalize_2nd_moment(mapping.embed(label))], dim=1)
    for i in range(mapping.num_layers):
        w = mapping.get_submodule(f"fc{i}")(w)
    x = image = None
    for block in generator.synthesis.blocks():
        x = block.const[None] if x is None else naive_layer(block.conv0, x, w)
        x = naive_layer(block.conv1, x, w)
        colours = naive_rgb(block.torgb, x, w)
        image = colours if image is None else naive_upsample(image) + colours
    assert image is not None
    return image


def check_baseline(generator: Generator) -> None:
    """The baseline makes the images that ours makes."""
    z, label = torch.randn(1, generator.config.z_dim), torch.zeros(1, generator.config.c_dim)
    label[:, 3] = 1
    with torch.no_grad():
        assert torch.allclose(naive_image(generator, z, label), generator(z, torch.tensor([3])), atol=1e-3)


def naive_layer(layer: SynthesisLayer, x: Tensor, w: Tensor) -> Tensor:
    weight = layer.weight * layer.affine(w)[0][None, :, None, None]  # [O,I,3,3]
    weight = weight * (weight.square().sum(dim=(1, 2, 3), keepdim=True) + 1e-8).rsqrt()
    if layer.up:
        x = naive_filter(F.conv_transpose2d(x, weight.transpose(0, 1), stride=2), padding=(1, 1, 1, 1))
    else:
        x = F.conv2d(x, weight, padding=1)
    x = x + layer.noise_const * layer.noise_strength
    return (F.leaky_relu(x + layer.bias[:, None, None], 0.2) * 2**0.5).clamp(-256, 256)


def naive_upsample(x: Tensor) -> Tensor:
    """Zeros in between, then the filter."""
    n, c, h, w = x.shape
    stuffed = F.pad(x.reshape(n, c, h, 1, w, 1), (0, 1, 0, 0, 0, 1)).reshape(n, c, 2 * h, 2 * w)
    return naive_filter(stuffed, padding=(2, 1, 2, 1))


def naive_filter(x: Tensor, padding: tuple[int, ...]) -> Tensor:
    """The filter [1,3,3,1] in both directions, with the gain of doubling the resolution."""
    line = torch.tensor([1.0, 3.0, 3.0, 1.0], device=x.device) / 4
    x = F.pad(x, padding)
    x = F.conv2d(x, line[None, None, None].repeat(x.shape[1], 1, 1, 1), groups=x.shape[1])
    return F.conv2d(x, line[None, None, :, None].repeat(x.shape[1], 1, 1, 1), groups=x.shape[1])


def naive_rgb(layer: ToRGB, x: Tensor, w: Tensor) -> Tensor:
    weight = layer.weight * (layer.affine(w)[0] * layer.weight_gain)[None, :, None, None]
    return (F.conv2d(x, weight) + layer.bias[:, None, None]).clamp(-256, 256)


def end_to_end(
    network: GeneratorFile, plan: SamplePlan, folder: Path, device: torch.device, batch: int, workers: int = 1
) -> None:
    with quiet(), open_workspace(folder, plan) as workspace:
        build(workspace, Job(plan, network, device, batch), workers=workers)


def drain(network: GeneratorFile, plan: SamplePlan, device: torch.device, batch: int) -> None:
    sampler = Sampler(network.generator, plan, device, batch)
    for number in range(plan.num_shards):
        for _ in sampler.batches(plan.shard(number)):
            pass


def print_growth(network: GeneratorFile, precision: str, device: torch.device, batch: int, many: int) -> None:
    """Time per image must not grow with images or classes."""
    one, two = (plan_for(network, n, precision) for n in (many // 2, many))
    few_classes = plan_for(network, many, precision, classes=min(8, network.generator.config.c_dim))
    half, full, few = (timed(drain, network, plan, device, batch) for plan in (one, two, few_classes))
    print(f"  twice the images take {full / half:.2f}x the time; "
          f"{len(two.classes):,} classes instead of {len(few_classes.classes)}: {full / few:.2f}x")  # fmt: skip


def peak_memory(name: str, precision: str, batch: int, file: Path) -> int:
    """MB of a process of its own that does nothing but make a data set."""
    arguments = ["--peak-memory", name, precision, str(batch), str(file)]
    command = [sys.executable, __file__, *arguments]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def print_peak_memory(name: str, precision: str, batch: str, file: str) -> None:
    network = load_generator(Path(file))
    with tempfile.TemporaryDirectory() as temporary:
        plan = plan_for(network, 4 * int(batch), precision)
        end_to_end(network, plan, Path(temporary) / "out", torch.device("cpu"), int(batch))
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)


def make_network(config: GeneratorConfig, path: Path) -> GeneratorFile:
    """Random weights: speed does not depend on what they are."""
    torch.manual_seed(0)
    save_generator(Generator(config).eval().requires_grad_(False), path)
    return load_generator(path)


def plan_for(network: GeneratorFile, images: int, precision: str, classes: int | None = None) -> SamplePlan:
    """A plan of about so many images over all classes (or the first ones, if there are more than images)."""
    config = network.generator.config
    number = min(classes or config.c_dim, images)
    return SamplePlan(
        generator_sha256=digest(network.generator),
        generator_classes=config.c_dim,
        classes=tuple(range(number)),
        samples_per_class=images // number,
        precision=precision,  # type: ignore[arg-type]
        image=ImageFormat(config.img_resolution),
    )


def flops(generator: Generator) -> float:
    """Multiplications and additions of the convolutions of one image."""
    total = 0
    for module in generator.modules():
        if isinstance(module, SynthesisLayer):
            size = module.noise_const.shape[0] // (2 if module.up else 1)
            total += 2 * module.weight.numel() * size**2
    return float(total)


def peak(device: torch.device, precision: str) -> float:
    """FLOP/s of a large matrix product, measured now."""
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]
    n = 2048 if device.type == "cpu" else 8192
    a, b = (torch.randn(n, n, device=device, dtype=dtype) for _ in range(2))

    def product() -> None:
        a @ b
        if device.type == "cuda":
            torch.cuda.synchronize()

    product()
    return 2 * n**3 / min(timed(product) for _ in range(5))


def timed(function, *arguments: object) -> float:  # type: ignore[no-untyped-def]
    """Seconds of one call."""
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start


@contextmanager
def quiet() -> Iterator[None]:
    """No progress bar while timing."""
    stderr, sys.stderr = sys.stderr, open("/dev/null", "w")  # noqa: SIM115, PTH123
    try:
        yield
    finally:
        sys.stderr.close()
        sys.stderr = stderr


if __name__ == "__main__":
    main()
