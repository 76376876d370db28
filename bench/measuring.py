"""Times of several pieces of work, taken in turn so that a busy moment of the machine meets all of them."""

import platform
import random
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

Work = Callable[[], object]


@dataclass(frozen=True)
class Times:
    """Milliseconds of each round, by the name of the work; every round ran each piece once."""

    rounds: Mapping[str, tuple[float, ...]]

    def median(self, name: str) -> float:
        return statistics.median(self.rounds[name])

    def ratio(self, name: str, reference: str) -> tuple[float, float, float]:
        """Median, lower and upper quartile of a round's time over that of the reference in the same round."""
        pairs = zip(self.rounds[name], self.rounds[reference], strict=True)
        lower, middle, upper = statistics.quantiles((one / other for one, other in pairs), n=4, method="inclusive")
        return middle, lower, upper


def in_turn(works: Mapping[str, Work], rounds: int) -> Times:
    """Each piece once in every round, after one round that warms up.

    The order within a round is shuffled (seeded), as each piece leaves the caches to its successor.
    """
    for work in works.values():
        work()
    taken: dict[str, list[float]] = {name: [] for name in works}
    order, dice = list(works), random.Random(0)
    for _ in range(rounds):
        dice.shuffle(order)
        for name in order:
            taken[name].append(milliseconds(works[name]))
    return Times({name: tuple(each) for name, each in taken.items()})


def milliseconds(work: Work) -> float:
    """Processor time of this thread, which does all the work: time that other programs took is not counted."""
    begun = time.thread_time()
    work()
    return 1_000 * (time.thread_time() - begun)


def processor() -> str:
    """The processor's model, where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
