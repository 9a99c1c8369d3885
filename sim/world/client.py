"""Who asks for jobs: it sends again what was not answered, and remembers what was accepted."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, cast

import msgspec

from datamodel.command import Actor, Command, Unit, raise_refused
from datamodel.errors import NotFound, Transient
from datamodel.kinds import USER
from datamodel.ports import Log, Store
from datamodel.prepare import prepare
from datamodel.scheduling.model import MODEL
from migrations.upgrade import seed
from sim.world.database import Connection, Database
from sim.world.dice import Dice
from sim.world.engine import Behaviour
from sim.world.process import Process
from sim.world.script import Delete, Submit
from sim.world.universe import Universe
from sim.world.weather import Weather

GROUP = "/config/job-groups/default"
AGAIN_S = 1.0
ACTOR = Actor("client", USER)

_encode = msgspec.json.Encoder().encode


def path_of(job: str) -> str:
    return f"{GROUP}/jobs/{job}"


class Client:
    """One program that nothing happens to, at a database that may not answer."""

    def __init__(self, universe: Universe, dice: Dice, database: Database, weather: Weather) -> None:
        self.accepted: dict[str, Submit] = {}
        """By name, the jobs that the system has said it has."""
        self.deleted: set[str] = set()
        self.waiting = 0
        """Requests that have not been answered for good."""
        self.process = Process(universe, "client")
        connection = Connection(self.process, database, dice.stream("client"), weather, weather.hub_delay_s)
        self._store = cast("Store", connection)
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, ready: Callable[[], object]) -> None:
        """Writes the model's seeds, calls `ready()`, and then does what it is asked."""

        async def run() -> None:
            await self._until_answered(lambda: seed(cast("Log", self._store)))
            ready()
            await asyncio.get_running_loop().create_future()

        self.process.start(run)

    def submit(self, wish: Submit) -> None:
        self._ask(self._submit(wish))

    def delete(self, wish: Delete) -> None:
        if wish.job in self.accepted:
            self._ask(self._delete(wish))

    def _ask(self, request: Coroutine[Any, Any, None]) -> None:
        self.waiting += 1

        def begin() -> None:
            self._tasks.add(asyncio.create_task(request))

        self.process.deliver(begin)

    async def _submit(self, wish: Submit) -> None:
        behaviour = Behaviour(wish.seconds / wish.steps, wish.fails)
        script = _encode(behaviour).decode()
        spec = {
            "chunks": wish.chunks,
            "retries": wish.retries,
            "requests": {"cpu": 1.0},
            "steps": [{"name": f"step-{number}", "image": "world", "script": script} for number in range(wish.steps)],
            "outputs": {"ran": "sum", "chunk": "collect"},
        }
        unit = Unit((Command("create", path_of(wish.job), spec),), ACTOR, key=f"submit/{wish.job}")
        await self._until_answered(lambda: self._append(unit))
        self.accepted[wish.job] = wish
        self.waiting -= 1

    async def _delete(self, wish: Delete) -> None:
        unit = Unit((Command("delete", path_of(wish.job)),), ACTOR)
        await self._until_answered(lambda: self._append(unit))
        self.deleted.add(wish.job)
        self.waiting -= 1

    async def _append(self, unit: Unit) -> None:
        (outcome,) = await self._store.append([prepare(MODEL, unit)])
        try:
            raise_refused(outcome)
        except NotFound:
            return  # deleted by the request before, whose answer was lost

    async def _until_answered(self, request: Callable[[], Coroutine[Any, Any, None]]) -> None:
        while True:
            try:
                await request()
            except Transient:
                await asyncio.sleep(AGAIN_S)
            else:
                return
