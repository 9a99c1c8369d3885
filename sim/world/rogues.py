"""Rogues: actors that go through the real ports and try what must be refused, each with the one error that says why.

What they may do by right, they clean up after. An answer says nothing where the database was put back, or its clock was moved,
while they were at it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Literal, TypeVar, cast

import msgspec
from msgspec import structs

from datamodel.command import Actor, Advance, Command, Fence, Outcome, Unit
from datamodel.errors import Conflict, Fenced, Forbidden, Invalid, NotFound, TendrilError, Transient
from datamodel.identity.envelope import seal
from datamodel.kinds import SYSTEM, USER, Document
from datamodel.names import last_name
from datamodel.node import Node
from datamodel.ports import Store
from datamodel.prepare import prepare
from datamodel.scheduling import wire
from datamodel.scheduling.attempts import ENDED, attempt_name, claim_of
from datamodel.scheduling.edges import desired_path, place_of
from datamodel.scheduling.model import MODEL
from datamodel.scheduling.planes import EDGE
from sim.world.database import Connection
from sim.world.hosts import Surroundings
from sim.world.keys import SITE, agent_key
from sim.world.line import Line
from sim.world.process import Process
from sim.world.script import Rogue

T = TypeVar("T")
Phase = Literal["running", "succeeded", "failed", "interrupted", "stopped"]
Footing = tuple[int, float]
"""Which database it is, by how often it was put back, and how far its clock is off."""

AGAIN_S = 1.0
LAPSE_S = 1.0
SETTLED_S = 1.0
REUSED_S = 30.0
"""How long after the first use a key is used again: programs may have been started anew since."""
HARMLESS = (Command("apply", f"/inventory/sites/{SITE}"),)
STEPS = [{"name": "rogue", "image": "world"}]


@dataclass(frozen=True, slots=True)
class Refusal:
    """The error that a command must meet, and the field that it names (empty: any). Where what it is about may be `gone` by
    then, that is an answer too."""

    kind: type[TendrilError]
    field: str = ""
    gone: bool = True

    def is_it(self, error: TendrilError | None) -> bool:
        if self.gone and isinstance(error, NotFound):
            return True
        return type(error) is self.kind and self.field in ("", error.field)


class Rogues:
    """All of them, as one program that nothing happens to. `waiting` counts those that are not through."""

    def __init__(self, around: Surroundings, slots: int) -> None:
        self.waiting = 0
        self.tried = 0
        """What was refused as it must."""
        self._around, self._slots = around, slots
        self._database = around.database
        self._rng: Random = around.dice.stream("rogues")
        self.process = Process(around.universe, "rogues")
        weather, delay_s = around.weather, around.weather.hub_delay_s
        connection = Connection(self.process, around.database, self._rng, weather, delay_s)
        self._store = cast("Store", connection)
        self._line = Line(around.universe, self.process, around.messages, self._rng, weather, delay_s)
        self._tasks: set[asyncio.Task[None]] = set()
        self._ways: Mapping[str, Callable[[str], Awaitable[None]]] = {
            "lapsed": self._write_after_the_lease,
            "settled": self._settle_again,
            "overbooked": self._place_above_capacity,
            "outdated": self._write_at_an_old_version,
            "contradicted": self._contradict_an_end,
            "doubled": self._end_twice,
            "foreign": self._write_for_another,
            "replaced": self._place_again,
            "unsettled": self._delete_what_runs,
            "reused": self._use_a_key_again,
            "forged": self._forge,
        }

    def start(self) -> None:
        async def run() -> None:
            await asyncio.get_running_loop().create_future()

        self.process.start(run)

    def do(self, rogue: Rogue) -> None:
        self.waiting += 1
        self.process.deliver(lambda: self._tasks.add(asyncio.create_task(self._try(rogue.tries))))

    async def _try(self, tries: str) -> None:
        name = f"rogue-{self.waiting}-{self._rng.getrandbits(32):08x}"
        await self._ways[tries](name)
        self.waiting -= 1

    async def _write_after_the_lease(self, name: str) -> None:
        """A leader whose lease is over, and then another one's."""
        lease, before = f"rogues/{name}", self._footing
        first = await self._asked(lambda: self._store.acquire([lease], f"{name}/first", LAPSE_S))
        await asyncio.sleep(2 * LAPSE_S)
        stale = Unit(HARMLESS, Actor(name, SYSTEM), fence=Fence(lease, first[lease]))
        await self._refused(stale, Refusal(Fenced, gone=False), before)
        second = await self._asked(lambda: self._store.acquire([lease], f"{name}/second", 60.0))
        await self._refused(stale, Refusal(Fenced, gone=False), before)
        if self._footing == before and lease in second and second[lease] <= first[lease]:
            self._complain(f"{name}: a lease was taken over with token {second[lease]}, after {first[lease]}")

    async def _settle_again(self, name: str) -> None:
        """An ingest that is behind: it takes the last report in that has been taken in."""
        before = self._footing
        edge = await self._any("Edge")
        if edge is None:
            return
        mark = f"{SITE}/{edge.spec['agent']}/{edge.spec['incarnation']}"
        through = (await self._asked(lambda: self._store.marks([mark]))).get(mark, 0)
        if through:
            unit = Unit(HARMLESS, Actor(name, SYSTEM), advance=Advance(mark, through - 1, through))
            await self._refused(unit, Refusal(Fenced, gone=False), before)

    async def _place_above_capacity(self, name: str) -> None:
        """A second placer, who takes more of an edge than there is."""
        before = self._footing
        edge = await self._any("Edge")
        job = f"/config/job-groups/default/jobs/{name}"
        requests = {"cpu": self._slots + 1.0}
        owner = Actor(name, USER)
        create = Unit((Command("create", job, {"steps": STEPS, "requests": requests}),), owner, key=name)
        (created,) = await self._appended(create)
        if edge is not None and created.error is None:
            path = f"{desired_path(*place_of(edge.path))}/attempts/{attempt_name(created.uid, 0, 1)}"
            spec = {"job": job, "index": 0, "count": 1, "steps": STEPS, "requests": requests}
            place = Command("create", path, spec, links={"job": (job,)})
            await self._refused(Unit((place,), Actor(name, SYSTEM)), Refusal(Conflict, "/spec/requests/cpu"), before)
        await self._appended(Unit((Command("delete", job),), owner))

    async def _write_at_an_old_version(self, name: str) -> None:
        """A writer who has not seen the last change."""
        before = self._footing
        node = await self._any("Job") or await self._any("JobGroup")
        if node is not None:
            patch = Command("patchSpec", node.path, {"retries": 7}, expected_version=node.version - 1)
            await self._refused(
                Unit((patch,), Actor(name, USER)), Refusal(Conflict, "/metadata/version", gone=False), before
            )

    async def _contradict_an_end(self, name: str) -> None:
        """An agent that changes its mind about an attempt that has ended, in the same words and in others; at the database,
        and as a window over the bus, of which nothing may come."""
        before = self._footing
        attempt = await self._any("Attempt", tuple(sorted(ENDED)))
        if attempt is None:
            return
        site, edge = place_of(attempt.path)
        for phase in (attempt.phase, "running"):
            patch = Command("patchStatus", attempt.path, {"phase": phase, "message": name})
            actor = Actor(name, EDGE, frozenset({f"/sites/{site}/edges/{edge}"}))
            await self._refused(Unit((patch,), actor), Refusal(Conflict, "/status/phase"), before)
        await self._report(name, attempt, cast("Any", attempt.phase))

    async def _end_twice(self, name: str) -> None:
        """An agent that tells of two ends of an attempt in one window: the first counts, and costs no retry."""
        attempt = await self._any("Attempt", ("running",))
        if attempt is None:
            return
        await self._report(name, attempt, "interrupted", "succeeded")
        await asyncio.sleep(SETTLED_S)
        found = await self._asked(lambda: self._store.nodes([attempt.path]))
        status = found[attempt.path].status if attempt.path in found else {}
        if status.get("message") == name and status["phase"] != "interrupted":
            self._complain(f"{name} told of two ends of {attempt.path}, and the second counts: {status['phase']}")
        self.tried += 1

    async def _report(self, name: str, attempt: Node, *phases: Phase) -> None:
        """Sends a window over the bus as an agent would."""
        subject, window = self._window(name, attempt, phases)
        await self._line.publish(subject, seal(agent_key(place_of(attempt.path)[1]), subject, window))

    async def _forge(self, name: str) -> None:
        """Somebody who speaks in an agent's name: without a signature, with another key, and with what the agent has signed
        itself for another place, or of something else."""
        attempt = await self._any("Attempt", ("pending", "running"))
        if attempt is None:
            return
        subject, window = self._window(name, attempt, ("failed",))
        own, other = agent_key(place_of(attempt.path)[1]), agent_key(name)
        elsewhere = subject.replace("report.", "secrets.")
        for forged in (
            window,
            seal(other, subject, window),
            seal(own, elsewhere, window),
            seal(own, subject, b"") + window,
        ):
            await self._line.publish(subject, forged)
        await asyncio.sleep(SETTLED_S)
        found = await self._asked(lambda: self._store.nodes([attempt.path]))
        if attempt.path in found and found[attempt.path].status.get("message") == name:
            self._complain(f"{name} has forged what became of {attempt.path}, and was believed")
        self.tried += 1

    def _window(self, name: str, attempt: Node, phases: Sequence[Phase]) -> tuple[str, bytes]:
        """What tells of an attempt, and where that is to be said."""
        site, edge = place_of(attempt.path)
        told, outputs = last_name(attempt.path), attempt.status.get("outputs")
        reports = [
            wire.AttemptReport(edge, told, phase, self.process.wall(), message=name, outputs=outputs)
            for phase in phases
        ]
        raw = [msgspec.Raw(wire.encode(report)) for report in reports]
        window = wire.Window(wire.WIRE_VERSION, site, edge, name, 1, raw)
        return wire.report_subject(site, edge), wire.encode(window)

    async def _write_for_another(self, name: str) -> None:
        """An agent that writes what another edge has to say, and one that says what only the system may."""
        before = self._footing
        edge, attempt = await self._any("Edge"), await self._any("Attempt")
        actor = Actor(name, EDGE, frozenset({f"/sites/{SITE}/edges/{name}"}))
        if attempt is not None:
            patch = Command("patchStatus", attempt.path, {"phase": "failed", "message": name})
            await self._refused(Unit((patch,), actor), Refusal(Forbidden, gone=False), before)
        if edge is not None:
            patch = Command("patchStatus", edge.path, {"phase": "lost", "reason": name})
            await self._refused(Unit((patch,), actor), Refusal(Forbidden, gone=False), before)

    async def _place_again(self, name: str) -> None:
        """A placer that has not seen that the chunk is placed: it takes the epoch that is taken, somewhere else, and then the
        next one. That is its right where the chunk waits again by then; the audit knows."""
        before = self._footing
        attempt, edge = await self._any("Attempt", ("", "pending", "running")), await self._any("Edge")
        claim = claim_of(attempt.path) if attempt is not None else None
        if attempt is None or claim is None or edge is None:
            return
        places = f"{desired_path(*place_of(edge.path))}/attempts"
        spec: Document = {**attempt.spec, "intent": "run"}
        for epoch in (claim.epoch, claim.epoch + 1):
            path = f"{places}/{attempt_name(claim.owner, claim.index, epoch)}"
            unit = Unit((Command("create", path, spec, links={"job": (attempt.spec["job"],)}),), Actor(name, SYSTEM))
            if epoch == claim.epoch:
                await self._refused(unit, Refusal(Conflict), before)
            else:
                await self._appended(unit)

    async def _delete_what_runs(self, name: str) -> None:
        """Somebody who clears up too early. Where it has ended by then, it may go; the audit knows."""
        attempt = await self._any("Attempt", ("", "pending", "running"))
        if attempt is not None:
            await self._appended(Unit((Command("delete", attempt.path),), Actor(name, SYSTEM)))

    async def _use_a_key_again(self, name: str) -> None:
        """A request that is sent again long after, and then another one under its key."""
        before = self._footing
        group = Command("create", f"/config/job-groups/{name}")
        unit = Unit((group,), Actor(name, USER), key=name, digest="one")
        (first,) = await self._appended(unit)
        await asyncio.sleep(self._rng.uniform(0.0, REUSED_S))
        (again,) = await self._appended(unit)
        if self._footing == before and (again.error is not None or not again.replayed or again.uid != first.uid):
            self._complain(f"{name}: a request was sent again under its key, and answered {again}, after {first}")
        other = Unit((Command("delete", group.path),), unit.actor, key=name, digest="other")
        await self._refused(other, Refusal(Invalid, "Idempotency-Key", gone=False), before)

    async def _refused(self, unit: Unit, refusal: Refusal, before: Footing) -> None:
        """Sends it, and complains of any answer but the one that it must get on the footing that was `before`."""
        outcome = await self._appended(unit)
        if self._footing != before:
            return
        for verdict in outcome:
            if not refusal.is_it(verdict.error):
                said = repr(verdict.error) if verdict.error is not None else verdict.outcome
                self._complain(f"{unit.actor.name} was not refused with {refusal}: {verdict.path} {said}")
        self.tried += 1

    async def _any(self, kind: str, phases: Sequence[str] = ()) -> Node | None:
        """One of the present nodes of a kind."""
        nodes = await self._asked(lambda: self._store.list_nodes(kind, limit=1_000, phases=phases))
        return self._rng.choice(nodes) if nodes else None

    async def _appended(self, unit: Unit) -> Outcome:
        name = unit.actor.name
        prepared = prepare(MODEL, structs.replace(unit, cause=f"request:{name}", correlation=name))
        (outcome,) = await self._asked(lambda: self._store.append([prepared]))
        return outcome

    async def _asked(self, request: Callable[[], Awaitable[T]]) -> T:
        while True:
            try:
                return await request()
            except Transient:
                await asyncio.sleep(AGAIN_S)

    @property
    def _footing(self) -> Footing:
        return self._database.restores, self._database.jumped_s

    def _complain(self, what: str) -> None:
        self._around.complain(what)
