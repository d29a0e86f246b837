"""Who: everything that stays the same in all images of one identity, drawn from a seed."""

from dataclasses import dataclass
from functools import cache

import numpy as np

from sface_data.rendered import headpack
from sface_data.rendered.colour import linear
from sface_data.rendered.geometry import Floats

ANCESTRIES = ("african", "asian", "caucasian")
STYLES = ("bald", "buzz", "short", "long")
BEARDS = ("none", "stubble", "goatee", "moustache", "full")
_OPPOSITES = (
    ("-incr", "-decr"),
    ("-up", "-down"),
    ("-out", "-in"),
    ("-forward", "-backward"),
    ("-convex", "-concave"),
    ("-uncompress", "-compress"),
)
# Standard deviation of a shape axis, by feature, as a share of its target.
_SPREAD = {"ears": 0.32, "eyes": 0.27, "nose": 0.3, "mouth": 0.28, "chin": 0.32, "cheek": 0.35}
_SPREAD |= {"forehead": 0.35, "eyebrows": 0.35, "head": 0.28}
_HEAD_SHAPES = ("oval", "round", "square", "diamond", "triangular", "invertedtriangular", "rectangular")
# Skin from light to dark, by ancestry.
_SKINS = {
    "african": ((150, 100, 72), (110, 72, 52), (70, 45, 35)),
    "asian": ((238, 200, 168), (216, 168, 128), (184, 132, 95)),
    "caucasian": ((244, 208, 190), (222, 172, 146), (196, 142, 112)),
}
# Hair and iris colours, and how frequent each is where caucasian ancestry prevails and elsewhere.
_HAIRS = (
    ((25, 20, 18), 0.15, 0.62),
    ((48, 33, 25), 0.22, 0.25),
    ((85, 56, 36), 0.22, 0.07),
    ((130, 92, 58), 0.13, 0.02),
    ((190, 150, 100), 0.12, 0.01),
    ((140, 62, 30), 0.08, 0.01),
    ((150, 150, 150), 0.08, 0.02),
)
_GREY = linear(150, 150, 150)
_IRISES = (
    ((70, 45, 25), 0.3, 0.4),
    ((45, 28, 18), 0.15, 0.55),
    ((95, 120, 150), 0.25, 0.0),
    ((90, 115, 80), 0.12, 0.01),
    ((120, 95, 55), 0.1, 0.03),
    ((120, 130, 140), 0.08, 0.01),
)


@dataclass(frozen=True)
class Mole:
    x: float  # decimetres from the middle of the face
    y: float  # decimetres above the eyes
    radius: float  # decimetres


@dataclass(frozen=True)
class Skin:
    colour: Floats  # [3] linear RGB
    blotches: float  # strength of large spots of darker and lighter skin
    cheeks: float  # redness 0..0.25
    eye_bags: float  # darkness under the eyes, 0..0.55
    wrinkles: float  # 0..1
    freckles: float  # density; none at 0
    moles: tuple[Mole, ...]
    lip_depth: float  # how much darker than the skin, 0..1
    lip_redness: float
    lip_gloss: float


@dataclass(frozen=True)
class Brows:
    colour: Floats  # [3] linear RGB; the beard has it too
    height: float  # decimetres above the eyes
    arch: float  # decimetres
    thickness: float  # decimetres
    inner: float  # decimetres from the middle of the face
    outer: float
    tilt: float  # decimetres from end to end
    density: float  # 0..1


@dataclass(frozen=True)
class Hair:
    style: str  # one of STYLES
    colour: Floats  # [3] linear RGB
    hairline: float  # decimetres above the eyes, in the middle
    peak: float  # decimetres that the middle comes down
    recession: float  # decimetres that the temples go up
    volume: float  # thickness in decimetres
    parting: float  # decimetres from the middle
    length: float  # decimetres below the eyes at which long hair ends
    flare: float  # by which share long hair spreads to its end
    waves: float  # their height in decimetres
    sweep: float  # radians around the head, from its back, to which long hair hangs


