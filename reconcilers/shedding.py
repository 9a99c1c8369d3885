"""shedding: edges that have less than is reserved of them → what runs there and matters least goes elsewhere, where operators
say so."""

from collections.abc import Callable, Mapping

from datamodel.appender import Appender
from datamodel.command import Actor, Fence
from datamodel.kinds import SYSTEM
from datamodel.node import Node
from datamodel.pool import Pool
from datamodel.ports import Store
from datamodel.reads import Reads
from datamodel.scheduling.edges import desired_path, inventory_path
from datamodel.scheduling.giving_up import SHED
from datamodel.scheduling.service import config_paths, sheds
from reconcilers.abandoning import alive, give_up
from reconcilers.places import key_of, on_edge, on_site, wake_edges
from reconcilers.planning.shedding import shed
from reconcilers.runtime.controller import Watch

PAGE = 1_000
ACTOR = Actor("shedding", SYSTEM)


class Shedding:
    """Follows what edges have. The keys are those of `places.py`."""

    name = "shedding"
    shards = 1
    resync_s = 60.0

    def __init__(self, store: Store, appender: Appender, reads: Reads) -> None:
        self._store = store
        self._appender = appender
        self._reads = reads
        self._wake: Callable[[str], object] = lambda _: None

    @property
    def watches(self) -> Mapping[str, Watch]:
        return {"Edge": on_edge, "EdgeConfig": on_edge, "SiteConfig": on_site}

    def listen(self, wake: Callable[[str], object]) -> None:
        """`wake(key)` must lead to `reconcile(key)`."""
        self._wake = wake

    async def keys(self) -> list[str]:
        """The edges of which more is reserved than there is."""
        keys: list[str] = []
        after = ""
        while edges := await self._store.list_nodes("Edge", after=after, limit=PAGE):
            pools = await self._store.pools([edge.path for edge in edges])
            keys += [key_of(edge.path) for edge in edges if _is_short(pools.get(edge.path))]
            after = edges[-1].path
        return keys

    async def reconcile(self, key: str, fence: Fence) -> float | None:
        site, _, name = key.partition("/")
        if not name:
            await wake_edges(self._store, site, self._wake)
            return None
        if not sheds(await self._reads.nodes(*config_paths(site, name))):
            return None
        path = inventory_path(site, name)
        pool = (await self._store.pools([path])).get(path)
        if pool is None or not _is_short(pool):
            return None
        attempts: list[Node] = []
        async for some in alive(self._store, desired_path(site, name)):
            attempts += some
        jobs = await self._store.nodes({attempt.spec["job"] for attempt in attempts})
        least = shed(attempts, pool.capacity, jobs)
        await give_up(least, self._appender, ACTOR, fence, SHED, atomic=True)  # one that has changed may keep its place
        return None


def _is_short(pool: Pool | None) -> bool:
    return pool is not None and any(free < 0 for free in pool.free.values())
