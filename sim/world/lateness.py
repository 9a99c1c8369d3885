"""Lateness: nothing may stand still while everything that it needs is whole.

Wakes make the system quick, and slow resyncs make up for lost ones. So each bound here is longer than what a whole system takes
at most (a backoff of ten seconds, a poll of five), and shorter than the shortest resync that would hide a lost wake (the
relay's: 24 s).
"""

import math
from collections.abc import Callable, Hashable, Iterator, Mapping
from datetime import datetime
from typing import NamedTuple

from datamodel.feed.ports import Stream
from datamodel.names import last_name
from datamodel.node import Node
from datamodel.pool import Pool
from datamodel.scheduling.attempts import AGAIN, ENDED, PLACED, RUN, VACANT
from datamodel.scheduling.beginning import is_held
from datamodel.scheduling.edges import DISCONNECTED, LOST, ONLINE, desired_path, inventory_path, place_of
from datamodel.scheduling.jobs import ABORT, FAILED, FINISHED, RUNNING, SUCCEEDED
from datamodel.scheduling.resources import amounts
from datamodel.state import State
from sim.world.cutoffs import is_double, unheard
from sim.world.engine import Engine
from sim.world.failing import failed, rest_s
from sim.world.overdue import behind, held, stays
from sim.world.receivers import temper_of, undelivered
from sim.world.serving import counted_on, is_used, lacks, phases
from sim.world.splits import number_of

LOOK_S = 4.0
STILL_S = 18.0
"""For how long nothing may stand still."""
GRACE_S = 36.0
"""Who begins to judge edges grants each the whole time again, until it is cut off."""
SETTLED_S = 45.0
"""After the last trouble: a late request may come 20 s after it, and take a lease for 15 s, which is tried for every 5 s."""


class Still(NamedTuple):
    """Something that waits. As long as its `key` is the same, nothing has happened to it. `needs`: the edge that must be whole
    for it to go on, beside the hub; none where it is empty."""

    key: Hashable
    what: str
    needs: str = ""
    limit_s: float = STILL_S


class Lateness:
    """Looks now and then, and complains of what stood still for too long. `whole_since(edge)` tells since when an edge, or the
    hub (empty), has had no trouble."""

    def __init__(self, whole_since: Callable[[str], float], complain: Callable[[str], None]) -> None:
        self._whole_since, self._complain = whole_since, complain
        self._since_s: dict[Hashable, float] = {}

    def look(self, now_s: float, waiting: Callable[[], Iterator[Still]]) -> None:
        """What `waiting()` names, it names from this look on, until it does not any more."""
        before, self._since_s = self._since_s, {}
        if now_s < self._whole_since("") + SETTLED_S:
            return
        for still in waiting():
            if still.needs and now_s < self._whole_since(still.needs) + SETTLED_S:
                continue
            since_s = self._since_s[still.key] = before.get(still.key, now_s)
            if now_s - since_s > still.limit_s:
                self._complain(f"nothing is broken, and for {now_s - since_s:.0f} s {still.what}")


def waiting(
    state: State, engines: Mapping[str, Engine], newest: Stream | None, position: int, now: datetime | None = None
) -> Iterator[Still]:
    """All that should go on by itself. `now` is the right time, as the hub has it; None where its clocks are wrong."""
    if newest is not None and newest.last < position:
        yield Still(("feed", newest), f"the feed is at {newest.last}, the log at {position}")
    running = set[str]()
    there: dict[str, list[Node]] = {}
    jobs: list[Node] = []
    edges: list[Node] = []
    configs: list[Node] = []
    rooms: list[Pool] = []
    for node in state.nodes.values():
        if node.kind == "Attempt" and node.phase not in ENDED:
            if node.phase not in VACANT:
                running.update(node.links["job"])
                there.setdefault(desired_path(*place_of(node.path)), []).append(node)
            yield from _attempt(node, state, engines)
        elif node.kind == "Edge":
            name = place_of(node.path)[1]
            if node.phase != ONLINE:
                yield Still((node.path, node.phase), f"{node.path} is {node.phase}", name)
            elif node.spec["trouble"]:
                yield Still((node.path, "trouble"), f"{node.path} says: {node.spec['trouble']}", name)
            else:
                edges.append(node)
        elif node.kind == "EdgeConfig":
            configs.append(node)
        elif node.kind == "Schedule" and now is not None:
            yield from (Still((node.path, number), what) for number, what in enumerate(behind(node, state, now)))
        elif node.kind == "Job":
            jobs.append(node)
    for edge in edges:
        if is_used(edge, state, now):
            rooms.append(counted_on(edge, state, now))
        yield from (Still(*lack) for lack in lacks(edge, state, there, engines[last_name(edge.path)], now))
    for config in configs:
        yield from (Still(*lack) for lack in phases(config, state, there, now))
    kept = {job.path for job in jobs if _has_room_kept(job, state)}
    for job in jobs:
        yield from _callbacks(job)
        yield from _job(job, state, [] if kept - {job.path} else rooms, runs=job.uid in running)
        for what in (*held(job, state, now), *stays(job, now)) if now is not None else ():
            yield Still((job.path, "time"), what)


