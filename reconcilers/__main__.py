"""The reconcilers' program: all of them in one process, any number of processes."""

import asyncio
import signal
import sys
from collections.abc import Callable, Sequence

import structlog

from datamodel.appender import Appender
from datamodel.feed.bus import Bus, connect
from datamodel.ports import Change
from datamodel.postgres.store import PostgresStore
from datamodel.program import read_settings, run_program
from datamodel.reads import Reads
from datamodel.scheduling.model import MODEL
from datamodel.wire import POKE
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


async def run(settings: Settings) -> None:
    """Runs until it is cancelled."""
    bus = await connect(settings.nats_url, "reconcilers")
    try:
        async with PostgresStore(settings.database_url, MODEL) as store:
            await _run(settings, store, bus)
    finally:
        await bus.close()


async def _run(settings: Settings, store: PostgresStore, bus: Bus) -> None:
    metrics, reads = Metrics(), Reads(store)
    shards = Shards(store, settings.lease_ttl_s)
    relaying, tail = Controller(Relay(store, bus), shards, metrics, workers=1), Tail(store)

    def grown() -> None:
        relaying.wake(RELAY_KEY)
        tail.wake()

    async with Appender(store, committed=grown) as appender:
        thresholds = Thresholds(settings.suspect_after_s, settings.disconnected_after_s, settings.lost_after_s)
        ingest = Ingest(store, appender, bus, metrics)
        edges = Edges(store, appender, reads, bus, thresholds)
        ingesting, judging = Controller(ingest, shards, metrics), Controller(edges, shards, metrics)
        controllers = [
            relaying,
            ingesting,
            judging,
            Controller(Placement(store, appender), shards, metrics, workers=1),
            Controller(Progress(store, appender, reads), shards, metrics, workers=128),
            Controller(Retention(store, appender, reads), shards, metrics),
            Controller(Stats(store, appender), shards, metrics, workers=1),
        ]
        await ingest.listen(ingesting.wake)
        await edges.listen(judging.wake)

        async def on_poke(_: object) -> None:
            store.others_wrote()
            grown()

        await bus.client.subscribe(POKE, cb=on_poke)
        async with asyncio.TaskGroup() as group:
            for controller in controllers:
                group.create_task(controller.run(), name=controller.reconciler.name)
            group.create_task(shards.run(), name="shards")
            group.create_task(tail.run(_dispatch(controllers), lambda: _resync(controllers)), name="tail")
            _log.info("running")


def _dispatch(controllers: Sequence[Controller]) -> Callable[[Change], None]:
    """A change wakes whoever watches its kind."""
    watching: dict[str, list[tuple[Controller, Watch]]] = {}
    for controller in controllers:
        for kind, watch in controller.reconciler.watches.items():
            watching.setdefault(kind, []).append((controller, watch))

    def deliver(change: Change) -> None:
        for controller, watch in watching.get(change.kind, ()):
            for wake in watch(change):
                controller.wake(wake.key, wake.after_s)

    return deliver


def _resync(controllers: Sequence[Controller]) -> None:
    for controller in controllers:
        controller.resync()


async def _main() -> None:
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        await run(read_settings(Settings))
    except asyncio.CancelledError:
        _log.info("stopped")


def main() -> int:
    return run_program("reconcilers", _main)


if __name__ == "__main__":
    sys.exit(main())
