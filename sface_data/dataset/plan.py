"""The whole data set before it exists: which images, with which seeds, in which shards."""

import dataclasses
import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from sface_data.errors import BadInput
from sface_data.io.files import sha256_of_json
from sface_data.io.typed_json import Sha256, decode

if TYPE_CHECKING:  # the command line reads plans to print its help
    import numpy as np
    from numpy.typing import NDArray

IMAGE_FORMATS = ("jpg", "png", "webp")
NOISE_MODES = ("const", "random", "none")
PRECISIONS = ("fp32", "bf16", "fp16")
TRUNCATION_CENTERS = ("global", "class")
CENTER_SAMPLES = 1000  # z per class; the mean of that many is within about 3 % of the spread of w
_SEEDS = 1 << 32  # numpy.random.RandomState takes 32 bits


def _require(condition: bool, sentence: str) -> None:
    if not condition:
        raise BadInput(sentence)


@dataclass(frozen=True, slots=True)
class SampleSpec:
    """One image that shall exist.

    Attributes:
        key: `CCCCCC_IIIIII`, the name of the sample in its shard.
        class_index: class of the generator, and the label.
        index: which image of the class.
        seed: `numpy.random.RandomState(seed).randn(z_dim)` is its latent z.
    """

    key: str
    class_index: int
    index: int
    seed: int


@dataclass(frozen=True)
class ImageFormat:
    """How an image is stored.

    Attributes:
        size: height and width in pixels; the generator's images are resized to it.
        format: `jpg`, `png` or `webp`.
        quality: 1 to 100, for `jpg` and `webp`; None for `png`, which loses nothing.
    """

    size: int = 112
    format: str = "jpg"
    quality: int | None = 95

    def __post_init__(self) -> None:
        _require(8 <= self.size <= 4096, f"the image size is {self.size}; it must be 8 to 4096 pixels")
        _require(self.format in IMAGE_FORMATS, f"the format {self.format!r} is none of {', '.join(IMAGE_FORMATS)}")
        if self.format == "png":
            _require(self.quality is None, "png loses nothing and takes no quality")
        else:
            good = self.quality is not None and 1 <= self.quality <= 100
            _require(good, f"the quality is {self.quality}; it must be 1 to 100")


@dataclass(frozen=True)
class Truncation:
    """The truncation trick: w is pulled towards a centre, which trades variety for typical faces.

    Attributes:
        psi: 1 leaves w as it is, 0 puts the centre in its place.
        cutoff: how many layers, from the coarsest, are truncated; None for all.
        center: `global` is the mean of w over all classes, `class` the mean over the class.
        center_samples: from how many z the mean of a class is estimated; None with `global`.
    """

    psi: float = 1.0
    cutoff: int | None = None
    center: str = "global"
    center_samples: int | None = None

    def __post_init__(self) -> None:
        good = math.isfinite(self.psi) and 0 <= self.psi <= 2
        _require(good, f"the truncation psi is {self.psi}; it must be a number from 0 to 2")
        good = self.cutoff is None or self.cutoff >= 1
        _require(good, f"the truncation cutoff is {self.cutoff}; it must be at least 1")
        good = self.center in TRUNCATION_CENTERS
        _require(good, f"the truncation centre {self.center!r} is none of {', '.join(TRUNCATION_CENTERS)}")
        good = (self.center_samples or 0) >= 1 if self.center == "class" else self.center_samples is None
        _require(good, "the truncation centre of a class, and only that, is estimated from at least one z")
        good = self.center == "global" or self.psi != 1
        _require(good, "truncation towards the class changes nothing with psi 1; give a smaller psi")


@dataclass(frozen=True)
class Alignment:
    """Faces are found in the generator's images and aligned; where there is none, the class draws its next index.

    Attributes:
        detector_sha256: digest of the detector.
        draws: how many images a class may draw for each that is wanted.
    """

    detector_sha256: Sha256
    draws: int = 10

    def __post_init__(self) -> None:
        _require(self.draws >= 1, f"{self.draws} draws for each image are allowed; it must be at least 1")


