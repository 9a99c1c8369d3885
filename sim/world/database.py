"""The database and a program's connection to it: the port `Store`, faults included."""

import asyncio
import itertools
from collections.abc import Callable, Collection, Coroutine, Sequence
from datetime import datetime, timedelta
from functools import partial
from random import Random
from typing import Any

from datamodel.command import Outcome, Unit
from datamodel.errors import Gone, Transient
from datamodel.event import Event
from datamodel.lease import Lease
from datamodel.ledger import Totals
from datamodel.memory import MemoryStore
from datamodel.model import Model
from datamodel.node import Node
from datamodel.ports import Change, Head
from datamodel.postgres.recent import Recent
from sim.world.copies import Copies
from sim.world.outboxes import Outboxes
from sim.world.process import EPOCH, Process
from sim.world.universe import Universe
from sim.world.weather import Weather
from sim.world.witness import Witness

NO_ANSWER_S = 2.0
"""How long a request waits for a database that does not answer."""
SEGMENT_POSITIONS = 16
"""A world's log is short, and so are its segments."""
LATE_S = 20.0
"""How late a request may be carried out, with nobody left who waits for it: later than a lease is over."""


class Database:
    """The one store of a world. `appended(events)` gets what each transaction wrote, `restored(head)` where the log ends after
    a copy was put back, both before anybody else sees it."""

    def __init__(
        self,
        universe: Universe,
        model: Model,
        appended: Callable[[list[Event]], None],
        restored: Callable[[Head], None],
        witness: Witness,
        outboxes: Outboxes,
    ) -> None:
        self.away = False
        self.jumped_s = 0.0
        """How far its host's clock is from the right time."""
        self.position = 0
        ids = (f"{number:032x}" for number in itertools.count(1))
        self.store = MemoryStore(model, self._now, ids, SEGMENT_POSITIONS)
        self.restores = 0
        self.gone = 0
        """How often somebody was told that what they asked for is not kept any more."""
        self._universe = universe
        self._appended = appended
        self._restored = restored
        self._witness, self._outboxes = witness, outboxes
        self._shown = (0.0, EPOCH)
        self._copies = Copies(universe, self.store.copy)

    def restore(self, age_s: float) -> None:
        """It is as it was so long ago, or as near to that as copies go back. Nothing happens where there is none."""
        older = self._copies.of(age_s)
        if older:
            self.store.put_back(older[-1])
            self.position = older[-1].head.position
            self.restores += 1
            self._witness.restored(self._universe.now_s)
            self._outboxes.restored()
            self._restored(older[-1].head)

    @property
    def oldest(self) -> int:
        """The oldest position whose graph can be read."""
        return self.store.base.head.position

    def _now(self) -> datetime:
        """Asked many times at an instant."""
        shown_s = self._universe.now_s + self.jumped_s
        if shown_s != self._shown[0]:
            self._shown = shown_s, EPOCH + timedelta(seconds=shown_s)
        return self._shown[1]

    async def append(self, units: Sequence[Unit]) -> list[Outcome]:
        self._witness.asked(units, self.store.state, self._universe.now_s)
        marks = [unit.advance.mark for unit in units if unit.advance is not None]
        before = await self.store.marks(marks)
        outcomes = await self.store.append(units)
        self._witness.answered(units, outcomes)
        head = await self.store.head()
        if head.position > self.position:
            events = await self.store.events(self.position, head.position - self.position)
            self.position = head.position
            self._appended(events)
        for mark, through in (await self.store.marks(marks)).items():
            self._outboxes.committed(mark, before.get(mark, 0), through, self.store.state)
        return outcomes

    async def acquire(self, names: Collection[str], holder: str, ttl_s: float) -> dict[str, int]:
        tokens = await self.store.acquire(names, holder, ttl_s)
        self._witness.leased(tokens, holder, self._universe.now_s)
        return tokens

    async def renew(self, prefixes: Collection[str], holder: str, ttl_s: float) -> dict[str, Lease]:
        found = await self.store.renew(prefixes, holder, ttl_s)
        for name, lease in found.items():
            self._witness.holds(name, lease.token, lease.holder)
        return found


