"""Writes the script of a seed."""

from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import get_args

from sim.world import script
from sim.world.copies import EVERY_S
from sim.world.dice import Dice, moment
from sim.world.doomed import doomed
from sim.world.operators import adoptions, cuts, powers, windows
from sim.world.plans import plans
from sim.world.traits import (
    calling,
    counted,
    cut_off,
    exclusive,
    in_order,
    mannered,
    termed,
    timed,
    uneven,
    with_ends,
)
from sim.world.troubles import clones, leased, swallowed
from sim.world.weather import CALM, ROUGH

SECONDS = 540.0
"""Until everything is mended. With the time to come to rest, and at rest, a world lasts ten minutes or more."""
EDGES_LIMIT, CHUNKS_LIMIT, FAULTS_LIMIT = 5, 200, 16
LOAD = 0.3
"""How much of the edges' time the jobs take, if nothing has to run twice."""
ROGUES = 0.3
"""The probability of each kind of rogue, and that a job is asked for again."""
FORGERS = 3
"""How often reports are forged at most. That has a stream of its own."""
BUSY = 0.5
"""The probability that a fault or a rogue comes at a time when a job ought to run: what idles shows little."""
QUIET = 0.2
"""The probability of no faults: there, everything must be quick from the beginning to the end."""
LOST, OVERTAKEN, STRUCK = 0.3, 0.1, 0.15
"""The probability of each story."""
COMPACTED = 0.4
"""The probability that the log is compacted, while somebody watches it. It has a stream of its own."""
SUSPENDED, ABORTED, RETRIED, RESTED = 0.1, 0.05, 0.7, 0.15
"""The probability that a job is suspended, aborted, or tried again once it has failed, and of a long one that is suspended or
aborted. They have a stream of their own."""
SOON_S, AGAIN_S = 40.0, 150.0
"""How soon that is, and how long what is tried again may take: worlds have some time to come to rest, not any."""
SERVED, SERVED_S, STOOD_BY = 0.25, (2.0, 15.0, 60.0), 0.15
"""The probability that edges are cordoned and drained, and for how long at most each is; and that one is for long while much is
to be done. They have a stream of their own."""
RULED = 0.3
"""The probability that it is said otherwise how chunks are placed. It has a stream of its own."""
KEEPS_S = (0.0, 5.0, 30.0, 120.0)
CUT_SHORT, FORGETFUL, UNDONE, BEHIND = 0.5, 0.3, 0.2, 0.3
"""The probability that a compaction is killed midway, that the reconcilers compact as well, that the database is put back to
before a compaction, and that the hub is behind when the log is compacted."""
OVERTAKING = 16
"""Jobs, each an event at least: more than a quiet system writes in four seconds for one job."""
MISSED = 40
"""Jobs of which a hub hears nothing: more events than a segment has."""