def _attempt(attempt: Node, state: State, engines: Mapping[str, Engine]) -> Iterator[Still]:
    path = inventory_path(*place_of(attempt.path))
    edge, name = state.nodes.get(path), place_of(attempt.path)[1]
    job = state.nodes.get(attempt.spec["job"])
    is_resting = (
        job is not None and job.phase not in FINISHED and (job.spec.get("intent", RUN) != RUN or "ending" in job.status)
    )
    if attempt.spec["intent"] != RUN:
        yield Still((attempt.path, "stop"), f"{attempt.path} is to be stopped", name)
    elif job is not None and job.uid in attempt.links["job"] and is_resting:
        yield Still((attempt.path, "rest"), f"{attempt.path} is to run, and its job is not")
    elif edge is not None and edge.phase == LOST:
        yield Still((attempt.path, "abandon"), f"{attempt.path} is to run on an edge that is lost")
    elif edge is not None and edge.phase == DISCONNECTED and "replaceAfterS" in attempt.spec:
        limit_s = attempt.spec["replaceAfterS"] + GRACE_S + STILL_S
        yield Still((attempt.path, "replace"), f"{attempt.path} is to run on an edge that is cut off", limit_s=limit_s)
    elif is_double(attempt, state):
        yield Still((attempt.path, "double"), f"{attempt.path} is to run, and another has its chunk's result")
    elif not engines[name].runs(last_name(attempt.path)):
        key = (attempt.path, attempt.phase, engines[name].begun(last_name(attempt.path)))
        yield Still(key, f"{attempt.path} is {attempt.phase or 'new'}, and not running", name)


def _has_room_kept(job: Node, state: State) -> bool:
    """Whether it is a gang that waits: what is free may be kept until there is room for all of it."""
    counts = state.totals[job.uid].phases if job.uid in state.totals else {}
    waits = job.phase not in FINISHED and job.deletion_requested_at is None and not is_held(job)
    return bool(job.spec.get("allOrNothing")) and waits and not sum(counts.values())


def _has_room(job: Node, placed: int, in_flight: int, rooms: list[Pool]) -> bool:
    """Whether something more of a job has to be placed, with what is free and with what it says of its chunks' places."""
    asked = amounts(job.spec["requests"])
    times = [max(0, min(room.free.get(name, 0) // amount for name, amount in asked.items())) for room in rooms]
    arranged = (job.spec.get("placement") or {}).get("arrangement") or {}
    if arranged.get("chunks") == "apart":
        return len([count for count in times if count]) > in_flight
    if job.spec.get("allOrNothing") and not placed:
        return sum(times) >= number_of(job)
    most: float = job.spec.get("maxParallel", math.inf)
    return any(times) and in_flight < most


def _callbacks(job: Node) -> Iterator[Still]:
    """Receivers that take what they are told are told at once."""
    if job.deletion_requested_at is not None:
        return
    for notice, url in undelivered(job):
        if temper_of(url) == "sound":
            yield Still((notice, url), f"{url} is to be told that {job.path} has come to be {job.phase}")
    wants = any(job.phase in callback["on"] for callback in job.spec.get("callbacks") or ())
    if wants and not any(notice["phase"] == job.phase for notice in job.status.get("callbacks") or ()):
        yield Still((job.path, job.phase, "notice"), f"{job.path} is {job.phase}, and tells nobody")


def _job(job: Node, state: State, rooms: list[Pool], *, runs: bool) -> Iterator[Still]:
    totals = state.totals.get(job.uid)
    counts = dict(totals.phases) if totals is not None else {}
    if job.deletion_requested_at is not None:
        if not runs:
            yield Still((job.path, "deleted"), f"{job.path} is to be deleted, and nothing of it runs")
        return
    chunks, placed, intent = number_of(job), sum(counts.values()), job.spec.get("intent", RUN)
    found = failed(job, state, placed)
    asked = job.generation != job.status.get("observedGeneration", 1)
    if job.phase == FAILED and asked and counts.get(FAILED) and not found.job and intent == RUN:
        yield Still((job.path, "again"), f"{job.path} has failed, and its chunks may fail more often")
    if job.phase in FINISHED:
        return
    in_flight = counts.get(PLACED, 0) + counts.get(RUNNING, 0)
    is_whole = counts.get(SUCCEEDED, 0) + found.for_good == chunks
    is_decided = found.job or intent == ABORT or "ending" in job.status
    over = (is_whole and not found.job) or (is_decided and not in_flight)
    told = job.status.get("chunks", {})
    if over or any(told.get(phase, 0) != counts.get(phase, 0) for phase in (PLACED, RUNNING, SUCCEEDED, FAILED)):
        key = (job.path, "status", *sorted(counts.items()))
        yield Still(key, f"{job.path} is {job.phase or 'new'} with {told}, and its chunks are {counts}")
    known = next(
        (one for one in job.status.get("conditions", ()) if one["type"] == "Heard"), {"status": "True", "message": ""}
    )
    if job.status and known["message"] != unheard(job, state):
        yield Still((job.path, "heard", unheard(job, state)), f"{job.path} says of what is not heard from: {known}")
    waits = placed < chunks or sum(counts.get(phase, 0) for phase in AGAIN) > found.for_good
    is_due = waits and intent == RUN and not is_decided and not is_held(job)
    if is_due and _has_room(job, placed, in_flight, rooms):
        key = (job.path, "chunks", *sorted(counts.items()))
        yield Still(key, f"{job.path} has chunks to place, and there is room: {counts}", limit_s=STILL_S + rest_s(job))
