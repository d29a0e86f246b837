"""The main job: the same bytes, however often it was stopped on the way."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from sface_data.dataset.manifest import Manifest
from sface_data.generation import build
from sface_data.generation.build import fitted
from sface_data.generation.image_maker import ImageMaker
from sface_data.generation.job import PlanOptions, plan_job
from sface_data.generator.networks import SynthesisNetwork
from sface_data.runtime.workers import local_workers
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


def finished(arguments: list[object]) -> int:
    """Runs a command to its end: its exit code."""
    from sface_data.cli import main

    try:
        main([str(argument) for argument in arguments], standalone_mode=False)
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


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


def test_shards_made_elsewhere_are_not_mixed_with_those_made_here(tmp_path: Path, golden: Path, run: Run) -> None:
    whole, folder = tmp_path / "whole", tmp_path / "faces"
    arguments = [*command(golden), "--samples-per-shard", 60]
    run(*arguments, "--outdir", whole)
    shutil.copytree(whole, folder)
    manifest = folder / "manifest.json"
    here = json.loads(manifest.read_text())["environments"][0]["versions"]["torch"]
    manifest.write_text(manifest.read_text().replace(f'"torch": "{here}"', '"torch": "1.0"'))
    elsewhere = tree(folder)
    (folder / "data" / "train-000001.tar").unlink()
    code, _, error = run(*arguments, "--outdir", folder)
    assert code == 2
    assert "data/train-000000.tar was made where images may come out otherwise than data/train-000001.tar" in error
    assert f"versions torch: 1.0, not {here}" in error
    assert run(*arguments, "--outdir", folder, "--overwrite")[0] == 0
    assert tree(folder) == tree(whole)
    # What another Python made is the same, and kept; the release is the same one.
    (folder / "data" / "train-000001.tar").unlink()
    python = json.loads(manifest.read_text())["environments"][0]["versions"]["python"]
    manifest.write_text(manifest.read_text().replace(f'"python": "{python}"', '"python": "3.0"'))
    assert run(*arguments, "--outdir", folder)[0] == 0
    assert len(Manifest.load(folder).environments) == 2
    assert Manifest.load(folder).identity == Manifest.load(whole).identity
    assert Path(folder / "README.md").read_bytes() == elsewhere["README.md"]
    assert run("validate", folder)[0] == 0


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_threads_batch_workers_and_parts_do_not_show_in_the_bytes(
    tmp_path: Path, golden: Path, run: Run, precision: str
) -> None:
    arguments = [*command(golden), "--precision", precision, "--samples-per-shard", 41]
    run(*arguments, "--outdir", tmp_path / "whole")
    threads = torch.get_num_threads()
    for number in (2, 4):
        torch.set_num_threads(number)
        assert run(*arguments, "--outdir", tmp_path / f"threads-{number}")[0] == 0
        assert torch.get_num_threads() == number
    torch.set_num_threads(threads)
    for batch in (1, 2, 5):
        assert run(*arguments, "--batch", batch, "--outdir", tmp_path / f"batch-{batch}")[0] == 0
    assert run(*arguments, "--workers", 2, "--outdir", tmp_path / "workers")[0] == 0
    for part in range(3):
        code, _, error = run(*arguments, "--part", f"{part}/3", "--outdir", tmp_path / "parts")
        assert code == 0
        assert ("of other parts are missing" in error) == (part < 2), "the last one finishes it"
    whole = tree(tmp_path / "whole")
    for folder in tmp_path.iterdir():
        assert tree(folder) == whole, folder.name


@pytest.mark.parametrize(("each", "expected"), [(8, 1), (51, 1), (52, 2)])
def test_a_process_is_started_for_as_many_images_as_it_is_worth(
    tmp_path: Path, golden: Path, run: Run, monkeypatch: pytest.MonkeyPatch, each: int, expected: int
) -> None:
    counts = []

    def counted(count: int, *others: Any) -> Any:
        counts.append(count)
        return local_workers(1, *others)

    monkeypatch.setattr(build, "cores", lambda: 4)
    monkeypatch.setattr(build, "local_workers", counted)
    monkeypatch.setattr(ImageMaker, "elsewhere", lambda maker: lambda: maker)
    run(*command(golden, samples_per_class=each), "--classes", "0-9", "--outdir", tmp_path / "faces")
    assert counts == [expected]


def test_parts_and_workers_that_are_killed(tmp_path: Path, golden: Path) -> None:
    arguments = command(golden, samples_per_class=20, samples_per_shard=16)
    whole = tmp_path / "whole"

    def part_of(outdir: Path) -> list[object]:
        return [*arguments, "--workers", 2, "--part", "0/2", "--outdir", outdir]

    folders = killed_at_random(part_of, tmp_path, tmp_path / "part", kills=4, seed=3)
    assert finished([*arguments, "--outdir", whole]) == 0
    for folder in [*folders, tmp_path / "part"]:
        assert not (folder / "manifest.json").exists()
        assert finished([*arguments, "--part", "1/2", "--outdir", folder]) == 0
        assert tree(folder) == tree(whole)


def test_a_snapshot_and_its_conversion_make_the_same_images(tmp_path: Path, golden: Path, run: Run) -> None:
    converted = tmp_path / "network.safetensors"
    run("generator", "convert", golden / "conditional-32.pkl", converted)
    run(*command(golden), "--outdir", tmp_path / "one")
    run(*command(golden, network=converted), "--outdir", tmp_path / "two")
    one, two = tree(tmp_path / "one"), tree(tmp_path / "two")
    assert one["data/train-000000.tar"] == two["data/train-000000.tar"]
    manifests = [json.loads(t["manifest.json"]) for t in (one, two)]
    assert manifests[0]["plan"] == manifests[1]["plan"]


def test_fewer_images_at_a_time_where_a_gpu_has_no_memory_for_more(
    golden: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a network that says what a full GPU says: there is none to fill here."""
    job = plan_job(PlanOptions(network=golden / "conditional-32.pkl", size=32, trunc_center="class", trunc=0.5))
    room, forward = 10, SynthesisNetwork.forward

    def limited(network: SynthesisNetwork, ws: torch.Tensor, *given: object) -> torch.Tensor:
        if len(ws) > room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return forward(network, ws, *given)  # type: ignore[arg-type]

    assert fitted(job).batch == job.batch == 64
    monkeypatch.setattr(SynthesisNetwork, "forward", limited)
    assert fitted(job).batch == 8
    room = 0
    with pytest.raises(torch.OutOfMemoryError):
        fitted(job)
