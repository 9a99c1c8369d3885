"""What is asked of the graph to say why jobs are as they are: of what is so now, or of what was so at a position.

The log has no events of pools and of the ledger: they are what the attempts make of them. So what was free of an edge then is
what it had less what the attempts that had not ended then reserve, and a job's entries are what became of its attempts by then.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from msgspec import structs

from datamodel.errors import Gone, Invalid
from datamodel.ledger import Entry, Totals
from datamodel.moments import Moment, position_of
from datamodel.node import Node
from datamodel.plan import Query
from datamodel.pool import Pool
from datamodel.ports import Placement, Store
from datamodel.query import Listed, page
from datamodel.scheduling.attempts import PLACED, RETRY, RUN, Attempt, claim_of
from datamodel.scheduling.counts import RETRYING
from datamodel.scheduling.edges import desired_path, inventory_path, place_of
from datamodel.scheduling.jobs import FAILED, PENDING, RUNNING, SUCCEEDED
from datamodel.scheduling.resources import amounts
from datamodel.scheduling.splitting import chunks_of

PAGE = 1_000
ATTEMPTS_LIMIT, ATTEMPTS_PAGE = 2_000, 200
"""Of a job with more attempts, the past is told by what its status said then."""
PAGES_LIMIT = 40
"""Pages of attempts in flight that are read for what was free at a moment; for one, up to 5,000 are looked at."""


class Seen(Protocol):
    """The reads. `at` is the time of the moment."""

    @property
    def at(self) -> datetime: ...

    async def nodes(self, paths: Collection[str]) -> dict[str, Node]: ...

    def each(self, kind: str, phases: Sequence[str] = ()) -> AsyncIterator[list[Node]]:
        """All nodes of a kind in order of path, some at a time."""
        ...

    async def pools(self, edges: Sequence[Node]) -> dict[str, Pool]:
        """What there was of these edges, and what of it was reserved."""
        ...

    async def totals(self, jobs: Sequence[Node]) -> dict[str, Totals]:
        """By uid, those of these jobs of which something was placed."""
        ...

    async def about(self, jobs: Sequence[Node]) -> dict[str, Totals]:
        """The same of many jobs: exactly what was in flight of them, and what had ended as their statuses said."""
        ...

    async def first_entries(self, jobs: Sequence[str], phase: str, limit: int) -> dict[str, list[Entry]]:
        """By uid, as `Ledgers.first_entries`."""
        ...

    async def placements(self, jobs: Sequence[str]) -> dict[str, list[Placement]]: ...


class Now:
    """The present."""

    def __init__(self, store: Store, at: datetime) -> None:
        self._store = store
        self.at = at

    async def nodes(self, paths: Collection[str]) -> dict[str, Node]:
        return await self._store.nodes(paths)

    async def each(self, kind: str, phases: Sequence[str] = ()) -> AsyncIterator[list[Node]]:
        after = ""
        while found := await self._store.list_nodes(kind, after=after, limit=PAGE, phases=phases):
            yield found
            after = found[-1].path

    async def pools(self, edges: Sequence[Node]) -> dict[str, Pool]:
        return await self._store.pools([edge.path for edge in edges])

    async def totals(self, jobs: Sequence[Node]) -> dict[str, Totals]:
        return await self._store.totals([job.uid for job in jobs])

    async def about(self, jobs: Sequence[Node]) -> dict[str, Totals]:
        return await self.totals(jobs)

    async def first_entries(self, jobs: Sequence[str], phase: str, limit: int) -> dict[str, list[Entry]]:
        return await self._store.first_entries(jobs, phase, limit)

    async def placements(self, jobs: Sequence[str]) -> dict[str, list[Placement]]:
        return await self._store.placements(jobs)


class Then:
    """The graph as it was at a position that is kept. Raises `Gone` where it is not any more."""

    def __init__(self, reads: Listed, position: int, at: datetime) -> None:
        self._reads = reads
        self._position = position
        self.at = at
        self._in_flight: list[Node] | None = None
        self._entries: dict[str, list[Entry]] = {}

    async def nodes(self, paths: Collection[str]) -> dict[str, Node]:
        return await self._reads.nodes_at(list(dict.fromkeys(paths)), self._position)

    async def each(self, kind: str, phases: Sequence[str] = ()) -> AsyncIterator[list[Node]]:
        async for found in self._pages(Query(kind, phases=tuple(phases), limit=PAGE)):
            if found:
                yield found

    async def pools(self, edges: Sequence[Node]) -> dict[str, Pool]:
        held: dict[str, list[Node]] = {}
        for attempt in await self._unended():
            held.setdefault(inventory_path(*place_of(attempt.path)), []).append(attempt)
        return {edge.path: pool_of(edge, held.get(edge.path, ())) for edge in edges}

    async def totals(self, jobs: Sequence[Node]) -> dict[str, Totals]:
        """Of jobs whose attempts are not all there any more, or too many, what their statuses said."""
        missing = [job for job in jobs if job.uid not in self._entries]
        read = await asyncio.gather(*(self._attempts(job.uid) for job in missing))
        found: dict[str, Totals] = {}
        for job, attempts in zip(missing, read, strict=True):
            self._entries[job.uid] = entries_of(attempts or ())
        for job in jobs:
            entries = self._entries[job.uid]
            counted = Totals()
            for entry in entries:
                counted = counted.moved(None, entry)
            told = _told(job)
            is_less = any(counted.phases.get(phase, 0) < told.phases.get(phase, 0) for phase in (SUCCEEDED, FAILED))
            if (totals := told if is_less else counted).entries:
                found[job.uid] = totals
        return found

    async def about(self, jobs: Sequence[Node]) -> dict[str, Totals]:
        in_flight = Counter(
            (attempt.links["job"][0], RUNNING if attempt.phase == RUNNING else PLACED)
            for attempt in await self._unended()
            if attempt.spec["intent"] == RUN
        )
        found: dict[str, Totals] = {}
        for job in jobs:
            phases = {phase: count for phase, count in _told(job).phases.items() if phase not in (PLACED, RUNNING)}
            phases |= {phase: count for phase in (PLACED, RUNNING) if (count := in_flight[job.uid, phase])}
            if phases:
                found[job.uid] = Totals(phases)
        return found

    async def first_entries(self, jobs: Sequence[str], phase: str, limit: int) -> dict[str, list[Entry]]:
        every = {uid: [entry for entry in self._entries.get(uid, ()) if entry.phase == phase][:limit] for uid in jobs}
        return {uid: entries for uid, entries in every.items() if entries}

    async def placements(self, jobs: Sequence[str]) -> dict[str, list[Placement]]:
        return {uid: _placements(self._entries.get(uid, ())) for uid in jobs}

    async def _attempts(self, job: str) -> list[Node] | None:
        """All attempts at chunks of a job, None where there are too many."""
        found: list[Node] = []
        async for attempts in self._pages(Query("Attempt", link="job", target=job, limit=ATTEMPTS_PAGE)):
            found += attempts
            if len(found) > ATTEMPTS_LIMIT:
                return None
        return found

    async def _unended(self) -> list[Node]:
        """All attempts that reserved something."""
        if self._in_flight is None:
            found: list[Node] = []
            pages = 0
            async for attempts in self._pages(Query("Attempt", phases=("", PENDING, RUNNING), limit=PAGE)):
                found += attempts
                pages += 1
                if pages > PAGES_LIMIT:
                    raise Invalid("there are too many attempts to say what was free then", field="/asOf")
            self._in_flight = found
        return self._in_flight

    async def _pages(self, query: Query) -> AsyncIterator[list[Node]]:
        cursor = None
        while cursor != "":
            try:
                found = await page(self._reads, query, cursor=cursor or "", as_of=self._position)
            except Gone as error:  # what was kept when this was asked is not any more
                raise Gone(error.message, oldest=error.oldest, field="/asOf") from error
            yield found.nodes
            cursor = found.cursor


async def seen_at(store: Store, reads: Listed, moment: Moment, field: str) -> Then:
    """The graph as it was at a moment. Raises `Gone`, and `Invalid` where there is none, naming `field`."""
    position = await position_of(reads, moment, field)
    if isinstance(moment, datetime):
        return Then(reads, position, moment)
    events = await store.events(position - 1, 1) if position else []
    return Then(reads, position, events[0].at if events else (await store.head()).at)


def entries_of(attempts: Iterable[Node]) -> list[Entry]:
    """What the ledger has of attempts at the chunks of one job, in order of index: it goes by the newest at each, or the older
    one whose success is the chunk's, and counts of all others how often they failed, where that was counted. Outputs are left
    out."""
    tries: dict[int, dict[int, Node]] = {}
    for attempt in attempts:
        claim = claim_of(attempt.path)
        if claim is not None:
            tries.setdefault(claim.index, {})[claim.epoch] = attempt
    return [_entry(index, tries[index]) for index in sorted(tries)]


def _entry(index: int, tries: Mapping[int, Node]) -> Entry:
    epoch = max(tries)
    counted = next((of for of, attempt in tries.items() if _is_adopted(attempt)), epoch)
    holder = tries[counted]
    claim, settle = claim_of(holder.path), Attempt.settle
    assert claim is not None, "it was found by it"
    assert settle is not None, "attempts settle chunks"
    failures = sum(
        attempt.phase == FAILED and attempt.status.get("settlement") == "counted"
        for of, attempt in tries.items()
        if of != counted
    )
    entry = Entry(owner=claim.owner, index=index, epoch=epoch, phase=PLACED, holder=holder.path, failures=failures)
    return structs.replace(settle.advance(entry, holder.spec, holder.status), outputs=None)


def _is_adopted(attempt: Node) -> bool:
    """Whether its success is its chunk's, be it the newest at it or not."""
    by_word = attempt.spec.get("adopted", False)
    return attempt.phase == SUCCEEDED and (by_word or attempt.status.get("settlement") == "counted")


def pool_of(edge: Node, attempts: Iterable[Node]) -> Pool:
    """What there is of an edge, and what of it these attempts reserve."""
    pool = Pool(capacity=amounts(edge.spec["capacity"]))
    for attempt in attempts:
        pool = pool.reserved(amounts(attempt.spec["requests"]))
    return pool


def _told(job: Node) -> Totals:
    """The totals that a job's status was made of."""
    told = job.status.get("chunks", {})
    phases = {RETRY if phase == RETRYING else phase: count for phase, count in told.items() if phase != PENDING}
    progress = round(job.status.get("percentCompleted", 0.0) * 10 * chunks_of(job))
    return Totals({phase: count for phase, count in phases.items() if count}, progress)


def _placements(entries: Iterable[Entry]) -> list[Placement]:
    found: dict[tuple[str, str], Placement] = {}
    for entry in entries:
        place = desired_path(*place_of(entry.holder))
        before = found.get((place, entry.phase), Placement(place, entry.phase, 0, 0))
        found[place, entry.phase] = structs.replace(
            before,
            entries=before.entries + 1,
            progress=before.progress + entry.progress,
            failures=before.failures + entry.failures,
        )
    return [found[key] for key in sorted(found)]
