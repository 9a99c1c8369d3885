"""What containers cost through Tendril, beside what they cost without it, at the same engine and in turns.

Three ways run chunks of one step, `true` in a busybox, as many at a time: a job through the whole system; the engine's calls
that such a chunk takes; and `docker run` with the same flags. They take turns, since hours of a machine differ by more than
they do, and each turn is compared with the others of its round only.
"""

import asyncio
import contextlib
import itertools
import os
import statistics
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import docker

from datamodel.errors import Transient
from datamodel.postgres.store import PostgresStore
from datamodel.scheduling.model import MODEL
from deploy.local.ports import HOST
from sim.bench.client import Client
from sim.bench.container_floors import CPU, MEMORY_BYTES, SCRIPT, docker_run, has_docker_run, run_directly
from sim.bench.engine import IMAGE, Watch, engine
from sim.bench.report import rotated, spread
from sim.bench.stack import Stack, stack
from sim.bench.waiting import done, until

SLOTS = 4
"""Chunks that run at a time, each way."""
ROUNDS = 5
CHUNKS = 24
"""Of one way's turn in a round."""
STARTS = 5
"""And then, one after the other, each at rest."""
BAR_PERCENT = 15.0

_numbers = itertools.count()


@dataclass(frozen=True)
class Site:
    """A whole system whose one edge is the engine."""

    system: Stack
    edge: str
    client: Client
    store: PostgresStore
    api: docker.APIClient
    watch: Watch
    threads: ThreadPoolExecutor

    async def job(self, chunks: int) -> str:
        """Submits one and returns its uid when nothing is left of it at the engine. Raises `Transient` where it fails."""
        name = f"containers-{os.getpid()}-{next(_numbers)}"
        made = await self.client.post("/v1/jobs", _document(name, chunks))
        uid: str = made["metadata"]["uid"]
        await until(done(lambda: self.watch.removed(uid) == chunks), "every container to be removed")
        await until(lambda: self._succeeded(name), "the job to succeed")
        return uid

    async def each(self, run: Callable[[str], None], chunks: int) -> str:
        """Runs so many, as many at a time as the edge does, and returns what their attempts' names begin with."""
        prefix = f"floor-{os.getpid()}-{next(_numbers)}"
        names = (f"{prefix}-{number}" for number in range(chunks))
        loop = asyncio.get_running_loop()
        await asyncio.gather(*(loop.run_in_executor(self.threads, run, name) for name in names))
        await until(done(lambda: self.watch.removed(prefix) == chunks), "every container to be removed")
        return prefix

    async def _succeeded(self, name: str) -> bool:
        phase = (await self.client.get(f"/v1/jobs/default/{name}"))["status"]["phase"]
        if phase == "failed":
            raise Transient(f"the job {name} failed")
        return bool(phase == "succeeded")


@contextlib.asynccontextmanager
async def site() -> AsyncIterator[Site]:
    """Raises `Transient` where there is no engine."""
    edge = f"bench-{os.getpid()}"  # nobody else's: an agent removes what it finds of its edges and nobody wants
    settings = {"EDGE_RUNTIME": "docker", "EDGE_NAME": edge, "EDGE_CPU": str(SLOTS * CPU)}
    with engine() as api, contextlib.closing(Watch(api)) as watch, ThreadPoolExecutor(SLOTS) as threads:
        async with stack(edges=1, **settings) as system, PostgresStore(system.database_url, MODEL) as store:
            client = Client(HOST, system.port)
            await client.open(1)
            with contextlib.closing(client):
                yield Site(system, edge, client, store, api, watch, threads)


async def compared(at: Site, *, rounds: int = ROUNDS, chunks: int = CHUNKS, starts: int = STARTS) -> dict[str, Any]:
    """Medians over the rounds, with the least and the most; of the starts of a round, their median counts.

    A turn lasts from the submission, or the first call, until every container is removed and the job has succeeded. A start
    lasts until the engine's event of it: through Tendril from the submission, and from when its attempt stood in the graph
    (`desired`, which is what compares with the calls); else from before the first call.
    """
    ways = _ways(at)
    for way in ways.values():  # the first time costs more, each way
        await way(SLOTS)
    took_s: dict[str, list[float]] = {name: [] for name in ways}
    start_ms: dict[str, list[float]] = {name: [] for name in ("submitted", *ways)}
    for number in range(rounds):
        for name in rotated(list(ways), number):
            began = time.perf_counter()
            await ways[name](chunks)
            took_s[name].append(time.perf_counter() - began)
        for name in rotated(list(ways), number):
            for since, times_ms in (await _starts(at, name, ways[name], starts)).items():
                start_ms[since].append(statistics.median(times_ms))
    return {
        "containers": {
            "chunksPerTurn": chunks,
            "atATime": SLOTS,
            **{f"{name}PerS": spread([chunks / seconds for seconds in took_s[name]]) for name in ways},
            **_judged(took_s["tendril"], took_s["direct"]),
        },
        "containerStartMs": {
            "submittedToStarted": spread(start_ms["submitted"]),
            "desiredToStarted": spread(start_ms["tendril"]),
            **{name: spread(start_ms[name]) for name in ways if name != "tendril"},
            **_judged(start_ms["tendril"], start_ms["direct"]),
        },
    }


async def containers() -> dict[str, Any]:
    """The figures; where there is no engine, why there are none."""
    try:
        async with site() as at:
            return await compared(at)
    except Transient as error:
        return {"containers": {"not measured": error.message}}


def _ways(at: Site) -> Mapping[str, Callable[[int], Awaitable[str]]]:
    ways: dict[str, Callable[[int], Awaitable[str]]] = {
        "tendril": at.job,
        "direct": lambda chunks: at.each(lambda name: run_directly(at.api, at.watch, name), chunks),
    }
    if has_docker_run():
        ways["dockerRun"] = lambda chunks: at.each(docker_run, chunks)
    return ways


async def _starts(at: Site, name: str, way: Callable[[int], Awaitable[str]], count: int) -> dict[str, list[float]]:
    """So many, one after the other: milliseconds since the way's beginning, and of Tendril's since the submission too."""
    times_ms: dict[str, list[float]] = defaultdict(list)
    for _ in range(count):
        began_s = time.time()
        prefix = await way(1)
        started_s = at.watch.started_s(prefix)
        if name == "tendril":
            times_ms["submitted"].append((started_s - began_s) * 1000)
            (attempt,) = await at.store.linked("Attempt", "job", prefix, limit=2)
            began_s = attempt.created_at.timestamp()
        times_ms[name].append((started_s - began_s) * 1000)
    return times_ms


def _document(name: str, chunks: int) -> dict[str, Any]:
    return {
        "name": name,
        "chunks": chunks,
        "requests": {"cpu": CPU, "memoryBytes": MEMORY_BYTES, "powerW": 1},
        "steps": [{"name": "work", "image": IMAGE, "script": SCRIPT}],
    }


def _judged(took: Sequence[float], floor: Sequence[float]) -> dict[str, Any]:
    """By how many percent each took longer than the floor of the same round, and whether that is within the bar."""
    over = [(mine / least - 1) * 100 for mine, least in zip(took, floor, strict=True)]
    return {
        "overDirectPercent": spread(over),
        "barPercent": BAR_PERCENT,
        "held": statistics.median(over) < BAR_PERCENT,
    }
