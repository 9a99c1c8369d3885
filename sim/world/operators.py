"""What operators of a script's edges do, and what their power does."""

from collections.abc import Iterator
from random import Random

from sim.world import script
from sim.world.dice import moment
from sim.world.engine import FULL_W

VARYING, SHEDDING = 0.4, 0.8
"""The probability that power varies, and that what is too much then goes elsewhere."""
REPLACED, WAITED = 0.4, 0.3
"""The probability that chunks run twice since their edge was cut off, and that edges are waited for for longer."""
SPOKEN, ADOPTED = 0.6, 0.3
"""The probability that an operator says something of such an edge, and that a result that came too late is adopted."""
FORESEEN = 0.3
"""The probability that edges know before when it does, and that placement looks ahead."""
MAINTAINED = 0.3
"""The probability that there are maintenance windows."""
LASTS_S = (3.0, 40.0, 90.0)


def cuts(rng: Random, seconds: float, edges: int, slots: int) -> Iterator[script.AnyAction]:
    """An edge is cut off for about as long as a chunk takes that runs there, which has gone elsewhere by then: now one result
    comes first, now the other. And edges are waited for longer, or not."""
    if rng.random() < WAITED:
        edge = rng.choice(("", f"edge-{rng.randrange(edges)}"))
        at_s = moment(rng, 0.0, seconds / 2)
        yield script.Times(at_s, edge, rng.choice((30.0, 45.0)), rng.choice((90.0, 120.0, 200.0)))
    if edges < 2 or rng.random() >= REPLACED:
        return
    at_s, edge = moment(rng, 5.0, seconds / 2), f"edge-{rng.randrange(edges)}"
    lasts_s, after_s, ways = rng.uniform(50.0, 70.0), rng.choice((0.0, 5.0, 15.0)), ((True, True), (True, False))
    yield script.Submit(at_s, "cut", edges * slots, seconds=round(lasts_s, 1), replace_s=after_s)
    yield script.Cut(at_s + 4.0, edge, round(lasts_s + rng.choice((-10.0, 5.0, 25.0, 100.0)), 1), *rng.choice(ways))
    if rng.random() < SPOKEN:
        yield script.Say(round(at_s + rng.uniform(24.0, 60.0), 3), edge, rng.choice(("lost", "off")))
        yield script.Cut(round(at_s + lasts_s + 130.0, 1), edge, 27.0)  # of this one, nobody says anything


def adoptions(rng: Random, seconds: float, edges: int, slots: int) -> Iterator[script.AnyAction]:
    """An edge is drained, and hears nothing of that: what it has done meanwhile was not waited for, and comes too late."""
    if edges < 2 or rng.random() >= ADOPTED:
        return
    at_s, edge = moment(rng, 5.0, seconds / 2), f"edge-{rng.randrange(edges)}"
    yield script.Submit(at_s, "adopted", edges * slots, seconds=30.0)
    yield script.Cut(at_s + 4.0, edge, 40.0)
    yield script.Serve(at_s + 5.0, edge, "drain")
    yield script.Serve(at_s + 75.0, edge, "use")
    for _ in range(2):
        yield script.Adopt(round(at_s + rng.uniform(44.0, 70.0), 3), "adopted")


def powers(rng: Random, seconds: float, edges: int, slots: int, *, is_timely: bool) -> Iterator[script.AnyAction]:
    """Edges whose power shrinks and grows, and jobs of several priorities that are there when it does. Where the hub's clocks
    are always right (`is_timely`), some say so before."""
    if rng.random() >= VARYING:
        return
    at_s = moment(rng, 5.0, seconds / 2)
    looks_ahead = is_timely and rng.random() < FORESEEN
    if looks_ahead:
        yield script.Foresee(moment(rng, 0.0, at_s), rng.choice((10.0, 40.0)))
    if rng.random() < SHEDDING:
        yield script.Shed(moment(rng, 0.0, at_s + 30.0), rng.choice(("", "", f"edge-{rng.randrange(edges)}")))
    for number, priority in enumerate(rng.sample((0, 20, 80), 2)):  # together they fill all edges
        chunks = edges * slots - number * rng.randint(0, edges * slots - 1)
        yield script.Submit(round(at_s + number, 3), f"varied-{number}", chunks, seconds=45.0, priority=priority)
    for _ in range(rng.randint(1, 4)):
        since_s, edge = moment(rng, at_s + 6.0, at_s + 20.0), f"edge-{rng.randrange(edges)}"
        watts = rng.choice((0.0, 0.5, max(0.0, slots - 1.5)))
        if looks_ahead:
            dip_s = round(rng.uniform(15.0, 60.0), 3)
            ahead = ((dip_s, watts), (dip_s + rng.choice((5.0, 30.0)), FULL_W))
            yield script.Power(max(0.0, round(since_s - dip_s, 3)), edge, FULL_W, ahead)
        yield script.Power(since_s, edge, watts)
        yield script.Power(round(since_s + rng.choice((1.0, 20.0, 60.0, 60.0, 90.0)), 3), edge, FULL_W)


def windows(rng: Random, seconds: float, edges: int, slots: int) -> Iterator[script.AnyAction]:
    """Maintenance windows of edges and of all of them, and a job that runs into one. Not for worlds where a clock of the hub is
    ever wrong."""
    if rng.random() >= MAINTAINED:
        return
    at_s = moment(rng, 5.0, seconds / 2)
    for _ in range(rng.randint(1, 3)):
        edge, every_min = rng.choice(("", f"edge-{rng.randrange(edges)}")), rng.choice((0, 0, 1, 2))
        lasts_s = min(rng.choice(LASTS_S), 30.0 * every_min) if every_min else rng.choice(LASTS_S)
        yield script.Maintain(
            moment(rng, at_s, at_s + 20.0),
            edge,
            after_s=round(rng.uniform(-5.0, 30.0), 3),
            lasts_s=lasts_s,
            every_min=every_min,
            notice_s=rng.choice((0.0, 0.0, 10.0)),
            moves=rng.random() < 0.6,
        )
    yield script.Submit(round(at_s + 25.0, 3), "maintained", rng.randint(1, 2 * edges * slots), seconds=40.0)