@dataclass(frozen=True)
class Eyes:
    colour: Floats  # [3] linear RGB of the iris
    iris: float  # radius as a share of the visible eye's
    lashes: float  # opacity 0..1


@dataclass(frozen=True)
class Identity:
    """One person who does not exist."""

    seed: tuple[int, int]  # of the set, number of the identity in it
    male: float  # 0..1
    age: float  # 0 young .. 1 old
    shape: Floats  # [T] weights of the head pack's targets
    skin: Skin
    brows: Brows
    hair: Hair
    eyes: Eyes
    beard: str  # one of BEARDS
    beard_density: float

    def noise_rng(self) -> np.random.Generator:
        """The random numbers of the skin's and hair's grain, apart from those that drew the fields."""
        seed, number = self.seed
        return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(number, 0, 1)))


def draw_identity(seed: int, number: int) -> Identity:
    """Identity `number` of the set `seed`: a pure function of the two, both at least 0."""
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(number, 0, 0)))
    ancestry = dict(zip(ANCESTRIES, rng.dirichlet([0.25] * 3).tolist(), strict=True))
    male = _within(rng.beta(0.35, 0.35), 0.02, 0.98)
    age = rng.beta(0.9, 1.6)
    shape = _draw_shape(rng, ancestry, male, age)
    hair = _draw_hair(rng, ancestry, male, age)
    beards = (0.45, 0.2, 0.1, 0.1, 0.15) if male > 0.55 else (1, 0, 0, 0, 0)
    return Identity(
        seed=(seed, number),
        male=male,
        age=age,
        shape=shape,
        skin=_draw_skin(rng, ancestry, male, age),
        brows=_draw_brows(rng, hair.colour, male),
        hair=hair,
        eyes=_draw_eyes(rng, ancestry, male),
        beard=str(rng.choice(BEARDS, p=beards)),
        beard_density=rng.uniform(0.35, 0.9),
    )


def _within(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)


def _draw_shape(rng: np.random.Generator, ancestry: dict[str, float], male: float, age: float) -> Floats:
    pack = headpack.load()
    shape = np.zeros(len(pack.names), np.float32)
    weight = rng.normal(0, 0.45)
    heavy = "maxweight" if weight > 0 else "minweight"
    for sex, sex_share in (("male", male), ("female", 1 - male)):
        for years, years_share in (("young", 1 - age), ("old", age)):
            for name, share in ancestry.items():
                shape[pack.index(f"macro:{name}-{sex}-{years}")] = share * sex_share * years_share
            shape[pack.index(f"uni:{sex}-{years}-{heavy}")] = min(abs(weight), 1) * sex_share * years_share
    for feature, sides in _axes().items():
        value = rng.normal(0, _SPREAD[feature.partition(":")[0]])
        for more, less in sides:  # left and right differ a little
            side = _within(value + rng.normal(0, 0.04), -1, 1)
            shape[more if side > 0 else less] += abs(side)
    for name in rng.choice(_HEAD_SHAPES, 2, replace=False):
        shape[pack.index(f"id:head:head-{name}")] += rng.uniform(0, 0.45)
    uneven = [row for row, name in enumerate(pack.names) if name.startswith("id:asym")]
    for row in rng.choice(uneven, 4, replace=False):
        shape[row] += rng.uniform(0, 0.35)
    return shape


@cache
def _axes() -> dict[str, list[tuple[int, int]]]:
    """Shape axes by feature: for each side of the face the rows of the target that adds and that takes."""
    rows = {name: row for row, name in enumerate(headpack.load().names)}
    axes: dict[str, list[tuple[int, int]]] = {}
    for name, row in rows.items():
        for more, less in _OPPOSITES:
            stem = name.removesuffix(more)
            if name.startswith("id:") and name.endswith(more) and stem + less in rows:
                _, room, feature = stem.split(":")
                feature = feature.removeprefix("l-").removeprefix("r-")
                axes.setdefault(f"{room}:{feature}", []).append((row, rows[stem + less]))
    return axes


