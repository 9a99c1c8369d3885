"""An agent as one program over the ports: its life, and how it ends."""

import asyncio

import structlog

from agents.link import Link
from agents.loop import Agent

FLUSH_S = 5.0
"""How long a stopping agent waits for the hub to commit its last reports; they are safe in the outbox either way."""
_log = structlog.get_logger("agents")


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
