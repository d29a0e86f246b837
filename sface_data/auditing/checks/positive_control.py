"""The positive control: what the checks would say if there were leakage, planted for the purpose.

An audit that finds nothing may be blind. So training images are planted in the release, and every check
that would pass is asked again: with a trace of them it must not pass any more, with a larger share it must fail.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sface_data.auditing.checks.kind import CheckContext
from sface_data.auditing.policy import PositiveControl
from sface_data.auditing.sets.judged_sets import Indices
from sface_data.auditing.verdict import Finding
from sface_data.biometrics.clustered import Bounds
from sface_data.biometrics.intervals import CONFIDENCE

_FEWEST = 20  # planted images from which a share that is found is known at all


@dataclass(frozen=True)
class Planting:
    """What became of images that were planted.

    Attributes:
        kind: `altered` training images, `simulated` ones where there were only embeddings, `other` images of
            training people, or whole `classes` of their photographs.
        share: of the release that was replaced by them; `images` how many.
        found: share of the planted images that the check counts.
        demand: what the check must do: `not pass` or `fail`; empty if nothing is demanded.
        caught: in which share of trials it did, or did not pass where nothing is demanded.
        enough: whether that meets the policy.
    """

    kind: str
    share: float
    images: int
    found: float
    demand: str
    caught: float
    enough: bool

    def to_json(self) -> dict[str, Any]:
        """As it stands in the certificate."""
        return {name: value for name, value in vars(self).items() if name != "enough"}


def plant_images(
    context: CheckContext,
    finding: Finding,
    pools: dict[str, NDArray[np.bool_]],
    images: int,
    units: int,
    with_planted: Callable[[Indices, Indices, str], Bounds],
) -> list[Planting]:
    """Replaces images of the release by planted ones and looks at the check again.

    Args:
        pools: by kind, whether each image that can be planted is counted by the check.
        images: the size of the release.
        units: what the statistic is a share of: a planted image changes it by at most 1 / units.
        with_planted: gives the bounds of the statistic when some images of the release are replaced by some of a
            pool: (indices in the release, members of the pool, kind).
    """
    control = context.policy.positive_control
    if control is None:
        return []
    rng = context.rng(finding.name)
    plantings = []
    for kind, pool in pools.items():
        for share, demand in _demands(control, kind):
            count = max(1, math.ceil(share * images - 1e-9))
            if count < finding.limit * units * (1 - 1e-9):
                demand = ""  # the limit allows as many
            caught = 0
            for _ in range(context.trials):
                replaced = rng.choice(images, count, replace=False)
                bounds = with_planted(replaced, rng.integers(len(pool), size=count), kind)
                caught += _caught(bounds, finding.limit, demand or "not pass", context.level)
            enough = not demand or _enough(caught / context.trials, pool, control)
            plantings.append(
                Planting(kind, share, count, float(pool.mean()), demand, caught / context.trials, enough)
            )
    return plantings


def plant_classes(
    context: CheckContext,
    finding: Finding,
    pool: NDArray[Any],
    classes: int,
    with_planted: Callable[[Indices, np.random.Generator], Bounds],
    most: Callable[[float], float] = lambda share: math.inf,
) -> list[Planting]:
    """Replaces whole classes of the release by photographs of their namesakes and looks at the check again.

    Args:
        pool: whether each image that can be planted is counted by the check, or which share of each person's.
        classes: the size of the release.
        with_planted: gives the bounds of the statistic when some classes of the release are replaced.
        most: the statistic if this share of the classes was recognised entirely and there was nothing else; of a
            trace that the limit allows nothing is demanded.
    """
    control = context.policy.positive_control
    if control is None or not len(pool):
        return []
    rng = context.rng(finding.name)
    count = max(1, math.ceil(control.share * classes - 1e-9))
    caught, demand = 0, "not pass" if most(control.share) > finding.limit else ""
    for _ in range(context.trials):
        bounds = with_planted(rng.choice(classes, count, replace=False), rng)
        caught += _caught(bounds, finding.limit, "not pass", context.level)
    share = caught / context.trials
    enough = not demand or _enough(share, pool, control)
    return [Planting("classes", control.share, count, float(pool.mean()), demand, share, enough)]


def missed(plantings: list[Planting]) -> str:
    """Why a pass would mean nothing; empty if everything demanded was caught."""
    for planting in plantings:
        if planting.demand and not planting.enough:
            what = {
                "altered": "altered training images",
                "simulated": "simulated copies of training images",
                "other": "other images of training people",
                "classes": "classes of images of their namesakes",
            }[planting.kind]
            return (
                f"no power: with {planting.share:.1%} of the release replaced by {what}, the check did "
                f"{'not fail' if planting.demand == 'fail' else 'still pass'} in "
                f"{1 - planting.caught:.0%} of trials ({planting.found:.0%} of them were recognised)"
            )
    return ""


def _demands(control: PositiveControl, kind: str) -> list[tuple[float, str]]:
    if kind == "other":  # harder to recognise than copies: of a trace nothing is demanded
        return [(control.trace, ""), (control.share, "fail")]
    return [(control.trace, "not pass"), (control.share, "fail")]


def _caught(bounds: Bounds, limit: float, demand: str, level: float) -> bool:
    if demand == "fail":
        return bool(bounds(1 - 2 * level)[0] > limit)
    return bool(bounds(CONFIDENCE)[1] > limit)


def _enough(caught: float, pool: NDArray[Any], control: PositiveControl) -> bool:
    return caught >= control.caught - 1e-9 and len(pool) >= _FEWEST
