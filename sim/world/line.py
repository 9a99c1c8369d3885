"""A program's line to the message server, and what may happen on it: the ports `Messages`, `Streams` and `Feed`, faults
included."""

import asyncio
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from datamodel.errors import Transient
from datamodel.feed.bus import REQUEST_TIMEOUT_S
from datamodel.feed.memory import Follower, MemoryMessages, MemoryStreams, Place
from datamodel.feed.ports import Received, Stream
from datamodel.ports import Change, FeedItem, Message, Synced
from sim.world.process import Process
from sim.world.universe import Universe
from sim.world.weather import Weather

NOTICED_S = (4.0, 10.0)
"""How long a cut stays unnoticed by the client, whose pings go unanswered."""
RECONNECT_S = (0.2, 2.0)


class _Way:
    """One direction of a line."""

    def __init__(self) -> None:
        self.open = True
        self.cuts = 0
        self.last_s = 0.0
        """When what was sent last arrives; what is sent later does not overtake it."""


class _Parcel:
    """What is under way; lost where the way is cut meanwhile."""

    __slots__ = ("_args", "_call", "_cuts", "_way", "over")

    def __init__(self, way: _Way, call: Callable[..., object], args: tuple[Any, ...]) -> None:
        self._way, self._cuts, self._call, self._args = way, way.cuts, call, args
        self.over = False

    def happen(self) -> None:
        if self._cuts == self._way.cuts:
            self._call(*self._args)

    def describe(self) -> str:
        return str(getattr(self._call, "__qualname__", type(self._call).__name__))


class Line:
    """One connection. While a way is cut, nothing arrives that way, and after a while the client notices; what was under
    way is lost."""

    def __init__(
        self,
        universe: Universe,
        process: Process,
        server: MemoryMessages,
        rng: Random,
        weather: Weather,
        delay_s: tuple[float, float],
    ) -> None:
        self._universe, self.process, self._server = universe, process, server
        self.published: Callable[[str, bytes], object] = lambda _subject, _body: None
        """Called with what the program sends, whatever becomes of it."""
        self._rng, self._weather = rng, weather
        self._least_s, self._more_s = delay_s[0], delay_s[1] - delay_s[0]
        self._up, self._down = _Way(), _Way()
        self._cuts = 0
        self._listening: list[Received] = []
        self._on_cut: list[Callable[[], None]] = []
        self._on_reconnect: list[Callable[[], None]] = []
        self.connected = True

    async def publish(self, subject: str, body: bytes) -> None:
        if not self.connected:
            raise Transient("NATS did not take a message: not connected")
        self.published(subject, body)
        self._travel(self._up, self._publish, subject, body)

    async def subscribe(self, subject: str, received: Received) -> None:
        def arrived(subject: str, body: bytes) -> None:
            self._travel(self._down, self.process.deliver, received, subject, body)

        self._listening.append(arrived)
        await self.request(lambda: self._server.subscribe(subject, arrived))

    def on_reconnect(self, call: Callable[[], None]) -> None:
        self._on_reconnect.append(call)

    def on_cut(self, call: Callable[[], None]) -> None:
        """`call()` runs, outside of the process, at the moment when either way is cut."""
        self._on_cut.append(call)

    async def request(self, do: Callable[[], Any]) -> Any:
        """What the server answers. Raises `Transient` where that does not come back, whether or not it was done."""
        if not self.connected:
            raise Transient("NATS did not answer: not connected")
        lost = not self._up.open or self._rng.random() < self._weather.lost
        if lost:
            await self.process.call(lambda: None, there_s=REQUEST_TIMEOUT_S, back_s=0.0)
            raise Transient("NATS did not answer")
        answer = await self.process.call(do, there_s=self.delay_s(), back_s=self.delay_s())
        if not self._down.open:
            await self.process.call(lambda: None, there_s=REQUEST_TIMEOUT_S, back_s=0.0)
            raise Transient("NATS did not answer")
        return answer

    @property
    def whole(self) -> bool:
        return self._up.open and self._down.open

    def delay_s(self) -> float:
        return self._least_s + self._more_s * self._rng.random()

    def in_order(self, call: Callable[..., object], *args: Any) -> None:
        """Calls, outside of the process, as soon as it may overtake nothing on the way down: a stream of the server's own,
        which is never lost but by a cut."""
        at_s = self._down.last_s = max(self._universe.now_s + self.delay_s(), self._down.last_s)
        self._universe.at(at_s, call, *args)

    def cut(self, *, up: bool, down: bool) -> None:
        """Cuts one way or both, until `mend`."""
        self._cuts += 1
        for way, cut in ((self._up, up), (self._down, down)):
            if cut and way.open:
                way.open = False
                way.cuts += 1
        for call in self._on_cut:
            call()
        self._universe.after(self._rng.uniform(*NOTICED_S), self._notice, self._cuts)

    def mend(self) -> None:
        self._cuts += 1
        self._up.open = self._down.open = True
        self._universe.after(self._rng.uniform(*RECONNECT_S), self._reconnect, self._cuts)

    def drop(self) -> None:
        """The connection is gone with its process."""
        self.cut(up=True, down=True)
        for arrived in self._listening:
            self._server.unsubscribe(arrived)

    def _notice(self, cuts: int) -> None:
        if cuts == self._cuts:
            self.connected = False

    def _reconnect(self, cuts: int) -> None:
        if cuts == self._cuts:
            self.connected = True
            for call in self._on_reconnect:
                self.process.deliver(call)

    def _publish(self, subject: str, body: bytes) -> None:
        for received in self._server.listeners(subject):
            received(subject, body)

    def _travel(self, way: _Way, call: Callable[..., object], *args: Any) -> None:
        """Sends one way: it may be lost, come twice, or come late."""
        weather, luck = self._weather, self._rng.random
        if not way.open or (weather.lost and luck() < weather.lost):
            return
        for _ in range(2 if weather.duplicated and luck() < weather.duplicated else 1):
            at_s = self._universe.now_s + self.delay_s()
            if weather.reordered and luck() < weather.reordered:
                at_s += self._rng.uniform(0.0, 1.0)
            else:
                at_s = way.last_s = max(at_s, way.last_s)
            self._universe.put(at_s, _Parcel(way, call, args))


