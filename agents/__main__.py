"""The agents' program: one process, one agent, one edge or a group of them."""

import asyncio
import os
import platform
import signal
import sys
import zlib
from datetime import UTC, datetime
from importlib.metadata import version

import structlog

from agents.artifacts.cache import Cache
from agents.artifacts.carrier import Carrier
from agents.desk import Desk
from agents.identity import enrolled, keep_renewed
from agents.leases import Leases
from agents.link import FEED_HEARTBEAT_S, Link
from agents.logs.cutting import Limits
from agents.logs.shipper import Shipper
from agents.loop import Agent
from agents.news.images import DeclaredImages, ImageHolder, ImageNews
from agents.news.ports import News
from agents.news.power import PowerNews, PowerSource
from agents.news.power_file import PowerFile
from agents.news.supplied import SuppliedPower
from agents.outbox import Outbox
from agents.program import live, unless
from agents.runtimes.choose import choose
from agents.runtimes.process.owner import step_owner
from agents.runtimes.protocol import Runtime
from agents.runtimes.supply import Drawn
from agents.secrets.asking import Asking
from agents.secrets.runtime import SecretRuntime
from agents.secrets.strongbox import Strongbox
from agents.session import Session
from agents.settings import Settings
from agents.sqlite_journal import SqliteJournal
from datamodel.artifacts.jetstream import JetPieces
from datamodel.feed.access import Access
from datamodel.feed.bus import Bus, connect
from datamodel.feed.follow import NatsFeed
from datamodel.feed.signing import Signing
from datamodel.loading import load_extension
from datamodel.program import read_settings, run_program
from datamodel.scheduling import wire
from datamodel.scheduling.model import MODEL
from datamodel.transcripts.jetstream import JetTranscripts

_log = structlog.get_logger("agents")


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Runs until `stop` is set; then ends what runs, reports it, and leaves."""
    load_extension(MODEL, "an agent")
    if settings.edge_runtime == "kubernetes" and not (settings.edge_cpu and settings.edge_memory_bytes):
        from agents.runtimes.kubernetes.nodes import cluster_capacity  # noqa: PLC0415 - as in choose

        settings = settings.with_capacity(*await cluster_capacity(settings.edge_kubernetes_namespace))
    seed = settings.edge_simulated_seed
    if seed is None:
        seed = zlib.crc32(f"{settings.edge_site}/{settings.edge_name}".encode())
    joined = await unless(stop, _join(settings))
    if joined is None:
        return
    access, bus = joined
    messages = Signing(bus, access.credential().key)
    desk = Desk(messages, settings.edge_site, settings.edge_name, settings.edges)
    try:
        await desk.listen()
        async with Outbox(SqliteJournal(settings.edge_home / "outbox.sqlite")) as outbox:
            runtime = await choose(
                settings.edge_runtime,
                site=settings.edge_site,
                edges=settings.edges,
                state_dir=settings.edge_home / "attempts",
                step_user=settings.edge_step_user,
                sandbox=settings.edge_sandbox,
                seed=seed,
                trace=settings.edge_simulated_trace,
                chances=settings.chances(seed),
                policy=settings.policy,
                namespace=settings.edge_kubernetes_namespace,
                tools_image=settings.edge_kubernetes_image,
            )
            news, public_key = _news(settings, runtime, seed), None
            if runtime.keeps_output:  # what runs nothing needs no secrets
                asking = Asking(messages, settings.edge_site, settings.edge_name)
                public_key = asking.public_key
                runtime = SecretRuntime(runtime, _strongbox(settings, runtime.name), asking)
            logs = _shipper(settings, runtime, bus) if runtime.keeps_output else None
            carrier = Carrier(
                runtime,
                JetPieces(bus, desk),
                Cache(settings.edge_home / "inputs", limit_bytes=settings.edge_inputs_bytes),
                limit_bytes=settings.edge_artifact_bytes,
                hold_s=settings.edge_artifact_hold_s,
            )
            registrations = _registrations(settings, runtime.name, public_key)
            feed = NatsFeed(bus, desk, heartbeat_s=FEED_HEARTBEAT_S)
            session = Session(outbox, host=f"{platform.node()}, process {os.getpid()}")
            leases = Leases(messages, session, runtime, settings.edge_site, settings.edge_name)
            agent = Agent(runtime, outbox, registrations, logs=logs, carrier=carrier, news=news, leases=leases)
            link = Link(messages, feed, outbox, settings.edge_site, settings.edge_name, settings.edges, session=session)
            try:
                await bus.while_admitted(live(agent, link, stop), keep_renewed(settings, desk, bus))
            finally:
                await runtime.close()
    finally:
        await bus.close()


async def _join(settings: Settings) -> tuple[Access, Bus]:
    """Who it is, and its connection, for both of which it tries for as long as it takes."""
    access = await enrolled(settings)
    return access, await connect(access, f"agent {settings.edge_site}/{settings.edge_name}")


def _shipper(settings: Settings, runtime: Runtime, bus: Bus) -> Shipper:
    limits = Limits(settings.edge_log_bytes, settings.edge_log_lines)
    return Shipper(runtime, JetTranscripts(bus), limits=limits, hold_s=settings.edge_log_hold_s)


def _strongbox(settings: Settings, runtime: str) -> Strongbox:
    """What a process is shown belongs to its user, and a container's users nobody here knows."""
    if runtime == "process":
        return Strongbox(settings.edge_home, owner=step_owner(settings.edge_step_user))
    return Strongbox(settings.edge_home, contained=True)


def _news(settings: Settings, runtime: Runtime, seed: int) -> list[News]:
    """What changes of the edges while they are there."""
    news: list[News] = []
    source: PowerSource | None = None
    if settings.edge_power_file is not None:
        source = PowerFile(settings.edge_power_file)
    elif settings.edge_simulated_tells_power and runtime.name == "simulated":
        source = SuppliedPower(settings.edge_simulated_trace or Drawn(seed), _now)
    if source is not None:
        news.append(PowerNews(source, settings.edges, settings.edge_power_w, _now))
    if runtime.name == "simulated" and settings.edge_simulated_images:
        news.append(ImageNews(DeclaredImages(settings.edge_simulated_images), settings.edges))
    elif isinstance(runtime, ImageHolder):
        news.append(ImageNews(runtime, settings.edges))
    return news


def _now() -> datetime:
    return datetime.now(UTC)


def _registrations(settings: Settings, runtime: str, public_key: str | None = None) -> list[wire.EdgeReport]:
    return [
        wire.EdgeReport(
            edge=edge,
            at=_now(),
            cpu=settings.cpu,
            memory_bytes=settings.memory_bytes,
            power_w=settings.edge_power_w,
            runtime=runtime,
            agent_version=version("tendril"),
            labels=settings.edge_labels,
            gpus=settings.edge_gpus,
            countables=settings.edge_countables,
            carbon_g_per_kwh=settings.edge_carbon_g_per_kwh,
            public_key=public_key,
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
