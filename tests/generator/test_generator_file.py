"""Generators on disk: what goes in comes out, and what cannot be used is refused in one sentence."""

import dataclasses
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import Tensor

from sface_data.errors import BadInput
from sface_data.generator.generator_file import TrainedOn, digest, load_generator, save_generator
from sface_data.generator.networks import Generator

Run = Callable[..., tuple[int, str, str]]
KEY = "sface_data.generator"


@pytest.fixture(scope="module")
def source(golden: Path) -> Path:
    return golden / "conditional-32.pkl"


@pytest.fixture(scope="module")
def generator(source: Path) -> Generator:
    return load_generator(source).generator


def save_parts(path: Path, generator: Generator, weights: dict[str, Tensor], metadata: Any) -> Path:
    """A file with these weights and this text (or, made JSON, this value) for a configuration."""
    spelled = metadata if isinstance(metadata, str) else json.dumps(metadata)
    save_file({name: tensor.clone() for name, tensor in weights.items()}, path, {KEY: spelled})
    return path


def refused(path: Path) -> str:
    with pytest.raises(BadInput) as caught:
        load_generator(path)
    message = str(caught.value)
    assert str(path) in message and "\n" not in message and len(message) < 400 + len(str(path))
    return message


def test_convert_then_info(run: Run, source: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    assert run("generator", "convert", source, first)[0] == 0
    assert run("generator", "convert", first, second)[0] == 0
    assert first.read_bytes() == second.read_bytes()
    code, out, _ = run("generator", "info", source, "--json")
    before = json.loads(out)
    assert (code, before["layout"], before["resolution"], before["classes"]) == (0, "snapshot", 32, 10)
    code, out, _ = run("generator", "info", first, "--json")
    after = json.loads(out)
    assert (code, after["layout"]) == (0, "safetensors")
    assert before.pop("file_sha256") != after.pop("file_sha256")
    assert before.pop("layout") != after.pop("layout")
    assert before == after


def test_info_for_people(run: Run, source: Path) -> None:
    code, out, _ = run("generator", "info", source)
    rows = dict(line.split(maxsplit=1) for line in out.splitlines() if len(line.split()) == 2)
    assert code == 0
    assert (rows["resolution"], rows["classes"], rows["layout"]) == ("32", "10", "snapshot")
    assert "conv clamp         none" in out


def test_convert_does_not_overwrite(run: Run, source: Path, tmp_path: Path) -> None:
    target = tmp_path / "a.safetensors"
    target.write_text("kept")
    code, _, said = run("generator", "convert", source, target)
    assert code == 2 and str(target) in said and "--overwrite" in said
    assert target.read_text() == "kept"
    assert run("generator", "convert", source, target, "--overwrite")[0] == 0
    assert load_generator(target).layout == "safetensors"


@pytest.mark.parametrize("name", ["a.pkl", "a", "missing/a.safetensors"])
def test_convert_needs_a_name_it_can_write(run: Run, source: Path, tmp_path: Path, name: str) -> None:
    code, _, said = run("generator", "convert", source, tmp_path / name)
    assert code == 2 and name.split("/")[0] in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["convert", "info"])
def test_commands_say_what_is_wrong_with_a_file(run: Run, tmp_path: Path, command: str) -> None:
    path = tmp_path / "x.pkl"
    path.write_bytes(b"\x80\x04cos\nsystem\n.")
    code, out, said = run(
        "generator", command, path, *([tmp_path / "y.safetensors"] if command == "convert" else [])
    )
    assert (code, out) == (2, "")
    assert said.count("\n") == 1 and "os.system" in said
    assert list(tmp_path.iterdir()) == [path]


def test_weights_come_back(generator: Generator, tmp_path: Path) -> None:
    save_generator(generator, tmp_path / "a.safetensors")
    file = load_generator(tmp_path / "a.safetensors")
    assert file.generator.config == generator.config
    assert file.generator_sha256 == digest(generator)
    before, after = generator.state_dict(), file.generator.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before.keys() | after.keys())
    assert not file.generator.training
    assert not any(p.requires_grad for p in file.generator.parameters())


def test_a_file_says_which_faces_it_was_trained_on(generator: Generator, tmp_path: Path, run: Run) -> None:
    path, plain, broken = (tmp_path / f"{name}.safetensors" for name in ("path", "plain", "broken"))
    save_generator(generator, path, trained_on=TrainedOn("5e" * 32))
    save_generator(generator, plain)
    save_generator(generator, broken, trained_on=TrainedOn("5e" * 32, identities=("1",)))
    assert load_generator(path).trained_on.faces_sha256 == "5e" * 32
    assert load_generator(path).generator_sha256 == load_generator(plain).generator_sha256
    assert load_generator(plain).trained_on.faces_sha256 is None
    assert json.loads(run("generator", "info", path, "--json")[1])["faces_sha256"] == "5e" * 32
    with pytest.raises(BadInput, match="names 1 identities for"):
        load_generator(broken)


def test_half_precision_is_read_as_float32(generator: Generator, tmp_path: Path) -> None:
    path, whole = tmp_path / "half.safetensors", tmp_path / "whole.safetensors"
    save_generator(generator, path, dtype=torch.float16)
    save_generator(generator, whole)
    assert path.stat().st_size < 0.6 * whole.stat().st_size
    loaded = load_generator(path).generator
    for name, tensor in loaded.state_dict().items():
        assert tensor.dtype == torch.float32
        torch.testing.assert_close(tensor, generator.state_dict()[name], rtol=1e-3, atol=1e-4)
    assert digest(loaded) != digest(generator)


