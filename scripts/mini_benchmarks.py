"""Benchmarks of rendered people, made hard by how the images were made and by no network.

People of a benchmark come in groups of look-alikes: of many drawn identities, four of the same hair style, beard
and side of sex whose skin, hair, eyes, age and hair line are nearest. All non-mated pairs are within a group, so
that colour and hair tell nobody apart, as in CALFW and CPLFW, where non-mated pairs are of one sex and race. Mated
pairs are of a person's images that differ most in pose, or in light, or any two. No group is in two of the ten
folds of a benchmark, and the folds of all benchmarks are of the same people.
"""

import itertools
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from sface_data.io.files import atomic_write
from sface_data.rendered.head import bake
from sface_data.rendered.identity import Identity, draw_identity
from sface_data.rendered.render import render
from sface_data.rendered.variation import Variation, draw_variation
from sface_data.runtime.progress import progress_bar

SEED = 1  # of the people and of the pairs; those of training have seed 0
CANDIDATES = 25  # drawn for each group that is wanted
FOLDS = 10
QUALITY = 95  # of JPEG
WEIGHTS = np.repeat([3, 2, 1], [3, 3, 7])  # of an appearance: skin and hair are most of what one sees


@dataclass(frozen=True)
class Crowd:
    """The people of the benchmarks.

    Attributes:
        groups: of look-alikes; a multiple of ten.
        people: in a group.
        images: of each person and strength.
        mated: pairs of each person in a benchmark; as many are not mated.
    """

    groups: int
    people: int = 4
    images: int = 4
    mated: int = 2

    def __len__(self) -> int:
        return self.groups * self.people


def turn(one: Variation, other: Variation) -> float:
    """How far the head is turned between two images, degrees."""
    return float(np.hypot(one.camera.yaw - other.camera.yaw, one.camera.pitch - other.camera.pitch))


def shift_of_light(one: Variation, other: Variation) -> float:
    """The angle between the directions of the light, radians."""
    return float(np.arccos(np.clip(one.light.direction @ other.light.direction, -1, 1)))


@dataclass(frozen=True)
class Kind:
    """One benchmark.

    Attributes:
        strength: of the variation of the images.
        distance: of two images of a person; the pairs with the largest are taken, or any if there is none.
    """

    name: str
    title: str
    strength: float
    distance: Callable[[Variation, Variation], float] | None = None


KINDS = (
    Kind("alike", "look-alikes", 0.55),  # varied as the images of training
    Kind("alike_pose", "look-alikes, other pose", 1.0, turn),
    Kind("alike_light", "look-alikes, other light", 1.0, shift_of_light),
)


def make_benchmarks(folder: Path, crowd: Crowd, pixels: int) -> None:
    """Fills a folder with a `.bin` of each kind; the images are kept, so that stopped work goes on.

    Args:
        pixels: side of the images.
    """
    if all((folder / f"{kind.name}.bin").exists() for kind in KINDS):
        return
    groups = look_alikes(crowd)
    with progress_bar(len(KINDS) * len(crowd) * crowd.images, "images", desc="benchmarks") as bar:
        for kind in KINDS:
            images = {}
            for person in groups.ravel().tolist():
                paths = image_paths(folder / "images" / f"{kind.strength:g}" / f"{person:06d}", crowd)
                render_missing(paths, person, kind.strength, pixels)
                images[person] = paths
                bar.update(crowd.images)
            pairs, issame = draw_pairs(groups, kind, crowd)
            encoded = [images[person][index].read_bytes() for pair in pairs for person, index in pair]
            with atomic_write(folder / f"{kind.name}.bin") as file:
                pickle.dump((encoded, issame), file, protocol=4)  # as benchmarks are published


def look_alikes(crowd: Crowd) -> NDArray[np.int64]:
    """Numbers of people [groups,people], those in a row being near one another; nobody comes twice."""
    drawn = [draw_identity(SEED, number) for number in range(CANDIDATES * crowd.groups)]
    kinds = np.array([f"{who.hair.style} {who.beard} {who.male > 0.5}" for who in drawn])
    looks = np.array([appearance(who) for who in drawn])
    looks *= WEIGHTS / looks.std(axis=0)
    free = np.ones(len(drawn), bool)
    found: list[NDArray[np.int64]] = []
    for number in range(len(drawn)):
        alike = np.flatnonzero(free & (kinds == kinds[number]))
        if free[number] and len(alike) >= crowd.people and len(found) < crowd.groups:
            near = np.linalg.norm(looks[alike] - looks[number], axis=1).argsort(kind="stable")[: crowd.people]
            found.append(alike[near])
            free[alike[near]] = False
    return np.random.default_rng(SEED).permutation(np.stack(found))


def appearance(who: Identity) -> NDArray[np.float64]:
    """What one sees of a person without looking at the shape of the face [13]."""
    colours = np.sqrt(np.concatenate([who.skin.colour, who.hair.colour, who.eyes.colour]).clip(0, 1))
    return np.array([*colours, who.age, who.hair.hairline, who.hair.length, who.brows.thickness], np.float64)


def image_paths(folder: Path, crowd: Crowd) -> list[Path]:
    """The files of the images of a person."""
    return [folder / f"{index:06d}.jpg" for index in range(crowd.images)]


def render_missing(paths: list[Path], person: int, strength: float, pixels: int) -> None:
    """Makes those images of a person that are not there."""
    missing = [(index, path) for index, path in enumerate(paths) if not path.exists()]
    if not missing:
        return
    head = bake(draw_identity(SEED, person))
    paths[0].parent.mkdir(parents=True, exist_ok=True)
    for index, path in missing:
        picture = render(head, draw_variation(SEED, person, index, strength), pixels)
        with atomic_write(path) as file:
            file.write(simplejpeg.encode_jpeg(picture.image, QUALITY, "RGB", "444"))


Image = tuple[int, int]  # person, index


def draw_pairs(
    groups: NDArray[np.int64], kind: Kind, crowd: Crowd
) -> tuple[list[tuple[Image, Image]], list[bool]]:
    """Mated pairs of each person, and within each group as many that are not; group by group."""
    rng = np.random.default_rng(SEED)
    pairs: list[tuple[Image, Image]] = []
    issame: list[bool] = []
    for group in groups.tolist():
        mated = [pair for person in group for pair in mated_pairs(person, kind, crowd, rng)]
        across = [
            ((one, a), (other, b))
            for one, other in itertools.combinations(group, 2)
            for a, b in itertools.product(range(crowd.images), repeat=2)
        ]
        chosen = rng.choice(len(across), len(mated), replace=False)
        pairs += mated + [across[index] for index in chosen]
        issame += [True] * len(mated) + [False] * len(chosen)
    return pairs, issame


def mated_pairs(person: int, kind: Kind, crowd: Crowd, rng: np.random.Generator) -> list[tuple[Image, Image]]:
    """Pairs of images of one person: those that differ most, or any."""
    pairs = list(itertools.combinations(range(crowd.images), 2))
    pairs = [pairs[index] for index in rng.permutation(len(pairs))]
    if kind.distance is not None:
        varied = [draw_variation(SEED, person, index, kind.strength) for index in range(crowd.images)]
        pairs.sort(key=lambda pair: kind.distance(varied[pair[0]], varied[pair[1]]), reverse=True)
    return [((person, one), (person, other)) for one, other in pairs[: crowd.mated]]
