"""digests: what agents have of the graph → what of it is otherwise.

Nothing of it is written anywhere. What agents make good is counted, since it shows a defect of the feed.
"""

from collections.abc import Callable, Mapping

import structlog

from datamodel.command import Fence
from datamodel.errors import Invalid, Transient
from datamodel.feed.message import encode
from datamodel.feed.ports import Messages, Streams
from datamodel.names import check_name
from datamodel.ports import Change, Store
from datamodel.scheduling import digest
from datamodel.scheduling.attempts import claim_of
from datamodel.scheduling.digest import Look
from reconcilers.runtime.controller import Watch
from reconcilers.runtime.metrics import Metrics

AGENTS_LIMIT = 10_000
"""Looks that may wait, one of each agent. Who is dropped looks again."""
PAGE = 1_000
MADE_GOOD = "an agent has made good what its feed missed"
_log = structlog.get_logger("digests")


class Digests:
    """Answers looks. The key is `SITE/AGENT`."""

    name = "digests"
    shards = 4
    resync_s = 3600.0
    watches: Mapping[str, Watch] = {}

    def __init__(
        self,
        store: Store,
        streams: Streams,
        messages: Messages,
        metrics: Metrics,
        hosts: Callable[[str, str, str], bool],
    ) -> None:
        """`hosts(site, agent, edge)` says whether an edge is one of an agent's that was heard just now."""
        self._store = store
        self._streams = streams
        self._messages = messages
        self._metrics = metrics
        self._hosts = hosts
        self._looks: dict[str, Look] = {}
        self._wake: Callable[[str], bool] = lambda _: False

    async def listen(self, wake: Callable[[str], bool]) -> None:
        """Subscribes to all agents' looks; `wake(key)` must lead to `reconcile(key)`, or say that it does not."""
        self._wake = wake
        await self._messages.subscribe(digest.look_subject("*", "*"), self._on_look)

    async def keys(self) -> list[str]:
        return list(self._looks)

    async def reconcile(self, key: str, fence: Fence) -> float | None:
        del fence  # nothing is written
        look = self._looks.pop(key, None)
        if look is None:
            return None
        site, _, agent = key.partition("/")
        if look.healed:
            self._metrics.count(self.name, "healed", look.healed)
            _log.error(MADE_GOOD, agent=key, count=look.healed)
        try:
            await self._answer(site, agent, look)
        except Transient as error:  # it looks again
            _log.info("an agent's look is not answered", agent=key, error=error.message)
        return None

    def _on_look(self, subject: str, body: bytes) -> None:
        _, site, agent = subject.split(".")
        try:
            look = digest.decode_look(body)
            check_name(site, "/site")
            check_name(agent, "/agent")
        except (Invalid, *digest.UNREADABLE) as error:
            _log.warning("an agent's look cannot be read", agent=f"{site}/{agent}"[:160], error=str(error)[:512])
            return
        key = f"{site}/{agent}"
        if (key in self._looks or len(self._looks) < AGENTS_LIMIT) and self._wake(key):
            self._looks[key] = look

    async def _answer(self, site: str, agent: str, look: Look) -> None:
        """Where the feed is, before what there is: what is newer by then is not held against the agent."""
        newest = await self._streams.newest()
        if newest is None or not newest.complete:
            return
        found = digest.compared(look, await self._versions(site, agent, look.edges), newest.last)
        self._metrics.count(self.name, "differing" if found.buckets else "same")
        await self._send_missed(site, agent, look)
        await self._messages.publish(digest.differences_subject(site, agent), digest.encode(found))

    async def _versions(self, site: str, agent: str, edges: int) -> dict[str, int]:
        """Of the attempts of the agent's edges, by their paths below the site's edges. Those of a group lie together, since its
        edges are named after it."""
        above = f"/desired-config/sites/{site}/edges/"
        first = above + (f"{agent}/" if edges == 1 else f"{agent}-")
        versions: dict[str, int] = {}
        after = first
        while after.startswith(first):
            attempts = await self._store.list_nodes("Attempt", under=above.rstrip("/"), after=after, limit=PAGE)
            if not attempts:
                break
            for attempt in attempts:
                path = attempt.path.removeprefix(above)
                if self._hosts(site, agent, path.partition("/")[0]):
                    versions[path] = attempt.version
            after = attempts[-1].path
        return versions

    async def _send_missed(self, site: str, agent: str, look: Look) -> None:
        above = f"/desired-config/sites/{site}/edges/"
        paths = [above + path for path in look.missed if self._hosts(site, agent, path.partition("/")[0])]
        found = await self._store.nodes([path for path in paths if claim_of(path) is not None]) if paths else {}
        for path, node in found.items():
            change = Change(node.version, "", path, node.uid, node.kind, node)
            await self._messages.publish(digest.missed_subject(site, agent), encode(change))