def _draw_skin(rng: np.random.Generator, ancestry: dict[str, float], male: float, age: float) -> Skin:
    tone = rng.beta(1.3, 1.3) * 2
    colour = np.zeros(3)
    for name, share in ancestry.items():
        light, middle, dark = (linear(*display) for display in _SKINS[name])
        near = light + (middle - light) * tone if tone < 1 else middle + (dark - middle) * (tone - 1)
        colour += share * near
    colour *= np.exp(rng.normal(0, 0.04, 3))
    return Skin(
        colour=colour.astype(np.float32),
        blotches=rng.uniform(0.03, 0.12),
        cheeks=rng.uniform(0, 0.25),
        eye_bags=rng.uniform(0, 0.35) + 0.2 * age,
        wrinkles=age * rng.uniform(0.4, 1),
        freckles=max(0.0, rng.normal(-0.1, 0.35)),
        moles=tuple(
            Mole(rng.uniform(-0.55, 0.55), rng.uniform(-1, 0.6), rng.uniform(0.01, 0.02))
            for _ in range(rng.poisson(0.8))
        ),
        lip_depth=rng.uniform(0.3, 0.9),
        lip_redness=rng.uniform(-0.1, 0.25) + (0.15 if male < 0.5 else 0),
        lip_gloss=rng.uniform(0, 0.5),
    )


def _draw_brows(rng: np.random.Generator, hair_colour: Floats, male: float) -> Brows:
    return Brows(
        colour=hair_colour * np.float32(rng.uniform(0.4, 0.8)),
        height=rng.normal(0.165, 0.018),
        arch=rng.normal(0.035, 0.025),
        thickness=max(0.012, rng.normal(0.042 + 0.012 * male, 0.013)),
        inner=rng.normal(0.1, 0.03),
        outer=rng.normal(0.5, 0.035),
        tilt=rng.normal(0.02, 0.05),
        density=_within(rng.normal(0.72, 0.18), 0.15, 1),
    )


def _draw_hair(rng: np.random.Generator, ancestry: dict[str, float], male: float, age: float) -> Hair:
    colour = _draw_colour(rng, _HAIRS, ancestry) * np.float32(np.exp(rng.normal(0, 0.15)))
    if age > 0.75 and rng.random() < 0.6:
        colour = _GREY * np.float32(np.exp(rng.normal(0, 0.3)))
    style = str(rng.choice(STYLES, p=(0.18, 0.27, 0.5, 0.05) if male > 0.5 else (0.01, 0.04, 0.25, 0.7)))
    fringe = rng.uniform(0.1, 0.35) if rng.random() < 0.3 and style in ("short", "long") else 0.0
    return Hair(
        style=style,
        colour=colour,
        hairline=rng.normal(0.72, 0.07) - fringe,
        peak=rng.normal(0, 0.08),
        recession=max(0.0, rng.normal(0.05, 0.15)) if male > 0.5 else 0.0,
        volume=rng.uniform(0.05, 0.22),
        parting=rng.uniform(-0.5, 0.5),
        length=rng.uniform(0.65, 2.2),
        flare=rng.normal(0.05, 0.1),
        waves=max(0.0, rng.normal(0.02, 0.03)),
        sweep=rng.uniform(1.85, 2.2),
    )


def _draw_eyes(rng: np.random.Generator, ancestry: dict[str, float], male: float) -> Eyes:
    return Eyes(
        colour=_draw_colour(rng, _IRISES, ancestry) * np.float32(np.exp(rng.normal(0, 0.2))),
        iris=rng.normal(0.55, 0.04),
        lashes=0.25 + (0.6 * rng.uniform(0.4, 1) if male < 0.5 else 0),
    )


def _draw_colour(
    rng: np.random.Generator,
    choices: tuple[tuple[tuple[int, int, int], float, float], ...],
    ancestry: dict[str, float],
) -> Floats:
    pale = ancestry["caucasian"] > 0.5
    colours, if_pale, otherwise = zip(*choices, strict=True)
    return linear(*colours[rng.choice(len(colours), p=if_pale if pale else otherwise)])
