"""Anti-entropy: an agent compares what it has of the graph with what there is, now and then, and makes good what its feed
missed.

The feed is complete and in order, so a difference is a defect of it. But it may be a moment behind, and then it is no
difference. So nothing is made good that the feed may still bring: what differs must differ in the same way at a second look,
and the feed must have gone on beyond where the hub knew it to be at the first, or have had nothing to say for a while.
"""

import asyncio
import contextlib
import random
from collections.abc import Callable
from typing import NamedTuple

import structlog

from datamodel.errors import Transient
from datamodel.feed.bus import honour_cancellation
from datamodel.feed.message import decode
from datamodel.feed.ports import Messages
from datamodel.ports import FeedItem, Message, Restarted, Synced
from datamodel.scheduling import digest
from datamodel.scheduling.digest import MISSED_LIMIT, Differences, Look, bucket_of, buckets_for, sums_of

COMPARE_S = 300.0
"""How often an agent compares, give or take a fifth."""
SURE_S = 20.0
"""How long a difference must have been there. An idle feed is heard of more often than that, or begins anew."""
MADE_GOOD = "the feed missed something, which is made good"
_log = structlog.get_logger("feed")


class _Suspect(NamedTuple):
    """What an attempt is here and at the hub (0: it is not there), since when that is known, and how far the feed was then."""

    own: int
    there: int
    since_s: float
    through: int


