"""An agent as one program over the ports: its life, and how it ends."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import structlog

from agents.link import Link
from agents.loop import Agent

FLUSH_S = 5.0
"""How long a stopping agent waits for the hub to commit its last reports; they are safe in the outbox either way."""
INSIST_S = 1.0
"""How long what is ended may take, before it is ended again: nats-py swallows a cancellation now and then."""
_log = structlog.get_logger("agents")
T = TypeVar("T")


async def unless(stop: asyncio.Event, work: Coroutine[Any, Any, T]) -> T | None:
    """What the work comes to, or raises; None where `stop` is set before it is done, and then it is ended."""
    working, stopping = asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        stopping.cancel()
        while not working.done():
            working.cancel()
            await asyncio.wait((working,), timeout=INSIST_S)


async def live(agent: Agent, link: Link, stop: asyncio.Event) -> None:
    """Runs until `stop` is set; then ends what runs, reports it, and leaves."""
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(agent.run(), name="agent"),
            group.create_task(link.run(agent.deliver, agent.tell_anew), name="link"),
        ]
        _log.info("running")
        await stop.wait()
        await agent.interrupt()
        try:
            async with asyncio.timeout(FLUSH_S):
                await link.flushed()
        except TimeoutError:
            _log.warning("the hub has not committed every report; they wait in the outbox")
        for task in tasks:
            task.cancel()
