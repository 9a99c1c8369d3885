"""Which runtime an edge uses."""

import asyncio
from collections.abc import Collection
from pathlib import Path
from typing import Literal

from agents.runtimes.protocol import Runtime

RuntimeKind = Literal["auto", "docker", "process", "simulated"]

_ENGINE_TIMEOUT_S = 2


async def choose(kind: RuntimeKind, *, site: str, edges: Collection[str], state_dir: Path, seed: int = 0) -> Runtime:
    """The runtime of that kind, not opened yet; `auto` is docker where an engine answers within 2 s, else process.

    `state_dir` is where the process runtime keeps its attempts, `seed` what the simulated one draws its power from.
    Adapters are imported only when chosen: a fleet of simulated edges should not pay for the Docker client.
    """
    if kind == "auto":
        kind = "docker" if await _engine_answers() else "process"
    if kind == "docker":
        from agents.runtimes.docker.runtime import DockerRuntime  # noqa: PLC0415

        return DockerRuntime(site=site, edges=edges)
    if kind == "process":
        from agents.runtimes.process.runtime import ProcessRuntime  # noqa: PLC0415

        return ProcessRuntime(site=site, edges=edges, state_dir=state_dir)
    from agents.runtimes.simulated import SimulatedRuntime  # noqa: PLC0415

    return SimulatedRuntime(seed=seed)


async def _engine_answers() -> bool:
    from agents.runtimes.docker.engine import engine_answers  # noqa: PLC0415

    try:
        async with asyncio.timeout(_ENGINE_TIMEOUT_S):
            return await asyncio.to_thread(engine_answers, _ENGINE_TIMEOUT_S)
    except TimeoutError:
        return False
