#!/usr/bin/env python3
"""How fast the parts of recognition are, each against a named baseline in the same run.

    scripts/bench_recognition.py                     all sections
    scripts/bench_recognition.py embedder --embedder judge.onnx

Prints images/s and the ratio to the baseline. Ratios hold on other machines better than figures.

embedder: `embed_source` from encoded images (digests, decoding, input, flip-sum, check) against the bare session
of ONNX Runtime on the same batches, decoded and prepared beforehand. Aim: 0.95.

loader: batches of training, shuffled and mirrored, from a shard, in two threads, against a plain pipeline of
webdataset and Pillow (shuffle buffer of 1000, decode, flip, batch) in two worker processes of torch's DataLoader,
and against the same pipeline in this process. Aim: 1.5.

training: steps of recipe cls, preset tiny, from a shard, against a naive loop: the same network and batch, images
decoded by Pillow between the steps, weights in torch's usual memory layout.
"""

import argparse
import dataclasses
import itertools
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import simplejpeg
import torch
import torch.nn.functional as F
import webdataset
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from side_by_side import Work, in_turns

from sface_data.embedding.backbones import create_backbone
from sface_data.embedding.embed import Embedding, embed_source
from sface_data.embedding.onnx_embedder import OnnxEmbedder, _planes
from sface_data.embedding.torch_embedder import network_input
from sface_data.faces.base import Source
from sface_data.faces.face_list import FaceList
from sface_data.faces.sources import open_source
from sface_data.recognition.faces import face_batches
from sface_data.recognition.recipe import recipe_of
from sface_data.recognition.train import Settings, Training
from sface_data.training.distributed import ProcessGroup

CPU = torch.device("cpu")


def main() -> None:
    sections: dict[str, Callable[[argparse.Namespace, Path], None]] = {
        "embedder": bench_embedder,
        "loader": bench_loader,
        "training": bench_training,
    }
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", choices=[*sections, []], help="[default: all]")
    parser.add_argument("--embedder", type=Path, help="embedder as .onnx  [default: random convolutions]")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--images", type=int, default=512)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.sections or sections:
            sections[name](arguments, Path(folder))


def bench_embedder(arguments: argparse.Namespace, folder: Path) -> None:
    model = arguments.embedder or convolutions(folder / "convolutions.onnx")
    embedder = OnnxEmbedder(model, arguments.device)
    source = open_source(write_faces(folder / "faces", arguments.images))
    faces = FaceList.of(source)

    def ours() -> None:
        embed_source(source, Embedding(embedder, batch=arguments.batch), faces)

    bare = bare_session(embedder, source, arguments.batch)
    compare("embedder", "bare ONNX Runtime session", bare, ours, len(source))


def bare_session(embedder: OnnxEmbedder, source: Source, batch: int) -> Callable[[], None]:
    """Runs the network on all images and their mirror images, decoded and prepared beforehand."""
    images = np.stack([face.decode() for face in source])
    batches = [
        [embedder._values(planes) for planes in _planes(images[first : first + batch])]
        for first in range(0, len(images), batch)
    ]
    session = embedder._session
    name = session.get_inputs()[0].name

    def run() -> None:
        for straight, mirrored in batches:
            session.run(None, {name: straight})
            session.run(None, {name: mirrored})

    return run


def bench_loader(arguments: argparse.Namespace, folder: Path) -> None:
    count, batch = arguments.images * 8, arguments.batch
    shard = write_shard(folder / "loader", count)
    ours = our_loader(shard, count, batch)
    for workers, where in ((2, "in two worker processes"), (0, "in this process")):
        theirs = partial(webdataset_loader, shard, batch, workers)
        compare("loader", f"webdataset + Pillow {where}", theirs, ours, count)


