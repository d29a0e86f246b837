#!/usr/bin/env python3
"""How fast the parts of recognition are, each against a named baseline in the same run.

    scripts/bench_recognition.py                     all sections
    scripts/bench_recognition.py embedder --model judge.onnx

Prints images/s and the ratio to the baseline. Ratios hold on other machines better than figures.

embedder: `embed_source` from encoded images (digests, decoding, input, flip-sum, check) against the bare session
of ONNX Runtime on the same batches, decoded and prepared beforehand. Aim: 0.95.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import simplejpeg
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from sface_data.faces.embed import Embedding, FaceList, embed_source
from sface_data.faces.embedders import OnnxEmbedder, _planes
from sface_data.faces.sources import open_source

ROUNDS = 5  # of baseline and ours in turn; the best of each counts


def main() -> None:
    sections: dict[str, Callable[[argparse.Namespace, Path], None]] = {"embedder": bench_embedder}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", choices=[*sections, []], help="[default: all]")
    parser.add_argument("--model", type=Path, help="embedder as .onnx  [default: random convolutions]")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--images", type=int, default=512)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.sections or sections:
            sections[name](arguments, Path(folder))


def bench_embedder(arguments: argparse.Namespace, folder: Path) -> None:
    model = arguments.model or convolutions(folder / "convolutions.onnx")
    embedder = OnnxEmbedder(model, arguments.device)
    source = open_source(write_faces(folder / "faces", arguments.images))
    faces = FaceList.of(source)
    images = np.stack([face.decode() for face in source])
    batches = [
        [embedder._values(planes) for planes in _planes(images[first : first + arguments.batch])]
        for first in range(0, len(images), arguments.batch)
    ]
    session = embedder._session
    name = session.get_inputs()[0].name

    def bare() -> None:
        for straight, mirrored in batches:
            session.run(None, {name: straight})
            session.run(None, {name: mirrored})

    def ours() -> None:
        embed_source(source, Embedding(embedder, batch=arguments.batch), faces)

    compare("embedder", "bare ONNX Runtime session", bare, ours, len(images))


def compare(name: str, baseline: str, theirs: Callable[[], None], ours: Callable[[], None], images: int) -> None:
    """Times both in turn and prints what came out."""
    theirs()
    ours()
    times = np.array([[seconds(theirs), seconds(ours)] for _ in range(ROUNDS)])
    best = times.min(axis=0)
    print(f"{name}: {baseline} {images / best[0]:,.1f} images/s, ours {images / best[1]:,.1f} images/s")
    ratios = times[:, 0] / times[:, 1]
    print(f"{name}: ratio {best[0] / best[1]:.3f} (rounds: {', '.join(f'{ratio:.3f}' for ratio in ratios)})")


def seconds(work: Callable[[], None]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


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
