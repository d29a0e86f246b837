"""Data sets of identities that the generator was not trained on."""

import csv
import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from sface_data.auditing.run import AuditOptions, PreparedAudit
from sface_data.dataset.drawn_identities import read_relations
from sface_data.dataset.manifest import Manifest
from sface_data.dataset.shard_reader import read_shard
from sface_data.errors import BadInput
from sface_data.io.files import sha256_of_file
from sface_data.release.generate import generate

Run = Callable[..., tuple[int, str, str]]
SMALL = {"size": 16, "precision": "fp32", "device": "cpu", "samples_per_class": 2, "batch": 8}


def images(directory: Path) -> dict[str, bytes]:
    """The images of a data set by key."""
    shards = sorted(directory.glob("data/*.tar"))
    return {sample.key: sample.members["jpg"] for shard in shards for sample in read_shard(shard)}


def make(outdir: Path, golden: Path, **options: object) -> Manifest:
    made = generate(outdir, network=golden / "conditional-32.pkl", **{**SMALL, **options})  # type: ignore[arg-type]
    return made.manifest


@pytest.fixture(scope="module")
def new(tmp_path_factory: pytest.TempPathFactory, golden: Path) -> Path:
    """24 new identities x 2 images. For reading only."""
    outdir = tmp_path_factory.mktemp("new") / "new"
    make(outdir, golden, new_identities=24)
    return outdir


def test_the_same_bytes_again_and_fewer_are_the_first(new: Path, golden: Path, tmp_path: Path, run: Run) -> None:
    again, few = (
        make(tmp_path / "again", golden, new_identities=24),
        make(tmp_path / "few", golden, new_identities=9),
    )
    assert [s.sha256 for s in again.shards] == [s.sha256 for s in Manifest.load(new).shards]
    assert again.side_files == Manifest.load(new).side_files
    of_all = images(new)
    assert len(of_all) == 48 and len(set(of_all.values())) == 48
    assert images(tmp_path / "few") == {key: data for key, data in of_all.items() if int(key[:6]) < 9}
    assert few.plan.class_name(8) == "new_000008"
    assert run("validate", new)[0] == 0


def test_what_the_folder_says_of_them(new: Path, run: Run, tmp_path: Path) -> None:
    manifest = Manifest.load(new)
    assert manifest.plan.classes == tuple(range(24)) and manifest.plan.generator_classes == 10
    listed = manifest.identities
    assert listed is not None
    assert sha256_of_file(new / listed.filename) == listed.sha256
    assert sha256_of_file(new / listed.relations) == listed.relations_sha256
    assert load_file(new / listed.filename)["embeddings"].shape == (24, 64)
    with (new / listed.relations).open() as file:
        rows = list(csv.DictReader(file))
    assert [row["class_name"] for row in rows] == [f"new_{i:06d}" for i in range(24)]
    assert all(0 <= int(row["nearest_training_class"]) < 10 and row["parents"] == "" for row in rows)
    assert '"23": new_000023' in (new / "README.md").read_text().replace("'", '"')


def test_a_damaged_file_is_named_and_made_again(new: Path, golden: Path, tmp_path: Path, run: Run) -> None:
    outdir = tmp_path / "new"
    make(outdir, golden, new_identities=9)
    before = {path: path.read_bytes() for path in outdir.rglob("*") if path.is_file()}
    (outdir / "identities.csv").write_text("class_index\n")
    (outdir / "identities.safetensors").unlink()
    code, out, err = run("validate", outdir)
    assert code == 1 and "identities.csv" in out + err and "identities.safetensors" in out + err
    make(outdir, golden, new_identities=9)
    assert {path: path.read_bytes() for path in outdir.rglob("*") if path.is_file()} == before


def test_mixtures_and_their_parents(golden: Path, tmp_path: Path) -> None:
    manifest = make(tmp_path / "mix", golden, new_identities=5, mix=3, trunc=0.5, trunc_center="class")
    assert manifest.plan.class_name(0) == "mix3_000000" and manifest.class_centers is not None
    centers = load_file(tmp_path / "mix" / manifest.class_centers.filename)["w_avg"]
    assert centers.shape[0] == 5 and len(np.unique(centers, axis=0)) == 5
    with (tmp_path / "mix" / "identities.csv").open() as file:
        parents = [row["parents"].split() for row in csv.DictReader(file)]
    assert all(len(set(row)) == 3 for row in parents)


