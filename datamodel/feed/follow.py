"""Following the feed: the present first, then what happens, through reconnections, lost messages and new epochs."""

import asyncio
import contextlib
import random
from collections.abc import Callable, Sequence

import structlog
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js.api import Header

from datamodel.errors import Transient
from datamodel.feed.bus import NATS_FAILURES, Bus, honour_cancellation
from datamodel.feed.consumers import Consumers, JetConsumers
from datamodel.feed.message import UNREADABLE, decode
from datamodel.feed.ports import Stream
from datamodel.feed.stream import TOMBSTONE_TTL_S
from datamodel.ports import FeedItem, Restarted, Synced

HEARTBEAT_S = 1.0
SILENCE = 2
"""Without a message or a heartbeat for as many heartbeats' time, and a moment for a busy machine, the consumer is taken for
dead: so it is where the stream was rebuilt, which no word tells of."""
MOMENT_S = 1.5

_RETRY_S = (0.05, 1.0)
_CONTROL = "100"
_STATUS = Header.STATUS.value
_log = structlog.get_logger("feed")


class NatsFeed:
    """The feed as a program sees it. One `follow` is one ephemeral push consumer.

    `heartbeat_s`: how often the server says that there is nothing to say, at the cost of some 160 bytes. It shows that the
    consumer is still there, which also a reconnection does, and whether the last message was lost.
    """

    def __init__(self, bus: Bus, consumers: Consumers | None = None, *, heartbeat_s: float = HEARTBEAT_S) -> None:
        """`consumers` makes them for who may not."""
        self._bus = bus
        self._heartbeat_s = heartbeat_s
        self._consumers = consumers if consumers is not None else JetConsumers(bus)

    async def follow(self, prefixes: Sequence[str], deliver: Callable[[FeedItem], None]) -> None:
        """Calls `deliver` for the nodes at and below these paths, until it is cancelled.

        `Restarted` comes before a present is delivered and `Synced` after it; each message has the whole node. `deliver`
        must be quick: it runs in the connection's reader.
        """
        follower = _Follower(self._bus, self._consumers, prefixes, deliver, self._heartbeat_s)
        delay = _RETRY_S[0]
        while True:
            try:
                stream = await self._consumers.newest()
                if stream is not None and stream.complete:
                    await follower.run(stream)
                    delay = _RETRY_S[0]
            except (Transient, *NATS_FAILURES) as error:
                _log.info("the feed is interrupted", error=str(error))
            honour_cancellation()
            await asyncio.sleep(delay * random.uniform(0.5, 1.0))  # noqa: S311 - spreads a herd of followers
            delay = min(delay * 2, _RETRY_S[1])


class _Follower:
    """One subscription's memory across consumers: how far it has come in which stream."""

    def __init__(
        self,
        bus: Bus,
        consumers: Consumers,
        prefixes: Sequence[str],
        deliver: Callable[[FeedItem], None],
        heartbeat_s: float,
    ) -> None:
        self._bus = bus
        self._consumers = consumers
        self._prefixes = prefixes
        self._deliver = deliver
        self._heartbeat_s = heartbeat_s
        self._epoch = 0
        self._sequence = 0
        self._synced = False
        self._heard_s = 0.0
        self._consumed = 0
        self._complete_at: int | None = None
        """The message with which all that there was has come; None as long as the server has not said so."""
        self._broken = False
        self._drained = False
        self._woken = asyncio.Event()
        """It broke, or what waited at the server has come, it seems."""
        self._now_s = asyncio.get_running_loop().time

    async def run(self, stream: Stream) -> None:
        """Follows one consumer until it breaks. Raises what nats-py raises."""
        resumes = (
            self._synced
            and self._epoch == stream.epoch
            and self._sequence <= stream.last
            and self._now_s() - self._heard_s < TOMBSTONE_TTL_S / 2
        )
        if not resumes:
            self._epoch, self._sequence, self._synced = stream.epoch, 0, False
        self._broken = self._drained = False
        self._consumed, self._complete_at = 0, None
        place = self._consumers.place()
        subscription = await self._bus.client.subscribe(place.inbox, cb=self._on_message)
        self._bus.on_reconnect(self._break)
        try:
            if not resumes:
                self._deliver(Restarted())
            after = self._sequence if resumes else None
            if not await self._consumers.make(stream.epoch, place, self._prefixes, after, self._heartbeat_s):
                self._on_everything_delivered()
            self._heard_s, silence_s = self._now_s(), SILENCE * self._heartbeat_s + MOMENT_S
            while not self._broken and self._now_s() - self._heard_s < silence_s:
                honour_cancellation()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(HEARTBEAT_S):
                        await self._woken.wait()
                self._woken.clear()
                if self._drained and not self._synced:
                    await self._confirm(stream.epoch, place.name)
        finally:
            self._bus.off_reconnect(self._break)
            await self._leave(subscription, stream.epoch, place.name)

    async def _on_message(self, message: Msg) -> None:
        self._heard_s = self._now_s()
        headers = message.headers
        if headers and _STATUS in headers:
            await self._on_control(message)
            return
        tokens = message.reply.split(".")
        at = 5 if len(tokens) == 9 else 7  # later servers name the domain and the account too
        consumed = int(tokens[at + 1]) if len(tokens) > 8 else 0  # else it is no consumer's
        if consumed != self._consumed + 1 or self._broken:
            self._break()
            return
        self._consumed = consumed
        self._sequence = int(tokens[at])
        try:
            item = decode(message.data)
        except UNREADABLE as error:
            _log.error("a message of the feed cannot be read", subject=message.subject, error=str(error))
        else:
            self._deliver(item)
        if consumed == self._complete_at:
            self._on_everything_delivered()
        elif not self._synced and tokens[at + 3] == "0":
            self._drained = True
            self._woken.set()

    async def _on_control(self, message: Msg) -> None:
        headers = message.headers or {}
        if headers[_STATUS] != _CONTROL:  # such as 409: the consumer was deleted
            self._break()
            return
        last = headers.get(Header.LAST_CONSUMER.value)
        if last is not None and int(last) != self._consumed:
            self._break()
        answer = headers.get(Header.CONSUMER_STALLED.value) or message.reply
        if answer:
            await self._bus.client.publish(answer)
        elif not self._broken:  # a heartbeat that waits for no answer of ours: the server has nothing to send
            self._on_everything_delivered()

    async def _confirm(self, epoch: int, consumer: str) -> None:
        """Asks the server whether nothing waits. A message may say so just when a node's former state was taken away and its
        new one, which is there and comes next, is not counted yet: of a stream that changes all the time one present in some
        hundred was not complete. Counting to the number that waited at the start would not do either: what changes meanwhile
        goes to the end, behind what is new."""
        self._drained = False
        waiting = await self._consumers.waiting(epoch, consumer)
        if waiting.messages or waiting.sent is None:
            return  # more comes, and with the last of it another word that nothing waits
        self._complete_at = waiting.sent
        if self._consumed >= self._complete_at:
            self._on_everything_delivered()

    def _break(self) -> None:
        self._broken = True
        self._woken.set()

    def _on_everything_delivered(self) -> None:
        """Every node that there is has been delivered."""
        if not self._synced:
            self._synced = True
            self._deliver(Synced())

    async def _leave(self, subscription: Subscription, epoch: int, consumer: str) -> None:
        try:
            await subscription.unsubscribe()
            if self._bus.client.is_connected:
                await self._consumers.remove(epoch, consumer)
        except (Transient, *NATS_FAILURES):
            return  # the server removes an unused consumer by itself
