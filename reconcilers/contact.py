"""contact: edges that are cut off, or back → what is told of it to the jobs with chunks there: their condition `Heard`.

The keys are edges, `SITE/EDGE`, each of which wakes its jobs, and jobs by their paths.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from datamodel.appender import Appender
from datamodel.command import Actor, Command, Fence, Unit
from datamodel.kinds import SYSTEM, Document
from datamodel.ports import Change, Store
from datamodel.reads import Reads
from datamodel.scheduling.attempts import RUN, VACANT
from datamodel.scheduling.edges import desired_path, inventory_path, place_of
from datamodel.scheduling.jobs import PENDING, RUNNING
from reconcilers.abandoning import alive
from reconcilers.places import key_of
from reconcilers.planning.contact import CUT, aspect, told_of, unheard
from reconcilers.planning.rollup import conditions
from reconcilers.runtime.controller import Wake, Watch

PAGE = 1_000
ACTOR = Actor("contact", SYSTEM)


class Contact:
    """Tells jobs. What it remembers of edges is whom to listen to; each wakes it again when it changes."""

    name = "contact"
    shards = 1
    resync_s = 300.0

    def __init__(self, store: Store, appender: Appender, reads: Reads, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._appender = appender
        self._reads = reads
        self._clock = clock
        self._wake: Callable[[str], object] = lambda _: None
        self._cut: set[str] = set()
        """The edges that were cut off when they were looked at last."""

    @property
    def watches(self) -> Mapping[str, Watch]:
        return {"Edge": self._on_edge, "Attempt": self._on_attempt}

    def listen(self, wake: Callable[[str], object]) -> None:
        """`wake(key)` must lead to `reconcile(key)`."""
        self._wake = wake

    async def keys(self) -> list[str]:
        """The edges that are cut off, and the jobs that were told of some."""
        keys: list[str] = []
        after = ""
        while edges := await self._store.list_nodes("Edge", after=after, limit=PAGE, phases=sorted(CUT)):
            keys += [key_of(edge.path) for edge in edges]
            after = edges[-1].path
        self._cut = set(keys)
        after = ""
        while jobs := await self._store.list_nodes("Job", after=after, limit=PAGE, phases=(PENDING, RUNNING)):
            keys += [job.path for job in jobs if _is_told(job.status.get("conditions", ()))]
            after = jobs[-1].path
        return keys

    async def reconcile(self, key: str, fence: Fence) -> float | None:
        if key.startswith("/"):
            await self._tell(key, fence)
            return None
        site, _, name = key.partition("/")
        edge = await self._reads.node(inventory_path(site, name))
        is_cut = edge is not None and edge.phase in CUT
        (self._cut.add if is_cut else self._cut.discard)(key)
        async for attempts in alive(self._store, desired_path(site, name)):
            for job in dict.fromkeys(attempt.spec["job"] for attempt in attempts):
                self._wake(job)
        return None

    async def _tell(self, path: str, fence: Fence) -> None:
        job = await self._reads.node(path)
        if job is None:
            return
        placements = (await self._store.placements([job.uid]))[job.uid]
        places = {inventory_path(*place_of(some.place)): some.place for some in placements}
        edges = await self._store.nodes(places)
        cut = {places[edge.path] for edge in edges.values() if edge.phase in CUT}
        found = aspect(job, unheard(placements, cut))
        if found is not None:
            told = conditions(job.status.get("conditions", ()), [found], self._clock())
            command = Command("patchStatus", path, {"conditions": told}, expected_version=job.version)
            await self._appender.write(Unit((command,), ACTOR, fence=fence))

    def _on_edge(self, change: Change) -> Iterable[Wake]:
        key = key_of(change.path)
        is_cut = change.node is not None and change.node.phase in CUT
        return (Wake(key),) if is_cut != (key in self._cut) else ()

    def _on_attempt(self, change: Change) -> Iterable[Wake]:
        """One on an edge that is cut off: it goes elsewhere, or has ended, or has come to it just now."""
        attempt = change.node
        if attempt is None or not self._cut or key_of(change.path) not in self._cut:
            return ()
        new = attempt.version == attempt.created_version
        is_left = attempt.phase in VACANT or attempt.spec["intent"] != RUN
        return (Wake(attempt.spec["job"]),) if new or is_left else ()


def _is_told(known: Sequence[Document]) -> bool:
    told = told_of(known)
    return told is not None and told["status"] == "Unknown"