def script_of(seed: int, *, seconds: float = SECONDS) -> script.Script:
    """What a seed does to its world: jobs in the first two thirds of the time, faults in all of it."""
    dice = Dice(seed)
    rng, others = dice.stream("script"), dice.stream("script/others")
    edges, replicas, slots = rng.randint(1, EDGES_LIMIT), rng.randint(1, 2), rng.choice((1, 2, 4, 8))
    room_s = seconds * edges * slots * LOAD
    actions: list[script.AnyAction] = list(with_ends(dice.stream("script/ends"), _jobs(rng, seconds, room_s)))
    jobs = [action for action in actions if isinstance(action, script.Submit)]
    actions.extend(_faults(rng, _Times(rng, seconds, jobs, edges * slots), edges, replicas))
    actions.extend(_rogues(others, _Times(others, seconds, jobs, edges * slots), jobs))
    actions.extend(_forgers(dice.stream("script/forgers"), seconds, jobs, edges * slots))
    actions.extend(_stories(others, seconds, edges, slots))
    actions.extend(_asks(dice.stream("script/asks"), seconds, jobs, edges, slots))
    actions.extend(_serves(dice.stream("script/serving"), seconds, edges, slots))
    actions.extend(_rules(dice.stream("script/rules"), seconds))
    actions = list(mannered(dice.stream("script/manners"), uneven(dice.stream("script/luck"), actions), edges * slots))
    actions = calling(dice.stream("script/callbacks"), actions)
    actions = list(counted(dice.stream("script/counts"), actions))
    actions = list(in_order(dice.stream("script/order"), actions))
    actions = list(cut_off(dice.stream("script/cutoffs"), actions))
    actions = list(exclusive(dice.stream("script/exclusive"), actions))
    actions.extend(cuts(dice.stream("script/cuts"), seconds, edges, slots))
    actions.extend(adoptions(dice.stream("script/adoptions"), seconds, edges, slots))
    is_timely = script.is_timely(actions)
    if is_timely:
        actions = [
            *timed(dice.stream("script/times"), actions),
            *plans(dice.stream("script/plans"), seconds, edges * slots),
        ]
    actions = list(termed(dice.stream("script/terms"), actions, seconds))
    if is_timely:
        actions.extend(doomed(dice.stream("script/doomed"), seconds))
        actions.extend(windows(dice.stream("script/windows"), seconds, edges, slots))
    actions.extend(powers(dice.stream("script/power"), seconds, edges, slots, is_timely=is_timely))
    actions.extend(swallowed(dice.stream("script/swallowed"), seconds, edges, slots))
    actions.extend(leased(dice.stream("script/leased"), seconds, edges, replicas))
    actions.extend(clones(dice.stream("script/clones"), seconds, edges, slots))
    keep_s, compactions = _compactions(dice.stream("script/keeping"), seconds, replicas)
    actions.extend(compactions)
    return script.Script(
        seed=seed,
        edges=edges,
        replicas=replicas,
        seconds=seconds,
        weather=rng.choice((CALM, ROUGH)),
        slots=slots,
        keep_s=keep_s,
        actions=tuple(sorted(actions, key=lambda action: action.at_s)),
    )


def _jobs(rng: Random, seconds: float, room_s: float) -> list[script.AnyAction]:
    """Jobs that keep the edges busy for no more than `room_s` altogether, if everything runs once."""
    actions: list[script.AnyAction] = []
    all_chunks = left = round(rng.triangular(5, CHUNKS_LIMIT, 20))
    longest_s = min(20.0, 2 * room_s / all_chunks)
    while left > 0:
        name = f"job-{len(actions)}"
        chunks = min(left, rng.choice((1, 1, 2, 5, 12, 40, 100)))
        left -= chunks
        at_s = moment(rng, 0.0, seconds * 2 / 3)
        retries = rng.randint(0, 2)
        fails = rng.choice((0, 0, 0, 0, 1, retries + 1))
        submit = script.Submit(
            at_s, name, chunks, rng.choice((1, 1, 2, 3)), round(rng.uniform(0.2, longest_s), 1), retries, fails
        )
        actions.append(submit)
        if rng.random() < 0.15:
            actions.append(script.Delete(moment(rng, at_s, seconds), name))
    return actions


def _asks(
    rng: Random, seconds: float, jobs: Sequence[script.Submit], edges: int, slots: int
) -> Iterator[script.AnyAction]:
    """What people ask of jobs that they have: those that fail are tried again, others suspended for a while, or aborted. And a
    job that would run for so long that it is seen whether it does not."""
    if rng.random() < RESTED:
        at_s = moment(rng, 5.0, seconds * 2 / 3)
        yield script.Submit(at_s, "rested", slots, seconds=60.0)
        yield script.Ask(at_s + 5.0, "rested", rng.choice(("suspend", "abort")))
        yield script.Ask(at_s + 45.0, "rested", "run")
    for job in jobs:
        at_s = moment(rng, job.at_s, min(seconds, job.at_s + SOON_S))
        if rng.random() < SUSPENDED:
            yield script.Ask(at_s, job.job, "suspend")
            yield script.Ask(round(at_s + rng.uniform(0.1, SOON_S), 3), job.job, "run")
        if rng.random() < ABORTED:
            yield script.Ask(moment(rng, at_s, min(seconds, at_s + SOON_S)), job.job, "abort")
        again_s = job.seconds * job.chunks * (job.fails + 1) / (edges * slots)
        if job.fails > job.retries and again_s < AGAIN_S and rng.random() < RETRIED:
            yield script.Ask(moment(rng, job.at_s, seconds), job.job, "retry")