def test_dry_run_says_how_many_draws_were_rejected(golden: Path, tmp_path: Path, run: Run) -> None:
    arguments = ("generate", "--network", golden / "conditional-32.pkl", "--outdir", tmp_path / "out", "--dry-run")
    code, out, _ = run(*arguments, "--new-identities", 60, "--samples-per-class", 1, "--size", 16)
    rejected = int(out.split("seed 0; ")[1].split()[0].replace(",", ""))
    assert code == 0 and rejected > 0 and not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("network", "options", "sentence"),
    [
        ("unconditional-32", ("--new-identities", 3), "unconditional"),
        ("conditional-32", ("--new-identities", 3, "--classes", "0-2"), "leave it out with --new-identities"),
        ("conditional-32", ("--new-identities", 3, "--mix", 11), "the network has 10"),
        ("conditional-32", ("--new-identities", 3, "--mix", 1), "at least 2 classes"),
        ("conditional-32", ("--new-identities", 46, "--mix", 2), "there are 45"),
        ("conditional-32", ("--new-identities", 0), "must be 1 to 999,999,999"),
        ("conditional-32", ("--new-identities", 3, "--identity-seed", -1), "0 or more"),
        ("conditional-32", ("--mix", 2), "--new-identities N"),
        ("conditional-32", ("--identity-seed", 2), "--new-identities N"),
    ],
)
def test_bad_input(
    golden: Path, tmp_path: Path, run: Run, network: str, options: tuple[object, ...], sentence: str
) -> None:
    code, _, err = run("generate", "--network", golden / f"{network}.pkl", "--outdir", tmp_path / "out", *options)
    assert code == 2 and sentence in err and not (tmp_path / "out").exists()


def test_a_folder_that_holds_trained_classes(dataset: Path, golden: Path, run: Run) -> None:
    before = (dataset / "manifest.json").read_bytes()
    network = golden / "conditional-32.pkl"
    code, _, err = run("generate", "--network", network, "--outdir", dataset, "--new-identities", 3)
    assert code == 2 and "holds another data set" in err and "identities.seed: 0, not None" in err
    assert (dataset / "manifest.json").read_bytes() == before
    assert "identities" not in json.loads(before)


def test_the_audit_looks_at_the_people_whom_the_manifest_names(
    new: Path, golden: Path, dataset: Path, embedder_file: Callable[..., Path], tmp_path: Path
) -> None:
    judge = embedder_file(tmp_path / "judge.onnx")
    options = AuditOptions(training=dataset, outdir=tmp_path / "audit", embedder=[judge], policy="paper")
    certificate = PreparedAudit.of(new, options).run().certificate
    assert certificate.verdict != "pass"
    assert [check["relation"] for check in certificate.checks if check["name"] == "same-label-auc"] == [
        "claim",
        "search",
    ]
    assert "the training person whom the manifest names as nearest" in certificate.in_words


def test_the_table_of_relations_is_read_as_the_manifest_lists_it(new: Path, golden: Path, tmp_path: Path) -> None:
    claims = read_relations(new, Manifest.load(new))
    rows = list(csv.DictReader((new / "identities.csv").read_text().splitlines()))
    assert claims["new_000003"] == (int(rows[3]["nearest_training_class"]),) and len(claims) == 24
    mixed = make(tmp_path / "mixed", golden, new_identities=3, mix=2)
    assert all(len(parents) == 2 for parents in read_relations(tmp_path / "mixed", mixed).values())
    table = tmp_path / "mixed" / "identities.csv"
    lines = table.read_text().splitlines(keepends=True)
    assert mixed.identities is not None
    for changed, sentence in (
        ([*lines, "3,new_000003,1,0.5,\n"], "its classes are not those of the data set"),
        ([*lines, lines[-1]], "its classes are not those of the data set"),
        (lines[:-1], "its classes are not those of the data set"),
        (
            [*lines[:-1], lines[-1].replace(lines[-1].split(",")[-1], "0 999\n")],
            "relates to classes that the generator",
        ),
    ):
        table.write_text("".join(changed))
        with pytest.raises(BadInput, match=r"not the table that manifest\.json lists"):
            read_relations(tmp_path / "mixed", mixed)
        now = dataclasses.replace(mixed.identities, relations_sha256=sha256_of_file(table))
        with pytest.raises(BadInput, match=rf"identities\.csv: {sentence}"):
            read_relations(tmp_path / "mixed", dataclasses.replace(mixed, identities=now))
