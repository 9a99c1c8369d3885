"""The store against a model of plain dictionaries: every verdict and every read, in the fake and in the database."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from datamodel.audit import Audit
from datamodel.command import Advance, Command, Fence, Outcome
from datamodel.ports import Store
from datamodel.postgres.store import PostgresStore
from datamodel.scheduling.attempts import attempt_name
from datamodel.scheduling.edges import desired_path
from datamodel.scheduling.model import MODEL
from datamodel.seeds import seed
from datamodel.verify import verify
from tests.databases import Databases
from tests.fuzz.budget import budget
from tests.fuzz.graph_model import ATTEMPTS, CHUNKS, EDGE, GROUP, JOBS, ROOM, Graph, Row
from tests.graph import EDGE as AGENT
from tests.graph import STEPS, SYSTEM, USER, memory_store, new_edge, send
from tests.segments import based, in_small_segments

REQUESTS = {"cpu": 0.5, "memoryBytes": 1, "powerW": 0.001}
LEASE = "shard/0"


@dataclass(frozen=True)
class Wish:
    """A command before it is known what there is: its value is a label, a phase and a percentage, or an intent. `pick` chooses
    among the attempts (to place: among the chunks that may be), `skew` is how far an epoch is from the right one."""

    op: str
    name: str = "x"
    pick: int = 0
    skew: int = 0
    value: Any = None


@dataclass(frozen=True)
class Step:
    """A unit and its guards: how far the mark and the lease's token are from where it expects them."""

    wishes: list[Wish]
    atomic: bool = True
    key: str = ""
    digest: str = ""
    mark: int | None = None
    token: int | None = None


_names = st.sampled_from(["x", "x", "y"])
_picks = st.integers(0, 5)
_skews = st.sampled_from([0, 0, 0, 0, 0, 1, -1])
_zones = st.sampled_from(["", "a"])
_phases = st.sampled_from(["running", "running", "succeeded", "failed", "interrupted", "interrupted", "stopped"])
_intents = st.sampled_from(["run", "stop", "abandon", "abandon"])
_kinds: list[st.SearchStrategy[list[Wish]]] = [
    st.lists(wish, min_size=1, max_size=2)
    for wish in (
        st.builds(Wish, st.sampled_from(["job", "job", "job", "label", "twin"]), _names, value=_zones),
        st.builds(Wish, st.sampled_from(["job", "group", "delete", "delete", "ungroup"]), _names, value=_zones),
        st.builds(Wish, st.just("place"), _names, _picks, _skews),
        st.builds(Wish, st.just("place"), _names, _picks),
        st.builds(Wish, st.sampled_from(["finalize", "intend", "intend", "remove"]), _names, _picks, value=_intents),
        st.builds(Wish, st.just("intend"), pick=_picks, value=st.just("abandon")),
        st.builds(Wish, st.just("report"), pick=_picks, value=st.tuples(_phases, st.sampled_from([0, 50]))),
        st.builds(Wish, st.just("report"), pick=_picks, value=st.tuples(_phases, st.sampled_from([0, 50]))),
    )
]
_guards = st.sampled_from([None] * 14 + [0, 0, 1])
_units = st.builds(
    Step,
    st.one_of(_kinds),
    st.booleans(),
    key=st.sampled_from([""] * 9 + ["k"]),
    digest=st.sampled_from(["d", "d", "d", "e"]),
    mark=_guards,
    token=_guards,
)
_upkeep = st.sampled_from(["sweep", "lease", "compact"])
_steps = st.one_of(*[_units] * 9, st.builds(Step, st.tuples(st.builds(Wish, _upkeep, pick=_picks)).map(list)))