class LineStreams:
    """The relay's port on a line."""

    def __init__(self, line: Line, streams: MemoryStreams, rng: Random, weather: Weather) -> None:
        self._line, self._streams, self._rng, self._weather = line, streams, rng, weather

    def on_reconnect(self, call: Callable[[], None]) -> None:
        self._line.on_reconnect(call)

    async def newest(self) -> Stream | None:
        found: Stream | None = await self._line.request(self._streams.newest)
        return found

    async def create(self, epoch: int, first: int, present: int) -> Stream:
        made: Stream = await self._line.request(lambda: self._streams.create(epoch, first, present))
        return made

    async def delete_older(self, epoch: int) -> None:
        await self._line.request(lambda: self._streams.delete_older(epoch))

    async def last_event(self, stream: Stream) -> str | None:
        found: str | None = await self._line.request(lambda: self._streams.last_event(stream))
        return found

    async def publish(self, epoch: int, after: int, changes: Sequence[Change]) -> None:
        """Some of what is sent at once may get there and the rest not."""
        count = len(changes)
        cut_short = self._rng.random() < self._weather.lost
        taken = self._rng.randrange(count) if cut_short and count else count

        def put() -> None:
            for position, change in enumerate(changes[:taken], after + 1):
                self._streams.put(epoch, position, change)

        await self._line.request(put)
        if cut_short:
            raise Transient("publishing was cut short")


class LineFeed:
    """The port `Feed` on a line. Messages that it `swallows`, by path, do not come out, and it goes on as if they had."""

    def __init__(self, line: Line, streams: MemoryStreams, swallows: Callable[[str], bool] = lambda _: False) -> None:
        self._line, self._streams, self._swallows = line, streams, swallows

    async def follow(self, prefixes: Sequence[str], deliver: Callable[[FeedItem], None]) -> None:
        def take(item: FeedItem) -> None:
            if not (isinstance(item, Message) and self._swallows(item.path)):
                deliver(item)

        subscription = _Subscription(self._line, self._streams, prefixes, take)
        self._line.on_cut(subscription.detach)
        self._line.on_reconnect(subscription.attach)
        subscription.attach()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            subscription.detach()


class _Subscription:
    """What one follower has been told. After a cut it goes on where it was, or begins anew where it had no whole present."""

    def __init__(
        self, line: Line, streams: MemoryStreams, prefixes: Sequence[str], deliver: Callable[[FeedItem], None]
    ) -> None:
        self._line, self._streams, self._prefixes, self._deliver = line, streams, prefixes, deliver
        self._place: Place = (0, 0)
        self._synced = False
        self._attachments = 0
        self._follower: Follower | None = None

    def attach(self) -> None:
        self.detach()
        self._line.in_order(self._attached, self._attachments)

    def detach(self) -> None:
        self._attachments += 1
        if self._follower is not None:
            self._streams.detach(self._follower)
            self._follower = None

    def _attached(self, attachment: int) -> None:
        if attachment != self._attachments or not self._line.whole:
            return  # it is attached again when the line is mended

        def send(item: FeedItem) -> None:
            self._line.in_order(self._line.process.deliver, self._take, attachment, item, follower.place)

        follower = Follower(self._prefixes, send, self._place if self._synced else (0, 0))
        self._follower = follower
        self._streams.attach(follower)

    def _take(self, attachment: int, item: FeedItem, place: Place) -> None:
        if attachment != self._attachments:
            return
        if not isinstance(item, Message):
            self._synced = isinstance(item, Synced)
        self._place = place
        self._deliver(item)
