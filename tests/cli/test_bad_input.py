"""Bad input ends in one sentence, exit code 2, and a disk that is as it was."""

import hashlib
import os
import shutil
import signal
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.processes import SERVER

Run = Callable[..., tuple[int, str, str]]
SMALL = ["--samples-per-class", 2, "--size", 32, "--device", "cpu", "--precision", "fp32"]


def tree(directory: Path) -> dict[str, str]:
    """Every folder and file below a folder, files with the digest of their bytes."""
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        for path in directory.rglob("*")
    }


@pytest.fixture
def network(golden: Path) -> Path:
    return golden / "conditional-32.pkl"


@pytest.fixture
def fails(run: Run, tmp_path: Path) -> Callable[..., str]:
    """Runs a command that must fail and change nothing below `tmp_path`; returns its one sentence."""

    def call(*arguments: object) -> str:
        before = tree(tmp_path)
        code, output, errors = run(*arguments)
        assert (code, output) == (2, ""), errors
        assert tree(tmp_path) == before
        assert "Traceback" not in errors
        lines = errors.splitlines()
        if lines[0].startswith("Usage: "):  # click's own: usage, where help is, an empty line, the sentence
            assert len(lines) == 4
            return lines[-1]
        assert lines[0].startswith("sface-data: ")
        assert all(line.startswith("  ") for line in lines[1:])  # what differs between two plans
        return errors

    return call


@pytest.fixture
def generate(fails: Callable[..., str], network: Path, tmp_path: Path) -> Callable[..., str]:
    """Runs `generate`, that must fail, with small settings; later options win."""

    def call(*options: object) -> str:
        return fails("generate", "--network", network, "--outdir", tmp_path / "faces", *SMALL, *options)

    return call


def test_a_missing_network(generate: Callable[..., str], tmp_path: Path) -> None:
    assert f"{tmp_path / 'none.pkl'}: No such file" in generate("--network", tmp_path / "none.pkl")
    assert "Is a directory" in generate("--network", tmp_path)


@pytest.mark.parametrize("length", [0, 1, 8, 9, 100, 50_000, -1])
def test_a_network_cut_short(generate: Callable[..., str], network: Path, tmp_path: Path, length: int) -> None:
    (tmp_path / "cut.pkl").write_bytes(network.read_bytes()[:length])
    assert f"{tmp_path / 'cut.pkl'}: " in generate("--network", tmp_path / "cut.pkl")


@pytest.fixture
def converted(run: Run, network: Path, tmp_path: Path) -> Path:
    target = tmp_path / "network.safetensors"
    assert run("generator", "convert", network, target)[0] == 0
    return target


@pytest.mark.parametrize("length", [5, 9, 100, 10_000, -1])
def test_safetensors_cut_short(generate: Callable[..., str], converted: Path, length: int) -> None:
    converted.write_bytes(converted.read_bytes()[:length])
    assert f"{converted}: " in generate("--network", converted)


def test_weights_that_are_not_finite(generate: Callable[..., str], converted: Path) -> None:
    from safetensors import safe_open
    from safetensors.torch import save_file

    with safe_open(converted, framework="pt") as file:
        metadata, weights = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    name = "synthesis.b8.conv0.weight"
    weights[name][3, 2, 1, 0] = float("nan")
    save_file(weights, converted, metadata)
    sentence = generate("--network", converted)
    assert f"{converted}: the tensor {name} has values that are not finite" in sentence


def test_a_zip_as_network(generate: Callable[..., str], tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "network.pt", "w") as file:
        file.writestr("data.pkl", b"\x80\x02.")
    assert "a zip archive, not a network" in generate("--network", tmp_path / "network.pt")


