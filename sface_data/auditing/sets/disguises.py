"""Disguises: training images altered so that a judge may lose the person while people still see who it is.

The positive control plants them to find out which a release could hide behind. How strong each is, is drawn by the
bytes of the release: nobody can tune a release to them.
"""

import hashlib
import io
from collections.abc import Callable

import numpy as np
from PIL import Image

from sface_data.auditing.sets.views import encoded, part, turned
from sface_data.faces.alignment import Pixels
from sface_data.faces.base import Face, Source

Random = np.random.Generator


def _half_size(image: Pixels, rng: Random) -> Pixels:
    return framed(image, rng.uniform(0.45, 0.6), int(rng.integers(0, 256)))


def framed(image: Pixels, scale: float, grey: int) -> Pixels:
    """Shrunk into the middle of a grey picture."""
    small = shrunk(image, scale)
    canvas = np.full_like(image, grey)
    top, left = ((side - inner) // 2 for side, inner in zip(image.shape[:2], small.shape[:2], strict=True))
    canvas[top : top + small.shape[0], left : left + small.shape[1]] = small
    return canvas


def shrunk(image: Pixels, scale: float) -> Pixels:
    """A smaller image."""
    height, width, _ = image.shape
    size = max(round(scale * width), 1), max(round(scale * height), 1)
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BOX))


def _cropped(image: Pixels, rng: Random) -> Pixels:
    side = rng.uniform(0.55, 0.7)
    return part(image, (1 - side) / 2, (1 - side) / 2, side)


def faint(image: Pixels, contrast: float) -> Pixels:
    """With little contrast, about a middle grey."""
    return np.rint((image.astype(np.float32) - 128) * contrast + 128).astype(np.uint8)


def _faint_and_turned(image: Pixels, rng: Random) -> Pixels:
    return turned(faint(image, rng.uniform(0.1, 0.25)), float(rng.choice([-1, 1]) * rng.uniform(10, 20)))


def _sheared(image: Pixels, rng: Random) -> Pixels:
    import cv2

    height, width, _ = image.shape
    lean = float(rng.choice([-1, 1]) * rng.uniform(0.25, 0.4))
    matrix = np.array([[1, lean, -lean * height / 2], [0, 1, 0]])
    return np.asarray(cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE))


def _blurred(image: Pixels, rng: Random) -> Pixels:
    import cv2

    return np.asarray(cv2.GaussianBlur(image, (0, 0), rng.uniform(0.015, 0.03) * image.shape[1]))


def _posterised(image: Pixels, rng: Random) -> Pixels:
    step = 255 // int(rng.integers(2, 4))
    return ((image.astype(np.int16) + step // 2) // step * step).clip(0, 255).astype(np.uint8)


def _channels_swapped(image: Pixels, rng: Random) -> Pixels:
    return image[:, :, [2, 0, 1] if rng.integers(2) else [2, 1, 0]]


def _channel_inverted(image: Pixels, rng: Random) -> Pixels:
    inverted = image.copy()
    channel = rng.integers(3)
    inverted[:, :, channel] = 255 - inverted[:, :, channel]
    return inverted


def _salted(image: Pixels, rng: Random) -> Pixels:
    salted = image.copy()
    salted[rng.random(image.shape[:2]) < rng.uniform(0.15, 0.3)] = 255
    return salted


def _barred(image: Pixels, rng: Random) -> Pixels:
    barred, height = image.copy(), len(image)
    top = round(rng.uniform(0.3, 0.4) * height)
    barred[top : top + round(0.2 * height)] = 0
    return barred


def _coarse(image: Pixels, rng: Random) -> Pixels:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=int(rng.integers(3, 8)))
    return np.asarray(Image.open(file))


def _relit(image: Pixels, rng: Random) -> Pixels:
    gamma = rng.uniform(2.5, 4) ** rng.choice([-1, 1])
    return np.rint(255 * (image / 255) ** gamma).astype(np.uint8)


def _tiled(image: Pixels, rng: Random) -> Pixels:
    times = int(rng.integers(2, 4))
    small = shrunk(image, 1 / times)
    rows, columns = (-(-side // inner) for side, inner in zip(image.shape[:2], small.shape[:2], strict=True))
    return np.tile(small, (rows, columns, 1))[: image.shape[0], : image.shape[1]]


def _shifted(image: Pixels, rng: Random) -> Pixels:
    across, down = rng.choice([-1, 1], 2) * rng.uniform(0.2, 0.3, 2)
    return turned(image, 0, shift=(float(across), float(down)))


def _inset(image: Pixels, rng: Random) -> Pixels:
    """In a corner of its own mirror image, out of focus."""
    import cv2

    canvas = cv2.GaussianBlur(np.ascontiguousarray(image[:, ::-1]), (0, 0), 0.2 * image.shape[1])
    small = shrunk(image, 0.5)
    height, width, _ = small.shape
    rows = slice(0, height) if rng.integers(2) else slice(len(image) - height, None)
    columns = slice(0, width) if rng.integers(2) else slice(image.shape[1] - width, None)
    canvas[rows, columns] = small
    return np.asarray(canvas)


def _turned_slightly(image: Pixels, rng: Random) -> Pixels:
    return turned(image, float(rng.choice([-1, 1]) * rng.uniform(20, 60)))


DISGUISES: dict[str, Callable[[Pixels, Random], Pixels]] = {
    "upside down": lambda image, rng: image[::-1, ::-1],
    "turned by 20 to 60 degrees": _turned_slightly,
    "turned by 70 to 290 degrees": lambda image, rng: turned(image, float(rng.uniform(70, 290))),
    "shrunk in a frame": _half_size,
    "cropped": _cropped,
    "shifted": _shifted,
    "sheared": _sheared,
    "tiled": _tiled,
    "inset": _inset,
    "negative": lambda image, rng: 255 - image,
    "mirrored negative": lambda image, rng: 255 - image[:, ::-1],
    "faint and turned": _faint_and_turned,
    "dark or bright": _relit,
    "channels swapped": _channels_swapped,
    "channel inverted": _channel_inverted,
    "posterised": _posterised,
    "blurred": _blurred,
    "coarse JPEG": _coarse,
    "salted": _salted,
    "bar over the eyes": _barred,
}


class DisguisedSource(Source):
    """Some training images in every disguise.

    Attributes:
        names: [M] the disguise of each.

    Args:
        seed: any text; what is drawn depends on it alone.
        of_each: images of each disguise; more of them begin with the same.
    """

    def __init__(self, training: Source, seed: str, of_each: int) -> None:
        self._seed = int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8], "big")
        count = of_each * len(DISGUISES)
        self._indices = np.random.default_rng(self._seed).integers(len(training), size=count)
        self.names = tuple(list(DISGUISES)[index % len(DISGUISES)] for index in range(count))
        self.path, self.class_names = training.path, training.class_names
        self.class_indices = training.class_indices[self._indices]
        self._training = training

    def _face(self, index: int) -> Face:
        original, name = self._training[int(self._indices[index])], self.names[index]
        disguised = DISGUISES[name](original.decode(), np.random.default_rng([self._seed, index]))
        return Face(f"{index:06d}", original.class_index, encoded(disguised), f"{original.where} ({name})")
