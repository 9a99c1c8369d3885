"""relay: log → stream. It publishes every position in order, and rebuilds the stream whenever it is not the log's."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog
from msgspec import structs

from datamodel.command import Fence
from datamodel.errors import Conflict, Gone, Transient
from datamodel.feed.ports import Stream, Streams
from datamodel.ports import Change, Store
from reconcilers.runtime.controller import Watch

KEY = "log"
BATCH = 512
BATCHES = 16
"""Published at a turn, so that a relay which has lost its lease notices."""
LOOK_S = 10.0
_log = structlog.get_logger("relay")


class Relay:
    """The publisher. What it remembers of the stream is only trusted while its lease and its connection last."""

    name = "relay"
    shards = 1
    resync_s = 30.0
    watches: Mapping[str, Watch] = {}

    def __init__(self, store: Store, streams: Streams) -> None:
        self._store = store
        self._streams = streams
        self._stream: Stream | None = None
        self._token = 0
        self._position = 0
        self._event: str | None = None
        self._read_through = 0
        streams.on_reconnect(self._forget)

    async def keys(self) -> list[str]:
        return [KEY]

    def has_read(self, position: int) -> bool:
        """Whether the position is published, or about to be: if that fails, it is tried again."""
        return position <= self._read_through

    async def keep_looking(self, wake: Callable[[], object]) -> None:
        """Until it is cancelled. Calls `wake()` where nobody follows any more what it publishes to. When a database is put
        back, so are its leases, and for a while two relays may each believe to be the one: the other may have begun a newer
        stream, and never come to its end."""
        while True:
            await asyncio.sleep(LOOK_S)
            stream = self._stream
            if stream is None:
                continue
            try:
                newest = await self._streams.newest()
            except Transient:
                continue
            if self._stream is stream and (newest is None or newest.epoch != stream.epoch):
                _log.warning("the stream is not the newest any more", epoch=stream.epoch)
                self._forget()
                wake()

    async def reconcile(self, key: str, fence: Fence) -> float | None:
        del key  # there is only one
        if self._stream is None or self._token != fence.token:
            stream = await self._attach()
            self._position, self._event = stream.last, await self._store.event_id(stream.last)
            self._stream, self._token, self._read_through = stream, fence.token, stream.last
        try:
            return await self._publish(self._stream)
        except (Conflict, Transient):
            self._forget()
            raise
        except Gone as error:
            self._forget()
            raise Conflict(f"the stream ends where the log is not kept any more: {error.message}") from error

    async def _publish(self, stream: Stream) -> float | None:
        """While a batch is on its way to the stream, the next one is read."""
        changes = await self._next(self._position, self._event)
        for _ in range(BATCHES):
            if not changes:
                return None
            self._read_through, event = changes[-1].position, changes[-1].event_id
            publishing = self._streams.publish(stream.epoch, self._position, changes)
            if len(changes) < BATCH:
                await publishing
                following = []
            else:
                following = await _meanwhile(publishing, self._next(self._read_through, event))
            self._position, self._event, changes = self._read_through, event, following
        return 0.0

    async def _next(self, position: int, event: str | None) -> list[Change]:
        """What follows a position. Each batch is read with the event at that position before it, so that a database which was
        replaced unnoticed (restored, failed over) never goes on in another one's stream."""
        changes = await self._store.changes(max(0, position - 1), BATCH + 1)
        if position:
            if not changes or changes[0].event_id != event:
                raise Conflict(f"the log has another event at {position} than the stream: it is another database's")
            del changes[0]
        return changes

    def _forget(self) -> None:
        self._stream, self._read_through = None, 0

    async def _attach(self) -> Stream:
        """The stream to go on with: the newest where it is whole, of no older epoch than the store asks for, and a prefix of
        the log that ends where that is still kept; else a new epoch's."""
        found = await self._streams.newest()
        if found is not None and await self._is_good(found):
            # A rebuild may have been cut short before it did: another relay would go on in a stream that nobody follows.
            await self._streams.delete_older(found.epoch)
            _log.info("attached", epoch=found.epoch, position=found.last)
            return found
        return await self._rebuild(found.epoch if found is not None else 0)

    async def _is_good(self, stream: Stream) -> bool:
        if not stream.complete or stream.epoch < await self._store.epoch():
            return False
        if not await self._store.oldest() <= stream.last <= (await self._store.head()).position:
            return False
        return await self._streams.last_event(stream) == await self._store.event_id(stream.last)

    async def _rebuild(self, epoch_seen: int) -> Stream:
        """A new epoch: the present as of P in the sequences that end at P, so that the log goes on at P + 1.

        What changes while it is read is there as it was read, for else a follower would believe for a moment that it is
        gone; what is created meanwhile follows with its own position. So the number of nodes is only known as an upper bound,
        and fillers on one subject take what is left. The message at P, whichever it is, carries P's event.
        """
        epoch = max(epoch_seen, await self._store.epoch()) + 1
        await self._store.set_epoch(epoch)
        head = await self._store.head()
        room = min(await self._store.count_nodes(), head.position)
        last_event = await self._store.event_id(head.position) or ""
        await self._streams.create(epoch, head.position - room + 1, head.position)
        position, after = head.position - room, ""
        while True:
            living = await self._store.living(after, BATCH)
            if not living:
                break
            after = living[-1].path
            present = [
                change for change in living if change.node is not None and change.node.created_version <= head.position
            ]
            if present and position + len(present) == head.position:
                present[-1] = structs.replace(present[-1], event_id=last_event)
            await self._streams.publish(epoch, position, present)
            position += len(present)
        position = await self._fill(epoch, position, head.position, last_event)
        await self._streams.delete_older(epoch)
        newest = await self._streams.newest()
        if newest is None or newest.epoch != epoch:  # nobody would follow this one
            raise Conflict(f"another relay has rebuilt the stream meanwhile, and of a later epoch than {epoch}")
        _log.warning("the stream was rebuilt", epoch=epoch, position=position, nodes=room)
        return Stream(epoch, last=position, present=position)

    async def _fill(self, epoch: int, position: int, end: int, last_event: str) -> int:
        while position < end:
            fillers = [
                Change(at, last_event if at == end else "", path="", uid="", kind="", node=None)
                for at in range(position + 1, min(position + BATCH, end) + 1)
            ]
            await self._streams.publish(epoch, position, fillers)
            position += len(fillers)
        return position


async def _meanwhile(publishing: Awaitable[None], reading: Awaitable[list[Change]]) -> list[Change]:
    """What was read while something was published, once both are over. Raises what either raised."""
    failure, found = await asyncio.gather(publishing, reading, return_exceptions=True)
    if failure is not None:
        raise failure
    if isinstance(found, BaseException):
        raise found
    return found