def our_loader(shard: Path, count: int, batch: int) -> Callable[[], None]:
    """Makes the batches of a pass through a shard of so many images, another one each time."""
    source = open_source(shard)
    passes = (face_batches(source, batch, 0.5, seed, ProcessGroup(), threads=2) for seed in itertools.count())

    def run() -> None:
        batches = next(passes).from_image(0)
        for _ in range(count // batch):
            pixels, _ = next(batches)
            network_input(pixels, CPU)
        batches.close()

    return run


def webdataset_loader(shard: Path, batch: int, workers: int, decoder: str = "pillow") -> None:
    """The same by webdataset and torch's DataLoader."""
    for images, _ in torch.utils.data.DataLoader(webdataset_of(shard, batch, decoder), None, num_workers=workers):
        images.float().sub_(127.5).div_(127.5)


def webdataset_of(shard: Path, batch: int, decoder: str = "pillow") -> webdataset.WebDataset:
    """Uint8 [N,3,112,112] and labels [N], as the documentation of webdataset would have it.

    Args:
        decoder: `pillow`, or `simplejpeg`, the faster one.
    """

    def image(sample: tuple[Any, int]) -> tuple[torch.Tensor, int]:
        pixels = np.asarray(sample[0])
        flipped = pixels[:, ::-1] if np.random.random() < 0.5 else pixels
        return torch.from_numpy(flipped.transpose(2, 0, 1).copy()), sample[1]

    decoders = {
        "pillow": ["rgb8"],
        "simplejpeg": [webdataset.handle_extension("jpg", simplejpeg.decode_jpeg)],
    }
    return (
        webdataset.WebDataset([str(shard)], shardshuffle=False, empty_check=False)
        .shuffle(1000)
        .decode(*decoders[decoder])
        .to_tuple("jpg", "cls")
        .map(image)
        .batched(batch)
    )


def bench_training(arguments: argparse.Namespace, folder: Path) -> None:
    recipe = dataclasses.replace(recipe_of("cls", "tiny"), batch=arguments.batch)
    shard = write_shard(folder / "training", arguments.images)
    source = open_source(shard)
    device = torch.device(arguments.device)
    settings = Settings.of(recipe, source, None, 0, "fp32", device)
    training = Training(source, settings, device, ProcessGroup())
    steps = max(arguments.images // arguments.batch, 1)

    def ours() -> None:
        batches = training.batches.from_image(0)
        for _ in range(steps):
            measured = training.step(*next(batches))
        measured["loss"].item()
        batches.close()

    network = create_backbone(recipe.backbone, recipe.dimensions).to(device)
    weight = torch.nn.Parameter(torch.randn(len(source.class_names), recipe.dimensions, device=device) * 0.01)
    optimizer = torch.optim.SGD([*network.parameters(), weight], 0.01, momentum=0.9, weight_decay=5e-4)

    def naive() -> None:
        for images, labels in itertools.islice(webdataset_of(shard, arguments.batch), steps):
            values = images.to(device).float() / 127.5 - 1
            cosines = F.linear(F.normalize(network(values)), F.normalize(weight))
            labels = torch.as_tensor(labels, device=device)
            loss = F.cross_entropy(64 * (cosines - 0.35 * F.one_hot(labels, len(weight))), labels)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimizer.step()
        loss.item()

    compare("training", "naive loop", naive, ours, steps * arguments.batch)


def write_shard(folder: Path, count: int) -> Path:
    """The faces of `write_faces` as a shard, the images of a class one after the other."""
    shard = folder.with_suffix(".tar")
    with webdataset.TarWriter(str(shard), mtime=0) as writer:
        for face in open_source(write_faces(folder, count)):
            key = Path(face.key).stem
            writer.write({"__key__": key, "jpg": face.data, "cls": str(face.class_index).encode()})
    return shard


def compare(name: str, baseline: str, theirs: Callable[[], None], ours: Callable[[], None], images: int) -> None:
    """Times both in turn and prints what came out."""
    times = in_turns({"theirs": Work(theirs, images), "ours": Work(ours, images)})
    rates = (times[each].rate.value for each in ("theirs", "ours"))
    print(f"{name}: {baseline} {{:,.1f}} images/s, ours {{:,.1f}} images/s".format(*rates))
    ratio = times["ours"].beside(times["theirs"])
    print(f"{name}: ratio {ratio.value:.3f} ({ratio.low:.3f} to {ratio.high:.3f})")


def write_faces(folder: Path, count: int) -> Path:
    """So many JPEG files of 112x112 in 8 folders: smooth noise in files of about 6 KB, as those of faces are."""
    rng = np.random.default_rng(0)
    for i in range(count):
        coarse = rng.integers(0, 256, (14, 14, 3)).astype(np.uint8)
        smooth = Image.fromarray(coarse).resize((112, 112), Image.Resampling.BICUBIC)
        pixels = np.clip(np.asarray(smooth) + rng.normal(0, 1, (112, 112, 1)), 0, 255).astype(np.uint8)
        path = folder / f"{i % 8}" / f"{i:06d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(simplejpeg.encode_jpeg(pixels, 95, "RGB", "444"))
    return folder


def convolutions(path: Path) -> Path:
    """An embedder of 0.19 billion multiplications an image, about those of MobileFaceNet, with random weights."""
    rng = np.random.default_rng(0)
    nodes, weights, x, channels = [], [], "image", 3
    for place, wider in enumerate((64, 128, 256, 512)):
        kernel = rng.normal(0, (2 / 9 / channels) ** 0.5, (wider, channels, 3, 3)).astype(np.float32)
        weights.append(numpy_helper.from_array(kernel, f"w{place}"))
        shape = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}
        nodes.append(helper.make_node("Conv", [x, f"w{place}"], [f"c{place}"], f"Conv_{place}", **shape))
        nodes.append(helper.make_node("Relu", [f"c{place}"], [f"r{place}"], f"Relu_{place}"))
        x, channels = f"r{place}", wider
    weights.append(numpy_helper.from_array(rng.normal(0, 0.01, (512 * 49, 512)).astype(np.float32), "last"))
    nodes.append(helper.make_node("Flatten", [x], ["flat"], "Flatten"))
    nodes.append(helper.make_node("MatMul", ["flat", "last"], ["vector"], "Project"))
    graph = helper.make_graph(
        nodes,
        "convolutions",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, 112, 112])],
        [helper.make_tensor_value_info("vector", TensorProto.FLOAT, ["N", 512])],
        weights,
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path


if __name__ == "__main__":
    main()
