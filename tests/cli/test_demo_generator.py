"""The generator that ships: there, small, and used where no other is named."""

from collections.abc import Callable
from pathlib import Path

import torch
from safetensors import safe_open

from sface_data.dataset.manifest import Manifest
from sface_data.generator.generator_file import DEMO_GENERATOR, load_generator

CARD = Path(__file__).parents[2] / "cards" / "demo_generator.md"


def test_it_is_conditional_and_a_few_megabytes_of_float16() -> None:
    file = load_generator(DEMO_GENERATOR)
    assert file.generator.config.img_resolution == 64
    assert file.generator.config.c_dim == 1000
    assert DEMO_GENERATOR.stat().st_size < 4_000_000
    with safe_open(DEMO_GENERATOR, framework="pt") as tensors:
        assert all(tensors.get_tensor(name).dtype == torch.float16 for name in tensors.keys())  # noqa: SIM118
    assert all(torch.isfinite(parameter).all() for parameter in file.generator.parameters())


def test_its_card_is_about_this_file() -> None:
    assert load_generator(DEMO_GENERATOR).generator_sha256 in CARD.read_text()


def test_generate_uses_it_where_no_network_is_named(
    tmp_path: Path, run: Callable[..., tuple[int, str, str]]
) -> None:
    outdir = tmp_path / "faces"
    sizes = ("--classes", "0-31", "--samples-per-class", 2)
    code, _, stderr = run("generate", "--outdir", outdir, *sizes, "--device", "cpu")
    assert code == 0, stderr
    manifest = Manifest.load(outdir)
    assert manifest.plan.generator_sha256 == load_generator(DEMO_GENERATOR).generator_sha256
    assert manifest.num_samples == 64
    assert (outdir / "preview.png").is_file()
    code, _, _ = run("validate", outdir)
    assert code == 0
