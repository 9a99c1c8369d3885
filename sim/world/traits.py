"""What jobs of a script have beside their chunks: how they fail, are uneven, are placed, tell of themselves, come after others
or at a time, and end before their chunks have. Each has a stream of its own."""

from collections.abc import Iterator, Sequence
from random import Random
from typing import get_args

from msgspec.structs import replace

from sim.world import script
from sim.world.dice import moment
from sim.world.engine import FailsBy
from sim.world.receivers import Temper
from sim.world.terms import drawn

MANNERED, MANNERED_CHUNKS = 0.3, 12
"""The probability that a job says how it is placed, and how many chunks one has at most that says how these lie."""
COUNTED = 0.3
"""The probability that a job says in another way how many chunks it has."""
CALLING = 0.4
"""The probability that jobs have callbacks, and that each has."""
TIMED_CHUNKS = 5
"""The most chunks of a job that fail by time: each holds its place for as long as its limit is."""
UNEVEN, SIGMAS = 0.2, (0.0, 0.5, 1.0)
"""The probability that jobs are uneven, and how much so each."""
ORDERED, LATER, SHORT_LIVED = 0.15, 0.1, 0.15
"""The probability that a job comes after others, begins at a time, or goes after one."""
LATER_S, TTLS_S = 40.0, (0.0, 5.0, 60.0)
REPLACED, REPLACED_S = 0.3, (0.0, 5.0, 30.0)
"""The probability that a job has its chunks run elsewhere when their edge is cut off, and for how long it waits before."""
EXCLUSIVE, LEASES_S = 0.25, (6.0, 15.0, 30.0)
"""The probability that a job of those which wait is exclusive, and how long its leases are."""
TERMED, RETRIED = 0.4, 0.3
"""The probability that a job says more of its failures and its time, and that what may have failed by that is tried again."""


def cut_off(rng: Random, actions: Sequence[script.AnyAction]) -> Iterator[script.AnyAction]:
    """The same, where some jobs do not wait until an edge that is cut off is lost."""
    for action in actions:
        if isinstance(action, script.Submit) and rng.random() < REPLACED:
            yield replace(action, replace_s=rng.choice(REPLACED_S))
        else:
            yield action


def exclusive(rng: Random, actions: Sequence[script.AnyAction]) -> Iterator[script.AnyAction]:
    """The same, where some jobs that wait for their edges let nothing of a chunk run twice at a time."""
    for action in actions:
        if isinstance(action, script.Submit) and action.replace_s is None and rng.random() < EXCLUSIVE:
            yield replace(action, lease_s=rng.choice(LEASES_S))
        else:
            yield action


def with_ends(rng: Random, actions: Sequence[script.AnyAction]) -> Iterator[script.AnyAction]:
    """The same, where what fails does so in all the ways that it can."""
    for action in actions:
        if isinstance(action, script.Submit) and action.fails:
            fails_by = rng.choice(get_args(FailsBy))
            yield replace(action, fails_by="exit" if fails_by == "time" and action.chunks > TIMED_CHUNKS else fails_by)
        else:
            yield action


def uneven(rng: Random, actions: Sequence[script.AnyAction]) -> list[script.AnyAction]:
    """Some jobs have stragglers, and fail midway where they fail."""
    if rng.random() >= UNEVEN:
        return list(actions)
    return [
        replace(action, sigma=rng.choice(SIGMAS)) if isinstance(action, script.Submit) else action for action in actions
    ]


def mannered(rng: Random, actions: Sequence[script.AnyAction], room: int) -> Iterator[script.AnyAction]:
    """The same, where some small jobs say how their chunks are placed, and some go before others."""
    for action in actions:
        if not isinstance(action, script.Submit) or rng.random() >= MANNERED:
            yield action
            continue
        fitting = action.chunks <= min(room, MANNERED_CHUNKS)
        manner = rng.choice(get_args(script.Manner)) if fitting else ""
        yield replace(action, manner=manner, priority=rng.choice((0, 50, 100)))


def counted(rng: Random, actions: Sequence[script.AnyAction]) -> Iterator[script.AnyAction]:
    """Some jobs leave it open how many chunks they have, and some name their indices."""
    for action in actions:
        if isinstance(action, script.Submit) and rng.random() < COUNTED:
            yield replace(action, counted=rng.choice(("split", "split", "array")))
        else:
            yield action


def calling(rng: Random, actions: Sequence[script.AnyAction]) -> list[script.AnyAction]:
    """Some jobs tell receivers what they reach."""
    if rng.random() >= CALLING:
        return list(actions)
    return [
        replace(action, tells=tuple(rng.sample(get_args(Temper), rng.randint(1, 3))))
        if isinstance(action, script.Submit) and rng.random() < CALLING
        else action
        for action in actions
    ]


def in_order(rng: Random, actions: Sequence[script.AnyAction]) -> Iterator[script.AnyAction]:
    """Some jobs come after others that are asked for before them."""
    before: list[str] = []
    for action in sorted(actions, key=lambda action: action.at_s):
        if isinstance(action, script.Submit):
            if before and rng.random() < ORDERED:
                names = tuple(sorted({rng.choice(before) for _ in range(rng.randint(1, 3))}))
                yield replace(action, after=names, on=rng.choice(("succeeded", "finished")))
            else:
                yield action
            before.append(action.job)
        else:
            yield action


def timed(rng: Random, actions: Sequence[script.AnyAction]) -> Iterator[script.AnyAction]:
    """Some jobs wait for a moment, and some go some time after their end."""
    for action in actions:
        if isinstance(action, script.Submit):
            start_s = round(action.at_s + rng.uniform(0.0, LATER_S), 3) if rng.random() < LATER else None
            yield replace(action, start_s=start_s, ttl_s=rng.choice(TTLS_S) if rng.random() < SHORT_LIVED else None)
        else:
            yield action


def termed(rng: Random, actions: Sequence[script.AnyAction], seconds: float) -> Iterator[script.AnyAction]:
    """The same, where some jobs say what their failures mean and how long they may take."""
    for action in actions:
        if not isinstance(action, script.Submit) or action.chunks < 2 or rng.random() >= TERMED:
            yield action
            continue
        failing = rng.choice((0, 0, rng.randint(1, action.chunks)))
        terms = drawn(rng, action.chunks, action.fails, by_exit=action.fails_by == "exit")
        yield replace(action, failing=failing, terms=terms)
        if rng.random() < RETRIED:
            yield script.Ask(moment(rng, action.at_s, seconds), action.job, "retry")
