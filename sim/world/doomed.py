"""Jobs of a script that end by their deadline and by nothing else."""

from collections.abc import Iterator
from random import Random

from sim.world import script
from sim.world.dice import moment
from sim.world.terms import NEVER, Terms

HOPELESS, ENDLESS = 0.2, 0.1
"""The probability that there is a job that nobody can take, and one that does not end by itself."""

ASKED_FOR_S = 70.0
"""For so long something is asked of the former: a world that is to come to rest has heard all of it."""


def doomed(rng: Random, seconds: float) -> Iterator[script.AnyAction]:
    """Not for worlds where a clock of the hub is ever wrong: there they would not end for as long."""
    if rng.random() < HOPELESS:
        at_s = moment(rng, 1.0, max(2.0, seconds - ASKED_FOR_S))
        yield script.Submit(at_s, "hopeless", 3, terms=Terms(queue_s=rng.choice((5.0, 40.0)), hopeless=True))
        yield script.Ask(round(at_s + rng.uniform(0.5, 10.0), 3), "hopeless", rng.choice(("suspend", "run")))
        yield script.Ask(round(at_s + rng.uniform(20.0, 60.0), 3), "hopeless", rng.choice(("retry", "run", "run")))
        yield script.Ask(round(at_s + ASKED_FOR_S, 3), "hopeless", "run")
    if rng.random() < ENDLESS:
        at_s, terms = moment(rng, 1.0, seconds / 2), Terms(job_s=rng.choice((10.0, 60.0)), may_fail=rng.choice((0, 1)))
        yield script.Submit(at_s, "endless", 2, fails=NEVER, fails_by="time", terms=terms)
        yield script.Ask(moment(rng, at_s, seconds), "endless", "retry")