def test_weights_beyond_half_precision_are_not_written(source: Path, tmp_path: Path) -> None:
    generator = load_generator(source).generator
    generator.mapping.w_avg[3] = 1e6
    with pytest.raises(BadInput, match=r"mapping\.w_avg"):
        save_generator(generator, tmp_path / "half.safetensors", dtype=torch.float16)
    assert list(tmp_path.iterdir()) == []


def test_the_digest_sees_every_tensor_and_the_configuration(source: Path, golden: Path) -> None:
    generator = load_generator(source).generator
    seen = {digest(generator)}
    for tensor in generator.state_dict().values():
        tensor.view(-1)[0] += 1
        seen.add(digest(generator))
    generator.config = dataclasses.replace(generator.config, conv_clamp=99.0)
    seen.add(digest(generator))
    assert len(seen) == len(generator.state_dict()) + 2


CHANGES: dict[str, Callable[[dict[str, Tensor]], object]] = {
    "the tensor mapping.w_avg has values that are not finite": lambda w: w["mapping.w_avg"].fill_(float("nan")),
    "the tensor mapping.w_avg is missing": lambda w: w.pop("mapping.w_avg"),
    "the tensor 'extra' belongs to another kind": lambda w: w.update(extra=torch.ones(1)),
    "the tensor mapping.w_avg has shape [3], not [64]": lambda w: w.update({"mapping.w_avg": torch.ones(3)}),
    "the tensor mapping.w_avg is of torch.int32": lambda w: w.update({"mapping.w_avg": torch.ones(64).int()}),
    "the tensor mapping.w_avg is of torch.complex64": lambda w: w.update(
        {"mapping.w_avg": torch.ones(64).to(torch.complex64)}
    ),
    "the tensor mapping.w_avg is of torch.float8": lambda w: w.update(
        {"mapping.w_avg": torch.ones(64).to(torch.float8_e4m3fn)}
    ),
}


@pytest.mark.parametrize("said", CHANGES)
def test_tensors_that_do_not_fit(generator: Generator, tmp_path: Path, said: str) -> None:
    weights = {name: tensor.clone() for name, tensor in generator.state_dict().items()}
    CHANGES[said](weights)
    path = save_parts(tmp_path / "a.safetensors", generator, weights, dataclasses.asdict(generator.config))
    assert said in refused(path)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("img_resolution", 1 << 40),
        ("img_resolution", 48),
        ("img_resolution", 4),
        ("img_channels", 2),
        ("img_channels", 4),
        ("c_dim", -1),
        ("c_dim", 1 << 30),
        ("w_dim", "64"),
        ("w_dim", 64.0),
        ("z_dim", True),
        ("z_dim", [[[[]]]] * 1000),
        ("mapping_layers", 1 << 20),
        ("channel_base", 4),
        ("channel_max", 0),
        ("conv_clamp", float("inf")),
        ("conv_clamp", float("nan")),
        ("conv_clamp", 10**400),
        ("conv_clamp", True),
        ("conv_clamp", 0),
    ],
)
def test_configurations_out_of_range(generator: Generator, tmp_path: Path, field: str, value: Any) -> None:
    metadata = dataclasses.asdict(generator.config) | {field: value}
    assert field in refused(save_parts(tmp_path / "a.safetensors", generator, generator.state_dict(), metadata))


@pytest.mark.parametrize(
    "metadata", ["", "no json", "5", "[]", "{}", "null", '{"\x1b[31m": 1}', "[" * 100_000, '"z_dim"', "1" * 9999]
)
def test_metadata_that_is_no_configuration(generator: Generator, tmp_path: Path, metadata: str) -> None:
    path = save_parts(tmp_path / "a.safetensors", generator, generator.state_dict(), metadata)
    assert "not the configuration of a generator" in refused(path)


def test_unknown_fields_are_refused(generator: Generator, tmp_path: Path) -> None:
    metadata = dataclasses.asdict(generator.config) | {"later": 1}
    path = save_parts(tmp_path / "a.safetensors", generator, generator.state_dict(), metadata)
    assert "not the configuration" in refused(path)


def test_tensors_of_another_project(tmp_path: Path) -> None:
    save_file({"a": torch.ones(2)}, tmp_path / "a.safetensors")
    assert "no generator of this project" in refused(tmp_path / "a.safetensors")


def test_truncated_files(generator: Generator, tmp_path: Path) -> None:
    save_generator(generator, tmp_path / "a.safetensors")
    content, path = (tmp_path / "a.safetensors").read_bytes(), tmp_path / "b.safetensors"
    for size in (*range(12), *(len(content) * i // 20 for i in range(20)), len(content) - 1):
        path.write_bytes(content[:size])
        refused(path)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.randoms(use_true_random=False))
def test_damaged_headers(generator: Generator, tmp_path: Path, seed: Any) -> None:
    """One byte of the header or its length changed: refused, or a generator of the same shapes."""
    save_generator(generator, tmp_path / "a.safetensors")
    content = bytearray((tmp_path / "a.safetensors").read_bytes())
    (header,) = struct.unpack("<Q", content[:8])
    content[seed.randrange(8 + header)] = seed.randrange(256)
    (tmp_path / "a.safetensors").write_bytes(content)
    try:
        loaded = load_generator(tmp_path / "a.safetensors").generator
    except BadInput as error:
        assert str(tmp_path) in str(error)
    else:
        assert loaded.state_dict().keys() == generator.state_dict().keys()


def test_saved_weights_are_those_of_the_file(generator: Generator, tmp_path: Path) -> None:
    """Read by safetensors alone, they are the state dict."""
    save_generator(generator, tmp_path / "a.safetensors")
    weights = load_file(tmp_path / "a.safetensors")
    assert weights.keys() == generator.state_dict().keys()
    assert torch.equal(weights["mapping.w_avg"], generator.mapping.w_avg)