class Connection:
    """One program's way to the database. It is a `Store`: what is not named here is asked of the database as it is.

    Answers may be lost, whether or not the request was carried out. What the program may recall without asking is what it
    wrote last itself, as long as it has not heard of anybody else. What it read or wrote of the log it does not read again,
    as with the real store.
    """

    def __init__(
        self, process: Process, database: Database, rng: Random, weather: Weather, delay_s: tuple[float, float]
    ) -> None:
        self._process, self._database = process, database
        self._rng, self._weather = rng, weather
        self._least_s, self._more_s = delay_s[0], delay_s[1] - delay_s[0]
        self.leases: dict[str, float] = {}
        """By name, until when each lease is surely the program's, by its own clock."""
        self.leased: Callable[[], object] = lambda: None
        """Called when it has leases anew."""
        self.is_cut: Callable[[], bool] = lambda: False
        """Whether the database does not answer this program."""
        self._written: dict[str, Node] = {}
        self._counted: dict[str, Totals] = {}
        self._recent = Recent()
        self._following = asyncio.Lock()
        self._position = self._restores = 0

    @property
    def model(self) -> Model:
        return self._database.store.model

    def __getattr__(self, name: str) -> Callable[..., Coroutine[Any, Any, Any]]:
        method = getattr(self._database.store, name)

        def ask(*args: Any, **options: Any) -> Coroutine[Any, Any, Any]:
            return self._request(partial(method, *args, **options))

        setattr(self, name, ask)
        return ask

    def others_wrote(self) -> None:
        self._forget_written()
        self._recent.others_wrote = True

    async def changes(self, after: int, limit: int) -> list[Change]:
        async with self._following:  # who asks meanwhile finds what this one read
            self._notice_restore()
            known = self._recent.after(after, limit)
            if not self._recent.suffice(known, limit):
                self._recent.others_wrote = False
                asked = known[-1].position if known else after
                read = await self._request(lambda: self._database.store.changes(asked, limit - len(known)))
                self._recent.put(read)
                if self._recent.last > self._position:
                    self._forget_written()
                known += read
            return known

    def recall_node(self, path: str) -> Node | None:
        self._notice_restore()
        return self._written.get(path)

    def recall_totals(self, owner: str) -> Totals | None:
        self._notice_restore()
        return self._counted.get(owner)

    async def acquire(self, names: Collection[str], holder: str, ttl_s: float) -> dict[str, int]:
        asked_s = asyncio.get_running_loop().time()
        tokens: dict[str, int] = await self._request(lambda: self._database.acquire(names, holder, ttl_s))
        self.leases |= dict.fromkeys(tokens, asked_s + ttl_s)
        self.leased()
        return tokens

    async def renew(self, prefixes: Collection[str], holder: str, ttl_s: float) -> dict[str, Lease]:
        asked_s = asyncio.get_running_loop().time()
        found: dict[str, Lease] = await self._request(lambda: self._database.renew(prefixes, holder, ttl_s))
        self.leases |= {name: asked_s + ttl_s for name, lease in found.items() if lease.holder == holder}
        self.leased()
        return found

    async def extend(self, positions: int) -> None:  # noqa: ARG002 - they are the world's
        await self._request(lambda: self._database.store.extend(SEGMENT_POSITIONS))

    async def append(self, units: Sequence[Unit]) -> list[Outcome]:
        async def append() -> tuple[int, list[Outcome], list[Change], dict[str, Totals]]:
            before, store = self._database.position, self._database.store
            outcomes = await self._database.append(units)
            changes = await store.changes(before, self._database.position - before)
            return before, outcomes, changes, await store.totals(_owners(self.model, changes))

        outcomes: list[Outcome]
        try:
            before, outcomes, changes, totals = await self._request(append)
        except Transient:
            self._forget()
            raise
        if before != self._position:
            self._forget_written()
        self._position = before + len(changes)
        self._recent.put(changes)
        self._counted |= totals
        for verdict in itertools.chain.from_iterable(outcomes):
            if verdict.node is not None:
                self._written[verdict.path] = verdict.node
            else:
                self._written.pop(verdict.path, None)
        return outcomes

    def _notice_restore(self) -> None:
        """A database that was put back has cut its connections."""
        if self._restores != self._database.restores:
            self._restores = self._database.restores
            self._forget()

    def _forget(self) -> None:
        self._forget_written()
        self._recent.clear()

    def _forget_written(self) -> None:
        self._written.clear()
        self._counted.clear()

    async def _request(self, do: Callable[[], Any]) -> Any:
        """Some requests are lost, some are carried out long after anybody waits for them, and of some the answer is lost."""
        self._notice_restore()
        chance, unanswered = self._rng.random, self._weather.unanswered
        luck = chance()
        if luck < unanswered / 3:
            await self._process.call(lambda: None, there_s=NO_ANSWER_S, back_s=0.0)
            raise Transient("the database did not answer")
        try:
            if luck < unanswered * 2 / 3:
                answer = await self._late(do)
            else:
                there_s = self._least_s + self._more_s * chance()
                back_s = self._least_s + self._more_s * chance()
                answer = await self._send(do, there_s, back_s)
        except Gone:
            self._database.gone += 1
            raise
        if unanswered * 2 / 3 <= luck < unanswered:
            raise Transient("the connection was lost; it is unknown whether this was done")
        if self._restores != self._database.restores:
            raise Transient("the connection was cut; it is unknown whether this was done")
        return answer

    async def _late(self, do: Callable[[], Any]) -> Any:
        try:
            async with asyncio.timeout(NO_ANSWER_S):
                return await self._send(do, self._rng.uniform(0.0, LATE_S), 0.0)
        except TimeoutError as error:
            raise Transient("the database did not answer in time") from error

    def _send(self, do: Callable[[], Any], there_s: float, back_s: float) -> "asyncio.Future[Any]":
        def carry_out() -> Any:
            if self._database.away or self.is_cut():
                raise Transient("the database does not answer")
            return do()

        return self._process.call(carry_out, there_s=there_s, back_s=back_s, outlives=True)


def _owners(model: Model, changes: Sequence[Change]) -> set[str]:
    """Whose entries change with these nodes."""
    settled = ((model.kinds[change.kind].settle, change.path) for change in changes)
    claims = (settle.claim(path) for settle, path in settled if settle is not None)
    return {claim.owner for claim in claims if claim is not None}
