"""The link to the hub: windows of reports out, commits in, heartbeats, and the agent's own part of the graph."""

import asyncio
import contextlib
import random
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice

import msgspec
import structlog

from agents.comparing import COMPARE_S, SURE_S, Comparing
from agents.outbox import Outbox
from agents.session import Session
from agents.subtree import Subtree
from datamodel.errors import Transient
from datamodel.feed.bus import honour_cancellation
from datamodel.feed.ports import Messages
from datamodel.ports import Feed, FeedItem
from datamodel.scheduling import wire

RESEND_S = 2.0
FEED_HEARTBEAT_S = 7.5
"""How often an idle feed is heard of: twice as often would cost a fifth more of an idle edge's bytes."""
FIRST_S = 15.0
"""How long new work waits for what was to be told before a reconnection."""
ASK_S = 300.0
"""After so long with nothing to tell, give or take a fifth, an agent asks whether the hub still has what it was told. Its
database may have been put back to an older copy, and the feed says nothing of that where the relay was behind."""
CUT_S = 8.0
"""After so long without any answer the hub was cut off, though the agent was connected: to a server of its site, say."""
FENCED_S = 10.0
"""How often an agent that is not believed says that it is still there, so that operators see it."""

_log = structlog.get_logger("link")


class Link:
    """One agent's connection. It may be cut at any moment: the outbox keeps what was not committed."""

    def __init__(
        self,
        messages: Messages,
        feed: Feed,
        outbox: Outbox,
        site: str,
        agent: str,
        edges: Sequence[str],
        *,
        beat_s: float = wire.BEAT_S,
        resend_s: float = RESEND_S,
        cut_s: float = CUT_S,
        ask_s: float = ASK_S,
        compare_s: tuple[float, float] = (COMPARE_S, SURE_S),
        session: Session | None = None,
    ) -> None:
        """`beat_s`: how often the hub is told that the agent lives. `resend_s`: how long reports may be unanswered before they
        are sent again, and `cut_s` until the hub counts as having been cut off. `ask_s`: how long there may be nothing to send
        until it is asked what it has. `compare_s`: how often what the feed told is compared, and for how long a difference must
        be there. `session`: this start of the agent, of the same outbox."""
        self._messages = messages
        self._feed = feed
        self._outbox = outbox
        self._site, self._agent, self._edges = site, agent, list(edges)
        self._beat_s, self._resend_s, self._cut_s = beat_s, resend_s, cut_s
        self._ask_s = ask_s * random.uniform(0.8, 1.2)  # noqa: S311 - spreads the agents
        self._session = session or Session(outbox)
        self._incarnation = outbox.incarnation
        self._sent = 0
        self._in_flight: deque[int] = deque()
        self._gap = -1
        self._heard_s = 0.0
        self._silent_since_s: float | None = None
        """When what was sent was to be sent again first, and nothing was answered since."""
        self._answered = asyncio.Event()
        self._woken = outbox.grown  # one event for all that there may be to send
        self._renewed: Callable[[], None] = lambda: None
        every_s, sure_s = compare_s
        self.comparing = Comparing(messages, site, agent, len(self._edges), every_s=every_s, sure_s=sure_s)
        messages.on_reconnect(self._resume)

    async def run(self, deliver: Callable[[FeedItem], None], renewed: Callable[[], None]) -> None:
        """Keeps the link until it is cancelled; `deliver` gets the agent's part of the graph. `renewed()` is called when the
        outbox has become another one: nothing but what is pending in it is told."""
        self._renewed = renewed
        self._outbox.owe(asyncio.get_running_loop().time() + FIRST_S)
        subject = wire.committed_subject(self._site, self._agent)
        await self._messages.subscribe(subject, self._on_committed)
        subtree = Subtree(self._site, self._edges)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._send(), name="reports")
            group.create_task(self._beat(), name="heartbeats")
            group.create_task(self.comparing.run(), name="comparing")
            following = subtree.own(self.comparing.following(deliver))
            group.create_task(self._feed.follow(subtree.prefixes, following), name="feed")

    async def flushed(self) -> None:
        """Returns when the hub has committed everything."""
        while self._outbox.pending and not self._session.fenced:
            self._answered.clear()
            await self._answered.wait()

    async def _beat(self) -> None:
        beat = wire.encode(wire.Beat(len(self._edges)))
        while True:
            if self._messages.connected and not self._session.fenced:
                with contextlib.suppress(Transient):  # the next one follows soon
                    await self._messages.publish(wire.beat_subject(self._site, self._agent), beat)
            honour_cancellation()
            await asyncio.sleep(self._beat_s)

    async def _send(self) -> None:
        """Sends what is in the outbox, a few windows ahead of what is committed, and all of it again when the hub has
        committed nothing for a while; asks now and then where there is nothing to send. Once this start is not believed any
        more, it only says that it is still there."""
        loop = asyncio.get_running_loop()
        while not self._session.fenced:
            self._woken.clear()
            if self._messages.connected:
                await self._send_windows()
            honour_cancellation()
            try:
                async with asyncio.timeout_at(self._due_s()):
                    await self._woken.wait()
            except TimeoutError:
                if loop.time() < self._due_s():
                    continue  # something was committed meanwhile, or everything
                if not self._waits:
                    await self._ask()
                else:
                    self._silent_since_s = self._silent_since_s or loop.time()
                    self._session.doubt()
                    self._rewind()
        while True:
            if self._messages.connected:
                with contextlib.suppress(Transient):
                    await self._publish(self._window(1, []))
            honour_cancellation()
            await asyncio.sleep(FENCED_S)

    def _due_s(self) -> float:
        """When something is to be sent though nothing wakes."""
        return self._heard_s + (self._resend_s if self._waits else self._ask_s)

    @property
    def _waits(self) -> bool:
        """Whether an answer of the hub is missing."""
        return bool(self._outbox.pending) or not self._settled

    @property
    def _settled(self) -> bool:
        """How far the hub is, and that it takes this start for the newest, need not be asked."""
        return self._outbox.confirmed and self._session.believed

    async def _ask(self) -> None:
        """By a window that follows on everything that was told: a hub that has less sees a gap before it."""
        self._heard_s = asyncio.get_running_loop().time()
        with contextlib.suppress(Transient):  # the next one follows
            await self._publish(self._window(self._outbox.forgotten_through + 1, []))

    async def _publish(self, window: wire.Window) -> None:
        await self._messages.publish(wire.report_subject(self._site, self._agent), wire.encode(window))

    async def _send_windows(self) -> None:
        if not self._in_flight:
            self._heard_s = asyncio.get_running_loop().time()  # until now, no answer was due
        while True:
            try:
                await self._session.prepare()
                window = self._next_window()
                if window is None:
                    return
                await self._publish(window)
            except Transient as error:
                _log.info("reports could not be sent", error=error.message)
                self._rewind()
                return
            self._sent = window.first + len(window.reports) - 1
            self._in_flight.append(self._sent)

    def _next_window(self) -> wire.Window | None:
        """What comes after what was sent. No more than a few windows are in flight, so while the hub is busy, reports gather
        into larger ones. While the outbox is not confirmed, or this start not believed, an empty one asks how far the hub
        is."""
        if self._incarnation != self._outbox.incarnation:  # what was sent of the former says nothing of this one
            self._incarnation, self._gap = self._outbox.incarnation, -1
            self._rewind()
            self._renewed()
        pending, settled = self._outbox.pending, self._settled
        if len(self._in_flight) >= (wire.WINDOWS_IN_FLIGHT if settled else 1):
            return None
        if not settled:
            return self._window(1, [])
        if not pending:
            return None
        oldest = pending[0][0]
        start = max(self._sent + 1, oldest)
        reports: list[msgspec.Raw] = []
        size = 0
        for _, body in islice(pending, start - oldest, start - oldest + wire.WINDOW_REPORTS):
            size += len(body)
            if reports and size > wire.WINDOW_BYTES:
                break
            reports.append(msgspec.Raw(body))
        if not reports:
            return None
        return self._window(start, reports)

    def _window(self, first: int, reports: list[msgspec.Raw]) -> wire.Window:
        return self._session.window(self._site, self._agent, first, reports)

    def _on_committed(self, _: str, body: bytes) -> None:
        try:
            committed = wire.decode_committed(body)
        except wire.UNREADABLE as error:
            _log.warning("a commit cannot be read", error=str(error))
            return
        now_s = asyncio.get_running_loop().time()
        silent_since_s, self._silent_since_s = self._silent_since_s, None
        if silent_since_s is not None and now_s - silent_since_s >= self._cut_s:
            self._outbox.owe(now_s + FIRST_S)
        if not self._session.hear(committed):
            self._rewind()  # nothing of what was sent was taken, and there is something else to be asked or said
            self._answered.set()
            self._woken.set()
            return
        if committed.incarnation != self._outbox.incarnation:
            return
        if committed.gap and committed.through < self._outbox.forgotten_through:
            self._outbox.doubt()
            return
        waiting = len(self._outbox.pending)
        self._outbox.committed(committed.through)
        self._answered.set()
        if not self._outbox.confirmed:  # it says so when it is; until then the question counts as not answered
            return
        if len(self._outbox.pending) < waiting:
            self._heard_s = asyncio.get_running_loop().time()
        while self._in_flight and self._in_flight[0] <= committed.through:
            self._in_flight.popleft()
        if committed.gap and committed.through != self._gap:
            self._gap = committed.through  # once: what is in flight behind the gap is answered with the same gap
            self._rewind()
        if self._outbox.pending and self._outbox.pending[-1][0] > self._sent:
            self._woken.set()

    def _resume(self) -> None:
        """After a reconnection: what was sent may be lost, and what was not is told before anything new is begun."""
        self._outbox.owe(asyncio.get_running_loop().time() + FIRST_S)
        self._rewind()
        self._woken.set()

    def _rewind(self) -> None:
        """Everything that is not committed is to be sent again."""
        self._sent = 0
        self._in_flight.clear()
        self._heard_s = asyncio.get_running_loop().time()
