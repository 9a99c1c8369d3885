"""A Docker runtime of a test's own, with nothing left at the engine before or after, and what it runs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from agents.runtimes.docker.pull import STALL_S
from agents.runtimes.docker.runtime import DockerRuntime
from agents.runtimes.policy import Policy
from agents.runtimes.protocol import Observed, Work

WAIT_S = 60.0


@asynccontextmanager
async def opened(
    site: str,
    policy: Policy = Policy(),  # noqa: B008 - frozen
    *,
    stall_s: float = STALL_S,
) -> AsyncIterator[DockerRuntime]:
    """The runtime of the edge `edge` of a site."""
    runtime = DockerRuntime(site=site, edges=["edge"], policy=policy, stall_s=stall_s)
    await runtime.open(lambda _: None)
    await clear(runtime)  # of a run that was killed
    yield runtime
    await clear(runtime)
    await runtime.close()


async def run(runtime: DockerRuntime, work: Work) -> Observed:
    """The attempt when its one step has ended. As an agent does: what shows no step yet is started again."""
    async with asyncio.timeout(WAIT_S):
        while True:
            found = await runtime.observe(work.attempt)
            if found is None or not found.steps:
                await runtime.start_step(work, 0)
            elif found.steps[0].phase != "running":
                return found
            await asyncio.sleep(0.02)


async def clear(runtime: DockerRuntime) -> None:
    for found in await runtime.discover():
        await runtime.remove(found.attempt)
