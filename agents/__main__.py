"""The agents' program: one process, one agent, one edge or a group of them."""

import asyncio
import signal
import sys
import zlib
from datetime import UTC, datetime
from importlib.metadata import version

import structlog

from agents.link import Link
from agents.loop import Agent
from agents.outbox import Outbox
from agents.program import live
from agents.runtimes.choose import choose
from agents.settings import Settings
from agents.sqlite_journal import SqliteJournal
from datamodel.feed.bus import connect
from datamodel.feed.follow import NatsFeed
from datamodel.loading import load_extension
from datamodel.program import read_settings, run_program
from datamodel.scheduling import wire
from datamodel.scheduling.model import MODEL

_log = structlog.get_logger("agents")


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Runs until `stop` is set; then ends what runs, reports it, and leaves."""
    load_extension(MODEL, "an agent")
    bus = await connect(settings.tendril_nats_url, f"agent {settings.edge_site}/{settings.edge_name}")
    try:
        async with Outbox(SqliteJournal(settings.edge_home / "outbox.sqlite")) as outbox:
            runtime = await choose(
                settings.edge_runtime,
                site=settings.edge_site,
                edges=settings.edges,
                state_dir=settings.edge_home / "attempts",
                seed=zlib.crc32(f"{settings.edge_site}/{settings.edge_name}".encode()),
            )
            agent = Agent(runtime, outbox, _registrations(settings, runtime.name))
            link = Link(bus, NatsFeed(bus), outbox, settings.edge_site, settings.edge_name, settings.edges)
            try:
                await live(agent, link, stop)
            finally:
                await runtime.close()
    finally:
        await bus.close()


def _registrations(settings: Settings, runtime: str) -> list[wire.EdgeReport]:
    return [
        wire.EdgeReport(
            edge=edge,
            at=datetime.now(UTC),
            cpu=settings.cpu,
            memory_bytes=settings.memory_bytes,
            power_w=settings.edge_power_w,
            runtime=runtime,
            agent_version=version("tendril"),
            labels=settings.edge_labels,
        )
        for edge in settings.edges
    ]


async def _main() -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await run(read_settings(Settings), stop)
    _log.info("stopped")


def main() -> int:
    return run_program("agent", _main)


if __name__ == "__main__":
    sys.exit(main())
