"""doubles: a chunk that has the result of an older attempt, since that came first or was adopted → whatever newer one runs is
stopped."""

from collections.abc import AsyncIterator, Iterable, Mapping

from datamodel.appender import Appender
from datamodel.command import Actor, Command, Fence, Unit
from datamodel.errors import NotFound
from datamodel.kinds import SYSTEM
from datamodel.node import Node
from datamodel.ports import Change, Store
from datamodel.scheduling.attempts import RUN, STOP, claim_of
from datamodel.scheduling.giving_up import ADOPTED
from datamodel.scheduling.jobs import SUCCEEDED
from reconcilers.abandoning import ALIVE
from reconcilers.runtime.controller import Wake, Watch

PAGE = 1_000
ACTOR = Actor("doubles", SYSTEM)


class Doubles:
    """Stops what nobody needs any more. The key is a job's uid."""

    name = "doubles"
    shards = 1
    resync_s = 300.0

    def __init__(self, store: Store, appender: Appender) -> None:
        self._store = store
        self._appender = appender

    @property
    def watches(self) -> Mapping[str, Watch]:
        return {"Attempt": _job_of_older}

    async def keys(self) -> list[str]:
        jobs: set[str] = set()
        after = ""
        while attempts := await self._store.list_nodes("Attempt", after=after, limit=PAGE, phases=ALIVE):
            jobs |= {double.links["job"][0] for double in await self._doubles(attempts)}
            after = attempts[-1].path
        return sorted(jobs)

    async def reconcile(self, key: str, fence: Fence) -> float | None:
        async for attempts in self._attempts(key):
            body = {"intent": STOP, "intentReason": ADOPTED}
            stops = tuple(
                Command("patchSpec", one.path, body, expected_version=one.version)
                for one in await self._doubles(attempts)
            )
            if not stops:
                continue
            for verdict in await self._appender.append(Unit(stops, ACTOR, atomic=False, fence=fence)):
                if verdict.error is not None and not isinstance(verdict.error, NotFound):
                    raise verdict.error
        return None

    async def _attempts(self, job: str) -> AsyncIterator[list[Node]]:
        after = ""
        while attempts := await self._store.linked("Attempt", "job", job, after=after, limit=PAGE):
            yield attempts
            after = attempts[-1].path

    async def _doubles(self, attempts: Iterable[Node]) -> list[Node]:
        """Those that run though their chunk has another one's success."""
        found: list[Node] = []
        for attempt in attempts:
            claim = claim_of(attempt.path)
            if claim is None or claim.epoch == 1 or attempt.phase not in ALIVE or attempt.spec["intent"] != RUN:
                continue  # the first at a chunk has none before it
            entries = await self._store.entries(claim.owner, after=claim.index - 1, limit=1)
            entry = entries[0] if entries else None
            if entry is not None and (entry.index, entry.phase) == (claim.index, SUCCEEDED):
                found += [attempt] if entry.holder != attempt.path else []
        return found


def _job_of_older(change: Change) -> Iterable[Wake]:
    """Of one that succeeded though it had been given up: another may have been made by then."""
    attempt = change.node
    if attempt is None or attempt.phase != SUCCEEDED or attempt.spec["intent"] == RUN:
        return ()
    return (Wake(attempt.links["job"][0]),)
