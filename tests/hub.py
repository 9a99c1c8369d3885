"""The reconcilers' program inside a test, and edges that are heard from."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

from datamodel.appender import Appender
from datamodel.command import Actor, Command, Unit
from datamodel.feed.access import Access
from datamodel.feed.bus import Bus, honour_cancellation
from datamodel.identity.envelope import seal
from datamodel.kinds import USER
from datamodel.node import Node
from datamodel.ports import Store
from datamodel.postgres.store import PostgresStore
from datamodel.scheduling import wire
from datamodel.scheduling.attempts import claim_of
from datamodel.scheduling.credentials import credential_path
from datamodel.scheduling.model import MODEL
from reconcilers.__main__ import run
from reconcilers.settings import Settings
from tests.graph import present
from tests.services import agent_key
from tests.waiting import PATIENCE_S, eventually


def nats_settings(access: Access) -> dict[str, Any]:
    """As the programs' settings name them."""
    return {"nats_url": access.url, "nats_creds": access.creds}


def nats_variables(access: Access) -> dict[str, str]:
    """As the environment tells them to a program."""
    return {"TENDRIL_NATS_URL": access.url, "TENDRIL_NATS_CREDS": str(access.creds)}


def agent_variables(access: Access) -> dict[str, str]:
    """The same for an agent's."""
    return {"TENDRIL_NATS_URL": access.url, "EDGE_CREDS": str(access.creds)}


AGENTS = (("s", "e", 1), ("s", "f", 1), ("local", "edge-1", 1))
"""Site, name and number of edges of agents that every hub of a test knows."""


async def introduce(store: Store, *agents: tuple[str, str, int]) -> None:
    """Has the hub know agents, by their keys of tests."""
    async with Appender(store) as appender:
        for site, agent, count in agents:
            spec = {"publicKey": agent_key(site, agent).public, "count": count}
            known = Command("apply", credential_path(site, agent), spec)
            await appender.write(
                Unit((Command("apply", f"/config/sites/{site}"), known), Actor("test", USER), cause="request:introduce")
            )


@asynccontextmanager
async def running_hub(
    database_url: str, access: Access, *, agents: Sequence[tuple[str, str, int]] = AGENTS, **settings: Any
) -> AsyncIterator[None]:
    """All reconcilers, until the block ends; then they are told to stop. They know these agents."""
    async with PostgresStore(database_url, MODEL) as store:
        await introduce(store, *agents)
    task = asyncio.create_task(
        run(Settings(database_url=database_url, **nats_settings(access), **{"lease_ttl_s": 1.0, **settings}))
    )
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def heard(bus: Bus, *edges: str) -> AsyncIterator[None]:
    """These edges of site `s`, hosted by agents of their names, send heartbeats while the block runs."""

    async def beat() -> None:
        while True:
            for edge in edges:
                subject, beat = wire.beat_subject("s", edge), wire.encode(wire.Beat())
                await bus.client.publish(subject, seal(agent_key("s", edge), subject, beat))
            honour_cancellation()
            await asyncio.sleep(0.1)

    async with asyncio.TaskGroup() as group:
        task = group.create_task(beat())
        yield
        task.cancel()


async def attempts_of(store: Store, job: Node) -> list[Node]:
    """All attempts at a job, by chunk and epoch."""
    found = await store.linked("Attempt", "job", job.uid, limit=10_000)
    return sorted(found, key=_claim)


def _claim(attempt: Node) -> tuple[int, int]:
    claim = claim_of(attempt.path)
    assert claim is not None
    return claim.index, claim.epoch


async def attempts_when(
    store: Store, job: Node, holds: Callable[[Sequence[Node]], bool], *, timeout_s: float = PATIENCE_S
) -> list[Node]:
    """The attempts at a job, once they are as wanted."""
    found: list[Node] = []

    async def read() -> bool:
        found[:] = await attempts_of(store, job)
        return holds(found)

    await eventually(read, timeout_s=timeout_s)
    return found


async def node_when(store: Store, path: str, holds: Callable[[Node], bool], *, timeout_s: float = PATIENCE_S) -> Node:
    """The node, once it is as wanted."""

    async def read() -> bool:
        return holds(await present(store, path))

    await eventually(read, timeout_s=timeout_s)
    return await present(store, path)


async def gone(store: Store, path: str, *, timeout_s: float = PATIENCE_S) -> None:
    """Returns once there is no such node."""

    async def read() -> bool:
        return not await store.nodes([path])

    await eventually(read, timeout_s=timeout_s)
