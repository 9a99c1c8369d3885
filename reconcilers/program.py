"""All reconcilers as one program over the ports: what a process of them is made of."""

import asyncio
import uuid
from collections.abc import Callable
from datetime import UTC, datetime

import structlog

from datamodel.appender import Appender
from datamodel.errors import Transient
from datamodel.feed.bus import honour_cancellation
from datamodel.feed.message import POKE
from datamodel.feed.ports import Messages, Streams
from datamodel.ports import Change, Store
from datamodel.reads import Reads
from reconcilers.edges import Edges
from reconcilers.ingest import Ingest
from reconcilers.placement import Placement
from reconcilers.planning.liveness import Thresholds
from reconcilers.progress import Progress
from reconcilers.relay import KEY as RELAY_KEY
from reconcilers.relay import Relay
from reconcilers.retention import Retention
from reconcilers.runtime.controller import Controller, Watch
from reconcilers.runtime.metrics import Metrics
from reconcilers.runtime.shards import Shards
from reconcilers.runtime.tail import Tail
from reconcilers.settings import Settings
from reconcilers.stats import Stats

_log = structlog.get_logger("reconcilers")


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Program:
    """One replica. It shares the work with any number of others through the store's leases."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        messages: Messages,
        streams: Streams,
        clock: Callable[[], datetime] = _utc_now,
    ) -> None:
        self._store = store
        self._messages = messages
        self._identity = uuid.uuid4().bytes
        self._commits = asyncio.Event()
        metrics, reads = Metrics(), Reads(store)
        self._appender = Appender(store, committed=self._on_commit)
        self._shards = shards = Shards(store, settings.lease_ttl_s)
        self._tail = Tail(store, settings.poll_s)
        thresholds = Thresholds(settings.suspect_after_s, settings.disconnected_after_s, settings.lost_after_s)
        self._ingest = Ingest(store, self._appender, messages, metrics)
        self._edges = Edges(store, self._appender, reads, messages, thresholds, clock)
        self._relaying = Controller(Relay(store, streams), shards, metrics, workers=1)
        self._ingesting, self._judging = (
            Controller(self._ingest, shards, metrics),
            Controller(self._edges, shards, metrics),
        )
        self._controllers = [
            self._relaying,
            self._ingesting,
            self._judging,
            Controller(Placement(store, self._appender), shards, metrics, workers=1),
            Controller(Progress(store, self._appender, reads, clock), shards, metrics, workers=128),
            Controller(Retention(store, self._appender, reads), shards, metrics),
            Controller(Stats(store, self._appender), shards, metrics, workers=1),
        ]
        streams.on_reconnect(self._relay)

    async def run(self) -> None:
        """Runs until it is cancelled. Raises `Transient` where it cannot begin to listen."""
        async with self._appender:
            await self._ingest.listen(self._ingesting.wake)
            await self._edges.listen(self._judging.wake)
            await self._messages.subscribe(POKE, self._on_poke)
            async with asyncio.TaskGroup() as group:
                for controller in self._controllers:
                    group.create_task(controller.run(), name=controller.reconciler.name)
                group.create_task(self._shards.run(), name="shards")
                group.create_task(self._tail.run(self._dispatch(), self._resync), name="tail")
                group.create_task(self._tell(), name="pokes")
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
            self._store.others_wrote()
            self._grown()

    def _grown(self) -> None:
        """The log has."""
        self._relay()
        self._tail.wake()

    def _relay(self) -> None:
        self._relaying.wake(RELAY_KEY)

    def _dispatch(self) -> Callable[[Change], None]:
        """A change wakes whoever watches its kind, and the relay."""
        watching: dict[str, list[tuple[Controller, Watch]]] = {}
        for controller in self._controllers:
            for kind, watch in controller.reconciler.watches.items():
                watching.setdefault(kind, []).append((controller, watch))

        def deliver(change: Change) -> None:
            self._relay()
            for controller, watch in watching.get(change.kind, ()):
                for wake in watch(change):
                    controller.wake(wake.key, wake.after_s)

        return deliver

    def _resync(self) -> None:
        for controller in self._controllers:
            controller.resync()