def _serves(rng: Random, seconds: float, edges: int, slots: int) -> Iterator[script.AnyAction]:
    """Edges are cordoned and drained, and used again. And one where something runs, or is being placed just then, for so long
    that it is seen whether it goes on there."""
    if rng.random() < STOOD_BY:
        at_s, edge = moment(rng, 5.0, seconds / 2), f"edge-{rng.randrange(edges)}"
        yield script.Submit(at_s, "served", 2 * edges * slots, seconds=25.0)
        yield script.Serve(
            round(at_s + rng.choice((rng.uniform(0.0, 0.2), 5.0)), 3), edge, rng.choice(("cordon", "drain"))
        )
        yield script.Serve(at_s + 80.0, edge, "use")
    if rng.random() >= SERVED:
        return
    for _ in range(rng.randint(1, 4)):
        at_s, edge = moment(rng, 1.0, seconds * 0.9), f"edge-{rng.randrange(edges)}"
        yield script.Serve(at_s, edge, rng.choice(("cordon", "drain", "drain")), rng.choice((0.0, 0.0, 5.0)))
        yield script.Serve(round(at_s + rng.uniform(0.1, rng.choice(SERVED_S)), 3), edge, "use")


def _rules(rng: Random, seconds: float) -> Iterator[script.AnyAction]:
    """How chunks are placed changes while they are."""
    if rng.random() >= RULED:
        return
    for _ in range(rng.randint(1, 3)):
        margin = rng.choice((None, 10, 10))
        policy, order = rng.choice(get_args(script.Policy)), rng.choice(get_args(script.Order))
        yield script.Rule(
            moment(rng, 1.0, seconds / 2), policy, order, margin, rng.choice((1.0, 5.0)), rng.choice((0.0, 2.0, 60.0))
        )


class _Times:
    """Draws the times of what goes wrong, in a world that has room for so many chunks at a time."""

    def __init__(self, rng: Random, seconds: float, jobs: Sequence[script.Submit], room: int) -> None:
        self._rng, self.seconds, self._jobs, self._room = rng, seconds, jobs, room

    def any(self) -> float:
        if self._rng.random() >= BUSY:
            return moment(self._rng, 5.0, self.seconds)
        job = self._rng.choice(self._jobs)
        lasts_s = job.seconds * (1 + job.chunks / self._room)
        return min(self.seconds, moment(self._rng, job.at_s, job.at_s + lasts_s))


def _faults(rng: Random, times: _Times, edges: int, replicas: int) -> list[script.AnyAction]:
    agents = [f"edge-{number}" for number in range(edges)]
    hub = [f"reconcilers-{number}" for number in range(replicas)]

    def down() -> float:
        return round(rng.uniform(0.5, 30.0), 1)

    kinds: list[tuple[int, Callable[[float], script.AnyAction]]] = [
        (4, lambda at: script.Kill(at, rng.choice(agents + hub), down())),
        (2, lambda at: script.Stop(at, rng.choice(agents + hub), down())),
        (3, lambda at: script.Pause(at, rng.choice(agents + hub), down())),
        (3, lambda at: script.Cut(at, rng.choice(agents), round(rng.uniform(1.0, 120.0), 1), *rng.choice(_WAYS))),
        (1, lambda at: script.Cut(at, rng.choice(hub), down(), *rng.choice(_WAYS))),
        (
            2,
            lambda at: script.Jump(
                at, rng.choice([*agents, *hub, "database"]), rng.choice((-3600.0, -5.0, 5.0, 3600.0))
            ),
        ),
        (1, lambda at: script.Away(at, rng.choice(agents), down())),
        (2, lambda at: script.Away(at, rng.choice(["database", *hub]), round(rng.uniform(1.0, 40.0), 1))),
        (1, script.Wipe),
        (1, lambda at: script.Restore(at, round(rng.uniform(1.0, 60.0), 1))),
        (2, lambda at: script.Crash(at, rng.choice(agents), down(), empty=rng.random() < 0.3)),
        (1, lambda at: script.LoseDisk(at, rng.choice(agents), down())),
        (1, lambda at: script.RestoreDisk(at, rng.choice(agents), down(), round(rng.uniform(1.0, 60.0), 1))),
        (1, lambda at: script.Full(at, rng.choice(agents), down())),
    ]
    weights, makers = zip(*kinds, strict=True)
    count = 0 if rng.random() < QUIET else rng.randint(0, FAULTS_LIMIT)
    return [rng.choices(makers, weights)[0](times.any()) for _ in range(count)]