def test_an_unconditional_network(generate: Callable[..., str], golden: Path, run: Run, tmp_path: Path) -> None:
    network = golden / "unconditional-32.pkl"
    assert "has no classes; leave out --classes" in generate("--network", network, "--classes", "0")
    code, _, errors = run("generate", "--network", network, "--outdir", tmp_path / "faces", *SMALL)
    assert code == 0, errors
    assert run("validate", tmp_path / "faces")[0] == 0


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--classes", "5-10"], "the class 10 is asked for, but the generator has classes 0 to 9"),
        (["--classes", ""], "'' is no class or range of classes"),
        (["--classes", "1,,2"], "'' is no class or range of classes"),
        (["--classes", "a"], "'a' is no class or range of classes"),
        (["--classes", "-1"], "'-1' is no class or range of classes"),
        (["--classes", "1-2-3"], "'1-2-3' is no class or range of classes"),
        (["--classes", "١"], "is no class or range of classes"),
        (["--classes", "3-1"], "the range 3-1 runs backwards"),
        (["--classes", "1,2,1"], "a class comes twice in 1,2,1"),
        (["--classes", "0-3,2"], "a class comes twice"),
        (["--trunc", "abc"], "'--trunc': 'abc' is not a valid float"),
        (["--trunc", "nan"], "the truncation psi is nan"),
        (["--trunc", "inf"], "the truncation psi is inf"),
        (["--trunc", "-1"], "the truncation psi is -1.0"),
        (["--trunc-cutoff", "0"], "the truncation cutoff is 0"),
        (["--trunc-cutoff", "9"], "the truncation cutoff is 9, but the generator has 8 layers"),
        (["--trunc-center", "mean"], "'mean' is not one of 'global', 'class'"),
        (["--samples-per-class", "0"], "0 samples per class are asked for"),
        (["--samples-per-class", "-3"], "-3 samples per class are asked for"),
        (["--samples-per-class", str(2**33)], "samples per class are asked for"),
        (["--samples-per-shard", "0"], "0 samples per shard are asked for"),
        (["--quality", "0"], "the quality is 0; it must be 1 to 100"),
        (["--quality", "101"], "the quality is 101; it must be 1 to 100"),
        (["--format", "png", "--quality", "95"], "png loses nothing and takes no quality"),
        (["--format", "gif"], "'gif' is not one of"),
        (["--size", "4"], "the image size is 4; it must be 8 to 4096 pixels"),
        (["--size", "100000"], "the image size is 100000"),
        (["--split", "a/b"], "the split 'a/b' must be one word"),
        (["--split", "../up"], "must be one word"),
        (["--split", ""], "the split '' must be one word"),
        (["--batch", "0"], "0 is not in the range 1<=x<="),
        (["--device", "nonsense"], "the device 'nonsense' is unknown"),
        (["--device", ""], "the device '' is unknown"),
        (["--device", "meta"], "the device 'meta' cannot be used"),
        (["--device", "cuda:99"], "the device 'cuda:99' is asked for"),
        (["--seed", "-1"], "the seed is -1; it must be 0 or more"),
        (["--precision", "fp8"], "'fp8' is not one of"),
        (["--licence", "mine"], "'mine' is not one of"),
        (["--colour", "red"], "No such option"),
    ],
)
def test_settings(generate: Callable[..., str], options: list[str], sentence: str) -> None:
    assert sentence in generate(*options)


LONG = "n" * 300  # no file has such a name


@pytest.mark.parametrize(
    "command",
    [
        ["audit", LONG, "--training", "faces", "--embedder", "demo", "--outdir", "out"],
        ["card", LONG],
        ["embed", LONG, "--embedder", "demo", "--outdir", "out"],
        ["embed", "faces", "--embedder", f"{LONG}.onnx", "--outdir", "out"],
        ["embed", "faces", "--embedder", "demo", "--outdir", LONG],
        ["export", LONG, "--to", "rec", "--outdir", "out"],
        ["generate", "--outdir", LONG],
        ["generate", "--network", LONG, "--outdir", "out"],
        ["generate", "--align", "detect", "--detector", f"{LONG}.onnx", "--outdir", "out"],
        ["generator", "convert", LONG, "a.safetensors"],
        ["generator", "info", LONG],
        ["generator", "metrics", LONG, "--data", "faces", "--embedder", "demo"],
        ["generator", "train", "--data", LONG, "--outdir", "out"],
        ["generator", "train", "--data", "faces", "--outdir", LONG],
        ["merge", LONG, "--outdir", "out"],
        ["preview", LONG, "--out", "a.png"],
        ["publish", LONG, "--repo", "a/b"],
        ["recognition", "eval", "--embedder", "demo", "--benchmarks", f"{LONG}.bin"],
        ["recognition", "export", "--embedder", LONG, "--out", "a.onnx"],
        ["recognition", "train", "--data", LONG, "--recipe", "cls", "--outdir", "out"],
        ["recognition", "train", "--data", "faces", "--recipe", "cls", "--outdir", LONG],
        ["render", "--identities", "1", "--images-per-identity", "1", "--outdir", LONG],
        ["validate", LONG],
    ],
)
def test_a_name_that_is_too_long(
    fails: Callable[..., str],
    rendered_faces: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: list[str],
) -> None:
    (tmp_path / "faces").symlink_to(rendered_faces)
    monkeypatch.chdir(tmp_path)
    assert LONG in fails(*command)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_device_that_is_not_there(generate: Callable[..., str]) -> None:
    assert "this machine has none; use --device cpu or auto" in generate("--device", "cuda")


