"""How: what differs from one image of an identity to the next, drawn from a seed."""

from dataclasses import dataclass

import numpy as np

from sface_data.rendered.geometry import Floats

EXPRESSIONS: dict[str, dict[str, float]] = {
    "neutral": {},
    "smile": {"mouthSmileLeft": 0.7, "mouthSmileRight": 0.7, "cheekSquintLeft": 0.4, "cheekSquintRight": 0.4},
    "open": {"jawOpen": 0.35},
    "frown": {"mouthFrownLeft": 0.6, "mouthFrownRight": 0.6, "browDownLeft": 0.6, "browDownRight": 0.6},
    "surprise": {
        "browInnerUp": 0.7,
        "browOuterUpLeft": 0.6,
        "browOuterUpRight": 0.6,
        "jawOpen": 0.2,
        "eyeWideLeft": 0.5,
        "eyeWideRight": 0.5,
    },
    "grin": {
        "mouthSmileLeft": 0.8,
        "mouthSmileRight": 0.8,
        "mouthUpperUpLeft": 0.4,
        "mouthUpperUpRight": 0.4,
        "jawOpen": 0.08,
    },
    "squint": {"eyeSquintLeft": 0.7, "eyeSquintRight": 0.7, "eyeBlinkLeft": 0.2, "eyeBlinkRight": 0.2},
}


@dataclass(frozen=True)
class Camera:
    yaw: float  # of the head, degrees; positive turns it to its left
    pitch: float  # degrees; positive nods
    roll: float  # degrees; mostly undone by the alignment
    distance: float  # decimetres from the camera to the middle of the head
    shift: Floats  # [2] x, y in 1/112 of the image's side, off the alignment
    zoom: float  # 1 is the alignment's scale


@dataclass(frozen=True)
class Light:
    direction: Floats  # [3] unit, towards the light
    key: Floats  # [3] linear RGB
    ambient: Floats  # [3] linear RGB


@dataclass(frozen=True)
class Backdrop:
    top: Floats  # [3] linear RGB
    bottom: Floats  # [3]
    clouds: Floats  # [6,6,3] laid over it, interpolated
    shirt: Floats  # [3]


@dataclass(frozen=True)
class Film:
    exposure: float
    blur: float  # standard deviation in 1/112 of the image's side
    noise: float  # standard deviation of display values 0..1
    noise_seed: int


@dataclass(frozen=True)
class Variation:
    """One image's pose, expression, light, backdrop and film."""

    camera: Camera
    expression: dict[str, float]  # facial actions, 0..1
    gaze: Floats  # [2] x, y: shift of the iris in radii of half the eye
    light: Light
    backdrop: Backdrop
    film: Film


def draw_variation(seed: int, number: int, index: int, strength: float = 0.8) -> Variation:
    """Image `index` of identity `number` of the set `seed`: a pure function of its arguments.

    Args:
        strength: scales pose, side light, tints, misalignment, blur and noise; 0 gives frontal faces.
    """
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(number, 1, index)))
    return Variation(
        camera=_draw_camera(rng, strength),
        expression=_draw_expression(rng),
        gaze=(rng.normal(0, 0.12, 2) * strength).astype(np.float32),
        light=_draw_light(rng, strength),
        backdrop=_draw_backdrop(rng),
        film=Film(
            exposure=rng.uniform(0.8, 1.2),
            blur=max(0.0, rng.normal(0.1, 0.4)) * strength,
            noise=rng.uniform(0, 0.018) * strength,
            noise_seed=int(rng.integers(2**32)),
        ),
    )


def _draw_camera(rng: np.random.Generator, strength: float) -> Camera:
    return Camera(
        yaw=rng.normal(0, 18) * strength,
        pitch=rng.normal(0, 8) * strength,
        roll=rng.normal(0, 5) * strength,
        distance=rng.uniform(7, 16),
        shift=(rng.normal(0, 1.2, 2) * strength).astype(np.float32),
        zoom=1 + rng.normal(0, 0.03) * strength,
    )


def _draw_expression(rng: np.random.Generator) -> dict[str, float]:
    actions = EXPRESSIONS[str(rng.choice(list(EXPRESSIONS)))]
    amount = rng.uniform(0.4, 1)
    blink = rng.beta(0.5, 6) * 0.6
    expression = {name: value * amount for name, value in actions.items()}
    for eye in ("eyeBlinkLeft", "eyeBlinkRight"):
        expression[eye] = min(1.0, expression.get(eye, 0) + blink)
    return expression


def _draw_light(rng: np.random.Generator, strength: float) -> Light:
    azimuth = np.radians(rng.uniform(-70, 70) * strength)
    elevation = np.radians(rng.uniform(-10, 55))
    direction = [np.sin(azimuth) * np.cos(elevation), np.sin(elevation), np.cos(azimuth) * np.cos(elevation)]
    return Light(
        direction=np.array(direction, np.float32),
        key=_warm(rng.normal(0, 0.1) * strength, rng.uniform(0.6, 1.3)),
        ambient=_warm(rng.normal(0, 0.12) * strength, rng.uniform(0.25, 0.65)),
    )


def _warm(warmth: float, brightness: float) -> Floats:
    """A white light [3] made redder (warmth above 0) or bluer."""
    return (np.array([1 + warmth, 1, 1 - warmth]) * brightness).astype(np.float32)


def _draw_backdrop(rng: np.random.Generator) -> Backdrop:
    grey = rng.uniform(0.02, 0.7, (2, 1))
    top, bottom = (grey * (1 + rng.normal(0, 0.15, (2, 3))).clip(0.4, 1.6)).astype(np.float32)
    clouds = rng.uniform(0, 0.9, (6, 6, 1)) * (1 + rng.normal(0, 0.15, (6, 6, 3)))
    return Backdrop(
        top=top,
        bottom=bottom,
        clouds=clouds.clip(0, 1).astype(np.float32),
        shirt=rng.uniform(0.02, 0.8, 3).astype(np.float32),
    )
