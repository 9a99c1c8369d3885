"""The reconcilers' program: all of them in one process, any number of processes."""

import asyncio
import signal
import sys

import structlog

from datamodel.feed.bus import connect
from datamodel.feed.stream import JetStreams
from datamodel.loading import load_extension
from datamodel.postgres.store import PostgresStore
from datamodel.program import read_settings, run_program
from datamodel.scheduling.model import MODEL
from reconcilers.program import Program
from reconcilers.settings import Settings

_log = structlog.get_logger("reconcilers")


async def run(settings: Settings) -> None:
    """Runs until it is cancelled."""
    model = load_extension(MODEL, "reconcilers")
    bus = await connect(settings.nats_url, "reconcilers")
    try:
        async with PostgresStore(settings.database_url, model) as store:
            await Program(settings, store, bus, JetStreams(bus)).run()
    finally:
        await bus.close()


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
