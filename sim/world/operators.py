"""What operators of a script's edges do, and what their power does."""

from collections.abc import Iterator
from random import Random

from sim.world import script
from sim.world.dice import moment
from sim.world.engine import FULL_W

VARYING, SHEDDING = 0.4, 0.8
"""The probability that power varies, and that what is too much then goes elsewhere."""
FORESEEN = 0.3
"""The probability that edges know before when it does, and that placement looks ahead."""
MAINTAINED = 0.3
"""The probability that there are maintenance windows."""
LASTS_S = (3.0, 40.0, 90.0)


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