@pytest.fixture
def faces(dataset: Path, tmp_path: Path) -> Path:
    return shutil.copytree(dataset, tmp_path / "faces")


def test_a_folder_with_another_plan(generate: Callable[..., str], faces: Path, run: Run, network: Path) -> None:
    (faces / "notes.txt").write_text("mine")
    (faces / "data" / "other.bin").write_text("mine too")
    errors = generate("--seed", 7)
    assert errors.splitlines() == [
        f"sface-data: {faces}: holds another data set; choose another folder, or replace it with --overwrite. "
        "Asked for, and held:",
        "  samples_per_class: 2, not 6",
        "  base_seed: 7, not 0",
        "  samples_per_shard: 10000, not 25",
    ]
    arguments = ["--network", network, *SMALL, "--seed", 7]
    code, _, errors = run("generate", "--outdir", faces, *arguments, "--overwrite")
    assert code == 0, errors
    assert (faces / "notes.txt").read_text() == "mine"
    assert (faces / "data" / "other.bin").read_text() == "mine too"
    fresh = faces.parent / "fresh"
    assert run("generate", "--outdir", fresh, *arguments)[0] == 0
    left = {name: digest for name, digest in tree(faces).items() if name not in ("notes.txt", "data/other.bin")}
    assert left == tree(fresh)


def test_overwriting_removes_the_centres_of_truncation(run: Run, network: Path, tmp_path: Path) -> None:
    arguments = ["generate", "--network", network, "--outdir", tmp_path / "faces", *SMALL, "--classes", "1"]
    assert run(*arguments, "--trunc", 0.5, "--trunc-center", "class")[0] == 0
    assert (tmp_path / "faces" / "class_w_avg.safetensors").exists()
    assert run(*arguments, "--overwrite")[0] == 0
    assert not (tmp_path / "faces" / "class_w_avg.safetensors").exists()
    assert run("validate", tmp_path / "faces")[0] == 0


@pytest.mark.parametrize(
    ("name", "words"), [("notes.txt", "is no folder of a data set"), ("manifest.json", "made by sface-data")]
)
def test_a_folder_of_somebody_else(generate: Callable[..., str], tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "faces").mkdir()
    (tmp_path / "faces" / name).write_text('{"plan": 3}')
    for options in ([], ["--overwrite"]):
        sentence = generate(*options)
        assert str(tmp_path / "faces") in sentence
        assert words in sentence


@pytest.mark.parametrize("text", ["{", "{}", "[]"])
def test_an_unfinished_folder_whose_plan_is_broken(
    generate: Callable[..., str], tmp_path: Path, text: str
) -> None:
    (tmp_path / "faces" / ".sface-data-build").mkdir(parents=True)
    (tmp_path / "faces" / ".sface-data-build" / "plan.json").write_text(text)
    assert f"{tmp_path / 'faces'}: .sface-data-build/plan.json is broken" in generate()


def test_a_file_as_folder(generate: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "faces").write_text("a file")
    assert f"{tmp_path / 'faces'}: a file; give a folder" in generate()
    assert f"{tmp_path / 'faces' / 'below'}: Not a directory" in generate("--outdir", tmp_path / "faces" / "below")


def test_a_folder_that_cannot_be_written(generate: Callable[..., str], tmp_path: Path) -> None:
    if sys.platform == "linux":
        assert "/proc/faces: " in generate("--outdir", "/proc/faces")
    if hasattr(os, "geteuid") and os.geteuid() != 0:
        (tmp_path / "locked").mkdir(mode=0o500)
        assert "Permission denied" in generate("--outdir", tmp_path / "locked" / "faces")


@pytest.mark.parametrize("command", [["validate"], ["card"], ["preview", "--out", "grid.png"]])
def test_a_folder_that_is_no_data_set(fails: Callable[..., str], tmp_path: Path, command: list[str]) -> None:
    assert f"{tmp_path}: no finished data set, as it has no manifest.json" in fails(*command, tmp_path)
    assert "does not exist" in fails(*command, tmp_path / "none")
    (tmp_path / "file").write_text("")
    assert "is a file" in fails(*command, tmp_path / "file")


def test_a_preview_into_a_missing_folder(fails: Callable[..., str], dataset: Path, tmp_path: Path) -> None:
    out = tmp_path / "none" / "grid.png"
    assert f"{out}: cannot be written, as {out.parent} is no folder" in fails("preview", dataset, "--out", out)
    assert "must end in .png" in fails("preview", dataset, "--out", dataset / "data" / "train-000000.tar")
    (tmp_path / "folder.png").mkdir()
    assert f"{tmp_path / 'folder.png'}: Is a directory" in fails(
        "preview", dataset, "--out", tmp_path / "folder.png"
    )