def _forgers(rng: Random, seconds: float, jobs: Sequence[script.Submit], slots: int) -> Iterator[script.AnyAction]:
    """Who speaks in the names of agents, mostly while there is something to say."""
    times = _Times(rng, seconds, jobs, slots)
    for _ in range(rng.randint(0, FORGERS)):
        yield script.Rogue(times.any(), "forged")


def _rogues(rng: Random, times: _Times, jobs: Sequence[script.Submit]) -> Iterator[script.AnyAction]:
    """What must be refused, or answered as it was before, at any time."""
    for tries in get_args(script.Tries):
        if tries != "forged" and rng.random() < ROGUES:
            yield script.Rogue(times.any(), tries)
    for job in jobs:
        if rng.random() < ROGUES:
            yield script.Repeat(moment(rng, job.at_s, times.seconds), job.job)


def _stories(rng: Random, seconds: float, edges: int, slots: int) -> Iterator[script.AnyAction]:
    """What single faults would hardly ever come to: an edge that is lost, until the end or until its chunks have just been
    placed elsewhere, a host that goes down with all that it can run, and a database that was put back and is further than
    before by the time that anybody looks."""
    if edges > 1 and rng.random() < LOST:
        at_s, for_s = moment(rng, 5.0, seconds / 2), rng.choice((seconds, moment(rng, 88.0, 105.0)))
        yield script.Submit(at_s, "stranded", slots, seconds=20.0)
        yield script.Cut(at_s + 4.0, "edge-0", for_s)
    if rng.random() < STRUCK:
        at_s = moment(rng, 5.0, seconds * 2 / 3)
        yield script.Submit(at_s, "struck", edges * slots, seconds=10.0)
        yield script.Crash(at_s + 5.0, f"edge-{rng.randrange(edges)}", round(rng.uniform(0.5, 10.0), 1))
    if rng.random() < OVERTAKEN:
        copied_s = EVERY_S * rng.randint(round(seconds * 0.75 / EVERY_S), round(seconds * 0.9 / EVERY_S))
        yield script.Submit(copied_s + 2.0, "forgotten", 1, seconds=10.0)
        yield script.Restore(copied_s + 4.0, 3.0)
        for number in range(OVERTAKING):
            yield script.Submit(round(copied_s + 4.0 + 0.005 * number, 3), f"overtaking-{number}", 1, seconds=0.2)


def _compactions(rng: Random, seconds: float, replicas: int) -> tuple[float | None, list[script.AnyAction]]:
    """The log loses its beginning, again and again, while somebody reads it; and what the reconcilers keep of it."""
    if rng.random() >= COMPACTED:
        return None, []
    watched = rng.choice(("Job", "Attempt"))
    actions: list[script.AnyAction] = [
        script.Watch(moment(rng, 1.0, seconds / 2), watched, rng.choice((1.0, 20.0, 60.0)))
    ]
    for _ in range(rng.randint(1, 5)):
        at_s, keep_s = moment(rng, 10.0, seconds), rng.choice(KEEPS_S)
        killed_s = round(rng.uniform(0.0, 0.3), 4) if rng.random() < CUT_SHORT else None
        actions.append(script.Compact(at_s, keep_s, killed_s))
        if rng.random() < UNDONE:
            since_s = rng.uniform(0.1, 20.0)
            back_s = min(seconds, round(at_s + since_s, 3))  # later, it would undo what everything is mended by
            actions.append(script.Restore(back_s, round(since_s + rng.uniform(0.0, 40.0), 1)))
    if rng.random() < BEHIND:
        at_s, for_s = moment(rng, 20.0, seconds * 2 / 3), rng.choice((9.0, 30.0))
        actions += [script.Away(at_s, f"reconcilers-{number}", for_s) for number in range(rng.randint(1, replicas))]
        for number in range(MISSED):
            actions.append(script.Submit(round(at_s + 1.0 + 0.005 * number, 3), f"missed-{number}", 1, seconds=0.2))
        actions.append(script.Compact(at_s + for_s - 4.0, 0.0))
    return rng.choice(KEEPS_S) if rng.random() < FORGETFUL else None, actions


_WAYS = ((True, True), (True, True), (True, False), (False, True))
