"""Files that others could have written: one that is good of each kind, and what reads it."""

import io
import json
import pickle
import tarfile
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

Read = Callable[[Path], object]
Files = dict[str, bytes]
ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Target:
    """A kind of file: its name, one that is good, and what reads it in a folder of its own."""

    name: str
    make: Callable[[], bytes]
    read: Read


def among(files: Callable[[], Files], name: str, read: Read) -> Target:
    """One file of a folder, with what reads the folder."""

    def read_folder(path: Path) -> object:
        folder = path.parent / "folder"
        for each, data in files().items():
            (folder / each).parent.mkdir(parents=True, exist_ok=True)
            (folder / each).write_bytes(data)
        path.replace(folder / name)
        return read(folder)

    return Target(Path(name).name, lambda: files()[name], read_folder)


def below(folder: Path) -> Files:
    """All files of a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# --- faces ------------------------------------------------------------------------------------------------------


def picture(form: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(buffer, form)
    return buffer.getvalue()


def read_image(path: Path) -> object:
    from sface_data.io.images import decode_image

    return decode_image(path.read_bytes(), str(path))


def faces_of(path: Path) -> object:
    from sface_data.faces.sources import open_source

    return [face.decode() for face in open_source(path)]


def shard(label: tuple[str, Callable[[int], bytes]] = ("json", lambda number: b'{"label": %d}' % number)) -> bytes:
    """Four faces of two people; `label` ends a file's name, and makes what is in it."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for number in range(4):
            for end, data in (("jpg", picture("JPEG")), (label[0], label[1](number % 2))):
                info = tarfile.TarInfo(f"{number:04d}.{end}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def array(number: int) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.array(number))
    return buffer.getvalue()


@lru_cache
def records() -> Files:
    """As insightface packs them, and as DCFace's code does, with a list."""
    from tests.forms import write_listed_records, write_records

    faces = [(number // 2, picture("JPEG")) for number in range(6)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "listed").mkdir()
        (folder / "packed").mkdir()
        write_listed_records(folder / "listed", faces)
        write_records(folder / "packed" / "train.rec", faces)
        return below(folder)


@lru_cache
def database() -> bytes:
    from tests.forms import write_lmdb

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.lmdb"
        write_lmdb(path, [(number % 2, picture("JPEG")) for number in range(4)], classnum=2)
        return path.read_bytes()


@lru_cache
def tables() -> Files:
    """As `datasets` saves faces: in its own form, and in Parquet."""
    import datasets

    from tests.forms import make_datasets

    datasets.disable_progress_bars()
    with tempfile.TemporaryDirectory() as name:
        make_datasets(
            [(number // 2, picture("JPEG")) for number in range(6)], Path(name) / "disk", Path(name) / "table"
        )
        return below(Path(name))


def rows_of(path: Path) -> object:
    import datasets

    datasets.config.HF_DATASETS_CACHE = path / "cache"
    return faces_of(path)


def stylegan() -> Files:
    listed = [[f"00000/img0000000{number}.png", number] for number in range(2)]
    images = {str(name): picture() for name, _ in listed}
    return images | {"dataset.json": json.dumps({"labels": listed}).encode()}


def with_card() -> Files:
    facts = b"license: cc0-1.0\ndataset_info:\n  features:\n  - name: cls\n    dtype:\n      class_label:\n"
    names = (
        b"        names:\n          '0': a\n          '1': b\n  splits:\n  - name: train\n    num_examples: 4\n"
    )
    return {"a.tar": shard(), "README.md": b"---\n" + facts + names + b"---\n# Faces\n"}


def checked_faces(folder: Path) -> object:
    from sface_data.faces.sources import open_source
    from sface_data.recognition.check_dataset import check_counts_and_labels

    return check_counts_and_labels(folder, open_source(folder))


# --- benchmarks -------------------------------------------------------------------------------------------------


def benchmark() -> bytes:
    return pickle.dumps(([picture("JPEG")] * 8, [True, False] * 2), 2)


def read_benchmark(path: Path) -> object:
    from sface_data.recognition.benchmark_files import read_bin

    return read_bin(path)


def pairs() -> Files:
    images = {f"{name}/{name}_000{number}.jpg": picture("JPEG") for name in ("Ann", "Bob") for number in (1, 2)}
    listed = b"1\t2\nAnn\t1\t2\nBob\t1\t2\nAnn\t1\tBob\t1\nAnn\t2\tBob\t2\n"
    table = b"path1,path2,same\nAnn/Ann_0001.jpg,Ann/Ann_0002.jpg,1\nAnn/Ann_0001.jpg,Bob/Bob_0001.jpg,0\n"
    return images | {"pairs.txt": listed, "pairs.csv": table}


def read_pairs(name: str) -> Read:
    def read(folder: Path) -> object:
        from sface_data.recognition.benchmarks import open_benchmark

        return open_benchmark(folder / name)

    return read


def pairs_table() -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    images = [picture("JPEG")] * 4
    buffer = io.BytesIO()
    pq.write_table(pa.table({"image1": images, "image2": images, "same": [True, False] * 2}), buffer)
    return buffer.getvalue()


@lru_cache
def repeating_table() -> bytes:
    """One so large, by what rows may repeat of others, that it is looked through before it is read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    numbers = np.random.default_rng(0).integers(0, 900, 6000).tolist()
    texts = [number.to_bytes(2, "big") * 100 for number in numbers]
    columns = {
        "image1": texts,
        "image2": texts,
        "same": [True, False] * 3000,
        "names": [[text[:9]] * 2 for text in texts],
        "numbers": [[1, 2]] * 6000,
    }
    packing: dict[str, Any] = {"use_dictionary": ["image1", "names.list.element"], "row_group_size": 3500}
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer, column_encoding={"image2": "DELTA_BYTE_ARRAY"}, **packing)
    return buffer.getvalue()


def read_pairs_table(path: Path) -> object:
    from sface_data.recognition.pairs_table import read_table

    return read_table(path)


# --- networks and training --------------------------------------------------------------------------------------


def snapshot() -> bytes:
    return (ROOT / "tests" / "golden" / "conditional-32.pkl").read_bytes()


@lru_cache
def generator_weights() -> bytes:
    import torch

    from sface_data.generator.config import GeneratorConfig
    from sface_data.generator.generator_file import save_generator
    from sface_data.generator.networks import Generator

    torch.manual_seed(0)
    sizes = {"z_dim": 4, "c_dim": 2, "w_dim": 4, "img_resolution": 8, "mapping_layers": 1}
    generator = Generator(GeneratorConfig(**sizes, channel_base=32, channel_max=4, conv_clamp=None))
    with tempfile.TemporaryDirectory() as folder:
        save_generator(generator, Path(folder) / "a.safetensors")
        return (Path(folder) / "a.safetensors").read_bytes()


def read_generator(path: Path) -> object:
    from sface_data.generator.generator_file import load_generator

    return load_generator(path)


@lru_cache
def backbone() -> Files:
    """As a run of ours saves it, and as others do."""
    import torch

    from sface_data.embedding.backbone_file import save_backbone
    from sface_data.embedding.backbones import create_backbone

    torch.manual_seed(0)
    network = create_backbone("tiny", 8)
    with tempfile.TemporaryDirectory() as folder:
        save_backbone(network, "tiny", 8, {"epochs": 1}, Path(folder) / "a.safetensors")
        torch.save({"state_dict": network.state_dict()}, Path(folder) / "a.pth")
        return below(Path(folder))


def read_backbone(path: Path) -> object:
    from sface_data.embedding.backbone_file import load_backbone

    return load_backbone(path)


def onnx_file() -> bytes:
    from onnx import TensorProto, helper

    nodes = [
        helper.make_node("Sub", ["x", "mean"], ["a"]),
        helper.make_node("Div", ["a", "mean"], ["b"]),
        helper.make_node("Flatten", ["b"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 192])],
        [helper.make_tensor("mean", TensorProto.FLOAT, [3], [127.5] * 3)],
    )
    return helper.make_model(graph).SerializeToString()


def read_onnx(path: Path) -> object:
    from sface_data.embedding.onnx_input import preparation
    from sface_data.runtime.onnx_session import load_model

    return preparation(path, load_model(path, path.read_bytes()))


def read_metrics(path: Path) -> object:
    from sface_data.training.metrics_log import read_lines

    return read_lines(path)


# --- what we write ----------------------------------------------------------------------------------------------


def small_plan(samples_per_class: int) -> Any:
    from sface_data.dataset.plan import ImageFormat, SamplePlan

    return SamplePlan("0" * 64, 2, (0, 1), samples_per_class, image=ImageFormat(16))


@lru_cache
def data_set() -> Files:
    """A small data set with a certificate and results of recognition."""
    from sface_data.dataset.shard_writer import EncodedSample, Packed, pack, write_shard
    from sface_data.dataset.workspace import open_workspace
    from sface_data.release.contents import finish
    from tests.release.certificates import certify

    plan = small_plan(2)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with open_workspace(folder, plan) as workspace, workspace.alone():
            packed = (Packed(1, pack(EncodedSample(spec, picture("JPEG")), "jpg")) for spec in plan.shard(0))
            made = write_shard(folder, plan.shard_filename(0), packed, workspace.own)
            workspace.record(0, made, {"network": {"file": "a.pkl", "sha256": "0" * 64}})
            finish(workspace, workspace.found(), None)
        (folder / "evaluation.json").write_bytes(evaluation())
        certify(folder)
        return below(folder)


def evaluation() -> bytes:
    from sface_data.recognition.published import FORMAT

    row = {"name": "lfw", "accuracy": 0.9, "deviation": 0.01, "interval_95": [0.88, 0.92]}
    embedder = {"file": "a.onnx", "sha256": "0" * 64}
    return json.dumps({"evaluation": FORMAT, "embedder": embedder, "benchmarks": [row]}).encode()


def read_data_set(folder: Path) -> object:
    from sface_data import preview, validate, write_card

    found = validate(folder)
    preview(folder, folder.parent / "grid.png")
    return found, write_card(folder), faces_of(folder)


def read_certificate(folder: Path) -> object:
    """With the digest that its content has, so that what is in it is looked at."""
    from sface_data.auditing import certificate
    from sface_data.io.files import parse_json

    path = folder / certificate.CERTIFICATE
    try:
        statement = parse_json(path.read_bytes())
        statement["predicate"]["certificate_sha256"] = certificate._own_digest(statement)
        path.write_bytes(certificate._bytes(statement))
    except (ValueError, TypeError, LookupError, AttributeError):
        pass
    return read_data_set(folder)


@lru_cache
def alignment() -> bytes:
    from sface_data.dataset.found_faces import FoundFaces

    indices = np.array([[0, 1, 2]] * 2)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.safetensors"
        FoundFaces((0, 1), indices, np.ones((2, 3, 5, 2), np.float32)).save(path, small_plan(3))
        return path.read_bytes()


def read_alignment(path: Path) -> object:
    from sface_data.dataset.found_faces import FoundFaces

    return FoundFaces.load(path, small_plan(3))


@lru_cache
def embeddings() -> Files:
    from sface_data.embedding.embed import listed_sha256
    from sface_data.embedding.embeddings import EmbeddingSet
    from sface_data.embedding.embeddings_folder import Index, Part, UsedEmbedder
    from sface_data.io.files import sha256_of_file

    keys, digests = ("a", "b", "c"), tuple(f"{number:064d}" for number in range(3))
    made = EmbeddingSet(
        keys, ("1", "2"), np.array([0, 0, 1]), np.eye(3, dtype=np.float32), "a" * 64, "b" * 64, digests
    )
    made = replace(made, source_sha256=listed_sha256(made))
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "part-000000.parquet"
        made.save(path)
        part = Part(path.name, sha256_of_file(path), 3)
        used = UsedEmbedder("a", made.embedder_sha256, 3)
        Index("sface-data embeddings folder 1", used, None, made.source_sha256, 3, 2, (part,)).save(Path(name))
        return below(Path(name))


def read_embeddings(path: Path) -> object:
    from sface_data.embedding.embeddings import EmbeddingSet

    return EmbeddingSet.load(path)


def read_embeddings_folder(folder: Path) -> object:
    from sface_data.embedding.embeddings_folder import open_embeddings

    return open_embeddings(folder)


def unfinished() -> Files:
    return {".sface-data-build/plan.json": json.dumps(small_plan(2).to_json()).encode()}


def read_unfinished(folder: Path) -> object:
    from sface_data.dataset.workspace import plan_in

    return plan_in(folder)


# --- what people write ------------------------------------------------------------------------------------------


def policy() -> bytes:
    text = (ROOT / "cards" / "policies" / "strict.toml").read_bytes()
    return text.replace(b'"strict"', b'"mine"', 1)


def read_policy(path: Path) -> object:
    from sface_data.auditing.policy import load_policy

    return load_policy(str(path))


def answers() -> bytes:
    from sface_data.release.datasheet import QUESTIONS

    return "".join(f'{name} = "One sentence."\n' for name in QUESTIONS).encode()


def read_answers(path: Path) -> object:
    from sface_data.release.datasheet import read_answers as read

    return read(path)


def public_key() -> bytes:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    key = Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key()
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def read_key(path: Path) -> object:
    from sface_data.auditing.signature import load_public_key

    return load_public_key(path)


TARGETS = {
    "lmdb": Target("a.lmdb", database, faces_of),
    "records": among(records, "packed/train.rec", lambda folder: faces_of(folder / "packed")),
    "record index": among(records, "packed/train.idx", lambda folder: faces_of(folder / "packed")),
    "record property": among(records, "packed/property", lambda folder: faces_of(folder / "packed")),
    "record list": among(records, "listed/list.txt", lambda folder: faces_of(folder / "listed")),
    "shard": Target("a.tar", shard, faces_of),
    "labelled shard": Target("a.tar", lambda: shard(("npy", array)), faces_of),
    "table": among(tables, "table/train-00000-of-00001.parquet", lambda folder: rows_of(folder / "table")),
    "rows": among(tables, "disk/data-00000-of-00001.arrow", lambda folder: rows_of(folder / "disk")),
    "features": among(tables, "disk/dataset_info.json", lambda folder: rows_of(folder / "disk")),
    "state": among(tables, "disk/state.json", lambda folder: rows_of(folder / "disk")),
    "stylegan": among(stylegan, "dataset.json", faces_of),
    "card": among(with_card, "README.md", checked_faces),
    "jpeg": Target("a.jpg", lambda: picture("JPEG"), read_image),
    "png": Target("a.png", picture, read_image),
    "tiff": Target("a.tif", lambda: picture("TIFF"), read_image),
    "webp": Target("a.webp", lambda: picture("WEBP"), read_image),
    "bmp": Target("a.bmp", lambda: picture("BMP"), read_image),
    "benchmark": Target("a.bin", benchmark, read_benchmark),
    "pairs list": among(pairs, "pairs.txt", read_pairs("pairs.txt")),
    "pairs csv": among(pairs, "pairs.csv", read_pairs("pairs.csv")),
    "pairs table": Target("a.parquet", pairs_table, read_pairs_table),
    "repeating table": Target("a.parquet", repeating_table, read_pairs_table),
    "snapshot": Target("a.pkl", snapshot, read_generator),
    "weights": Target("a.safetensors", generator_weights, read_generator),
    "backbone": Target("a.safetensors", lambda: backbone()["a.safetensors"], read_backbone),
    "checkpoint": Target("a.pth", lambda: backbone()["a.pth"], read_backbone),
    "onnx": Target("a.onnx", onnx_file, read_onnx),
    "metrics": Target("a.jsonl", lambda: b'{"kimg": 1, "loss": 0.5}\n' * 4, read_metrics),
    "manifest": among(data_set, "manifest.json", read_data_set),
    "own card": among(data_set, "README.md", read_data_set),
    "own shard": among(data_set, "data/train-000000.tar", read_data_set),
    "evaluation": among(data_set, "evaluation.json", read_data_set),
    "certificate": among(data_set, "audit/certificate.json", read_certificate),
    "alignment": Target("a.safetensors", alignment, read_alignment),
    "plan": among(unfinished, ".sface-data-build/plan.json", read_unfinished),
    "embeddings": Target("a.parquet", lambda: embeddings()["part-000000.parquet"], read_embeddings),
    "embeddings list": among(embeddings, "embeddings.json", read_embeddings_folder),
    "policy": Target("a.toml", policy, read_policy),
    "answers": Target("a.toml", answers, read_answers),
    "key": Target("a.pem", public_key, read_key),
}
