"""The consumers of a stream that followers use: made by the follower itself, or by somebody who may."""

import uuid
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import NotFoundError

from datamodel.errors import Transient
from datamodel.feed.bus import NATS_FAILURES, Bus
from datamodel.feed.ports import Stream
from datamodel.feed.stream import graph_subject, newest_stream, stream_name

UNUSED_S = 30
"""After so long without a follower the server forgets a consumer."""


class Place(NamedTuple):
    """A consumer: its name, and the subject that it delivers to."""

    name: str
    inbox: str


class Waiting(NamedTuple):
    """How many messages the server has yet to send, and the number of the last that it has sent, where that is known."""

    messages: int
    sent: int | None


class Consumers(Protocol):
    """All may raise `Transient`."""

    async def newest(self) -> Stream | None:
        """The stream of the highest epoch, complete or not."""
        ...

    def place(self) -> Place:
        """Where a consumer may be, that is another one than those before."""
        ...

    async def make(
        self, epoch: int, place: Place, prefixes: Sequence[str], after: int | None, heartbeat_s: float
    ) -> int:
        """Makes one, which delivers what is at and below these paths behind the sequence `after`, or the present and what comes
        then, and every `heartbeat_s` says that it is there; how many messages wait."""
        ...

    async def waiting(self, epoch: int, name: str) -> Waiting: ...

    async def remove(self, epoch: int, name: str) -> None:
        """Removes one, where it is there."""
        ...


class JetConsumers:
    """The port on JetStream, for who may do there whatever there is to do."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def newest(self) -> Stream | None:
        return await newest_stream(self._bus)

    def place(self) -> Place:
        return Place(f"f{uuid.uuid4().hex}", self._bus.client.new_inbox())

    async def make(
        self, epoch: int, place: Place, prefixes: Sequence[str], after: int | None, heartbeat_s: float
    ) -> int:
        config = ConsumerConfig(
            name=place.name,
            deliver_subject=place.inbox,
            deliver_policy=DeliverPolicy.LAST_PER_SUBJECT if after is None else DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=None if after is None else after + 1,
            ack_policy=AckPolicy.NONE,
            max_deliver=1,
            flow_control=True,
            idle_heartbeat=heartbeat_s,
            inactive_threshold=UNUSED_S,
            mem_storage=True,
            num_replicas=1,
            filter_subjects=[subject for path in prefixes for subject in _subjects(epoch, path)],
        )
        try:
            return (await self._bus.manager.add_consumer(stream_name(epoch), config)).num_pending or 0
        except NATS_FAILURES as error:
            raise Transient(f"a consumer could not be made: {error}") from error

    async def waiting(self, epoch: int, name: str) -> Waiting:
        try:
            info = await self._bus.manager.consumer_info(stream_name(epoch), name)
        except NATS_FAILURES as error:
            raise Transient(f"JetStream did not answer: {error}") from error
        return Waiting(info.num_pending or 0, info.delivered.consumer_seq if info.delivered is not None else None)

    async def remove(self, epoch: int, name: str) -> None:
        try:
            await self._bus.manager.delete_consumer(stream_name(epoch), name)
        except NotFoundError:
            return
        except NATS_FAILURES as error:
            raise Transient(f"a consumer could not be removed: {error}") from error


def _subjects(epoch: int, path: str) -> tuple[str, str]:
    own = graph_subject(epoch, path)
    return own, f"{own}.>"
