"""Whether anything is left of many containers in a row: at their engine, and in the agent that ran them.

`python -m sim.bench.leaks` runs 1,000, which takes minutes: `make soak` does.
"""

import asyncio
import contextlib
import sys
from typing import Annotated, Any

import cyclopts
import msgspec
import psutil
import uvloop

from agents.runtimes.docker.engine import engine_answers
from datamodel.errors import TendrilError, Transient
from sim.bench.containers import Site, site
from sim.bench.engine import holdings
from sim.bench.report import show

CONTAINERS = 1_000
WARMUP = 12
"""Containers before the first count: threads, connections and caches come with the first."""
MAY_GROW = {"openFiles": 12, "threads": 4, "memoryBytes": 16 * 2**20}
"""Connections and threads of pools come and go by these; a leak of one in fifty containers exceeds the first of them. Whatever
is not named may not grow by one."""

ENGINE_TIMEOUT_S = 5
SETTLED_S = 20.0

app = cyclopts.App(name="leaks", help="Run many containers in a row, and see whether anything is left of them.")


@app.default
def main(*, count: Annotated[int, cyclopts.Parameter(help="Containers.")] = CONTAINERS) -> int:
    """Exits with 1 where something is left; where no engine answers, says so."""
    if not engine_answers(ENGINE_TIMEOUT_S):
        sys.stderr.write("leaks: not looked for, since no container engine answers\n")
        return 0
    try:
        figures = uvloop.run(_measured(count))
    except TendrilError as error:
        sys.stderr.write(f"leaks: {error.message}\n")
        return 1
    show(figures)
    sys.stdout.write(msgspec.json.encode(figures).decode() + "\n")
    return 0 if figures["containersInARow"]["held"] else 1


async def leaks(at: Site, count: int) -> dict[str, Any]:
    """What there was before and after so many, once nothing of them was under way."""
    await at.job(WARMUP)
    before = await _settled(at)
    for first in range(0, count, 100):
        await at.job(min(100, count - first))
    after = await _settled(at)
    grown = {name: after[name] - before[name] for name in before}
    leaked = sorted(name for name, growth in grown.items() if growth > MAY_GROW.get(name, 0))
    told = {name: f"{before[name]:,} → {after[name]:,}" for name in before}
    return {"containersInARow": {"count": count, **told, "leaked": leaked, "held": not leaked}}


async def _measured(count: int) -> dict[str, Any]:
    async with site() as at:
        return await leaks(at, count)


async def _settled(at: Site) -> dict[str, int]:
    """The counts once the last volume is gone, which goes after its container; or is not, for as long as that may take."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(SETTLED_S):
            while holdings(at.api, at.edge)["volumes"]:  # noqa: ASYNC110 - the engine sets no event of ours
                await asyncio.sleep(0.1)
    agent = psutil.Process(at.system.agent_pid)
    if agent.status() == psutil.STATUS_ZOMBIE:
        raise Transient("the agent has ended")
    return {
        **holdings(at.api, at.edge),
        "openFiles": agent.num_fds(),
        "threads": agent.num_threads(),
        "memoryBytes": agent.memory_full_info().uss,
    }


if __name__ == "__main__":
    sys.exit(app())
