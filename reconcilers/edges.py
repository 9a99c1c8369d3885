"""edges: heartbeats → online, suspect, disconnected, lost, or gone; and a place in the desired plane for every edge.

Heartbeats stay in memory (`heard.py`): only their transitions are facts of the graph. A replica that takes a shard over has
heard nothing yet, so it grants every edge the full time. An edge that is online, and whose agent is heard from, costs nothing.
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
from datamodel.names import last_name
from datamodel.ports import Change, Store
from datamodel.reads import Reads
from datamodel.scheduling import wire
from datamodel.scheduling.attempts import RUN, STOP
from datamodel.scheduling.edges import DISCONNECTED, GONE, LOST, ONLINE, desired_path, inventory_path, place_of
from datamodel.scheduling.giving_up import EDGE_LOST
from datamodel.scheduling.service import config_paths, is_drained
from datamodel.scheduling.words import OFF, unkept
from reconcilers.abandoning import abandon
from reconcilers.cutting import replace_overdue
from reconcilers.heard import Heard
from reconcilers.planning.liveness import Thresholds, judged
from reconcilers.planning.maintenance import is_used
from reconcilers.runtime.controller import Wake, Watch
from reconcilers.words import end_all, have_kept, leave, told

PAGE = 500
QUIET = 0.6
"""Of the time after which an edge is suspected: when its agent has been silent for so long, its edges are looked at."""
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
        counts: Callable[[str, str], int],
        clock: Callable[[], datetime],
    ) -> None:
        """`counts(site, agent)` says how many edges an agent has that was heard just now."""
        self._store = store
        self._appender = appender
        self._reads = reads
        self._messages = messages
        self._thresholds = thresholds
        self._counts = counts
        self._clock = clock
        self._heard = Heard(QUIET * thresholds.suspect_s, keep_s=thresholds.lost_s)
        self._grace: dict[str, tuple[int, float]] = {}
        self._phases: dict[str, str] = {}

    @property
    def watches(self) -> Mapping[str, Watch]:
        on_edge = self._on_edge
        return {"Edge": on_edge, "EdgeConfig": on_edge, "SiteConfig": self._on_site, "Attempt": self._on_attempt}

    async def listen(self, wake: Callable[[str], object]) -> None:
        """Subscribes to all heartbeats; `wake(key)` must lead to `reconcile(key)`."""
        self._heard.wake = wake
        await self._messages.subscribe(wire.beat_subject("*", "*"), self._on_beat)

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
            self._heard.judge(key, is_away=False)
            await leave(self._store, self._appender, desired, ACTOR, fence)
            return None
        if desired is None:
            await self._make_desired(site, name, fence, used=is_used(config, above, self._clock()))
        now = asyncio.get_running_loop().time()
        since_s, grace_s = self._heard.since_s(key), self._grace_began(fence, now)
        silent_s = now - (grace_s if since_s is None else max(since_s, grace_s))
        thresholds = self._thresholds.said_by((config, above))
        phase, recheck_s = judged(
            edge.phase, silent_s, heard=since_s is not None, thresholds=thresholds, drained=is_drained(config)
        )
        word = unkept(config)
        if word is not None and phase not in (ONLINE, GONE):
            phase = LOST
        if phase != edge.phase:
            reason = "drained, and silent since" if phase == GONE else f"silent for {silent_s:.0f} s"
            reason = told(word) if word is not None and phase == LOST else reason
            await self._judge(key, edge.path, phase, reason, fence)
        self._phases[key] = phase
        self._heard.judge(key, is_away=phase != ONLINE)
        place = desired_path(site, name)
        if phase == LOST:
            await abandon(self._store, self._appender, place, ACTOR, fence, (RUN, STOP), EDGE_LOST)
            if word is not None and word.says == OFF:
                await end_all(self._store, self._appender, place, ACTOR, fence, word, self._clock())
        if word is not None and config is not None:  # of an edge that is heard from, it says nothing
            await have_kept(self._appender, config, ACTOR, fence, word)
        if phase == LOST:
            return recheck_s
        if phase == DISCONNECTED:
            cut_s = silent_s - thresholds.disconnected_s
            next_s = await replace_overdue(self._store, self._appender, place, ACTOR, fence, cut_s)
            return min((rest for rest in (recheck_s, next_s) if rest is not None), default=None)
        watched = thresholds.suspect_s >= self._thresholds.suspect_s and self._heard.is_watched(key)
        return None if phase == ONLINE and watched else recheck_s

    def _on_edge(self, change: Change) -> Iterable[Wake]:
        return (Wake("/".join(place_of(change.path))),)

    def _on_attempt(self, change: Change) -> Iterable[Wake]:
        """One that comes to an edge that is cut off or lost: it was being placed just when that was seen."""
        attempt = change.node
        if attempt is None or attempt.version != attempt.created_version:
            return ()
        key = "/".join(place_of(change.path))
        return (Wake(key),) if self._phases.get(key) in (DISCONNECTED, LOST) else ()

    def _on_site(self, change: Change) -> Iterable[Wake]:
        """The edges of this replica there may be judged by other times now."""
        site = last_name(change.path)
        return tuple(Wake(key) for key in self._phases if key.startswith(f"{site}/"))

    def _on_beat(self, subject: str, body: bytes) -> None:
        try:
            beat = wire.decode_beat(body)
        except wire.UNREADABLE as error:
            _log.warning("a heartbeat cannot be read", subject=subject, error=str(error))
            return
        _, site, agent = subject.split(".")
        if beat.hosted == self._counts(site, agent):
            self._heard.hear(site, agent, beat.hosted)

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

    async def _judge(self, key: str, path: str, phase: str, reason: str, fence: Fence) -> None:
        reason = "heard" if phase == ONLINE else reason
        patch = {"phase": phase, "since": self._clock().isoformat(), "reason": reason}
        unit = Unit(
            (Command("patchStatus", path, patch),), ACTOR, cause=MESSAGE if phase == ONLINE else "", fence=fence
        )
        await self._appender.write(unit)
        _log.info("an edge changed", edge=key, phase=phase, reason=reason)