@dataclass(frozen=True)
class NewIdentities:
    """Classes that are drawn in the generator's class space, in the place of those it was trained on.

    Attributes:
        seed: what the draw derives from.
        mix: how many training classes each is mixed of; None if each is drawn from the distribution of all.
        nearness: quantile of the cosines of training classes to the one nearest to them. Draws that come nearer to
            a training class, or to an earlier identity, are passed over. Mixtures are near to those that they are
            mixed of, and not held to it.
    """

    seed: int = 0
    mix: int | None = None
    nearness: float = 0.95

    def __post_init__(self) -> None:
        good = 0 <= self.seed < 1 << 64
        _require(good, f"the identity seed is {self.seed}; it must be 0 or more, and below 2^64")
        good = self.mix is None or self.mix >= 2
        _require(good, f"mixtures of {self.mix} are asked for; it must be at least 2 classes")
        _require(0 <= self.nearness <= 1, f"the nearness of identities is {self.nearness}; it must be 0 to 1")

    @property
    def prefix(self) -> str:
        """What the names of such classes begin with."""
        return "new" if self.mix is None else f"mix{self.mix}"


@dataclass(frozen=True)
class SamplePlan:
    """A data set before it exists; a pure function of its fields.

    Samples are ordered by index, then by class: every stretch of a shard mixes the classes, as training on a
    stream wants it, and more samples per class come after those that there were.

    Attributes:
        generator_sha256: digest of configuration and weights of the generator.
        generator_classes: how many classes the generator has; 0 if it is unconditional.
        classes: the classes asked for, ascending.
        samples_per_class: images of each.
        base_seed: what all seeds derive from.
        truncation: see `Truncation`.
        noise_mode: `const`, `random` or `none`.
        precision: `fp32`, `bf16` or `fp16`, of the convolutions.
        image: see `ImageFormat`.
        split: name of the split.
        samples_per_shard: images per tar; the last one may have fewer.
        align: see `Alignment`; None if the images stay as they are made.
        identities: see `NewIdentities`; None if the classes are those of the generator.
        training_identities: by class of the generator, the identity that it was trained on, as
            `faces.base.identity_mark` calls it; None where the generator's file does not say.
    """

    generator_sha256: Sha256
    generator_classes: int
    classes: tuple[int, ...]
    samples_per_class: int
    base_seed: int = 0
    truncation: Truncation = Truncation()
    noise_mode: Literal["const", "random", "none"] = "const"
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    image: ImageFormat = ImageFormat()
    split: str = "train"
    samples_per_shard: int = 10_000
    align: Alignment | None = None
    identities: NewIdentities | None = None
    training_identities: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        _require(len(self.classes) > 0, "no classes are asked for")
        ascending = all(a < b for a, b in zip(self.classes, self.classes[1:], strict=False))
        _require(ascending, "the classes must be ascending and different")
        good = self.identities is None or self.generator_classes > 0
        _require(good, "an unconditional network has no classes, so no identities can be drawn from it")
        good = self.training_identities is None or len(self.training_identities) == self.generator_classes
        _require(good, f"training identities of the {self.generator_classes} classes of the generator are missing")
        last = self.num_class_names - 1
        outside = next((c for c in self.classes if not 0 <= c <= last), None)
        _require(outside is None, f"the class {outside} is asked for, but the generator has classes 0 to {last}")
        good = 1 <= self.samples_per_class <= _SEEDS
        _require(good, f"{self.samples_per_class} samples per class are asked for; it must be 1 to {_SEEDS:,}")
        good = self.samples_per_shard >= 1
        _require(good, f"{self.samples_per_shard} samples per shard are asked for; it must be at least 1")
        _require(self.base_seed >= 0, f"the seed is {self.base_seed}; it must be 0 or more")
        good = self.noise_mode in NOISE_MODES
        _require(good, f"the noise mode {self.noise_mode!r} is none of {', '.join(NOISE_MODES)}")
        good = self.precision in PRECISIONS
        _require(good, f"the precision {self.precision!r} is none of {', '.join(PRECISIONS)}")
        good = self.split.isascii() and self.split.isidentifier() and self.split != "all"  # which means all splits
        _require(good, f"the split {self.split!r} must be one word, as `train`")

    @property
    def num_samples(self) -> int:
        """How many images there will be."""
        return len(self.classes) * self.samples_per_class

    @property
    def num_shards(self) -> int:
        """How many tars there will be."""
        return -(-self.num_samples // self.samples_per_shard)

    @property
    def num_class_names(self) -> int:
        """How many labels the data set declares: all classes of the generator, so that parts fit together.

        Of new identities, all up to the last.
        """
        return max(self.generator_classes, 1) if self.identities is None else self.classes[-1] + 1

    def class_name(self, class_index: int) -> str:
        """The name of a class. Not a bare number: readers of YAML turn it into one and cut the zeros off."""
        return f"{'class' if self.identities is None else self.identities.prefix}_{class_index:06d}"

    @property
    def most_draws(self) -> int:
        """How many images of a class there may be at most, with those in which no face is found."""
        return self.samples_per_class * (1 if self.align is None else self.align.draws)

    @property
    def fingerprint(self) -> str:
        """The hex SHA-256 of all fields."""
        return sha256_of_json(self.to_json())

    def shard_filename(self, shard: int) -> str:
        """The path of a shard below the folder of the data set."""
        return f"data/{self.split}-{shard:06d}.tar"

    def shard_size(self, shard: int) -> int:
        """How many samples a shard holds."""
        return min(self.samples_per_shard, self.num_samples - shard * self.samples_per_shard)

    def shard(self, shard: int, indices: "NDArray[np.int64] | None" = None) -> Iterator[SampleSpec]:
        """The samples of a shard, in order.

        Args:
            indices: [classes,samples_per_class] of the images in which a face was found, with a plan that aligns.
        """
        if (indices is None) != (self.align is None):
            raise ValueError("indices are given with plans that align, and only with those")
        first = shard * self.samples_per_shard
        for position in range(first, first + self.shard_size(shard)):
            number, row = divmod(position, len(self.classes))
            index = number if indices is None else int(indices[row, number])
            yield spec_of(self.base_seed, self.classes[row], index)

    def to_json(self) -> dict[str, Any]:
        """The fields as plain JSON values, the classes as ranges; without what is None."""
        value = {**dataclasses.asdict(self), "classes": format_ranges(self.classes)}
        return {name: item for name, item in value.items() if item is not None}

    @classmethod
    def from_json(cls, value: Any) -> "SamplePlan":
        """The plan that `to_json` gave.

        Raises:
            BadInput: if it is no such plan.
        """
        try:
            classes = decode(str, value["classes"], "classes")
            return decode(cls, {**value, "classes": parse_ranges(classes)})
        except (TypeError, KeyError, BadInput) as error:
            raise BadInput(f"not a plan that this version of sface-data can read ({error})") from error


def spec_of(base_seed: int, class_index: int, index: int) -> SampleSpec:
    """The image `index` of a class: depends on nothing but these three numbers."""
    seed = (_first_seed(base_seed, class_index) + index) % _SEEDS
    return SampleSpec(key_of(class_index, index), class_index, index, seed)


def key_of(class_index: int, index: int) -> str:
    """The name of a sample. No dots: readers of WebDataset split names there."""
    return f"{class_index:06d}_{index:06d}"


def parse_ranges(text: str) -> tuple[int, ...]:
    """Numbers from `0-9,12,20-29`, ascending.

    Raises:
        BadInput: if it is not of that form, or a number comes twice.
    """
    numbers: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        ends = [first, last] if dash else [first]
        if not all(end.isascii() and end.isdigit() and len(end) < 10 for end in ends):
            raise BadInput(f"{part.strip()!r} is no class or range of classes; write as in 0-9,12,20-29")
        low, high = int(ends[0]), int(ends[-1])
        _require(low <= high, f"the range {part.strip()} runs backwards")
        _require(high - low < 10_000_000, f"the range {part.strip()} has more than ten million classes")
        numbers.extend(range(low, high + 1))
    _require(len(set(numbers)) == len(numbers), f"a class comes twice in {text}")
    return tuple(sorted(numbers))


def format_ranges(numbers: Sequence[int]) -> str:
    """The inverse of `parse_ranges`, as short as can be."""
    parts: list[str] = []
    start = 0
    for i in range(1, len(numbers) + 1):
        if i == len(numbers) or numbers[i] != numbers[i - 1] + 1:
            low, high = numbers[start], numbers[i - 1]
            parts.append(f"{low}-{high}" if high > low else f"{low}")
            start = i
    return ",".join(parts)


@lru_cache(maxsize=1 << 16)
def _first_seed(base_seed: int, class_index: int) -> int:
    # Seeds of one class follow one another, so no two of its images share a z; a hash says where they start.
    digest = hashlib.sha256(f"sface-data {base_seed} {class_index}".encode()).digest()
    return int.from_bytes(digest[:4], "big")
