"""Any sequence of units comes to the same in the fake and in one database behind two writers, whoever of them writes and
however little they remember."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs

from datamodel.command import Actor, Advance, Command, Outcome, Unit
from datamodel.node import Node
from datamodel.ports import Store
from datamodel.postgres import remembered
from datamodel.postgres.store import PostgresStore
from datamodel.scheduling.attempts import attempt_name
from datamodel.scheduling.edges import desired_path, inventory_path
from datamodel.scheduling.model import MODEL
from datamodel.seeds import seed
from tests.databases import Databases
from tests.graph import EDGE, JOBS, REQUESTS, STEPS, SYSTEM, USER, edge_spec, job, memory_store, new_edge, unit
from tests.pair import clean

_UID = re.compile(r"[0-9a-f]{32}")

_names = st.sampled_from(["x", "y"])
_groups = st.sampled_from(["g", "h"])
_claims = st.tuples(st.sampled_from([0, 0, 1, 2]), st.sampled_from([1, 1, 1, 2]))
_phases = st.sampled_from(["running", "succeeded", "failed", "interrupted"])


@dataclass(frozen=True)
class Wish:
    """A command before it is known which job has which uid."""

    op: str
    name: str = ""
    claim: tuple[int, int] = (0, 1)
    value: Any = None


_by_user = st.one_of(
    st.builds(Wish, st.sampled_from(["job", "patch", "patch"]), _names, value=st.integers(-1, 2)),
    st.builds(Wish, st.sampled_from(["group", "describe", "describe"]), _groups, value=st.sampled_from(["a", "b"])),
    st.builds(Wish, st.sampled_from(["job", "job", "patch", "delete"]), _names, value=st.integers(0, 2)),
    st.builds(Wish, st.sampled_from(["group", "describe", "ungroup"]), _groups, value=st.sampled_from(["a", "b"])),
)
_by_system = st.one_of(
    st.builds(Wish, st.sampled_from(["place", "place", "intend"]), _names, _claims),
    st.builds(Wish, st.sampled_from(["place", "place", "place", "remove", "finalize"]), _names, _claims),
)
_by_edge = st.one_of(
    st.builds(Wish, st.just("report"), _names, _claims, _phases),
    st.builds(Wish, st.just("edge"), value=st.sampled_from([0.25, 0.5, 1.0])),
)


@dataclass(frozen=True)
class Wanted:
    """A unit of wishes, with its guards."""

    actor: Actor
    wishes: list[Wish]
    atomic: bool
    mark: int | None
    key: str


def _wanted(actor: Actor, wishes: st.SearchStrategy[Wish]) -> st.SearchStrategy[Wanted]:
    return st.builds(
        Wanted,
        st.just(actor),
        st.lists(wishes, min_size=1, max_size=2),
        st.booleans(),
        st.sampled_from([*[None] * 6, 1, 2]),
        st.sampled_from([*[""] * 9, "k"]),
    )


@dataclass(frozen=True)
class Turn:
    """Units of one transaction: which of the two writes, and what it heard before."""

    writer: int
    hears: str
    units: list[Wanted]


_units = st.one_of(_wanted(USER, _by_user), _wanted(SYSTEM, _by_system), _wanted(EDGE, _by_edge))
_turns = st.builds(
    Turn, st.sampled_from([0, 1]), st.sampled_from(["", "", "told", "read"]), st.lists(_units, min_size=1, max_size=2)
)


@dataclass
class World:
    """One of the two, with the uids that its jobs got."""

    stores: Sequence[Store]
    uids: dict[str, str] = field(default_factory=dict)

    async def take(self, turn: Turn) -> list[Any]:
        """What became of a turn, without what is random."""
        store = self.stores[turn.writer % len(self.stores)]
        if turn.hears == "told":
            store.others_wrote()
        if turn.hears == "read":
            await store.changes(max(0, (await store.head()).position - 5), 100)
        outcomes = await store.append([self.unit(wanted) for wanted in turn.units])
        for verdict in (verdict for outcome in outcomes for verdict in outcome):
            if verdict.path.startswith(JOBS) and verdict.node is not None:
                self.uids[verdict.path] = verdict.uid
        return [self.told(outcome) for outcome in outcomes]

    def told(self, outcome: Outcome) -> list[Any]:
        return [
            (v.outcome, type(v.error).__name__, v.version, v.replayed, v.node is None, _UID.sub("uid", v.path))
            for v in outcome
        ]

    def unit(self, wanted: Wanted) -> Unit:
        advance = Advance("mark", wanted.mark, wanted.mark + 1) if wanted.mark is not None else None
        key = wanted.key if wanted.atomic else ""
        commands = [self.command(wish) for wish in wanted.wishes]
        return unit(
            *commands, actor=wanted.actor, atomic=wanted.atomic, advance=advance, key=key, digest="d" if key else ""
        )

    def command(self, wish: Wish) -> Command:
        path = f"{JOBS}/{wish.name}"
        name = attempt_name(self.uids.get(path, "0" * 32), *wish.claim)
        at = f"{desired_path('s', 'e')}/attempts/{name}"
        group = f"/config/job-groups/{wish.name}"
        match wish.op:
            case "job":
                return job(wish.name, chunks=3, retries=1)
            case "delete":
                return Command("delete", path)
            case "finalize":
                return Command("finalize", path, {"finalizer": "attempts"})
            case "patch":
                return Command("patchSpec", path, {"retries": wish.value})
            case "place":
                body = {"job": path, "index": wish.claim[0], "count": 3, "steps": STEPS, "requests": REQUESTS}
                return Command("create", at, {**body, "retries": 1}, links={"job": (path,)})
            case "report":
                return Command("patchStatus", at, {"phase": wish.value, "outputs": {"n": wish.claim[0]}})
            case "intend":
                return Command("patchSpec", at, {"intent": "abandon"})
            case "remove":
                return Command("delete", at)
            case "edge":
                return Command("apply", inventory_path("s", "e"), edge_spec(cpu=wish.value))
            case "group":
                return Command("create", group)
            case "describe":
                return Command("patchSpec", group, {"description": wish.value})
        return Command("delete", group)

    async def image(self) -> list[str]:
        """Everything that is kept, with uids numbered in order of creation and without times."""
        store = self.stores[0]
        found: list[Any] = [("head", (await store.head()).position), ("marks", await store.marks(["mark"]))]
        async with store.snapshot() as snapshot:
            events = [event async for event in snapshot.events()]
            found += [("event", e.position, e.op, e.path, e.uid, e.part, e.actor) for e in events]
            found += [("node", timeless(node)) async for _, node in snapshot.nodes()]
            found += [("link", row) async for row in snapshot.links()]
            found += [("pool", row) async for row in snapshot.pools()]
            totals = {owner: row async for owner, row in snapshot.totals()}
            found += [("totals", row) for row in totals.items()]
            entries = [entry async for key, entry in snapshot.entries() if key[0] in totals]
        found += [("entry", structs.astuple(entry)[:-1], bytes(entry.outputs or b"")) for entry in entries]
        numbers = {event.uid: f"uid {event.position}" for event in events if event.op == "created"}
        return sorted(_UID.sub(lambda uid: numbers[uid[0]], repr(row)) for row in found)


def timeless(node: Node) -> dict[str, Any]:
    content = {name: getattr(node, name) for name in node.__struct_fields__}
    return {**content, "created_at": None, "deletion_requested_at": node.deletion_requested_at is not None}


BEGINNING = Turn(0, "", [Wanted(USER, [Wish("job", "x"), Wish("job", "y"), Wish("group", "g")], True, 0, "")])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(turns=st.lists(_turns, min_size=8, max_size=24), rows=st.sampled_from([6, 16, remembered.LIMIT_ROWS]))
async def test_two_writers_are_as_one(databases: Databases, turns: list[Turn], rows: int) -> None:
    fake = memory_store()
    await seed(fake)
    url = await databases.create()
    try:
        limit = mock.patch.object(remembered, "LIMIT_ROWS", rows)
        async with PostgresStore(url, MODEL) as first, PostgresStore(url, MODEL) as second:
            one, two = World([fake]), World([first, second])
            with limit:
                for world in (one, two):
                    await new_edge(world.stores[0], cpu=0.5)
                    await world.take(BEGINNING)
                for turn in turns:
                    assert await two.take(turn) == await one.take(turn)
            assert await two.image() == await one.image()
            await clean(second)
    finally:
        await databases.drop(url)
