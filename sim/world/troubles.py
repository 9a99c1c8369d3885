"""What befalls an edge and what it is told, in a script: messages that it never gets, and a second one of its name."""

from collections.abc import Iterator
from random import Random

from sim.world import script
from sim.world.dice import moment

SWALLOWED = 0.25
"""The probability that some of what the feed has for edges does not come out of it. It has a stream of its own."""
CLONED, MEANWHILE = 0.2, 0.3
"""The probability that an edge runs twice, and that it is cut off meanwhile, or started again. It has a stream of its own."""


def swallowed(rng: Random, seconds: float, edges: int, slots: int) -> Iterator[script.AnyAction]:
    """Messages of the feed are lost just when attempts are to begin on an edge, or to be stopped, or go with their job."""
    for number in range(rng.randint(1, 3) if rng.random() < SWALLOWED else 0):
        job, edge = f"unheard-{number}", f"edge-{rng.randrange(edges)}"
        at_s, what = moment(rng, 5.0, seconds * 0.7), rng.choice(("begin", "stop", "go"))
        yield script.Submit(at_s, job, slots, seconds=30.0 if what == "stop" else 4.0)
        due_s = at_s + {"begin": 0.0, "stop": 8.0, "go": 24.0}[what]
        yield script.Swallow(due_s - 0.5, edge, round(rng.uniform(2.0, 10.0), 1))
        if what == "stop":
            yield script.Ask(due_s, job, "abort")
        elif what == "go":
            yield script.Delete(due_s, job)


def clones(rng: Random, seconds: float, edges: int, slots: int) -> Iterator[script.AnyAction]:
    """An edge runs twice for a while, when there is much to be done, and its host may be cut off or fail meanwhile."""
    if rng.random() >= CLONED:
        return
    edge, at_s, for_s = (
        f"edge-{rng.randrange(edges)}",
        moment(rng, 10.0, seconds * 2 / 3),
        rng.choice((5.0, 30.0, 90.0)),
    )
    yield script.Submit(round(at_s - 4.0, 3), "doubled", 2 * edges * slots, seconds=5.0)
    yield script.Clone(at_s, edge, for_s)
    yield script.Submit(round(at_s + 2.0, 3), "redoubled", 2 * edges * slots, seconds=0.5)
    during_s = round(at_s + rng.uniform(-5.0, for_s), 3)
    if rng.random() < MEANWHILE:
        yield script.Cut(during_s, edge, rng.choice((5.0, 40.0)))
    elif rng.random() < MEANWHILE:
        yield script.Kill(during_s, edge, rng.choice((0.5, 10.0)))
