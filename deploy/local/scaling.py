"""Makes the agents of `tendril up` those that are wanted: starts more, and lets others go once nothing runs on them."""

import asyncio
import contextlib
from collections.abc import Collection, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx
import structlog

from datamodel.errors import TendrilError, Transient
from datamodel.names import last_name
from deploy.local.fleets import Fleet, Standing, agent_name, tell, told, wanted_fleets
from deploy.local.programs import Programs
from deploy.local.supervisor import Supervisor

LOOK_S = 0.5
ENROLLED_TIMEOUT_S = 60.0
AT_ONCE = 16
"""Edges of which the API is asked something at a time."""
PAGE = 1_000
_Key = tuple[str, int]
"""A site, and the number of one of its agents."""
_log = structlog.get_logger()


class Scaling:
    """Level-triggered: at every look it compares what is wanted with what runs.

    Agents with the highest numbers go first: their edges are drained, and once the hub says that nothing is left on them they
    are ended. The edges stay in the graph, drained and then gone, with the attempts that ran there, by which logs and reasons
    are found. An agent that comes again under its name uses them again, and its outbox.
    """

    def __init__(self, home: Path, supervisor: Supervisor, programs: Programs) -> None:
        self._home, self._supervisor, self._programs = home, supervisor, programs
        self._running: dict[_Key, Fleet] = {}
        self._online: set[_Key] = set()
        self._told = told(home)
        self._drained = {(site, number) for site, standing in self._told.items() for number in standing.drained}
        self._phases: dict[tuple[str, str], dict[str, str]] = {}
        """By plane and site, what was read of all edges in this look."""
        self._begun = {(site, number) for site, standing in self._told.items() for number in standing.begun}
        self._left_over = set(self._begun)
        """Of an `up` before this one, which was killed before they had told their last."""
        self._asked: set[_Key] = set()
        """Those whose edges this `up` has asked to be drained."""

    async def run(self) -> None:
        """Until it is cancelled; the supervisor ends what runs."""
        async with httpx.AsyncClient(base_url=self._programs.address, trust_env=False, timeout=10) as api:
            while True:
                try:
                    await self._look(api)
                except (TendrilError, httpx.HTTPError) as error:
                    _log.warning("the agents are not as they are wanted yet", reason=str(error) or type(error).__name__)
                await asyncio.sleep(LOOK_S)

    async def _look(self, api: httpx.AsyncClient) -> None:
        fleets = wanted_fleets(self._home)
        self._phases.clear()
        wanted = [(site, number) for site, fleet in fleets.items() for number in range(fleet.count)]
        try:
            await self._take_up(api, fleets, wanted)
            for key in wanted:
                await self._keep(api, key, fleets)
            for key in sorted(self._running.keys() - set(wanted), reverse=True):
                await self._let_go(api, key, fleets)
        finally:
            self._tell(fleets)

    async def _take_up(self, api: httpx.AsyncClient, fleets: Mapping[str, Fleet], wanted: Collection[_Key]) -> None:
        """Has agents run again that are to go, and have not handed over everything."""
        for key in sorted(self._left_over.difference(wanted)):
            fleet = fleets.get(key[0])
            if fleet is not None and not await self._are_left(api, key, fleet):
                await self._start(key, fleets)
            else:
                self._begun.discard(key)
            self._left_over.discard(key)
        self._left_over.clear()

    async def _start(self, key: _Key, fleets: Mapping[str, Fleet]) -> None:
        site, name, fleet = key[0], agent_name(key[1]), fleets[key[0]]
        self._begun.add(key)
        self._tell(fleets)  # first, as below
        enrollment = self._programs.enrollment(site, name, fleet.group_size)
        await self._supervisor.run(enrollment, timeout_s=ENROLLED_TIMEOUT_S)
        self._supervisor.launch(self._programs.scaled(site, name, fleet.group_size, fleet.runtime))
        self._running[key] = fleet

    async def _keep(self, api: httpx.AsyncClient, key: _Key, fleets: Mapping[str, Fleet]) -> None:
        """Has it run, and used. An agent of another size, or with another runtime, goes first."""
        running, fleet = self._running.get(key), fleets[key[0]]
        if running is not None and (running.runtime, running.group_size) != (fleet.runtime, fleet.group_size):
            await self._let_go(api, key, fleets)
            return
        if running is None:
            await self._start(key, fleets)
        if key not in self._online and await self._are_online(api, key, fleet):
            # By us: what operators have drained stays so. Before they are there, they would be lost.
            if key in self._drained:
                await self._each(api, key, fleet, "uncordon", {})
                self._drained.discard(key)
                self._asked.discard(key)
            self._online.add(key)

    async def _let_go(self, api: httpx.AsyncClient, key: _Key, fleets: Mapping[str, Fleet]) -> None:
        """Asks for its edges to be drained, and ends it once they are."""
        fleet = self._running[key]
        self._online.discard(key)
        if key not in self._asked:
            self._drained.add(key)
            self._tell(fleets)  # first: an `up` that is killed now is followed by one that knows what was begun
            grace_s = fleets[key[0]].grace_s if key[0] in fleets else 0
            await self._each(api, key, fleet, "drain", {"graceS": str(grace_s)})
            self._asked.add(key)
        if await self._are_left(api, key, fleet):
            await self._supervisor.end(self._programs.scaled_name(key[0], agent_name(key[1])))
            del self._running[key]
            self._begun.discard(key)

    async def _each(
        self, api: httpx.AsyncClient, key: _Key, fleet: Fleet, verb: str, parameters: Mapping[str, str]
    ) -> None:
        """Asks something of each of its edges that is there."""

        async def ask(edge: str) -> None:
            answer = await api.post(f"/v1/edges/{key[0]}/{edge}/{verb}", params=parameters)
            if answer.status_code >= HTTPStatus.BAD_REQUEST and answer.status_code != HTTPStatus.NOT_FOUND:
                raise Transient(f"{key[0]}/{edge} cannot be asked to {verb}: {answer.text[:200]}")

        edges = fleet.edges(key[1])
        for first in range(0, len(edges), AT_ONCE):
            await asyncio.gather(*map(ask, edges[first : first + AT_ONCE]))
        self._phases.clear()  # what was read before is not so any more

    async def _are_online(self, api: httpx.AsyncClient, key: _Key, fleet: Fleet) -> bool:
        edges = await self._read(api, "inventory", key[0])
        return all(edges.get(edge) == "online" for edge in fleet.edges(key[1]))

    async def _are_left(self, api: httpx.AsyncClient, key: _Key, fleet: Fleet) -> bool:
        """Whether nothing is on those of its edges that are there."""
        edges, asked = await self._read(api, "inventory", key[0]), await self._read(api, "config", key[0])
        return all(edge not in edges or asked.get(edge) == "drained" for edge in fleet.edges(key[1]))

    async def _read(self, api: httpx.AsyncClient, plane: str, site: str) -> Mapping[str, str]:
        """The phases of the edges of a site, by name, as they were at some moment of this look, after what was asked in it."""
        phases = self._phases.get((plane, site))
        if phases is None:
            phases = self._phases[plane, site] = await _phases(api, f"/v1/{plane}/sites/{site}/edges")
        return phases

    def _tell(self, fleets: Mapping[str, Fleet]) -> None:
        standings: dict[str, Standing] = {}
        for site, fleet in fleets.items():
            online = sum(key[0] == site and key[1] < fleet.count for key in self._online)
            leaving = sum(key[0] == site and key[1] >= fleet.count for key in self._running)
            drained = sorted(number for of, number in self._drained if of == site)
            begun = sorted(number for of, number in self._begun if of == site)
            standings[site] = Standing(fleet, online, leaving, tuple(drained), tuple(begun))
        if standings != self._told:
            with contextlib.suppress(OSError):
                tell(self._home, standings)
                self._told = standings


async def _phases(api: httpx.AsyncClient, url: str) -> dict[str, str]:
    """The phases of all edges of a list, by name, a page at a time."""
    phases: dict[str, str] = {}
    cursor: str | None = ""
    while cursor is not None:
        answer = await api.get(url, params={"limit": PAGE, **({"cursor": cursor} if cursor else {})})
        if answer.status_code == HTTPStatus.NOT_FOUND:  # nobody knows the site yet
            return phases
        answer.raise_for_status()
        page = answer.json()
        phases |= {last_name(node["metadata"]["path"]): _phase(node) for node in page["items"]}
        cursor = page["cursor"]
    return phases


def _phase(node: Mapping[str, Any]) -> str:
    """The phase of a node; none where it is of an older spec."""
    status = node["status"]
    is_of_now = status.get("observedGeneration", node["metadata"]["generation"]) == node["metadata"]["generation"]
    return str(status.get("phase", "")) if is_of_now else ""
