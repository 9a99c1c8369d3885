"""The reconcilers' program inside a test, and edges that are heard from."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

from datamodel.feed.bus import Bus, honour_cancellation
from datamodel.node import Node
from datamodel.ports import Store
from datamodel.scheduling import wire
from datamodel.scheduling.attempts import claim_of
from reconcilers.__main__ import run
from reconcilers.settings import Settings
from tests.graph import present
from tests.waiting import eventually


@asynccontextmanager
async def running_hub(database_url: str, nats_url: str, **settings: Any) -> AsyncIterator[None]:
    """All reconcilers, until the block ends; then they are told to stop."""
    task = asyncio.create_task(
        run(Settings(database_url=database_url, nats_url=nats_url, **{"lease_ttl_s": 1.0, **settings}))
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
                await bus.client.publish(wire.beat_subject("s"), wire.encode(wire.Beat("s", edge, [edge])))
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
    store: Store, job: Node, holds: Callable[[Sequence[Node]], bool], *, timeout_s: float = 10.0
) -> list[Node]:
    """The attempts at a job, once they are as wanted."""
    found: list[Node] = []

    async def read() -> bool:
        found[:] = await attempts_of(store, job)
        return holds(found)

    await eventually(read, timeout_s=timeout_s)
    return found


async def node_when(store: Store, path: str, holds: Callable[[Node], bool], *, timeout_s: float = 10.0) -> Node:
    """The node, once it is as wanted."""

    async def read() -> bool:
        return holds(await present(store, path))

    await eventually(read, timeout_s=timeout_s)
    return await present(store, path)


async def gone(store: Store, path: str, *, timeout_s: float = 10.0) -> None:
    """Returns once there is no such node."""

    async def read() -> bool:
        return not await store.nodes([path])

    await eventually(read, timeout_s=timeout_s)
