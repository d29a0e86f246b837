"""Pieces of work timed in turns, A B A B, so that a machine that slows down slows all of them."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

ROUNDS = 5


@dataclass(frozen=True)
class Work:
    """What is timed.

    Attributes:
        run: one round of it; it is called once more before the first, to warm up.
        amount: what a round makes (images, pairs, floating-point operations); 1 for what is only waited for.
    """

    run: Callable[[], object]
    amount: float = 1.0


@dataclass(frozen=True)
class Figure:
    """A median of all rounds, and their extremes."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, rounds: list[float]) -> "Figure":
        return cls(statistics.median(rounds), min(rounds), max(rounds))


@dataclass(frozen=True)
class Times:
    """Seconds of each round, for so much."""

    amount: float
    seconds: list[float]

    @property
    def rate(self) -> Figure:
        """Amount a second."""
        return Figure.of([self.amount / seconds for seconds in self.seconds])

    @property
    def took(self) -> Figure:
        """Seconds."""
        return Figure.of(self.seconds)

    def beside(self, other: "Times") -> Figure:
        """How many times the rate of the other, round by round."""
        pairs = zip(self.seconds, other.seconds, strict=True)
        return Figure.of([self.amount / mine / (other.amount / theirs) for mine, theirs in pairs])


def in_turns(works: dict[str, Work], rounds: int = ROUNDS) -> dict[str, Times]:
    """Times works by name, one round of each after the other."""
    for work in works.values():
        work.run()
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            start = time.perf_counter()
            work.run()
            seconds[name].append(time.perf_counter() - start)
    return {name: Times(work.amount, seconds[name]) for name, work in works.items()}
