"""cordons: what operators ask of edges → whether anything is placed there; and what runs on a drained edge goes elsewhere."""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from datetime import datetime

from datamodel.appender import Appender
from datamodel.command import Actor, Command, Fence, Unit
from datamodel.kinds import SYSTEM
from datamodel.node import Node
from datamodel.ports import Change, Store
from datamodel.reads import Reads
from datamodel.scheduling.attempts import ENDED, RUN
from datamodel.scheduling.edges import desired_path, place_of
from datamodel.scheduling.service import CORDON, CORDONED, DRAIN, DRAINED, DRAINING, OPEN, USE, config_path, intent_of
from reconcilers.abandoning import ALIVE, abandon
from reconcilers.runtime.controller import Wake, Watch

PAGE = 1_000
ACTOR = Actor("cordons", SYSTEM)


class Cordons:
    """Follows what is asked of edges. The key is `SITE/EDGE`."""

    name = "cordons"
    shards = 1
    resync_s = 60.0

    def __init__(self, store: Store, appender: Appender, reads: Reads, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._appender = appender
        self._reads = reads
        self._clock = clock
        self._drained: set[str] = set()
        """Edges where what comes and goes matters."""

    @property
    def watches(self) -> Mapping[str, Watch]:
        return {"EdgeConfig": _on_edge, "DesiredEdge": _on_edge, "Attempt": self._on_attempt}

    async def keys(self) -> list[str]:
        """Edges of which something is asked, or was: whoever takes that back may do so while nobody listens."""
        asked = {_key_of(config.path) async for config in self._all("EdgeConfig")}
        self._drained &= asked
        cordoned = {_key_of(edge.path) async for edge in self._all("DesiredEdge") if edge.spec["cordoned"]}
        return sorted(asked | cordoned)

    async def reconcile(self, key: str, fence: Fence) -> float | None:
        site, _, name = key.partition("/")
        place = desired_path(site, name)
        config, desired = await self._reads.nodes(config_path(site, name), place)
        intent = intent_of(config)
        if intent == DRAIN:
            self._drained.add(key)
        else:
            self._drained.discard(key)
        if desired is not None and desired.spec["cordoned"] != (intent != USE):
            await self._write(
                Command("patchSpec", place, {"cordoned": intent != USE}, expected_version=desired.version), fence
            )
        if config is None:
            return None
        rest_s = self._rest_s(config) if intent == DRAIN else 0.0
        if intent == DRAIN and not rest_s:
            await abandon(self._store, self._appender, place, ACTOR, fence, (RUN,))
        await self._tell(config, await self._phase(intent, place), fence)
        return rest_s or None

    async def _all(self, kind: str) -> AsyncIterator[Node]:
        after = ""
        while found := await self._store.list_nodes(kind, after=after, limit=PAGE):
            for node in found:
                yield node
            after = found[-1].path

    def _rest_s(self, config: Node) -> float:
        """For how long what runs may still go on."""
        drain_by = config.spec.get("drainBy")
        return max(0.0, (datetime.fromisoformat(drain_by) - self._clock()).total_seconds()) if drain_by else 0.0

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
        await self._write(Command("patchStatus", config.path, patch, expected_version=config.version), fence)

    async def _write(self, command: Command, fence: Fence) -> None:
        await self._appender.write(Unit((command,), ACTOR, fence=fence))

    def _on_attempt(self, change: Change) -> Iterable[Wake]:
        """Of a drained edge: one that came nevertheless, since it was being placed just then, and one that ended."""
        attempt, key = change.node, _key_of(change.path)
        if key not in self._drained:
            return ()
        new = attempt is not None and attempt.version == attempt.created_version
        return (Wake(key),) if new or attempt is None or attempt.phase in ENDED else ()


def _on_edge(change: Change) -> Iterable[Wake]:
    return (Wake(_key_of(change.path)),)


def _key_of(path: str) -> str:
    return "/".join(place_of(path))
