"""The main job: the same bytes, however often it was stopped on the way."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.killing import killed_again_and_again, killed_at_random, tree

Run = Callable[..., tuple[int, str, str]]


def command(golden: Path, **options: object) -> list[str]:
    """`generate` with small images on the CPU."""
    given = {
        "network": golden / "conditional-32.pkl",
        "size": 32,
        "device": "cpu",
        "samples_per_class": 12,
        **options,
    }
    return ["generate", *(f"--{name.replace('_', '-')}={value}" for name, value in given.items())]


def test_killed_at_random_moments_it_ends_in_the_same_bytes(tmp_path: Path, golden: Path) -> None:
    arguments = command(golden, samples_per_class=20, samples_per_shard=16)
    whole = tmp_path / "whole"
    folders = killed_at_random(lambda outdir: [*arguments, "--outdir", outdir], tmp_path, whole, kills=8, seed=7)
    assert len(list((whole / "data").glob("*.tar"))) == 13
    for folder in folders:
        assert tree(folder) == tree(whole)


def test_killed_at_its_writes_with_every_part_random(tmp_path: Path, golden: Path) -> None:
    options = {"format": "png", "noise_mode": "random", "trunc": 0.6, "trunc_center": "class"}
    arguments = command(golden, samples_per_class=10, samples_per_shard=20, **options)
    whole, killed = killed_again_and_again(lambda outdir: [*arguments, "--outdir", outdir], tmp_path)
    assert tree(killed) == tree(whole)


def test_a_killed_run_leaves_whole_shards_or_none(tmp_path: Path, golden: Path, run: Run) -> None:
    whole, part = tmp_path / "whole", tmp_path / "part"
    run(*command(golden), "--samples-per-shard", 30, "--outdir", whole)
    # What a run leaves that is killed between two shards, and in the middle of the third.
    run(*command(golden), "--samples-per-shard", 30, "--outdir", part)
    (part / "manifest.json").unlink()
    (part / ".sface-data-build").mkdir()
    shards = json.loads((whole / "manifest.json").read_text())
    plan = shards["plan"]
    (part / ".sface-data-build" / "plan.json").write_text(json.dumps(plan))
    (part / ".sface-data-build" / ".train-000002.tar.part").write_bytes(b"half a shard")
    (part / "data" / "train-000002.tar").unlink()
    # The first shard is recorded; the second is whole, but nothing says of which plan; so it is made again.
    environment = shards["environments"][0]
    first = shards["shards"][0]
    record = {
        "made_by": {"plan_fingerprint": shards["plan_fingerprint"]},
        "info": first,
        "environment": environment,
    }
    (part / ".sface-data-build" / "train-000000.json").write_text(json.dumps(record))
    (part / "data" / "train-000001.tar").write_bytes(b"of another plan")
    before = (part / "data" / "train-000000.tar").stat().st_mtime_ns
    code, _, error = run(*command(golden), "--samples-per-shard", 30, "--outdir", part)
    assert code == 0, error
    assert (part / "data" / "train-000000.tar").stat().st_mtime_ns == before, "a finished shard was made again"
    assert tree(part) == tree(whole)


def test_a_finished_shard_of_another_plan_is_not_trusted(tmp_path: Path, golden: Path, run: Run) -> None:
    whole, part = tmp_path / "whole", tmp_path / "part"
    run(*command(golden), "--outdir", whole)
    run(*command(golden), "--outdir", part)
    shards = json.loads((part / "manifest.json").read_text())
    (part / "manifest.json").unlink()
    (part / ".sface-data-build").mkdir()
    (part / ".sface-data-build" / "plan.json").write_text(json.dumps(shards["plan"]))
    record = {"made_by": {"plan_fingerprint": "0" * 64}, "info": shards["shards"][0], "environment": {}}
    (part / ".sface-data-build" / "train-000000.json").write_text(json.dumps(record))
    code, _, error = run(*command(golden), "--outdir", part)
    assert code == 0, error
    assert tree(part) == tree(whole)


def test_shards_made_elsewhere_say_so(tmp_path: Path, golden: Path, run: Run) -> None:
    folder = tmp_path / "faces"
    run(*command(golden), "--samples-per-shard", 60, "--outdir", folder)
    (folder / "data" / "train-000001.tar").unlink()
    code, _, error = run(*command(golden), "--samples-per-shard", 60, "--outdir", folder, "--batch", 5)
    assert code == 0, error
    manifest = json.loads((folder / "manifest.json").read_text())
    assert [environment["batch"] for environment in manifest["environments"]] == [64, 5]
    assert [shard["environment"] for shard in manifest["shards"]] == [0, 1]
    assert run("validate", folder)[0] == 0


def test_a_snapshot_and_its_conversion_make_the_same_images(tmp_path: Path, golden: Path, run: Run) -> None:
    converted = tmp_path / "network.safetensors"
    run("generator", "convert", golden / "conditional-32.pkl", converted)
    run(*command(golden), "--outdir", tmp_path / "one")
    run(*command(golden, network=converted), "--outdir", tmp_path / "two")
    one, two = tree(tmp_path / "one"), tree(tmp_path / "two")
    assert one["data/train-000000.tar"] == two["data/train-000000.tar"]
    manifests = [json.loads(t["manifest.json"]) for t in (one, two)]
    assert manifests[0]["plan"] == manifests[1]["plan"]


def test_encoding_keeps_order_and_passes_errors_on(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    import numpy as np

    from sface_data.dataset.plan import ImageFormat, spec_of
    from sface_data.generation.build import encoded
    from sface_data.generator.sampler import SampleBatch
    from sface_data.io.images import decode_image

    form = ImageFormat(8, "png", None)
    batches = [
        SampleBatch([spec_of(0, c, i) for i in range(3)], np.full((3, 8, 8, 3), c, np.uint8)) for c in range(40)
    ]
    with ThreadPoolExecutor(4) as pool:
        records = list(encoded(batches, form, pool))
        assert [record.spec for record in records] == [spec for batch in batches for spec in batch.specs]
        assert all((decode_image(record.image, "it") == record.spec.class_index).all() for record in records)
        broken = SampleBatch(batches[0].specs, np.zeros((3, 8, 8, 3), np.float64))
        with pytest.raises(TypeError):
            list(encoded([broken], form, pool))
