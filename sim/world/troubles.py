"""What befalls an edge and what it is told, in a script: messages that it never gets, and a second one of its name."""

from collections.abc import Iterator
from random import Random

from sim.world import script
from sim.world.dice import moment
from sim.world.traits import LEASES_S

SWALLOWED = 0.25
"""The probability that some of what the feed has for edges does not come out of it. It has a stream of its own."""
CLONED, MEANWHILE = 0.2, 0.3
"""The probability that an edge runs twice, and that it is cut off meanwhile, or started again. It has a stream of its own."""
LEASED = 0.5
"""The probability that something befalls an edge, or the hub, while an exclusive job runs. It has a stream of its own."""


def leased(rng: Random, seconds: float, edges: int, replicas: int) -> Iterator[script.AnyAction]:
    """An edge with chunks of an exclusive job is cut off, killed or copied, for less or more than its lease, and so is who
    grants it."""
    if rng.random() >= LEASED:
        return
    at_s, edge = moment(rng, 5.0, seconds / 2), f"edge-{rng.randrange(edges)}"
    lease_s, for_s = rng.choice(LEASES_S), rng.choice((8.0, 40.0, 70.0))
    each_s = round(rng.uniform(20.0, 80.0), 1)
    yield script.Submit(at_s, "leased", edges, steps=2, seconds=each_s, lease_s=lease_s)
    then_s = round(at_s + rng.uniform(0.5, 15.0), 3)
    match rng.choice(("cut", "cut", "deaf", "kill", "clone", "drain")):
        case "cut":
            yield script.Cut(then_s, edge, for_s)
        case "deaf":
            yield script.Cut(then_s, edge, for_s, up=False)
        case "kill":
            yield script.Kill(then_s, edge, for_s)
        case "clone":
            yield script.Clone(then_s, edge, for_s)
            yield script.Cut(round(then_s + 5.0, 3), edge, for_s)
        case "drain":
            yield script.Cut(then_s, edge, for_s)
            yield script.Serve(round(then_s + 2.0, 3), edge, "drain")
            yield script.Serve(round(then_s + 60.0, 3), edge, "use")
    if rng.random() < MEANWHILE:
        yield script.Kill(round(then_s + rng.uniform(0.0, for_s), 3), f"reconcilers-{rng.randrange(replicas)}", 5.0)


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
