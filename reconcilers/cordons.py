"""cordons: what operators ask of edges, and maintenance windows → whether anything is placed there; and what runs on a drained
edge goes elsewhere."""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from datetime import datetime

from datamodel.appender import Appender
from datamodel.command import Actor, Command, Fence, Unit
from datamodel.kinds import SYSTEM
from datamodel.names import last_name
from datamodel.node import Node
from datamodel.ports import Change, Store
from datamodel.reads import Reads
from datamodel.scheduling.attempts import RUN, VACANT
from datamodel.scheduling.edges import desired_path, inventory_path
from datamodel.scheduling.service import CORDON, CORDONED, DRAIN, DRAINED, DRAINING, OPEN, USE, config_paths
from reconcilers.abandoning import ALIVE, abandon
from reconcilers.places import key_of, on_edge, on_site, wake_edges
from reconcilers.planning.maintenance import Standing, has_windows, maintenance_of, standing
from reconcilers.runtime.controller import Wake, Watch

PAGE = 1_000
ACTOR = Actor("cordons", SYSTEM)
_NOTHING = (None, None)


class Cordons:
    """Follows what is asked of edges. The keys are those of `places.py`."""

    name = "cordons"
    shards = 1
    resync_s = 60.0

    def __init__(self, store: Store, appender: Appender, reads: Reads, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._appender = appender
        self._reads = reads
        self._clock = clock
        self._wake: Callable[[str], object] = lambda _: None
        self._drained: set[str] = set()
        """Edges where what comes and goes matters."""
        self._told: dict[str, tuple[object, object]] = {}
        """By edge, what is said of its service and its maintenance, where something is."""

    @property
    def watches(self) -> Mapping[str, Watch]:
        return {
            "EdgeConfig": on_edge,
            "SiteConfig": on_site,
            "Edge": self._on_inventory,
            "DesiredEdge": on_edge,
            "Attempt": self._on_attempt,
        }

    def listen(self, wake: Callable[[str], object]) -> None:
        """`wake(key)` must lead to `reconcile(key)`."""
        self._wake = wake

    async def keys(self) -> list[str]:
        """Edges of which something is asked, or was: whoever takes that back may do so while nobody listens. And sites whose
        edges are in maintenance now and then."""
        asked = {key_of(config.path) async for config in self._all("EdgeConfig")}
        cordoned = {key_of(edge.path) async for edge in self._all("DesiredEdge") if edge.spec["cordoned"]}
        self._drained &= asked | cordoned
        sites = {f"{last_name(site.path)}/" async for site in self._all("SiteConfig") if has_windows(site)}
        return sorted(asked | cordoned | sites)

    async def reconcile(self, key: str, fence: Fence) -> float | None:
        site, _, name = key.partition("/")
        if not name:
            await wake_edges(self._store, site, self._wake)
            return None
        place = desired_path(site, name)
        above, own = config_paths(site, name)
        config, asked, desired, edge = await self._reads.nodes(own, above, place, inventory_path(site, name))
        found = standing(config, asked, self._clock())
        if found.intent == DRAIN:
            self._drained.add(key)
        else:
            self._drained.discard(key)
        phase = await self._phase(found.intent, place)
        await self._use(found, phase, desired, edge, fence)
        if found.leaves is not None:
            await abandon(self._store, self._appender, place, ACTOR, fence, (RUN,), found.leaves)
        if config is not None:
            await self._tell(config, phase, fence)
        return found.again_s

    async def _use(self, found: Standing, phase: str, desired: Node | None, edge: Node | None, fence: Fence) -> None:
        """Has the edge used, or not, and says so of it, and until when it is in maintenance."""
        commands: list[Command] = []
        if desired is not None and desired.spec["cordoned"] != (found.intent != USE):
            cordoned = {"cordoned": found.intent != USE}
            commands.append(Command("patchSpec", desired.path, cordoned, expected_version=desired.version))
        told = {"maintenance": maintenance_of(found), "service": None if phase == OPEN else phase}
        if edge is not None and any(edge.status.get(name) != value for name, value in told.items()):
            commands.append(Command("patchStatus", edge.path, told, expected_version=edge.version))
        if commands:
            await self._write(fence, *commands)

    async def _all(self, kind: str) -> AsyncIterator[Node]:
        after = ""
        while found := await self._store.list_nodes(kind, after=after, limit=PAGE):
            for node in found:
                yield node
            after = found[-1].path

    async def _phase(self, intent: str, place: str) -> str:
        if intent == DRAIN:
            left = await self._store.list_nodes("Attempt", under=place, limit=1, phases=ALIVE)
            return DRAINING if left else DRAINED
        return CORDONED if intent == CORDON else OPEN

    async def _tell(self, config: Node, phase: str, fence: Fence) -> None:
        told = config.status
        if (told.get("phase"), told.get("observedGeneration")) == (phase, config.generation):
            return
        since = told["since"] if told.get("phase") == phase else self._clock().isoformat()
        patch = {"phase": phase, "since": since, "observedGeneration": config.generation}
        await self._write(fence, Command("patchStatus", config.path, patch, expected_version=config.version))

    async def _write(self, fence: Fence, *commands: Command) -> None:
        await self._appender.write(Unit(commands, ACTOR, fence=fence))

    def _on_attempt(self, change: Change) -> Iterable[Wake]:
        """Of a drained edge: one that came nevertheless, since it was being placed just then, and one that ended."""
        attempt, key = change.node, key_of(change.path)
        if key not in self._drained:
            return ()
        new = attempt is not None and attempt.version == attempt.created_version
        return (Wake(key),) if new or attempt is None or attempt.phase in VACANT else ()

    def _on_inventory(self, change: Change) -> Iterable[Wake]:
        """Of an edge that is known since: from then on it can be told of it that it is in maintenance. And where something else
        is said of it than before: that may have been written late, when it was not so any more."""
        edge, key = change.node, key_of(change.path)
        told = (edge.status.get("service"), edge.status.get("maintenance")) if edge is not None else _NOTHING
        is_other = told != self._told.pop(key, _NOTHING)
        if told != _NOTHING:
            self._told[key] = told
        is_new = edge is not None and edge.version == edge.created_version
        return (Wake(key),) if is_new or is_other else ()