class Comparing:
    """Of one agent; `site` and `agent` are its names, and it hosts so many `edges`. It stands between the feed and whoever
    takes it: see `following`."""

    def __init__(
        self,
        messages: Messages,
        site: str,
        agent: str,
        edges: int,
        *,
        every_s: float = COMPARE_S,
        sure_s: float = SURE_S,
    ) -> None:
        self._messages = messages
        self._site, self._agent, self._edges = site, agent, edges
        self._every_s, self._sure_s = every_s, sure_s
        self._prefix = f"/desired-config/sites/{site}/edges/"
        self._deliver: Callable[[FeedItem], None] = lambda _: None
        self._versions: dict[str, int] = {}
        self._listing: set[str] | None = set()
        self._newest = 0
        self._heard_s = 0.0
        self._number = 0
        self._suspects: dict[str, _Suspect] = {}
        self._missed: dict[str, int] = {}
        self._differs = asyncio.Event()
        self._untold = 0
        self.healed = 0
        """Differences that were made good since the start."""
        messages.on_reconnect(self._begin_anew)

    @property
    def versions(self) -> dict[str, int]:
        """What there is, as far as the feed has told: versions of attempts, by their paths below the site's edges."""
        return self._versions

    def following(self, deliver: Callable[[FeedItem], None]) -> Callable[[FeedItem], None]:
        """Takes notice of what is delivered, and delivers what the feed missed."""
        self._deliver = deliver

        def take(item: FeedItem) -> None:
            if self._note(item):
                deliver(item)

        return take

    async def run(self) -> None:
        """Looks until it is cancelled: soon again where something differs."""
        await self._messages.subscribe(digest.differences_subject(self._site, self._agent), self._on_differences)
        await self._messages.subscribe(digest.missed_subject(self._site, self._agent), self._on_missed)
        while True:
            spread = random.uniform(0.8, 1.2)  # noqa: S311 - spreads the agents
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._every_s * spread):
                    await self._differs.wait()
                self._differs.clear()
                await asyncio.sleep(self._sure_s * (spread + 0.3))
            honour_cancellation()
            if self._listing is None and self._messages.connected:
                with contextlib.suppress(Transient):  # the next look says it again
                    await self._look()

    async def _look(self) -> None:
        self._number += 1
        sums = sums_of(self._versions, buckets_for(len(self._versions)))
        look = Look(self._number, self._edges, sums, tuple(self._missed)[:MISSED_LIMIT], self._untold)
        await self._messages.publish(digest.look_subject(self._site, self._agent), digest.encode(look))
        self._untold = 0

    def _note(self, item: FeedItem) -> bool:
        """Whether it is news."""
        self._heard_s = asyncio.get_running_loop().time()
        match item:
            case Restarted():
                self._begin_anew()
                self._listing = set()
                self._newest = 0
            case Synced():
                listed, self._listing = self._listing or set(), None
                self._versions = {path: version for path, version in self._versions.items() if path in listed}
            case Message():
                return self._take(item)
        return True

    def _take(self, message: Message) -> bool:
        path = message.path.removeprefix(self._prefix)
        if self._listing is not None:
            self._listing.add(path)
        else:
            self._newest = max(self._newest, message.version)
            if message.version < self._versions.get(path, 0):
                return False  # it was fetched, and is newer here
        if message.deleted:
            self._versions.pop(path, None)
        else:
            self._versions[path] = message.version
        return True

    def _begin_anew(self) -> None:
        """The feed begins again, or goes on where it was cut off: it may bring whatever seemed to be missing."""
        self._suspects, self._missed = {}, {}
        self._number += 1

    def _on_differences(self, _: str, body: bytes) -> None:
        try:
            found = digest.decode_differences(body)
        except digest.UNREADABLE as error:
            _log.warning("what the hub compared cannot be read", error=str(error))
            return
        if found.number != self._number or self._listing is not None:
            return
        self._missed = {}
        before, self._suspects = self._suspects, dict(self._differing(found))
        for path, suspect in tuple(self._suspects.items()):
            known = before.get(path)
            if known is None or (known.own, known.there) != (suspect.own, suspect.there):
                continue
            self._suspects[path] = known
            if self._is_sure(known):
                self._heal(path, known)
        if self._suspects:
            self._differs.set()

    def _differing(self, found: Differences) -> list[tuple[str, _Suspect]]:
        """What is newer at the hub, or not there any more. What is newer here has changed since the hub looked."""
        now_s, buckets = asyncio.get_running_loop().time(), buckets_for(len(self._versions))
        own: dict[int, set[str]] = {}
        for path in self._versions:
            own.setdefault(bucket_of(path, buckets), set()).add(path)
        differing: list[tuple[str, _Suspect]] = []
        for number, there in found.buckets.items():
            for path in sorted(own.get(number, set()) | there.keys()):
                mine, its = self._versions.get(path, 0), there.get(path, 0)
                if (its > mine or not its) and mine <= found.through:
                    differing.append((path, _Suspect(mine, its, now_s, found.through)))
        return differing

    def _is_sure(self, suspect: _Suspect) -> bool:
        now_s = asyncio.get_running_loop().time()
        if now_s - suspect.since_s < self._sure_s:
            return False
        return self._newest >= suspect.through or now_s - self._heard_s >= self._sure_s

    def _heal(self, path: str, suspect: _Suspect) -> None:
        if suspect.there:
            self._missed[path] = suspect.there  # the next look asks for it
            return
        self._count(path, suspect.own, 0)
        del self._suspects[path]
        gone = Message(self._prefix + path, "", "Attempt", suspect.through, deleted=True)
        self._versions.pop(path, None)
        self._deliver(gone)

    def _on_missed(self, _: str, body: bytes) -> None:
        try:
            message = decode(body)
        except digest.UNREADABLE as error:
            _log.warning("what was asked for cannot be read", error=str(error))
            return
        path = message.path.removeprefix(self._prefix)
        own = self._versions.get(path, 0)
        if self._missed.pop(path, None) is None or message.version <= own:
            return  # it has come by itself meanwhile, or was not asked for
        self._suspects.pop(path, None)
        self._count(path, own, message.version)
        self._versions[path] = message.version
        self._deliver(message)

    def _count(self, path: str, own: int, there: int) -> None:
        """It is a defect of the feed, and said to be one."""
        self.healed += 1
        self._untold += 1
        _log.error(MADE_GOOD, attempt=path, version=own, newer=there)
