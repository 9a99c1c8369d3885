"""edges: heartbeats → online, suspect, disconnected, lost; and a place in the desired plane for every edge.

Heartbeats stay in memory: only their transitions are facts of the graph. A replica that takes a shard over has heard
nothing yet, so it grants every edge the full time.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

import structlog

from datamodel.appender import Appender
from datamodel.cause import MESSAGE
from datamodel.command import Actor, Command, Fence, Unit
from datamodel.errors import Conflict
from datamodel.feed.ports import Messages
from datamodel.kinds import SYSTEM
from datamodel.ports import Change, Store
from datamodel.reads import Reads
from datamodel.scheduling import wire
from datamodel.scheduling.attempts import EDGE_LOST, RUN, STOP
from datamodel.scheduling.edges import LOST, ONLINE, desired_path, inventory_path, place_of
from datamodel.scheduling.service import config_paths
from reconcilers.abandoning import abandon
from reconcilers.planning.liveness import Thresholds, judged
from reconcilers.planning.maintenance import is_used
from reconcilers.runtime.controller import Wake, Watch

PAGE = 500
EDGES_LIMIT = 100_000
ACTOR = Actor("edges", SYSTEM)
_log = structlog.get_logger("edges")


class Edges:
    """Judges edges. The key is `SITE/EDGE`."""

    name = "edges"
    shards = 4
    resync_s = 60.0

    def __init__(
        self,
        store: Store,
        appender: Appender,
        reads: Reads,
        messages: Messages,
        thresholds: Thresholds,
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._appender = appender
        self._reads = reads
        self._messages = messages
        self._thresholds = thresholds
        self._clock = clock
        self._heard_s: dict[str, float] = {}
        self._phases: dict[str, str] = {}
        self._grace: dict[str, tuple[int, float]] = {}
        self._wake: Callable[[str], object] = lambda _: None

    @property
    def watches(self) -> Mapping[str, Watch]:
        return {"Edge": self._on_edge}

    async def listen(self, wake: Callable[[str], object]) -> None:
        """Subscribes to all heartbeats; `wake(key)` must lead to `reconcile(key)`."""
        self._wake = wake
        await self._messages.subscribe("beat.*", self._on_beat)

    async def keys(self) -> list[str]:
        keys: list[str] = []
        after = ""
        while edges := await self._store.list_nodes("Edge", after=after, limit=PAGE):
            keys.extend("/".join(place_of(edge.path)) for edge in edges)
            after = edges[-1].path
        return keys

    async def reconcile(self, key: str, fence: Fence) -> float | None:
        site, _, name = key.partition("/")
        paths = inventory_path(site, name), desired_path(site, name), *config_paths(site, name)
        edge, desired, above, config = await self._reads.nodes(*paths)
        if edge is None:
            self._phases.pop(key, None)
            return None
        if desired is None:
            await self._make_desired(site, name, fence, used=is_used(config, above, self._clock()))
        now = asyncio.get_running_loop().time()
        silent_s = now - max(self._heard_s.get(key, 0.0), self._grace_began(fence, now))
        phase, recheck_s = judged(edge.phase, silent_s, heard=key in self._heard_s, thresholds=self._thresholds)
        if phase != edge.phase:
            await self._judge(key, edge.path, phase, silent_s, fence)
        self._phases[key] = phase
        if phase == LOST:
            place = desired_path(site, name)
            await abandon(self._store, self._appender, place, ACTOR, fence, (RUN, STOP), EDGE_LOST)
        return recheck_s

    def _on_edge(self, change: Change) -> Iterable[Wake]:
        return (Wake("/".join(place_of(change.path))),)

    def _on_beat(self, subject: str, body: bytes) -> None:
        try:
            beat = wire.decode_beat(body)
        except wire.UNREADABLE as error:
            _log.warning("a heartbeat cannot be read", subject=subject, error=str(error))
            return
        now = asyncio.get_running_loop().time()
        if subject != wire.beat_subject(beat.site):
            return
        if len(self._heard_s) > EDGES_LIMIT:
            self._heard_s = {k: at for k, at in self._heard_s.items() if now - at < self._thresholds.lost_s}
        for edge in beat.edges:
            key = f"{beat.site}/{edge}"
            if wire.hosts(beat.agent, edge) and (key in self._heard_s or len(self._heard_s) <= EDGES_LIMIT):
                self._heard_s[key] = now
                if self._phases.get(key) not in (None, ONLINE):
                    self._wake(key)

    def _grace_began(self, fence: Fence, now: float) -> float:
        token, began = self._grace.get(fence.lease, (0, now))
        if token != fence.token:
            began = now
            self._grace[fence.lease] = (fence.token, now)
        return began

    async def _make_desired(self, site: str, name: str, fence: Fence, *, used: bool) -> None:
        """An edge that is not to be used is cordoned before anything could be placed there."""
        spec = {"cordoned": not used}
        commands = (
            Command("apply", f"/desired-config/sites/{site}"),
            Command("create", desired_path(site, name), spec),
        )
        outcome = await self._appender.append(Unit(commands, ACTOR, atomic=False, fence=fence))
        for verdict in outcome:
            if verdict.error is not None and not isinstance(verdict.error, Conflict):
                raise verdict.error

    async def _judge(self, key: str, path: str, phase: str, silent_s: float, fence: Fence) -> None:
        reason = "heard" if phase == ONLINE else f"silent for {silent_s:.0f} s"
        patch = {"phase": phase, "since": self._clock().isoformat(), "reason": reason}
        unit = Unit(
            (Command("patchStatus", path, patch),), ACTOR, cause=MESSAGE if phase == ONLINE else "", fence=fence
        )
        await self._appender.write(unit)
        _log.info("an edge changed", edge=key, phase=phase, reason=reason)