class World:
    """A store and the model of it, taken through the same steps."""

    def __init__(self, store: Store) -> None:
        self.store, self.graph = store, Graph()
        self.uids: dict[str, str] = {}
        """By path of a job: the last uid that was given there."""
        self.given: list[str] = []
        self.mark, self.token, self.holders = 0, 0, 0
        self.keys: dict[str, tuple[str, list[str]]] = {}
        self.base, self.others = 0, 0

    async def begin(self) -> None:
        await new_edge(self.store, cpu=ROOM / 2)
        self.base, self.others = (await self.store.head()).position, await self.store.count_nodes()
        await self.take(Step([Wish("lease")]))
        await self.take(Step([Wish("group")]))
        await self.take(Step([Wish("job", "x"), Wish("job", "y")]))

    async def take(self, step: Step) -> None:
        if step.wishes[0].op == "sweep":
            await self.store.sweep(1_000)
            self.graph.sweep()
            return
        if step.wishes[0].op == "compact":
            await self.compact(step.wishes[0].pick)
            return
        if step.wishes[0].op == "lease":
            await self.store.release([LEASE], f"holder {self.holders}")
            self.holders += 1
            former, self.token = self.token, (await self.store.acquire([LEASE], f"holder {self.holders}", 600.0))[LEASE]
            assert self.token > former
            return
        key = step.key if step.atomic else ""
        pairs = [self.command(wish) for wish in step.wishes]
        outcome = await send(
            self.store,
            *(command for command, _ in pairs),
            actor=self.actor(step.wishes[0].op),
            atomic=step.atomic,
            key=key,
            digest=step.digest if key else "",
            fence=Fence(LEASE, self.token + step.token) if step.token is not None else None,
            advance=Advance("mark", self.mark + step.mark, self.mark + step.mark + 1)
            if step.mark is not None
            else None,
        )
        assert told(outcome) == self.expected(step, key, pairs)
        self.uids |= {path: row.uid for path, row in self.graph.nodes.items() if row.kind == "Job"}

    async def compact(self, pick: int) -> None:
        """The base moves somewhere between where it is and the log's end; nothing that is present is another one for it."""
        oldest, head = await self.store.oldest(), (await self.store.head()).position
        await based(self.store, oldest + (head - oldest) * pick // 5, limit=3)
        report = await verify(self.store, Audit(MODEL))
        assert report.clean, str(report)

    def actor(self, op: str) -> Any:
        if op in ("place", "intend", "finalize", "remove"):
            return SYSTEM
        return AGENT if op == "report" else USER

    def expected(self, step: Step, key: str, pairs: list[tuple[Command, Callable[[Graph], str | None]]]) -> list[str]:
        if step.token:
            return ["Fenced"] * len(pairs)
        if key in self.keys:
            digest, told_then = self.keys[key]
            return ["replayed"] * len(told_then) if digest == step.digest else ["Invalid"] * len(pairs)
        if step.mark:
            return ["Fenced"] * len(pairs)
        before = deepcopy(self.graph)
        verdicts = []
        for _, apply in pairs:
            events = len(self.graph.log)
            verdicts.append(apply(self.graph) or ("changed" if len(self.graph.log) > events else "unchanged"))
        if step.atomic and set(verdicts) - {"changed", "unchanged"}:
            self.graph = before
            return [v if v not in ("changed", "unchanged") else "Aborted" for v in verdicts]
        if step.mark is not None:
            self.mark += 1
        if key:
            self.keys[key] = (step.digest, verdicts)
        return verdicts

    def command(self, wish: Wish) -> tuple[Command, Callable[[Graph], str | None]]:
        """The command, and what it is to the model."""
        path = f"{JOBS}/{wish.name}"
        owner = self.uids.get(path, "0" * 32)
        index, epoch = self.chunk(wish, owner)
        every = sorted(found for found, row in self.graph.nodes.items() if row.kind == "Attempt")
        attempts = [found for found in every if self.graph.nodes[found].job == owner] or every
        there = wish.op != "place" and attempts
        at = attempts[wish.pick % len(attempts)] if there else f"{ATTEMPTS}/{attempt_name(owner, index, epoch)}"
        match wish.op:
            case "group":
                uid = self.uid()
                return Command("create", GROUP, uid=uid), lambda graph: graph.create("JobGroup", GROUP, uid, {})
            case "job" | "twin":
                uid = self.uid() if wish.op == "job" else self.living() or self.uid()
                labels = {"zone": wish.value} if wish.value else {}
                body = {"steps": STEPS, "requests": REQUESTS, "chunks": CHUNKS, "retries": 0}
                return Command("create", path, body, labels, uid=uid), lambda graph: graph.create(
                    "Job", path, uid, labels
                )
            case "label":
                labels = {"zone": wish.value} if wish.value else {}
                return Command("patchSpec", path, {}, labels), lambda graph: graph.label(path, labels)
            case "place":
                uid = self.uid()
                body = {"job": path, "index": index, "count": CHUNKS, "steps": STEPS, "requests": REQUESTS}
                made = Command("create", at, body, uid=uid, links={"job": (path,)})
                return made, lambda graph: graph.place(at, path, owner, uid, (index, epoch))
            case "report":
                phase, percent = wish.value
                status = {"phase": phase, "percent": percent}
                return Command("patchStatus", at, status), lambda graph: graph.report(at, phase, percent)
            case "intend":
                return Command("patchSpec", at, {"intent": wish.value}), lambda graph: graph.intend(at, wish.value)
            case "finalize":
                return Command("finalize", path, {"finalizer": "attempts"}), lambda graph: graph.finalize(path)
        gone = {"remove": at, "ungroup": GROUP}.get(wish.op, path)
        return Command("delete", gone), lambda graph: graph.delete(gone)

    def chunk(self, wish: Wish, owner: str) -> tuple[int, int]:
        """A chunk that waits for an attempt, or one of the first, with its next epoch or one beside it."""
        pieces = {index: piece for (of, index), piece in sorted(self.graph.ledger.items()) if of == owner}
        waiting = [index for index, piece in pieces.items() if piece.phase == "retry"]
        open_ones = [*waiting, *waiting, len(pieces), len(pieces), wish.pick % CHUNKS]
        index = open_ones[wish.pick % len(open_ones)]
        return index, max(1, (pieces[index].epoch if index in pieces else 0) + 1 + wish.skew)

    def living(self) -> str:
        """The uid of some job, empty where there is none."""
        return next((row.uid for row in self.graph.nodes.values() if row.kind == "Job"), "")

    def uid(self) -> str:
        self.given.append(f"{0xF0000000 + len(self.given):032x}")
        return self.given[-1]

    async def compare(self) -> None:
        await self.compare_nodes()
        await self.compare_ledger()
        graph, store = self.graph, self.store
        assert (await store.head()).position == self.base + len(graph.log)
        assert await store.count_nodes() == self.others + len(graph.nodes)
        assert await store.marks(["mark"]) == ({"mark": self.mark} if self.mark else {})
        kept = max(self.base, (await store.segments())[0].first - 1)
        log = graph.log[kept - self.base :]
        changes = await store.changes(kept, 10_000)
        assert [(change.path, change.uid) for change in changes] == log
        assert [change.position for change in changes] == [kept + n for n in range(1, len(log) + 1)]
        for change in changes:
            if change.node is None:
                assert not graph.lives(change.uid)
            else:
                assert (change.node.uid, change.node.path) == (change.uid, change.path)
                assert change.node.version >= change.position
        last = {change.uid: change.node for change in changes}
        assert all((node is not None) == graph.lives(uid) for uid, node in last.items())
        assert [event.position for event in await store.events(kept, 3)] == [c.position for c in changes[:3]]
        living = {found.path: found.position for found in await store.living("", 10_000)}
        assert {path: living[path] for path in graph.nodes} == {
            p: self.base + r.version for p, r in graph.nodes.items()
        }
        assert list(living) == sorted(living)

    async def compare_nodes(self) -> None:
        graph, store = self.graph, self.store
        paths = {path for path, _ in graph.log}
        assert {path: shown(node) for path, node in (await store.nodes(paths)).items()} == {
            path: self.row(row) for path, row in graph.nodes.items()
        }
        for kind, under in (("Job", GROUP), ("Attempt", desired_path("s", "e"))):
            mine = sorted(path for path, row in graph.nodes.items() if row.kind == kind)
            assert [node.path for node in await store.list_nodes(kind, under=under)] == mine
            after = mine[0] if mine else "/"
            assert [n.path for n in await store.list_nodes(kind, after=after, limit=1)] == mine[1:2]
        mine = sorted(path for path, row in graph.nodes.items() if row.kind == "Attempt")
        fresh = [path for path in mine if graph.nodes[path].status.get("phase", "") in ("", "running")]
        assert [n.path for n in await store.list_nodes("Attempt", phases=("", "running"))] == fresh
        phases = [graph.nodes[path].status.get("phase", "") for path in mine]
        assert await store.count_by_phase("Attempt") == {phase: phases.count(phase) for phase in phases}
        for uid in self.given:
            linked = [path for path in mine if graph.nodes[path].job == uid]
            assert [node.path for node in await store.linked("Attempt", "job", uid)] == linked
        adrift = [path for path in mine if not graph.lives(graph.nodes[path].job)]
        assert [node.path for node in await store.dangling("Attempt", "job")] == adrift

    async def compare_ledger(self) -> None:
        graph, store = self.graph, self.store
        owners = {owner for owner, _ in graph.ledger}
        totals = {owner: graph.totals(owner) for owner in owners if graph.lives(owner)}
        found = await store.totals(self.given)
        assert {owner: (dict(row.phases), row.progress) for owner, row in found.items()} == totals
        every = await store.sum_totals()
        assert every.entries == sum(sum(phases.values()) for phases, _ in totals.values())
        assert every.progress == sum(progress for _, progress in totals.values())
        for owner in owners:
            mine = {index: piece for (of, index), piece in sorted(graph.ledger.items()) if of == owner}
            entries = await store.entries(owner)
            assert [(e.index, e.epoch, e.phase, e.holder, e.progress) for e in entries] == [
                (index, piece.epoch, piece.phase, piece.holder, piece.progress) for index, piece in mine.items()
            ]
            assert await store.entries(owner, phases=("retry",), after=0) == [
                e for e in entries if e.phase == "retry" and e.index > 0
            ]
            placed = {(p.place, p.phase): (p.entries, p.progress) for p in (await store.placements([owner]))[owner]}
            phases, progress = graph.totals(owner)
            assert {phase: count for (_, phase), (count, _) in placed.items()} == phases
            assert sum(part for _, part in placed.values()) == progress
        used = (await store.pools([EDGE]))[EDGE].used
        held = graph.held()
        assert dict(used) == ({"cpu": 500 * held, "memory": held, "power": held} if held else {})

    def row(self, row: Row) -> tuple[Any, ...]:
        version = self.base + row.version
        return (row.kind, row.uid, row.labels, row.status, row.finalizers, row.generation, version, row.deleting)


def shown(node: Any) -> tuple[Any, ...]:
    finalizers, deleting = list(node.finalizers), node.deletion_requested_at is not None
    return (node.kind, node.uid, node.labels, node.status, finalizers, node.generation, node.version, deleting)


def told(outcome: Outcome) -> list[str]:
    return [type(v.error).__name__ if v.error is not None else "replayed" if v.replayed else v.outcome for v in outcome]


_reports = st.tuples(_phases, st.sampled_from([0, 50]))


def _given_up(name: str, pick: int, first: Any, then: Any) -> list[Step]:
    """A chunk goes elsewhere, and then both attempts at it have something to say."""
    wishes = [
        Wish("job", name),
        Wish("place", name),
        Wish("report", name, pick, value=("running", 50)),
        Wish("intend", name, pick, value="abandon"),
        Wish("place", name),
        Wish("report", name, pick, value=first),
        Wish("report", name, pick + 1, value=then),
    ]
    return [Step([wish]) for wish in wishes]


def _gone(name: str, pick: int, report: Any) -> list[Step]:
    """A job goes while its attempts run."""
    wishes = [
        Wish("job", name),
        Wish("place", name),
        Wish("delete", name),
        Wish("finalize", name),
        Wish("report", name, pick, value=report),
    ]
    return [Step([wish]) for wish in wishes]


def _again(one: Step, other: Step) -> list[Step]:
    """A key is used twice."""
    return [replace(one, atomic=True, key="k", mark=None, token=None), replace(other, atomic=True, key="k")]


_stories = st.one_of(
    *[_steps.map(lambda step: [step])] * 6,
    st.builds(_given_up, _names, st.integers(0, 1), _reports, _reports),
    st.builds(_gone, _names, st.integers(0, 1), _reports),
    st.builds(_again, _units, _units),
)
"""Steps by themselves, and some that mean something together."""

_histories = st.lists(_stories, min_size=5, max_size=20).map(
    lambda stories: [step for story in stories for step in story]
)


@budget(300)
@given(steps=_histories)
async def test_the_fake_does_what_the_model_says(steps: list[Step]) -> None:
    store = memory_store()
    await seed(store)
    await in_small_segments(store, count=12)
    world = World(store)
    await world.begin()
    for step in steps:
        await world.take(step)
        await world.compare()


@budget(8)
@given(steps=_histories)
async def test_the_database_does_what_the_model_says(databases: Databases, steps: list[Step]) -> None:
    url = await databases.create()
    try:
        async with PostgresStore(url, MODEL) as store:
            await in_small_segments(store, url, count=12)
            world = World(store)
            await world.begin()
            for number, step in enumerate(steps):
                await world.take(step)
                if number % 8 == 0:
                    await world.compare()
            await world.compare()
    finally:
        await databases.drop(url)
