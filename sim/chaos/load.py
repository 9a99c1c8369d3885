"""The work of a run: jobs arrive whether or not earlier ones were answered, are watched until they end, and some deleted."""

import asyncio
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import httpx

from datamodel.errors import Transient
from datamodel.scheduling.jobs import FINISHED
from sim.chaos.history import History, Order, Request, Seen, now_s, seen
from sim.chaos.ledger import OUTPUTS, noting_steps

GROUP = "chaos"
JOBS_PER_S = 0.8
CHUNKS = (1, 6)
STEPS = (1, 2)
NAP_S = (0.2, 1.0)
FLAKY_SHARE = 0.2
"""Jobs of which one chunk fails in its first epoch."""
DELETED_SHARE = 0.25
CLOSET = "closet"
"""A site whose disk is small. Steps that find it full fail, so that who does not know of it has no chunks there."""
EVERY_S = 0.25
"""How often the unfinished jobs are read."""
AGAIN_S = 0.2
TIMEOUT_S = 2.0
"""How long an answer is waited for: less than a freeze lasts, so that requests are done whose answers nobody hears."""
SUBMIT_TIMEOUT_S = 120.0
"""How long a submission is sent again while its outcome is unknown."""
_URL = "/v1/jobs"


class Load:
    """Asks, and writes everything into the history. `unfinished` are the accepted jobs that are being watched."""

    def __init__(self, client: httpx.AsyncClient, history: History, ledger: Path, seed: int) -> None:
        self._client = client
        self._history = history
        self._ledger = ledger
        self._random = random.Random(seed)  # noqa: S311 - a load, not a secret
        self._ending = random.Random(seed + 1)  # noqa: S311 - of its own: what ends when is no matter of the seed
        self._finished: list[str] = []
        self._kept: set[str] = set()
        self._marked_s = self._progressed_s = 0.0
        self._counted_since: dict[str, int] = {}
        self._progressed = asyncio.Event()
        self.unfinished: set[str] = set()

    async def ask_of(self, site: str, chunks: int, naps_s: Sequence[float], *, retries: int = 0) -> str:
        """The name of one more job, whose chunks can run at one site alone, once it was accepted; it is never deleted. Raises
        `Transient` where it was not."""
        order = Order(f"{site}-{len(self._history.orders)}", chunks, len(naps_s))
        document = self._document(order, list(naps_s), -1, {"required": f"tendril/site={site}"}, retries=retries)
        self._history.orders[order.name] = order
        self._kept.add(order.name)
        await self._submit(order, document)
        if order.name not in self.unfinished:
            raise Transient(f"{order.name} was not accepted")
        return order.name

    async def run(self, stop: asyncio.Event) -> None:
        """New jobs until `stop`; returns when every submission was answered or given up."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch(stop), name="watch")
            while not stop.is_set():
                order, document = self._next()
                self._history.orders[order.name] = order
                group.create_task(self._submit(order, document), name=order.name)
                pause_s = self._random.expovariate(JOBS_PER_S)
                try:
                    await asyncio.wait_for(stop.wait(), pause_s)
                except TimeoutError:
                    continue

    def mark(self) -> None:
        """From now on a newly counted chunk is waited for."""
        self._marked_s = now_s()
        self._counted_since.clear()
        self._progressed.clear()

    async def progress(self, timeout_s: float) -> float | None:
        """How long after the mark a chunk was seen to be newly counted, between two readings that were both asked after it;
        None where none was within `timeout_s` of the mark."""
        try:
            async with asyncio.timeout(self._marked_s + timeout_s - now_s()):
                await self._progressed.wait()
        except TimeoutError:
            return None
        return self._progressed_s - self._marked_s

    async def read(self, name: str) -> Seen | None:
        """A job as it is now; None where there is none. Raises `Transient` where there is no answer."""
        request = await self._ask("read", name, f"{_URL}/{GROUP}/{name}")
        if request.unknown:
            raise Transient(f"{name} could not be read")
        return request.seen

    async def _submit(self, order: Order, document: Mapping[str, Any]) -> None:
        headers = {"Idempotency-Key": order.name}
        deadline_s = now_s() + SUBMIT_TIMEOUT_S
        while now_s() < deadline_s:
            request = await self._ask("submit", order.name, _URL, json=document, headers=headers)
            if not request.unknown:
                self.unfinished.add(order.name)
                return
            await asyncio.sleep(AGAIN_S)

    async def _watch(self, stop: asyncio.Event) -> None:
        """Reads the unfinished jobs again and again, and one of the finished: it must not begin again."""
        while not stop.is_set():
            for name in [*sorted(self.unfinished), *self._ending.sample(self._finished, min(1, len(self._finished)))]:
                request = await self._ask("read", name, f"{_URL}/{GROUP}/{name}")
                if request.status == httpx.codes.NOT_FOUND or (request.seen and request.seen.phase in FINISHED):
                    await self._end(name, request)
            await asyncio.sleep(EVERY_S)

    async def _end(self, name: str, request: Request) -> None:
        if name not in self.unfinished:
            return
        self.unfinished.discard(name)
        if request.seen is None:
            return
        if name not in self._kept and self._ending.random() < DELETED_SHARE:
            await self._ask("delete", name, f"{_URL}/{GROUP}/{name}")
        else:
            self._finished.append(name)

    async def _ask(self, verb: Literal["submit", "read", "delete"], name: str, path: str, **arguments: Any) -> Request:
        """One request, noted with its answer."""
        asked_s = now_s()
        try:
            answer = await self._client.request(_METHODS[verb], path, timeout=TIMEOUT_S, **arguments)
            status, found = answer.status_code, seen(answer.json()) if answer.status_code in _WITH_JOB else None
        except httpx.TransportError:
            status, found = None, None
        request = Request(verb, name, asked_s, now_s(), status, found)
        self._history.requests.append(request)
        if found is not None and asked_s >= self._marked_s:
            before = self._counted_since.setdefault(name, found.succeeded)
            if found.succeeded > before:
                self._progressed_s = self._progressed_s if self._progressed.is_set() else now_s()
                self._progressed.set()
        return request

    def _next(self) -> tuple[Order, Mapping[str, Any]]:
        number = len(self._history.orders)
        order = Order(f"job-{number}", self._random.randint(*CHUNKS), self._random.randint(*STEPS))
        naps_s = [self._random.uniform(*NAP_S) for _ in range(order.steps)]
        failing = self._random.randrange(order.chunks) if self._random.random() < FLAKY_SHARE else -1
        where = {"required": f"tendril/runtime=process,tendril/site!={CLOSET}"}
        return order, self._document(order, naps_s, failing, where, retries=int(failing >= 0))

    def _document(
        self, order: Order, naps_s: list[float], failing: int, placement: Mapping[str, str], *, retries: int
    ) -> Mapping[str, Any]:
        """Its retries are for its own failures, none to spare: whatever else ends an attempt must cost none."""
        return {
            "name": order.name,
            "group": GROUP,
            "chunks": order.chunks,
            "retries": retries,
            "requests": {"cpu": 0.25, "memoryBytes": 1_048_576, "powerW": 1},
            "placement": dict(placement),
            "steps": noting_steps(self._ledger, order.name, naps_s, failing),
            "outputs": OUTPUTS,
        }


_METHODS = {"submit": "POST", "read": "GET", "delete": "DELETE"}
_WITH_JOB = (httpx.codes.OK, httpx.codes.ACCEPTED)
