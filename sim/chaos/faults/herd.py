"""The hub's programs die while hundreds of agents are connected."""

from collections import Counter
from datetime import UTC, datetime
from typing import Any

from datamodel.errors import Transient
from datamodel.scheduling.jobs import SUCCEEDED
from sim.chaos.faults.fault import Fault, LateError, NotBittenError, System
from sim.chaos.history import now_s
from sim.chaos.load import GROUP
from sim.chaos.machine import until
from sim.chaos.sites.crowd import NAME

BACK_LIMIT_S = 60.0
WORK_WS = 60.0
"""Of each chunk: some seconds, so that all are placed before the first ends, each on another edge."""


class Herd(Fault):
    """SIGKILL to NATS, with which all their connections go, or to the reconcilers. All are back in time, and have run a chunk
    that was asked for since."""

    needs_crowd = True

    def __init__(self, victim: str) -> None:
        self.name = f"herd-{victim}"
        self._victim = victim
        self._shown = ""

    async def inject(self, system: System) -> None:
        assert system.crowd is not None, "it was asked for"
        crowd, moment, since_s = system.crowd, datetime.now(UTC), now_s()
        await system.machine.kill(self._victim)
        self._shown = ""
        if self._victim == "nats":

            async def all_are() -> bool:
                return len(crowd.reconnected_since(moment)) >= crowd.count

            try:
                await until(all_are, timeout_s=BACK_LIMIT_S)
            except TimeoutError:
                back = len(crowd.reconnected_since(moment))
                raise LateError(f"{back} of {crowd.count} connections were back within {BACK_LIMIT_S:g} s") from None
            self._shown = f"{_spread(moment, crowd.reconnected_since(moment))}; "
        try:
            await crowd.until_online(BACK_LIMIT_S - (now_s() - since_s))
            location = await system.machine.submit(_errand(len(system.history.requests), crowd.count))
            job = await system.machine.finished(location, timeout_s=BACK_LIMIT_S - (now_s() - since_s))
        except (TimeoutError, Transient) as error:
            online = await crowd.online()
            raise LateError(
                f"{online} of {crowd.count} were online {BACK_LIMIT_S:g} s after the kill: {error}"
            ) from None
        if job["status"]["phase"] != SUCCEEDED:
            raise LateError(f"what {crowd.count} agents were to run is {job['status']['phase']}")
        edges = len(job["status"]["executions"])
        self._shown += f"{crowd.count} new chunks had run on {edges} edges {now_s() - since_s:.1f} s after the kill"

    async def bitten(self, system: System) -> str:
        del system
        if not self._shown:
            raise NotBittenError("nothing was killed")
        return self._shown


def _errand(number: int, chunks: int) -> dict[str, Any]:
    """A job with a chunk for each of so many edges, which do no real work and note nothing."""
    return {
        "name": f"{NAME}-{number}",
        "group": GROUP,
        "chunks": chunks,
        "workWs": WORK_WS * chunks,
        "requests": {"cpu": 0.25, "memoryBytes": 1_048_576, "powerW": 1},
        "placement": {"required": f"tendril/site={NAME}", "arrangement": {"chunks": "apart", "over": "edges"}},
        "steps": [{"name": "drain", "image": "busybox:latest", "script": "true"}],
    }


def _spread(moment: datetime, back: list[datetime]) -> str:
    after_s = [(at - moment).total_seconds() for at in back]
    busiest = max(Counter(int(second) for second in after_s).values())
    return (
        f"{len(back)} connections back {after_s[0]:.1f} to {after_s[-1]:.1f} s after the kill, half of them within "
        f"{after_s[len(after_s) // 2]:.1f} s, at most {busiest} in a second"
    )
