"""A job that goes before everything else, among a million chunks that wait: how soon it is placed, with a real store.

The placer is the real one, in a replica of the reconcilers' runtime with the relay beside it, at a real Postgres and NATS.
There are 10,000 edges, and 105,000 jobs of 10 chunks in 19 sizes, none of which has room any more once the edges are full of
them; `planner.py` measures the planner alone among a million jobs. Then jobs of priority 100 come one at a time, each small
enough for what is left everywhere.

`urgentPlacedMs` counts from when the placer has read the job's event until the attempt's transaction has been answered;
`urgentWholeMs` from before the job is appended, as another process would: over a connection of its own, with word over NATS.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import UTC, datetime
from random import Random
from typing import Any, NamedTuple

from datamodel.appender import Appender
from datamodel.command import Actor, Command, Outcome, Unit, raise_refused
from datamodel.errors import Transient
from datamodel.feed.bus import Bus, connect
from datamodel.feed.message import POKE
from datamodel.feed.stream import JetStreams
from datamodel.kinds import SYSTEM, USER
from datamodel.ports import Change, Store
from datamodel.postgres.store import PostgresStore
from datamodel.scheduling.attempts import claim_of
from datamodel.scheduling.edges import ONLINE, desired_path, inventory_path
from datamodel.scheduling.model import MODEL
from datamodel.scheduling.planes import EDGE
from datamodel.scheduling.scheduler import PRIORITY
from reconcilers.placement import Placement
from reconcilers.runtime.replica import Replica
from sim.bench.report import latencies
from sim.bench.stack import servers
from sim.bench.waiting import TIMEOUT_S, until

SITES, GROUPS, SIZES = 100, 20, 19
BAR_MS = 50.0
LEFT_CPU = 0.05
"""What is left of each edge by whatever the others ask for: they ask for tenths of a core."""
UNIT = 500
QUIET_S = 1.0

_MIB = 2**20
_STEPS = [{"name": "work", "image": "busybox:latest", "script": "true"}]
_ANN, _SYSTEM = Actor("bench", USER), Actor("bench", SYSTEM)


class Scale(NamedTuple):
    """How much there is: edges, jobs that wait, chunks of each, and urgent jobs that come."""

    edges: int = 10_000
    jobs: int = 105_000
    chunks: int = 10
    urgent: int = 300


class _Observed(PostgresStore):
    """The placer's store. It notes, by a job's uid, when its event was read first and when the attempt at it was durable."""

    def __init__(self, url: str) -> None:
        super().__init__(url, MODEL)
        self.seen_s: dict[str, float] = {}
        self.placed_s: dict[str, float] = {}
        self._awaited: dict[str, asyncio.Event] = {}

    async def append(self, units: Sequence[Unit]) -> list[Outcome]:
        outcomes = await super().append(units)
        now_s = time.perf_counter()
        for verdict in (verdict for outcome in outcomes for verdict in outcome if verdict.error is None):
            claim = claim_of(verdict.path)
            if claim is not None and claim.owner in self._awaited:
                self.placed_s[claim.owner] = now_s
                self._awaited.pop(claim.owner).set()
        return outcomes

    async def changes(self, after: int, limit: int) -> list[Change]:
        found = await super().changes(after, limit)
        now_s = time.perf_counter()
        for change in found:
            if change.uid in self._awaited:
                self.seen_s.setdefault(change.uid, now_s)
        return found

    async def until_placed(self, uid: str) -> None:
        """Returns once an attempt at the job is durable. Raises `Transient` where that takes too long."""
        placed = self._awaited[uid]
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await placed.wait()
        except TimeoutError as error:
            raise Transient(f"waited {TIMEOUT_S:.0f} s in vain for a job to be placed") from error

    def expect(self, uid: str) -> None:
        """The job of this uid is to be noted."""
        self._awaited[uid] = asyncio.Event()


async def urgent() -> dict[str, Any]:
    """On servers of its own."""
    async with servers() as system, PostgresStore(system.database_url, MODEL) as store:
        bus = await connect(system.nats, "bench")
        try:
            return await figures(store, bus, system.database_url, Scale())
        finally:
            await bus.close()


async def figures(store: Store, bus: Bus, database_url: str, scale: Scale) -> dict[str, Any]:
    """The figures at an empty database, and whether the bar was held."""
    began_s = time.perf_counter()
    async with Appender(store) as appender:
        await _furnish(appender, scale)
    furnished_s = time.perf_counter()
    async with _Observed(database_url) as observed, _placing(observed, bus):
        await until(_Quiet(store).reached, "the edges to be full")
        full_s = time.perf_counter()
        pending = scale.jobs * scale.chunks - (await store.sum_totals()).entries
        placed_ms, whole_ms = await _measure(store, bus, observed, scale.urgent)
    return {
        "urgentSystem": {
            "edges": scale.edges,
            "jobs": scale.jobs,
            "chunksPending": pending,
            "furnishedS": round(furnished_s - began_s, 1),
            "filledS": round(full_s - furnished_s, 1),
            "barMs": BAR_MS,
            "held": placed_ms["p99"] < BAR_MS,
        },
        "urgentPlacedMs": placed_ms,
        "urgentWholeMs": whole_ms,
    }


async def _measure(
    store: Store, bus: Bus, observed: _Observed, count: int
) -> tuple[dict[str, float], dict[str, float]]:
    sent_s: dict[str, float] = {}
    pokes: set[asyncio.Task[None]] = set()

    def poke() -> None:
        task = asyncio.create_task(bus.publish(POKE, b"bench"))
        pokes.add(task)
        task.add_done_callback(pokes.discard)

    dice = Random(count)  # noqa: S311 - figures that can be repeated
    async with Appender(store, committed=poke) as appender:
        for number in range(count):
            uid = f"{dice.getrandbits(128):032x}"
            observed.expect(uid)
            sent_s[uid] = time.perf_counter()
            body = {**_body(LEFT_CPU, 1), "priority": 100}
            command = Command("create", _job_path(number, "urgent"), body, uid=uid)
            raise_refused(await appender.append(Unit((command,), _ANN)))
            await observed.until_placed(uid)
    await asyncio.gather(*pokes)
    placed_s = observed.placed_s
    return (
        latencies([placed_s[uid] - observed.seen_s[uid] for uid in sent_s]),
        latencies([placed_s[uid] - at_s for uid, at_s in sent_s.items()]),
    )


async def _furnish(appender: Appender, scale: Scale) -> None:
    """Makes the edges, which are online, the Scheduler that goes by priority, and the jobs."""
    sites = [f"s{number:03}" for number in range(SITES)]
    edges = [(sites[number % SITES], f"e{number:05}") for number in range(scale.edges)]
    above = [Command("apply", f"/{plane}/sites/{site}") for plane in ("inventory", "desired-config") for site in sites]
    await _write(appender, above, _SYSTEM)
    await _write(appender, [Command("create", desired_path(*edge)) for edge in edges], _SYSTEM)
    agent = Actor("bench", EDGE, scopes=frozenset(f"/sites/{site}" for site in sites))
    dice = Random(scale.edges)  # noqa: S311 - figures that can be repeated
    await _write(appender, [Command("create", inventory_path(*edge), _edge(dice)) for edge in edges], agent)
    online = {"phase": ONLINE}
    await _write(appender, [Command("patchStatus", inventory_path(*edge), online) for edge in edges], _SYSTEM)
    groups = [Command("apply", f"/config/job-groups/g{number:02}") for number in range(GROUPS)]
    await _write(appender, [*groups, Command("patchSpec", "/config/scheduler", {"order": PRIORITY})], _ANN)
    jobs = (
        Command("create", _job_path(number, "j"), _body((1 + number % SIZES) / 10, scale.chunks))
        for number in range(scale.jobs)
    )
    await _write(appender, list(jobs), _ANN)


def _edge(dice: Random) -> dict[str, Any]:
    return {
        "capacity": {"cpu": dice.choice((1, 2, 4)) + LEFT_CPU, "memoryBytes": 64 * 2**30, "powerW": 1_000.0},
        "runtime": "simulated",
        "agent": "bench",
        "agentVersion": "1",
        "incarnation": "1",
    }


def _job_path(number: int, prefix: str) -> str:
    return f"/config/job-groups/g{number % GROUPS:02}/jobs/{prefix}{number}"


def _body(cpu: float, chunks: int) -> dict[str, Any]:
    return {
        "chunks": chunks,
        "requests": {"cpu": cpu, "memoryBytes": _MIB, "powerW": 1.0},
        "steps": _STEPS,
    }


async def _write(appender: Appender, commands: Sequence[Command], actor: Actor) -> None:
    units = [Unit(tuple(part), actor, atomic=False) for part in _parts(commands)]
    for outcome in await asyncio.gather(*map(appender.append, units)):
        raise_refused(outcome)


def _parts(commands: Sequence[Command]) -> Iterable[Sequence[Command]]:
    return (commands[first : first + UNIT] for first in range(0, len(commands), UNIT))


@contextlib.asynccontextmanager
async def _placing(store: Store, bus: Bus) -> AsyncIterator[None]:
    """A replica with placement alone: nobody judges edges by their silence."""
    replica = Replica("bench", store, bus, JetStreams(bus), lease_ttl_s=5.0, poll_s=0.1)
    replica.add(Placement(store, replica.appender, lambda: datetime.now(UTC)), workers=1)
    task = asyncio.create_task(replica.run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


class _Quiet:
    """Whether something was placed, and for a while nothing more was."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._entries = 0
        self._since_s = time.perf_counter()

    async def reached(self) -> bool:
        entries, now_s = (await self._store.sum_totals()).entries, time.perf_counter()
        if entries != self._entries:
            self._entries, self._since_s = entries, now_s
        return entries > 0 and now_s - self._since_s > QUIET_S