def test_an_empty_path(fails: Callable[..., str], golden: Path) -> None:
    assert "path is empty" in fails("generate", "--network", golden / "conditional-32.pkl", "--outdir", "")
    assert "path is empty" in fails("validate", "")


def test_truncation_towards_the_class_that_changes_nothing(fails: Callable[..., str], golden: Path) -> None:
    network = ["--network", golden / "conditional-32.pkl", "--outdir", "none"]
    assert "smaller psi" in fails("generate", *network, "--trunc-center", "class")


def test_what_is_there_goes_only_if_the_new_can_be_made(
    fails: Callable[..., str], golden: Path, dataset: Path, tmp_path: Path
) -> None:
    from sface_data.generator.generator_file import load_generator, save_generator

    folder, broken = tmp_path / "faces", tmp_path / "broken.safetensors"
    shutil.copytree(dataset, folder)
    generator = load_generator(golden / "conditional-32.pkl").generator
    generator.synthesis.get_submodule("b8.conv1").bias.data[3] = 3e38  # the gain of the layer makes it infinite
    save_generator(generator, broken)
    before = tree(folder)
    assert "not finite" in fails("generate", "--network", broken, "--outdir", folder, "--overwrite")
    assert tree(folder) == before


def test_a_preview_of_broken_shards(fails: Callable[..., str], faces: Path, tmp_path: Path) -> None:
    shard = faces / "data" / "train-000000.tar"
    data = shard.read_bytes()
    preview = ["preview", faces, "--out", tmp_path / "grid.png"]
    start = data.index(b"\xff\xd8\xff")
    shard.write_bytes(data[:start] + b"\0\0\0" + data[start + 3 :])
    assert f"{shard}: 000000_000000: not an image of the format JPEG" in fails(*preview)
    shard.write_bytes(bytes(10240))
    assert f"{shard}: 000000_000000.jpg is missing" in fails(*preview)
    shard.write_bytes(data[:20_000])
    assert f"{shard}: ends early or is broken after '000003_000000'" in fails(*preview)
    shard.unlink()
    assert f"{shard}: No such file" in fails(*preview)


def after_the_second_shard(then: Callable[[], object], setattr: Callable[..., object] = setattr) -> None:
    """Does something when the second shard of a data set is finished."""

    def replace(source: Path, target: Path, really: Callable[..., None] = os.replace) -> None:
        really(source, target)
        if target.name == "train-000001.tar":
            then()

    setattr(os, "replace", replace)


def in_shards(network: Path, directory: Path) -> list[str]:
    """The command of a data set of 20 images in three shards."""
    arguments = ["generate", "--network", network, "--outdir", directory, *SMALL, "--samples-per-shard", 8]
    return [str(argument) for argument in arguments]


def test_two_runs_on_one_folder(run: Run, network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = tmp_path / "faces"
    command, others = in_shards(network, directory), []
    after_the_second_shard(lambda: others.append(run(*command)), monkeypatch.setattr)
    assert run(*command)[0] == 0
    assert others == [(2, "", f"sface-data: {directory}: another process is filling this folder; wait for it\n")]


def signalled(command: list[str], number: signal.Signals, said: Path) -> None:
    """The program in this process, which gets a signal amid its work."""
    from sface_data.__main__ import run

    os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT), sys.stderr.fileno())
    signal.signal(number, signal.SIG_DFL)  # the background of a shell ignores it, and so would we
    after_the_second_shard(lambda: signal.raise_signal(number))
    sys.argv = ["sface-data", *command]
    run()


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        (signal.SIGINT, "interrupted"),
        (signal.SIGTERM, "stopped by SIGTERM"),
        (signal.SIGHUP, "stopped by SIGHUP"),
    ],
)
def test_a_signal(network: Path, tmp_path: Path, number: signal.Signals, sentence: str) -> None:
    directory, said = tmp_path / "faces", tmp_path / "said"
    process = SERVER.Process(target=signalled, args=(in_shards(network, directory), number, said))
    process.start()
    process.join()
    errors = said.read_text()
    assert process.exitcode == 128 + number, errors
    assert errors.splitlines()[-1] == f"sface-data: {sentence}; run the same command again to go on"
    assert "Traceback" not in errors
    assert not list(directory.rglob("*.part"))
    assert not (directory / "manifest.json").exists()
