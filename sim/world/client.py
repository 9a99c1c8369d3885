"""Who asks for jobs: it sends again what was not answered, and remembers what was accepted."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar, cast

from datamodel.command import Actor, Command, Outcome, Unit, raise_refused
from datamodel.errors import Conflict, Invalid, NotFound, Transient
from datamodel.kinds import USER, Document
from datamodel.ports import Log, Store
from datamodel.prepare import prepare
from datamodel.scheduling.edges import ONLINE, inventory_path
from datamodel.scheduling.jobs import ABORT, FAILED
from datamodel.scheduling.model import MODEL
from datamodel.scheduling.scheduler import SCHEDULER
from datamodel.scheduling.service import LOWEST_PRIORITY, config_path, config_paths
from datamodel.seeds import seed
from sim.world.database import Connection, Database
from sim.world.dice import Dice
from sim.world.keys import SITE, introductions
from sim.world.process import Process
from sim.world.requests import ACTOR, adoptions, path_of, planned, schedule_path, submission, word_of
from sim.world.script import (
    Adopt,
    Ask,
    Delete,
    Foresee,
    Maintain,
    Plan,
    Repeat,
    Replan,
    Rule,
    Say,
    Serve,
    Shed,
    Submit,
    Times,
    Wish,
)
from sim.world.universe import Universe
from sim.world.weather import Weather
from sim.world.windows import window_of

T = TypeVar("T")

AGAIN_S = 1.0
OPERATOR = Actor("operator", USER)


class Client:
    """One program that nothing happens to, at a database that may not answer."""

    def __init__(
        self, universe: Universe, dice: Dice, database: Database, weather: Weather, complain: Callable[[str], None]
    ) -> None:
        """`complain(what)` is told of answers that nobody may give."""
        self.accepted: dict[str, Submit] = {}
        """By name, the jobs that the system has said it has."""
        self.deleted: set[str] = set()
        self.asked: dict[str, str] = {}
        """By name, what was asked of a job last, and answered."""
        self.waiting = 0
        """Requests that have not been answered for good."""
        self.process = Process(universe, "client")
        connection = Connection(self.process, database, dice.stream("client"), weather, weather.hub_delay_s)
        self._store = cast("Store", connection)
        self._database, self._complain = database, complain
        self._uids: dict[str, tuple[str, int]] = {}
        """By name, the uid that a job was accepted with, and how often the database had been put back then."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._turns: dict[str, asyncio.Lock] = {}
        self._served: dict[str, None] = {}
        self._operated: dict[str, Document] = {}
        """By edge, or of all of them (empty), what operators ask."""
        self._plans: dict[str, None] = {}

    def start(self, ready: Callable[[], object], agents: Iterable[str] = ()) -> None:
        """Writes the model's seeds and the agents' credentials, calls `ready()`, and then does what it is asked."""
        known = Unit(introductions(agents), ACTOR, cause="request:enroll", correlation="enroll")

        async def run() -> None:
            await self._until_answered(lambda: seed(cast("Log", self._store)))
            raise_refused(await self._until_answered(lambda: self._append(known)))
            ready()
            await asyncio.get_running_loop().create_future()

        self.process.start(run)

    def ask(self, wish: Wish) -> None:
        match wish:
            case Submit():
                self._ask(self._submit(wish))
            case Plan(schedule=name):
                self._plans[name] = None
                self._ask(self._plan(wish))
            case Replan(schedule=name) if name in self._plans:
                self._ask(self._replan(wish))
            case Delete(job=job) if job in self.accepted:
                self._ask(self._delete(job))
            case Ask(job=job, what=what) if job in self.accepted:
                self._ask(self._change(job, what))
            case Serve():
                self._ask(self._serve(wish))
            case Rule():
                self._ask(self._rule(wish))
            case Foresee():
                self._ask(self._foresee(wish))
            case Shed() | Maintain() | Times():
                self._ask(self._operate(wish))
            case Say():
                self._ask(self._say(wish))
            case Adopt(job=job) if job in self.accepted:
                self._ask(self._adopt(job))
            case Repeat(job=job) if job in self.accepted:
                self._ask(self._repeat(self.accepted[job]))

    def use_all_edges(self) -> None:
        """Those of which something else was ever asked: a database that was put back may not know that they are used again."""
        for edge in self._served:
            self.ask(Serve(0.0, edge, "use"))

    def end_maintenance(self) -> None:
        """Of edges and sites that were ever to have a window."""
        for edge, asked in self._operated.items():
            if asked.pop("maintenance", None):
                self._ask(self._apply_operated(edge))

    def suspend_all_schedules(self) -> None:
        """Those that were ever asked for."""
        for name in self._plans:
            self.ask(Replan(0.0, name, suspended=True))

    def _ask(self, request: Coroutine[Any, Any, None]) -> None:
        self.waiting += 1

        def begin() -> None:
            self._tasks.add(asyncio.create_task(request))

        self.process.deliver(begin)

    async def _submit(self, wish: Submit) -> None:
        (verdict,) = await self._until_answered(lambda: self._append(submission(wish)))
        if verdict.error is not None:
            self._complain(f"{wish.job} was refused: {verdict.error}")
        self._uids[wish.job] = verdict.uid, self._database.restores
        self.accepted[wish.job] = wish
        self.waiting -= 1

    async def _repeat(self, wish: Submit) -> None:
        """The answer must be the first one's, unless the database has forgotten that; then the job is asked for anew."""
        (verdict,) = await self._until_answered(lambda: self._append(submission(wish)))
        uid, restores = self._uids[wish.job]
        if verdict.error is not None:
            self._complain(f"{wish.job} was asked for again under its key, and refused: {verdict.error}")
        elif restores != self._database.restores:
            self._uids[wish.job] = verdict.uid, self._database.restores
            if verdict.outcome == "changed":
                self.deleted.discard(wish.job)
        elif not verdict.replayed or verdict.uid != uid:
            self._complain(f"{wish.job} was asked for again under its key, and the answer is another: {verdict}")
        self.waiting -= 1

    async def _delete(self, job: str) -> None:
        unit = Unit((Command("delete", path_of(job)),), ACTOR, cause=f"request:delete-{job}", correlation=job)
        (verdict,) = await self._until_answered(lambda: self._append(unit))
        if not isinstance(verdict.error, NotFound):  # then the request before deleted it, and its answer was lost
            raise_refused((verdict,))
        self.deleted.add(job)
        self.waiting -= 1

    async def _change(self, job: str, what: str) -> None:
        """One after the other: what is asked of a job later holds, however late the answer to what was asked before it is."""
        async with self._turns.setdefault(job, asyncio.Lock()):
            node = (await self._until_answered(lambda: self._store.nodes([path_of(job)]))).get(path_of(job))
            if node is not None and (what != "retry" or node.phase == FAILED):
                retries = {"retries": self.accepted[job].fails}
                command = Command("patchSpec", node.path, retries if what == "retry" else {"intent": what})
                unit = Unit((command,), ACTOR, cause=f"request:{what}-{job}", correlation=job)
                (verdict,) = await self._until_answered(lambda: self._append(unit))
                is_over = isinstance(verdict.error, Invalid) and node.spec.get("intent") == ABORT
                if not is_over and not isinstance(verdict.error, NotFound):
                    raise_refused((verdict,))
                self.asked[job] = what
        self.waiting -= 1

    async def _plan(self, wish: Plan) -> None:
        """One after the other, as with jobs."""
        path = schedule_path(wish.schedule)
        async with self._turns.setdefault(path, asyncio.Lock()):
            (verdict,) = await self._until_answered(lambda: self._append(planned(wish)))
            if verdict.error is not None:
                self._complain(f"{wish.schedule} was refused: {verdict.error}")
        self.waiting -= 1

    async def _replan(self, wish: Replan) -> None:
        """A database that was put back may have forgotten it."""
        path = schedule_path(wish.schedule)
        async with self._turns.setdefault(path, asyncio.Lock()):
            command = Command("patchSpec", path, {"suspended": wish.suspended})
            unit = Unit((command,), ACTOR, cause=f"request:replan-{wish.schedule}", correlation=wish.schedule)
            (verdict,) = await self._until_answered(lambda: self._append(unit))
            if not isinstance(verdict.error, NotFound):
                raise_refused((verdict,))
        self.waiting -= 1

    async def _serve(self, wish: Serve) -> None:
        """One after the other, as with jobs."""
        self._served[wish.edge] = None
        path = config_path(SITE, wish.edge)
        async with self._turns.setdefault(path, asyncio.Lock()):
            spec: Document = {"intent": wish.intent}
            if wish.grace_s:
                spec["drainBy"] = (self.process.wall() + timedelta(seconds=wish.grace_s)).isoformat()
            commands = Command("apply", path.rpartition("/edges/")[0]), Command("apply", path, spec)
            unit = Unit(commands, ACTOR, cause=f"request:{wish.intent}-{wish.edge}")
            raise_refused(await self._until_answered(lambda: self._append(unit)))
        self.waiting -= 1

    async def _rule(self, wish: Rule) -> None:
        """One after the other, as with jobs."""
        preemption = {"margin": wish.margin, "afterS": wish.after_s} if wish.margin is not None else None
        spec = {"policy": wish.policy, "order": wish.order, "preemption": preemption, "holdAfterS": wish.hold_after_s}
        async with self._turns.setdefault(SCHEDULER, asyncio.Lock()):
            unit = Unit((Command("patchSpec", SCHEDULER, spec),), ACTOR, cause="request:rule")
            raise_refused(await self._until_answered(lambda: self._append(unit)))
        self.waiting -= 1

    async def _foresee(self, wish: Foresee) -> None:
        command = Command("patchSpec", SCHEDULER, {"forecastHorizonS": wish.horizon_s})
        unit = Unit((command,), OPERATOR, cause="request:foresee")
        raise_refused(await self._until_answered(lambda: self._append(unit)))
        self.waiting -= 1

    async def _operate(self, wish: Shed | Maintain | Times) -> None:
        asked = self._operated.setdefault(wish.edge, {})
        match wish:
            case Shed():
                asked["shed"] = LOWEST_PRIORITY
            case Times(disconnected_s=disconnected_s, lost_s=lost_s):
                asked |= {"disconnectedAfterS": disconnected_s, "lostAfterS": lost_s}
            case Maintain():
                asked["maintenance"] = [*asked.get("maintenance", ()), window_of(wish, self.process.wall())]
        await self._apply_operated(wish.edge)

    async def _apply_operated(self, edge: str) -> None:
        """One after the other, as with jobs, and all that operators ask: what they leave out they ask no more."""
        above, path = config_paths(SITE, edge)
        async with self._turns.setdefault("operate", asyncio.Lock()):
            asked = Command("apply", above, self._operated.get("", {}))
            commands = (asked, Command("apply", path, self._operated[edge])) if edge else (asked,)
            unit = Unit(commands, OPERATOR, cause=f"request:operate-{edge}")
            raise_refused(await self._until_answered(lambda: self._append(unit)))
        self.waiting -= 1

    async def _say(self, wish: Say) -> None:
        """As the gateway does it."""
        path = inventory_path(SITE, wish.edge)
        edge = (await self._until_answered(lambda: self._store.nodes([path]))).get(path)
        if edge is not None and edge.phase != ONLINE:
            head = await self._until_answered(self._store.head)
            unit = word_of(wish, head.position)
            raise_refused(await self._until_answered(lambda: self._append(unit)))
        self.waiting -= 1

    async def _adopt(self, name: str) -> None:
        """One after the other, as with jobs; what is refused has been settled otherwise meanwhile."""
        async with self._turns.setdefault(name, asyncio.Lock()):
            job = (await self._until_answered(lambda: self._store.nodes([path_of(name)]))).get(path_of(name))
            uid = job.uid if job is not None else ""
            attempts = await self._until_answered(lambda: self._store.linked("Attempt", "job", uid, limit=1_000))
            for unit in adoptions(attempts):
                for verdict in await self._until_answered(partial(self._append, unit)):
                    if not isinstance(verdict.error, Conflict | NotFound):
                        raise_refused((verdict,))
        self.waiting -= 1

    async def _append(self, unit: Unit) -> Outcome:
        (outcome,) = await self._store.append([prepare(MODEL, unit)])
        return outcome

    async def _until_answered(self, request: Callable[[], Coroutine[Any, Any, T]]) -> T:
        while True:
            try:
                return await request()
            except Transient:
                await asyncio.sleep(AGAIN_S)
