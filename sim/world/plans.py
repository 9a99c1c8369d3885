"""Schedules of a script."""

from collections.abc import Iterator
from random import Random
from typing import get_args

from sim.world import script
from sim.world.dice import moment

PLANNED, PAUSED = 0.3, 0.4
"""The probability that there are schedules, and that one is suspended for a while."""


def plans(rng: Random, seconds: float, room: int) -> Iterator[script.AnyAction]:
    """Schedules, of which some are suspended for a while. What is allowed to pile up takes a third of the room at most."""
    for number in range(rng.randint(1, 2) if rng.random() < PLANNED else 0):
        at_s, name = moment(rng, 0.0, seconds / 2), f"plan-{number}"
        every_min, chunks, lasts_s = rng.choice((1, 1, 2)), rng.choice((1, 1, 3)), rng.choice((1.0, 10.0, 80.0))
        concurrency = rng.choice(get_args(script.Concurrency))
        if concurrency == "allow":
            lasts_s = min(lasts_s, 20.0 * every_min * room / chunks)
        deadline_s, keep = rng.choice((None, None, 20.0)), rng.choice((0, 1, 3))
        yield script.Plan(at_s, name, every_min, chunks, lasts_s, concurrency, deadline_s, keep)
        if rng.random() < PAUSED:
            since_s = moment(rng, at_s, seconds * 0.8)
            yield script.Replan(since_s, name, suspended=True)
            yield script.Replan(round(since_s + rng.uniform(0.1, 120.0), 3), name, suspended=False)
