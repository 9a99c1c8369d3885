"""From which agents heartbeats come, and which edges that is: kept by agent, whatever the number of its edges.

An agent's edges are named after it, so its heartbeat says how many they are and names none. While it is heard from, nobody
looks at them: one timer an agent watches for its silence.
"""

import asyncio
from collections.abc import Callable

from datamodel.scheduling import wire

AGENTS_LIMIT = 100_000
COUNTS_LIMIT = 4
"""Groups grow and shrink now and then: of so many sizes of one it is known when it had them last."""


class _Agent:
    """`sizes`: numbers of edges, and when each was heard last. `absent`: edges of its that are judged to be away."""

    __slots__ = ("absent", "at_s", "sizes", "timer")

    def __init__(self) -> None:
        self.at_s = 0.0
        self.sizes: dict[int, float] = {}
        self.absent: set[str] = set()
        self.timer: asyncio.TimerHandle | None = None


class Heard:
    """What was heard by this replica. Edges are keys `SITE/EDGE`; times are the loop's. `wake(edge)` is called for those whose
    agent has been silent for `quiet_s`, or is back."""

    def __init__(self, quiet_s: float, keep_s: float) -> None:
        """After `keep_s` of silence an agent may be forgotten where there are too many."""
        self.wake: Callable[[str], object] = lambda _: None
        self._quiet_s = quiet_s
        self._keep_s = keep_s
        self._agents: dict[str, _Agent] = {}

    def hear(self, site: str, name: str, count: int) -> None:
        """A heartbeat of an agent that hosts so many edges."""
        loop = asyncio.get_running_loop()
        agent = self._agent(f"{site}/{name}", loop.time())
        if agent is None:
            return
        agent.at_s = loop.time()
        agent.sizes.pop(count, None)
        agent.sizes[count] = agent.at_s  # the last one is the newest
        if len(agent.sizes) > COUNTS_LIMIT:
            del agent.sizes[next(iter(agent.sizes))]
        for edge in agent.absent:
            if wire.is_hosted(name, edge.partition("/")[2], count):
                self.wake(edge)
        if agent.timer is None:
            self._watch(loop, site, name, agent)

    def since_s(self, edge: str) -> float | None:
        """When an agent that hosts the edge was heard last; None where that was never."""
        site, _, name = edge.partition("/")
        times = [
            at_s
            for hosting in _hosting(name)
            if (agent := self._agents.get(f"{site}/{hosting}")) is not None
            for count, at_s in agent.sizes.items()
            if wire.is_hosted(hosting, name, count)
        ]
        return max(times, default=None)

    def is_watched(self, edge: str) -> bool:
        """Whether it will be woken once its agent is silent, and needs no look until then."""
        since_s = self.since_s(edge)
        return since_s is not None and asyncio.get_running_loop().time() - since_s < self._quiet_s and self._is_in(edge)

    def judge(self, edge: str, *, is_away: bool) -> None:
        """What was made of an edge: one that is away is woken by the next heartbeat."""
        site, _, name = edge.partition("/")
        for hosting in _hosting(name):
            key = f"{site}/{hosting}"
            agent = self._agent(key, asyncio.get_running_loop().time()) if is_away else self._agents.get(key)
            if agent is not None:
                (agent.absent.add if is_away else agent.absent.discard)(edge)

    def _is_in(self, edge: str) -> bool:
        """Whether the newest heartbeat of an agent has counted the edge in: one that its group has left is not waited for."""
        site, _, name = edge.partition("/")
        for hosting in _hosting(name):
            agent = self._agents.get(f"{site}/{hosting}")
            if agent is not None and agent.sizes and wire.is_hosted(hosting, name, next(reversed(agent.sizes))):
                return True
        return False

    def _agent(self, key: str, now_s: float) -> _Agent | None:
        agent = self._agents.get(key)
        if agent is not None:
            return agent
        if len(self._agents) >= AGENTS_LIMIT:
            self._agents = {k: known for k, known in self._agents.items() if now_s - known.at_s < self._keep_s}
            if len(self._agents) >= AGENTS_LIMIT:
                return None
        agent = self._agents[key] = _Agent()
        return agent

    def _watch(self, loop: asyncio.AbstractEventLoop, site: str, name: str, agent: _Agent) -> None:
        agent.timer = loop.call_at(agent.at_s + self._quiet_s, self._look, loop, site, name, agent)

    def _look(self, loop: asyncio.AbstractEventLoop, site: str, name: str, agent: _Agent) -> None:
        agent.timer = None
        if loop.time() - agent.at_s < self._quiet_s:
            self._watch(loop, site, name, agent)
        elif self._agents.get(f"{site}/{name}") is agent:
            for edge in wire.hosted_edges(name, next(reversed(agent.sizes))):
                self.wake(f"{site}/{edge}")


def _hosting(edge: str) -> tuple[str, ...]:
    """The agents that may host an edge of this name."""
    prefix, _, number = edge.rpartition("-")
    return (edge, prefix) if prefix and number.isdecimal() else (edge,)
