"""When jobs arrive: decided beforehand, from a seed, and from nothing that happens meanwhile."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

Process = Literal["poisson", "constant"]


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of the load at one rate. One that is not counted (a warm-up) is load like any other, and no figure."""

    name: str
    rate: float
    """Jobs a second."""
    seconds: float
    counted: bool = True


class Arrival(NamedTuple):
    """A job's intended time in seconds from the start of the run, and the index of its phase."""

    at_s: float
    phase: int


def arrivals(process: Process, phases: Sequence[Phase], seed: int) -> Iterator[Arrival]:
    """All arrivals of the phases, one after the other, in order. `constant` has a job every 1/rate seconds from the phase's
    start; `poisson` has independent, exponentially distributed gaps of that mean, as many users who know nothing of each
    other have."""
    chance = random.Random(f"{seed}/arrivals")  # noqa: S311 - a load, not a secret
    begin_s = 0.0
    for index, phase in enumerate(phases):
        at_s = begin_s + (chance.expovariate(phase.rate) if process == "poisson" else 0.0)
        number = 0
        while at_s < begin_s + phase.seconds:
            yield Arrival(at_s, index)
            number += 1
            if process == "poisson":
                at_s += chance.expovariate(phase.rate)
            else:
                at_s = begin_s + number / phase.rate  # a sum of gaps would drift
        begin_s += phase.seconds
