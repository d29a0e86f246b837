"""What images are like before anybody asks whom they show: light, colour, sharpness, faces and where they lie.

A judge knows the people of images that are like those of training. Of others it says nothing, and finding nobody
there means nothing. So images are measured, and those that are odd among training images are counted.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sface_data.auditing.sets.located import Located
from sface_data.faces.alignment import Floats, Pixels
from sface_data.faces.base import Source

SIDE = 48  # pixels at which images are measured
_COARSE = 12  # of the picture whose likeness to the mean face of training is measured
_COMPONENTS = 24  # of the variation of faces
_BLOCK = 256  # images that are measured at a time
_RARE = 0.01  # share of training images that count as odd

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class _Seen:
    """What is looked at of some images.

    Attributes:
        small: [N,SIDE,SIDE,3], 0 to 1.
        fine: [N] what of each is finer.
        faces: of all of them.
    """

    small: Numbers
    fine: Numbers
    faces: Located

    @classmethod
    def of(cls, source: Source, indices: NDArray[np.int64], faces: Located) -> "_Seen":
        small, fine = zip(*(_reduced(source[int(i)].decode()) for i in indices), strict=True)
        return cls(np.stack(small) / 255, np.array(fine), faces)

    def __getitem__(self, chosen: slice) -> "_Seen":
        return _Seen(self.small[chosen], self.fine[chosen], self.faces[chosen])


def _reduced(pixels: Pixels) -> tuple[Numbers, float]:
    """An image at SIDE pixels, and the root mean square of what is lost by that, as a share of its contrast.

    A picture hidden in single pixels, which readers that sample them would see, is in what is lost.
    """
    image = Image.fromarray(pixels)
    small = image.resize((SIDE, SIDE), Image.Resampling.BOX)
    lost = pixels - np.asarray(small.resize(image.size, Image.Resampling.BILINEAR), np.float64)
    return np.asarray(small, np.float64), float(np.sqrt(np.square(lost).mean()) / (np.asarray(small).std() + 1))


def _unit(rows: Numbers) -> Numbers:
    centred = rows - rows.mean(axis=1, keepdims=True)
    return np.asarray(centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-9))


def _coarse(grey: Numbers) -> Numbers:
    """[N,SIDE,SIDE] as small pictures without mean, of length 1: [N,144]."""
    step = SIDE // _COARSE
    blocks = grey.reshape(len(grey), _COARSE, step, _COARSE, step).mean(axis=(2, 4))
    return _unit(blocks.reshape(len(grey), -1))


def _plain(seen: _Seen) -> Numbers:
    """Brightness, contrast, colours, their agreement, sharpness, symmetry: [N,F]."""
    images = seen.small
    grey = images.mean(axis=3)
    count = len(images)
    channels = [_unit(images[..., c].reshape(count, -1)) for c in range(3)]
    spread = grey.std(axis=(1, 2)) + 1e-3
    across, down = np.diff(grey, axis=2), np.diff(grey, axis=1)
    second = np.diff(across, axis=2)
    steps = np.sqrt((across**2).mean(axis=(1, 2)) + (down**2).mean(axis=(1, 2))) + 1e-4
    frame = np.concatenate([grey[:, :3].reshape(count, -1), grey[:, -3:].reshape(count, -1)], axis=1)
    flat = ((np.abs(across) < 0.5 / 255).mean(axis=(1, 2)) + (np.abs(down) < 0.5 / 255).mean(axis=(1, 2))) / 2
    largest = np.maximum(np.abs(across).mean(axis=1).max(axis=1), np.abs(down).mean(axis=2).max(axis=1)) + 1e-3
    return np.stack(
        [
            grey.mean(axis=(1, 2)),
            np.log(spread),
            images[..., 0].mean(axis=(1, 2)) - images[..., 1].mean(axis=(1, 2)),
            images[..., 2].mean(axis=(1, 2)) - images[..., 1].mean(axis=(1, 2)),
            np.arctanh(np.clip((channels[0] * channels[1]).sum(axis=1), -0.9999, 0.9999)),
            np.arctanh(np.clip((channels[2] * channels[1]).sum(axis=1), -0.9999, 0.9999)),
            np.log(steps / spread),
            np.log((np.sqrt((second**2).mean(axis=(1, 2))) + 1e-4) / steps),
            (_coarse(grey) * _coarse(grey[:, :, ::-1])).sum(axis=1),
            np.log(frame.std(axis=1) + 1e-3),
            flat,
            np.log(largest),
            np.log(seen.fine + 1e-3),
        ],
        axis=1,
    )


@dataclass(frozen=True)
class Appearance:
    """What training images are like.

    Attributes:
        mean_face, components: of small grey pictures of training, [144] and [K,144].
        usual: where landmarks usually lie, see `Located`; None if most training images do not show one face.
        centre, spread, inverse: of what is measured of each: [F], [F] and [F,F].
        threshold: the distance that only 1 % of training images reach.
    """

    mean_face: Numbers
    components: Numbers
    usual: Floats | None
    centre: Numbers
    spread: Numbers
    inverse: Numbers
    threshold: float

    @classmethod
    def of(cls, source: Source, indices: NDArray[np.int64], faces: Located) -> "Appearance":
        """Learned from one half of some training images; the other half says what is rare.

        Args:
            faces: in these images.
        """
        seen = _Seen.of(source, indices, faces)
        first, second = seen[::2], seen[1::2]
        usual = faces.usual
        small = _coarse(first.small.mean(axis=3))
        mean_face = small.mean(axis=0)
        components = np.linalg.svd(small - mean_face, full_matrices=False)[2][:_COMPONENTS]
        measured = cls._measured(first, mean_face, components, usual)
        centre = np.median(measured, axis=0)
        spread = np.quantile(np.abs(measured - centre), 0.68, axis=0) + 1e-6
        scaled = np.clip((measured - centre) / spread, -4, 4)
        covariance = scaled.T @ scaled / len(scaled)
        inverse = np.linalg.inv(covariance + 0.05 * np.eye(len(covariance)))
        unfinished = cls(mean_face, components, usual, centre, spread, inverse, 0.0)
        return replace(unfinished, threshold=float(np.quantile(unfinished._far(second), 1 - _RARE)))

    def odd(self, source: Source, indices: NDArray[np.int64], faces: Located) -> NDArray[np.bool_]:
        """Which of some images [N] are as odd as only 1 % of training images are, or do not show one face."""
        blocks = [slice(start, start + _BLOCK) for start in range(0, len(indices), _BLOCK)]
        far = [self._far(_Seen.of(source, indices[block], faces[block])) > self.threshold for block in blocks]
        return np.concatenate(far) | (self.usual is not None and ~faces.one)

    def _far(self, seen: _Seen) -> Numbers:
        measured = self._measured(seen, self.mean_face, self.components, self.usual)
        scaled = (measured - self.centre) / self.spread
        return np.asarray(np.sqrt(np.einsum("nf,fg,ng->n", scaled, self.inverse, scaled)))

    @staticmethod
    def _measured(seen: _Seen, mean_face: Numbers, components: Numbers, usual: Floats | None) -> Numbers:
        """With how like the mean face each is, what no variation of faces explains, how its face lies: [N,F]."""
        small = _coarse(seen.small.mean(axis=3))
        rest = small - mean_face
        rest = rest - (rest @ components.T) @ components
        faces = np.stack([small @ (mean_face / np.linalg.norm(mean_face)), np.linalg.norm(rest, axis=1)], axis=1)
        return np.concatenate([_plain(seen), faces, *([] if usual is None else [seen.faces.poses(usual)])], axis=1)
