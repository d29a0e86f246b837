"""Speed of the renderer and of the sources of faces, each against a named baseline in the same run.

    python scripts/bench_render.py [--baseline FACERENDER.py] [--rounds 3]

Rendering: images/s of 112 x 112 pixels on one core and on all, 12 images of each identity, its preparation
included. `--baseline` names the module of another renderer with `make_identity(seed)`,
`make_variation(seed, strength)` and `render(identity, variation, size)`; both take turns, so that a busy
machine slows both.

Reading: images/s decoded on one core from a folder, shards and RecordIO, against a loop over the files of
the same folder with Pillow alone.
"""

import argparse
import functools
import importlib.util
import io
import os
import struct
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from types import ModuleType

import numpy as np
from PIL import Image

from sface_data.faces.base import Images
from sface_data.faces.sources import open_source
from sface_data.rendered.folder import RenderRequest, fill_folder
from sface_data.rendered.head import bake
from sface_data.rendered.identity import draw_identity
from sface_data.rendered.render import render
from sface_data.rendered.variation import draw_variation

IMAGES = 12  # of each identity
IDENTITIES = 8  # per core and turn
CORES = os.cpu_count() or 1


def render_ours(number: int) -> None:
    head = bake(draw_identity(0, number))
    for index in range(IMAGES):
        render(head, draw_variation(0, number, index))


def render_baseline(path: str, number: int) -> None:
    module = load(path)
    identity = module.make_identity(number)
    for index in range(IMAGES):
        module.render(identity, module.make_variation(number * 1000 + index, 0.8), 112)


@functools.cache
def load(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location("baseline", path)
    if spec is None or spec.loader is None:
        raise SystemExit(f"{path}: not a Python module")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def seconds(work: Callable[[], Iterable[object]]) -> float:
    start = time.perf_counter()
    for _ in work():
        pass
    return time.perf_counter() - start


def compare(images: int, rounds: int, works: dict[str, Callable[[], Iterable[object]]]) -> None:
    """Runs each work once to warm up and then in turns; the first is the baseline."""
    spent = dict.fromkeys(works, 0.0)
    for turn in range(rounds + 1):
        for name, work in works.items():
            took = seconds(work)
            spent[name] += took if turn else 0
    rates = {name: images * rounds / took for name, took in spent.items()}
    baseline, first = next(iter(rates.items()))
    for name, rate in rates.items():
        print(f"  {name:30} {rate:9.1f} images/s   {rate / first:5.2f} x {baseline}")


def bench_rendering(baseline: str | None, rounds: int) -> None:
    ours: Callable[[int], None] = render_ours
    renderers = {"sface_data": ours}
    if baseline:
        renderers = {"baseline": functools.partial(render_baseline, baseline), **renderers}
    for cores in sorted({1, CORES}):
        print(f"rendering, {cores} core{'s' if cores > 1 else ''}")
        numbers = range(cores * IDENTITIES)
        with ProcessPoolExecutor(cores, get_context("spawn")) as pool:
            works = {name: functools.partial(pool.map, one, numbers) for name, one in renderers.items()}
            compare(len(numbers) * IMAGES, rounds, works)


def write_forms(faces: Path, root: Path) -> dict[str, Path]:
    """The faces of a folder as shards and as RecordIO."""
    files = sorted(faces.glob("*/*.jpg"))
    with tarfile.open(root / "faces.tar", "w") as tar, (root / "faces.rec").open("wb") as records:
        index = []
        for number, file in enumerate(files):
            image, label = file.read_bytes(), int(file.parent.name)
            for extension, data in (("cls", str(label).encode()), ("jpg", image)):
                info = tarfile.TarInfo(f"{number:06d}.{extension}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
            record = struct.pack("<IfQQ", 0, label, number, 0) + image
            index.append(f"{number}\t{records.tell()}\n")
            records.write(struct.pack("<II", 0xCED7230A, len(record)) + record + b"\0" * (-len(record) % 4))
    (root / "faces.idx").write_text("".join(index))
    return {"folder": faces, "shards": root / "faces.tar", "RecordIO": root / "faces.rec"}


def read_with_pillow(faces: Path) -> Iterable[object]:
    for file in sorted(faces.glob("*/*.jpg")):
        with Image.open(file) as image:
            yield np.asarray(image.convert("RGB"))


def bench_reading(rounds: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        request = RenderRequest(identities=4 * CORES, images_per_identity=60)
        started = time.perf_counter()
        for _ in fill_folder(root / "faces", request, CORES):
            pass
        rate = len(request) / (time.perf_counter() - started)
        print(f"a folder of {len(request)} images, start of {CORES} processes and JPEG files included")
        print(f"  {'sface-data render':30} {rate:9.1f} images/s")
        sources = {form: open_source(path) for form, path in write_forms(root / "faces", root).items()}
        works = {"Pillow": functools.partial(read_with_pillow, root / "faces")}
        works |= {form: functools.partial(Images, source) for form, source in sources.items()}
        print("reading, one core")
        compare(len(request), rounds, works)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--baseline", help="Python module of another renderer")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each (default: 3)")
    options = parser.parse_args()
    for name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
        os.environ[name] = "1"  # in the processes that render: one a core, as the package does
    bench_rendering(options.baseline, options.rounds)
    bench_reading(options.rounds)


if __name__ == "__main__":
    main()
