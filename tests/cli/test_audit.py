"""`sface-data audit`, from shards to certificate, and whatever it is given wrongly."""

import dataclasses
import html
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import sface_data
from sface_data.auditing.certificate import CERTIFICATE, REPORT, load_certificate
from sface_data.auditing.run import AuditOptions, PreparedAudit
from sface_data.auditing.sets.judged_sets import RELEASE
from sface_data.auditing.simulation import Leak, World, simulate
from sface_data.dataset.manifest import Manifest
from sface_data.embedding.embeddings_folder import open_embeddings
from sface_data.faces.base import identity_mark
from sface_data.faces.face_list import FaceList
from sface_data.faces.sources import open_source
from sface_data.generator.generator_file import TrainedOn, load_generator, save_generator
from sface_data.rendered.folder import RenderRequest, fill_folder

Run = Callable[..., tuple[int, str, str]]
ASSET = Path(sface_data.__file__).parent / "assets" / "demo_embedder.onnx"


def rendered(outdir: Path, identities: int, images: int, seed: int, size: int = 112) -> Path:
    for _ in fill_folder(outdir, RenderRequest(identities, images, size=size, seed=seed), workers=1):
        pass
    return outdir


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Rendered faces of ten training people, under the names of the classes of `dataset`, and of eight others."""
    folder = tmp_path_factory.mktemp("people")
    return {
        "training": rendered(folder / "training", 10, 4, 0, 32),
        "control": rendered(folder / "control", 8, 4, 5, 32),
    }


@pytest.fixture
def judge(embedder_file: Callable[..., Path], tmp_path: Path) -> Path:
    """A judge that guesses."""
    return embedder_file(tmp_path / "judge.onnx")


def test_a_data_set_is_audited_and_says_so(
    run: Run, dataset: Path, people: dict[str, Path], judge: Path, tmp_path: Path
) -> None:
    faces, out = shutil.copytree(dataset, tmp_path / "faces"), tmp_path / "out"
    command = [
        "audit",
        faces,
        "--training",
        people["training"],
        "--control",
        people["control"],
        "--embedder",
        judge,
    ]
    code, output, errors = run(*command, "--outdir", out)
    assert code == 1 and output == ""
    assert errors.endswith(f"sface-data: {faces}: the verdict is inconclusive\n")
    certificate = load_certificate(out / "certificate.json")
    assert set(certificate.subjects) == {
        "manifest.json",
        *(f"data/train-{i:06d}.tar" for i in range(3)),
    }
    assert certificate.judges == ("judge.onnx",)
    for name in (CERTIFICATE, REPORT):
        assert (faces / name).read_bytes() == (out / Path(name).name).read_bytes()
    assert "Identity-relation audit: inconclusive" in (faces / "README.md").read_text()
    assert run("validate", faces)[0] == 0

    made = {path: path.stat().st_mtime_ns for path in (out / "cache").rglob("*.parquet")}
    assert run(*command, "--outdir", out)[0] == 1
    assert {path: path.stat().st_mtime_ns for path in made} == made  # embeddings are not made again
    assert load_certificate(out / "certificate.json") == certificate

    report = (out / "report.html").read_bytes()
    _, _, errors = run(*command, "--outdir", out, "--show-pairs")
    assert f"{out / 'pairs.html'}: the same with photographs" in errors
    text = (out / "pairs.html").read_text()
    assert "photographs of people from the training set" in text and "data:image/jpeg" in text
    assert (out / "report.html").read_bytes() == (faces / REPORT).read_bytes() == report
    assert b"data:image" not in report
    assert not list(faces.rglob("pairs.html"))  # nothing that shows people goes into the release
    assert run(*command, "--outdir", out)[0] == 1 and not (out / "pairs.html").exists()
    assert run("card", faces)[0] == 0 and run("validate", faces)[0] == 0


def test_a_class_is_compared_with_the_identity_that_it_was_trained_on(
    run: Run, people: dict[str, Path], judge: Path, golden: Path, tmp_path: Path
) -> None:
    names = ("0", "2", "3", "10", "11", "0000045", "0000100", "ann", "bob", "cleo")
    for old, new in zip(sorted(people["training"].glob("0*")), names, strict=True):
        shutil.copytree(old, tmp_path / "training" / new)
    network, generator = tmp_path / "network.safetensors", load_generator(golden / "conditional-32.pkl").generator
    marks = tuple(map(identity_mark, open_source(tmp_path / "training").class_names))
    save_generator(generator, network, trained_on=TrainedOn(identities=marks))  # as training does
    options = {"network": network, "samples_per_class": 2, "size": 32, "device": "cpu"}
    release = sface_data.generate(tmp_path / "faces", **options, classes="1,4-5,7-9").path
    assert "ann" not in (release / "manifest.json").read_text()  # nobody is told who was in training

    asked = AuditOptions(training=tmp_path / "training", outdir=tmp_path / "out", embedder=[judge], policy="paper")
    release_faces = PreparedAudit.of(release, asked).run().sets.by_role[RELEASE]
    assert list(release_faces.class_names) == ["2", "11", "0000045", "ann", "bob", "cleo"]
    assert set(release_faces.class_names) < set(names)
    arguments = ["--data", people["training"], "--embedder", judge]
    code, _, errors = run("generator", "metrics", network, *arguments)
    assert code == 2 and "of other people than" in errors

    new = sface_data.generate(tmp_path / "new", **options, new_identities=3).path
    claims = PreparedAudit.of(new, asked).run().sets.claims
    assert claims is not None and {name for row in claims.values() for name in row} <= set(names)


def test_numbers_that_may_be_names_or_places_are_refused(
    run: Run, dataset: Path, people: dict[str, Path], judge: Path, tmp_path: Path
) -> None:
    training = shutil.copytree(people["training"], tmp_path / "training")
    shutil.copytree(people["control"] / "000000", training / "000011")  # and no 10
    command = ["--training", training, "--embedder", judge, "--policy", "paper", "--outdir", tmp_path / "out"]
    for plan in ([], ["--plan"]):
        said = refused(run, dataset, *command, *plan)
        assert "whether class 2 is the identity 2 or the third one is not on record" in said
    (training / "000011").rename(training / "000010")
    copy = shutil.copytree(dataset, tmp_path / "copy")  # a certificate is put into its folder
    assert run("audit", copy, *command)[0] == 1  # not refused


@pytest.mark.parametrize(
    ("named", "fact", "said"),
    [
        ("given", "the same", "The training faces given are those that the generator's file names."),
        ("ab" * 32, "others", "The training faces given are not those that the generator's file names:"),
        (None, "none", "No file of the generator names the faces that it was trained on:"),
    ],
)
def test_it_says_whether_the_generator_names_the_training_faces(
    run: Run, dataset: Path, people: dict[str, Path], judge: Path, tmp_path: Path, named: str, fact: str, said: str
) -> None:
    faces, out = shutil.copytree(dataset, tmp_path / "faces"), tmp_path / "out"
    digest = FaceList.of(open_source(people["training"])).sha256 if named == "given" else named
    dataclasses.replace(Manifest.load(faces), training_faces_sha256=digest).save(faces)
    command = ["audit", faces, "--training", people["training"], "--embedder", judge, "--policy", "paper"]
    _, _, errors = run(*command, "--outdir", out)
    predicate = load_certificate(out / "certificate.json").statement["predicate"]
    assert predicate["inputs"]["training"]["named_by_generator"] == fact
    assert said in errors
    assert said in html.unescape((out / "report.html").read_text())
    assert said in html.unescape((faces / "README.md").read_text())


def test_a_certificate_of_another_release_is_named(
    run: Run, dataset: Path, people: dict[str, Path], judge: Path, tmp_path: Path
) -> None:
    faces = shutil.copytree(dataset, tmp_path / "faces")
    command = ["audit", faces, "--training", people["training"], "--embedder", judge, "--policy", "paper"]
    assert run(*command, "--outdir", faces / "audit")[0] == 1  # certificate and report in place
    manifest = faces / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"base_seed": 0', '"base_seed": 1'))
    code, _, errors = run("validate", faces)
    assert code == 1 and "was made for another manifest.json" in errors
    code, _, errors = run("card", faces)
    assert code == 2 and "was made for another manifest.json" in errors and "audit` again" in errors
    manifest.write_text(manifest.read_text().replace('"base_seed": 1', '"base_seed": 0'))
    assert run("validate", faces)[0] == 0


def test_a_signed_certificate(
    run: Run, people: dict[str, Path], dataset: Path, judge: Path, tmp_path: Path
) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ed25519

    key = ed25519.Ed25519PrivateKey.generate()
    pem = serialization.Encoding.PEM
    (tmp_path / "key.pem").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    (tmp_path / "public.pem").write_bytes(
        key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    faces = shutil.copytree(dataset, tmp_path / "faces")
    command = ["audit", faces, "--training", people["training"], "--embedder", judge, "--policy", "paper"]
    assert run(*command, "--outdir", tmp_path / "out", "--sign", tmp_path / "key.pem")[0] == 1
    assert run("validate", faces, "--public-key", tmp_path / "public.pem")[0] == 0
    (faces / "audit" / "certificate.sig").unlink()
    code, _, errors = run("validate", faces, "--public-key", tmp_path / "public.pem")
    assert code == 1 and "is not signed" in errors
    code, _, errors = run(*command, "--outdir", tmp_path / "out", "--sign", tmp_path / "public.pem")
    assert code == 2 and "no private key in PEM" in errors


@pytest.fixture
def embeddings(write_embeddings: Callable[..., Path], tmp_path: Path) -> dict[str, Path]:
    """A simulated audit as folders of embeddings."""
    sets = simulate(World(classes=120, images=10, authentic=6, control=20, control_images=5), Leak(), 0)
    assert sets.control is not None
    given = {"release": sets.release, "training": sets.training, "control": sets.control}
    return {name: write_embeddings(tmp_path / name, faces) for name, faces in given.items()}


def test_embeddings_made_before_need_no_embedder_and_can_pass(
    run: Run, embeddings: dict[str, Path], tmp_path: Path
) -> None:
    command = ["audit", embeddings["release"], "--training", embeddings["training"], "--outdir", tmp_path / "out"]
    code, _, errors = run(*command, "--policy", "paper")
    assert (code, errors.splitlines()[-1]) == (0, f"{embeddings['release']}: the verdict is pass")
    certificate = load_certificate(tmp_path / "out" / "certificate.json")
    assert certificate.subjects == {"faces": open_embeddings(embeddings["release"]).source_sha256}
    code, _, errors = run(*command)
    assert code == 1 and "the verdict is inconclusive" in errors


def change(folder: Path, to: Path, write: Callable[..., Path], **fields: object) -> Path:
    """A copy of a folder of embeddings with something changed in the set."""
    return write(to, dataclasses.replace(open_embeddings(folder), **fields))  # type: ignore[arg-type]


def refused(run: Run, *arguments: object) -> str:
    code, output, errors = run("audit", *arguments)
    lines = [line for line in errors.splitlines() if line.startswith("sface-data: ")]
    assert (code, output, len(lines)) == (2, "", 1), errors
    assert errors.splitlines()[-1] == lines[0]
    return lines[0].removeprefix("sface-data: ")


def test_embeddings_that_do_not_fit_together(
    run: Run, embeddings: dict[str, Path], write_embeddings: Callable[..., Path], judge: Path, tmp_path: Path
) -> None:
    out = ["--outdir", tmp_path / "out", "--policy", "paper"]
    release, training = embeddings["release"], embeddings["training"]

    def changed(name: str, **fields: object) -> Path:
        return change(training, tmp_path / name, write_embeddings, **fields)

    other = changed("other judge", embedder_sha256="1" * 64)
    assert "embeddings of two embedders" in refused(run, release, "--training", other, *out)
    short = changed("short", vectors=np.eye(16, dtype=np.float32)[np.arange(720) % 16])
    assert "64 and of 16 dimensions" in refused(run, release, "--training", short, *out)
    named = changed("named", class_names=tuple(f"p{c}" for c in range(120)))
    sentence = refused(run, release, "--training", named, *out)
    assert "120 of its 120 classes (such as '0') are no training identity" in sentence
    assert run("audit", release, "--training", named, *out, "--unrelated-labels")[0] == 1  # not asked, not passed
    twins = changed("twins", class_names=("0", "class_000000", *(str(c) for c in range(2, 120))))
    assert "the classes '0' and 'class_000000' count as one" in refused(run, release, "--training", twins, *out)
    one = changed("one", class_index=np.zeros(720, np.int64))
    assert "of 1 class; at least 2 are needed" in refused(run, release, "--training", one, *out)
    sentence = refused(run, release, "--training", training, "--embedder", judge, *out)
    assert "holds embeddings of another embedder" in sentence
    sentence = refused(run, release, "--training", training, "--control", training / ".", *out)
    assert sentence == f"{training}: given as training and as control; each is a set of its own"
    same = changed("same")
    sentence = refused(run, release, "--training", training, "--control", same, *out)
    assert "720 images of" in sentence and "a control group has people and images of its own" in sentence
    sentence = refused(run, release, "--training", training, "--held-out", same, *out)
    assert "held-out images are such as were not trained on" in sentence
    held = changed(
        "held", class_names=tuple(f"p{c}" for c in range(120)), image_sha256=tuple(map(str, range(720)))
    )
    sentence = refused(run, release, "--training", training, "--held-out", held, *out)
    assert "none of its classes is a training identity" in sentence
    again = changed("again", image_sha256=tuple(map(str, range(720))))
    sentence = refused(run, release, "--training", training, "--control", again, *out)
    assert f"are images of {training} in another form" in sentence


def test_judges_policies_and_shards_that_cannot_be_used(
    run: Run, dataset: Path, people: dict[str, Path], judge: Path, tmp_path: Path
) -> None:
    training, out = people["training"], ["--outdir", tmp_path / "out"]
    command = [dataset, "--training", training, *out]
    assert "holds images; name an embedder that judges them with --embedder" in refused(run, *command)
    missing = tmp_path / "missing.onnx"
    assert f"{missing}: No such file" in refused(run, *command, "--embedder", missing)
    twice = refused(run, *command, "--embedder", judge, "--embedder", shutil.copy(judge, tmp_path / "copy.onnx"))
    assert "copy.onnx: the same embedder as" in twice
    assert "no such policy" in refused(run, *command, "--embedder", judge, "--policy", "strickt")
    (tmp_path / "policy.toml").write_text('format = "sface-data policy 1"\nnmae = "x"\n')
    sentence = refused(run, *command, "--embedder", judge, "--policy", tmp_path / "policy.toml")
    assert "unknown key 'nmae' in the policy; did you mean 'name'?" in sentence
    assert "nowhere: does not exist" in refused(run, dataset, "--training", "nowhere", "--embedder", judge, *out)
    broken = shutil.copytree(dataset, tmp_path / "broken")
    shard = broken / "data" / "train-000001.tar"
    shard.write_bytes(shard.read_bytes()[:-512])
    sentence = refused(run, broken, "--training", training, "--embedder", judge, *out)
    assert "train-000001.tar: " in sentence and "`sface-data validate" in sentence
    assert not (tmp_path / "out" / "certificate.json").exists()


def test_what_can_be_refused_cheaply_is_refused_before_an_image_is_read(
    run: Run, dataset: Path, people: dict[str, Path], judge: Path, tmp_path: Path
) -> None:
    broken = shutil.copytree(dataset, tmp_path / "broken")
    (broken / "data" / "train-000001.tar").unlink()
    (tmp_path / "file").write_text("")
    command = [broken, "--training", people["training"], "--embedder", judge]
    assert "no such policy" in refused(run, *command, "--outdir", tmp_path / "out", "--policy", "strickt")
    assert "no such policy" not in refused(run, *command, "--outdir", tmp_path / "out")
    assert "no such policy" in refused(run, *command, "--outdir", tmp_path / "out", "--policy", "n" * 200)
    assert "File name too long" in refused(run, *command, "--outdir", tmp_path / "out", "--policy", "n" * 300)
    assert f"{tmp_path / 'file'}" in refused(run, *command, "--outdir", tmp_path / "file")
    assert "key.pem" in refused(run, *command, "--outdir", tmp_path / "out", "--sign", tmp_path / "key.pem")


def test_judges_whose_files_have_one_name_are_told_apart(
    run: Run, dataset: Path, people: dict[str, Path], embedder_file: Callable[..., Path], tmp_path: Path
) -> None:
    judges = []
    for seed in (1, 2):
        (tmp_path / str(seed)).mkdir()
        judges += ["--embedder", embedder_file(tmp_path / str(seed) / "judge.onnx", seed=seed)]
    faces, out = shutil.copytree(dataset, tmp_path / "faces"), tmp_path / "out"
    run("audit", faces, "--training", people["training"], *judges, "--policy", "paper", "--outdir", out)
    found = load_certificate(out / "certificate.json")
    assert len(set(found.judges)) == 2 and {check["judge"] for check in found.checks} >= set(found.judges)
    digests = [judge["sha256"][:12] for judge in found.statement["predicate"]["judges"]]
    assert list(found.judges) == [f"judge.onnx ({digest})" for digest in digests]


@pytest.mark.skipif(not ASSET.is_file(), reason="the embedder that ships has not been built")
def test_rendered_people_are_recognised_and_strangers_are_not(run: Run, tmp_path: Path) -> None:
    """New renders of training people leak; renders of other people do not, whatever their names."""
    training, leaking = rendered(tmp_path / "training", 11, 8, 100, 64), tmp_path / "leaking"
    control = rendered(tmp_path / "control", 16, 3, 200, 64)
    strangers = rendered(tmp_path / "strangers", 11, 3, 300, 64)
    for image in sorted(training.glob("*/00000[567].jpg")):  # of the same people, but not in training
        target = leaking / image.relative_to(training)
        target.parent.mkdir(parents=True, exist_ok=True)
        image.rename(target)
    for name, release, verdicts in (
        ("leaking", leaking, ("fail",)),
        ("strangers", strangers, ("pass", "inconclusive")),
    ):
        out = tmp_path / f"out-{name}"
        command = ["audit", release, "--training", training, "--control", control]
        code, _, errors = run(*command, "--embedder", ASSET, "--outdir", out)
        assert code in (0, 1), errors
        certificate = load_certificate(out / "certificate.json")
        assert certificate.verdict in verdicts, json.dumps(certificate.checks, indent=1)
