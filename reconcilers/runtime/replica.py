"""One replica of some reconcilers over the ports, with the relay that every store needs once."""

import asyncio
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import structlog

from datamodel.appender import Appender
from datamodel.errors import Transient
from datamodel.feed.bus import honour_cancellation
from datamodel.feed.message import POKE
from datamodel.feed.ports import Messages, Streams
from datamodel.ports import Change, Store
from datamodel.reads import Reads
from reconcilers.compaction import Compaction
from reconcilers.relay import KEY as RELAY_KEY
from reconcilers.relay import Relay
from reconcilers.runtime.controller import Controller, Reconciler, Watch
from reconcilers.runtime.metrics import Metrics
from reconcilers.runtime.settings import RuntimeSettings
from reconcilers.runtime.shards import Shards
from reconcilers.runtime.tail import Tail

WORKERS = 32
_log = structlog.get_logger("reconcilers")


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Replica:
    """It shares the work with any number of others of the same program through the store's leases. `add` reconcilers, which
    may read through `reads` and `store` and write through `appender`, then `run`."""

    def __init__(
        self, program: str, store: Store, messages: Messages, streams: Streams, *, lease_ttl_s: float, poll_s: float
    ) -> None:
        self.store = store
        self.reads = Reads(store)
        self.appender = Appender(store, committed=self._on_commit)
        self.metrics = Metrics()
        self._messages = messages
        self._identity = uuid.uuid4().bytes
        self._commits = asyncio.Event()
        self.shards = Shards(store, lease_ttl_s, program)
        self._tail = Tail(store, poll_s)
        self._controllers: list[Controller] = []
        self._relay = Relay(store, streams)
        self._relaying = self.add(self._relay, workers=1)
        streams.on_reconnect(self._wake_relay)

    def add(self, reconciler: Reconciler, workers: int = WORKERS) -> Controller:
        """One more reconciler; so many of its keys are worked on at once."""
        controller = Controller(reconciler, self.shards, self.metrics, workers)
        self._controllers.append(controller)
        return controller

    def keep_log(self, settings: RuntimeSettings, clock: Callable[[], datetime] = _utc_now) -> None:
        """The log is forgotten at the age that the settings say, if any."""
        if settings.keep_log_days is not None:
            keep = timedelta(days=settings.keep_log_days)
            self.add(Compaction(self.store, keep, settings.export_log, clock), workers=1)

    async def run(self) -> None:
        """Runs until it is cancelled. Raises `Transient` where it cannot begin to listen."""
        async with self.appender:
            await self._messages.subscribe(POKE, self._on_poke)
            async with asyncio.TaskGroup() as group:
                for controller in self._controllers:
                    group.create_task(controller.run(), name=controller.reconciler.name)
                group.create_task(self.shards.run(), name="shards")
                group.create_task(self._tail.run(self._dispatch(), self._resync), name="tail")
                group.create_task(self._tell(), name="pokes")
                group.create_task(self._relay.keep_looking(self._wake_relay), name="newest stream")
                _log.info("running")

    def _on_commit(self) -> None:
        self._grown()
        self._commits.set()

    async def _tell(self) -> None:
        """Tells the other replicas of this one's commits. One message may stand for many."""
        while True:
            await self._commits.wait()
            self._commits.clear()
            if self._messages.connected:
                try:
                    await self._messages.publish(POKE, self._identity)
                except Transient as error:
                    _log.info("the others could not be told; they look by themselves", error=error.message)
            honour_cancellation()

    def _on_poke(self, _: str, sender: bytes) -> None:
        if sender != self._identity:
            self.store.others_wrote()
            self._grown()

    def _grown(self) -> None:
        """The log has."""
        self._wake_relay()
        self._tail.wake()

    def _wake_relay(self) -> None:
        self._relaying.wake(RELAY_KEY)

    def _dispatch(self) -> Callable[[Change], None]:
        """A change wakes whoever watches its kind, and the relay where that has not come to it by itself."""
        watching: dict[str, list[tuple[Controller, Watch]]] = {}
        for controller in self._controllers:
            for kind, watch in controller.reconciler.watches.items():
                watching.setdefault(kind, []).append((controller, watch))

        def deliver(change: Change) -> None:
            if not self._relay.has_read(change.position):
                self._wake_relay()
            for controller, watch in watching.get(change.kind, ()):
                for wake in watch(change):
                    controller.wake(wake.key, wake.after_s, change=change)

        return deliver

    def _resync(self) -> None:
        for controller in self._controllers:
            controller.resync()
