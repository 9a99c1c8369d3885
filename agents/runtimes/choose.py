"""Which runtime an edge uses."""

import asyncio
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Literal

import structlog

from agents.runtimes.luck import USUAL, Chances
from agents.runtimes.policy import Policy
from agents.runtimes.protocol import Runtime
from agents.runtimes.supply import Drawn
from agents.runtimes.trace import Trace

RuntimeKind = Literal["auto", "docker", "kubernetes", "process", "simulated"]

_ENGINE_TIMEOUT_S = 2
_log: structlog.stdlib.BoundLogger = structlog.get_logger()


async def choose(
    kind: RuntimeKind,
    *,
    site: str,
    edges: Collection[str],
    state_dir: Path,
    step_user: str = "nobody",
    sandbox: bool = True,
    seed: int = 0,
    trace: Trace | None = None,
    chances: Chances = USUAL,
    policy: Policy = Policy(),  # noqa: B008 - frozen
    namespace: str = "default",
    tools_image: str = "",
) -> Runtime:
    """The runtime of that kind, not opened yet; `auto` is docker where an engine answers within 2 s, else process.

    `policy` says what containers may have. `state_dir` is where the process runtime keeps its attempts, `step_user` whom its
    steps run as under root; it uses cgroup v2 and, with `sandbox`, bubblewrap where they are to be had. `seed` is what the
    simulated one draws its power from unless there is a `trace` to follow, and `chances` what befalls its attempts.
    The kubernetes one keeps in `state_dir` what it read of logs, and makes Jobs in `namespace`, with tools of `tools_image`.
    Adapters are imported only when chosen: a fleet of simulated edges should not pay for the Docker client.
    """
    if kind == "auto":
        kind = "docker" if await _engine_answers() else "process"
    if kind == "docker":
        from agents.runtimes.docker.runtime import DockerRuntime  # noqa: PLC0415

        return DockerRuntime(
            site=site, edges=edges, policy=policy, copies=state_dir, leases=state_dir.parent / "leases"
        )
    if kind == "kubernetes":
        from agents.runtimes.kubernetes.runtime import KubernetesRuntime  # noqa: PLC0415

        return KubernetesRuntime(
            site=site, edges=edges, state_dir=state_dir, namespace=namespace, tools_image=tools_image, policy=policy
        )
    if kind == "process":
        return await asyncio.to_thread(_process_runtime, site, edges, state_dir, step_user, sandbox=sandbox)
    from agents.runtimes.simulated import SimulatedRuntime  # noqa: PLC0415

    return SimulatedRuntime(trace or Drawn(seed), chances)


def _process_runtime(site: str, edges: Collection[str], state_dir: Path, user: str, *, sandbox: bool) -> Runtime:
    from agents.runtimes.process.delegation import delegate  # noqa: PLC0415
    from agents.runtimes.process.runtime import ProcessRuntime  # noqa: PLC0415

    bwrap, delegation = shutil.which("bwrap") if sandbox else None, delegate()
    if bwrap is None:
        why = "bubblewrap is not installed (bwrap is not in PATH)" if sandbox else "EDGE_SANDBOX says so"
        _log.warning("steps run without a sandbox", reason=why)
    if delegation.group is None:
        _log.warning("limits are not enforced", reason=delegation.reason)
    return ProcessRuntime(site=site, edges=edges, state_dir=state_dir, user=user, bwrap=bwrap, groups=delegation.group)


async def _engine_answers() -> bool:
    from agents.runtimes.docker.engine import engine_answers  # noqa: PLC0415

    try:
        async with asyncio.timeout(_ENGINE_TIMEOUT_S):
            return await asyncio.to_thread(engine_answers, _ENGINE_TIMEOUT_S)
    except TimeoutError:
        return False
