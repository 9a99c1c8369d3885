"""Two writers at once, undisturbed and with their connections cut: one of two rivals wins, marks and positions are dense,
and what was reported as done is there."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
import pytest_asyncio

from datamodel.command import Advance, Command, Fence, Outcome
from datamodel.errors import Conflict, Fenced, Transient
from datamodel.postgres.connect import Connection
from datamodel.postgres.store import PostgresStore
from tests.graph import JOBS, done, job, refusal, send
from tests.pair import Pair, connection, cut, paired, survived
from tests.waiting import eventually, until

RIVALS = 100
STEPS = 60
PATCHES = 30
SHARED = "/config/job-groups/shared"
MARK = "shared mark"


@dataclass
class Course:
    """What the writers were told so far."""

    finished: int = 0
    confirmed: set[tuple[str, int]] = field(default_factory=set)
    unknown: int = 0

    def reached(self, finished: int) -> bool:
        return self.finished >= finished

    async def tell(self, writing: Coroutine[Any, Any, Outcome]) -> Outcome | None:
        """The outcome; None where it stayed unknown."""
        try:
            outcome = await writing
        except Transient:
            self.unknown += 1
            return None
        finally:
            self.finished += 1
        self.confirmed |= {(verdict.path, verdict.version) for verdict in outcome if verdict.outcome == "changed"}
        return outcome


@pytest_asyncio.fixture
async def pair(database_url: str) -> AsyncIterator[Pair]:
    async with paired(database_url) as pair:
        await done(pair.mine, Command("create", SHARED), advance=Advance(MARK, 0, 1))
        yield pair


@pytest.fixture
def course() -> Course:
    return Course()


@pytest.mark.parametrize("cuts", [0, 6])
async def test_rivals(pair: Pair, course: Course, cuts: int) -> None:
    fence = Fence("shared", (await pair.mine.acquire(["shared"], "both", 120.0))["shared"])
    disturbing = asyncio.create_task(disturb(pair.url, course, cuts))
    sides = [*enumerate((pair.mine, pair.other))]
    created, moved, patched, fenced = await asyncio.gather(
        asyncio.gather(*(create(store, course, number) for number in range(RIVALS) for _, store in sides)),
        asyncio.gather(*(move(store, course, side, fence) for side, store in sides)),
        asyncio.gather(*(patch(store, course, side) for side, store in sides)),
        asyncio.gather(*(intrude(store, course, number) for number in range(10) for _, store in sides)),
    )
    assert await disturbing == cuts
    await asyncio.gather(*(survived(store) for _, store in sides))

    events = await pair.other.events(0, 10_000)
    assert [event.position for event in events] == list(range(1, len(events) + 1))
    assert course.confirmed <= {(event.path, event.position) for event in events}
    present = set(await pair.other.nodes([f"{JOBS}/c{number}" for number in range(RIVALS)]))
    for number, rivals in enumerate(zip(created[::2], created[1::2], strict=True)):
        check_rivals(f"{JOBS}/c{number}", rivals, present, cuts)
    assert await pair.other.marks([MARK]) == {MARK: STEPS}
    steps = Counter(event.path.rpartition("/")[2].rpartition("-")[0] for event in events if "/step-" in event.path)
    assert steps == {f"step-{number}": 1 for number in range(1, STEPS)}, "each step was made once"
    assert set(fenced) <= {Fenced, None}
    assert not [event.path for event in events if "/intruder" in event.path]
    assert course.unknown or not cuts, "a cut leaves something unknown; so may a machine that has much to do"
    if not course.unknown:
        assert sum(moved) == STEPS - 1
        assert sum(patched) == 2 * PATCHES
        assert sum(event.op == "specChanged" and event.path == SHARED for event in events) == 2 * PATCHES


def check_rivals(path: str, rivals: tuple[Outcome | None, Outcome | None], present: set[str], cuts: int) -> None:
    told = [outcome for outcome in rivals if outcome is not None]
    winners = [outcome for outcome in told if refusal(outcome) is None]
    assert len(winners) <= 1
    assert {refusal(outcome) for outcome in told} <= {None, Conflict}
    assert not winners or path in present
    assert path in present or len(told) < 2
    if not cuts:
        assert len(winners) == 1


async def create(store: PostgresStore, course: Course, number: int) -> Outcome | None:
    """Creates what the other side creates too."""
    return await course.tell(send(store, job(f"c{number}")))


async def move(store: PostgresStore, course: Course, side: int, fence: Fence) -> int:
    """Moves the mark that the other side moves too, until it stands at the end; how often this side did for sure."""
    moved = 0
    while (at := await marked(store)) < STEPS:
        step = send(store, job(f"step-{at}-{side}"), advance=Advance(MARK, at, at + 1), fence=fence)
        outcome = await course.tell(step)
        if outcome is not None:
            assert refusal(outcome) in (None, Fenced)
            moved += refusal(outcome) is None
    return moved


async def marked(store: PostgresStore) -> int:
    while True:
        try:
            return (await store.marks([MARK]))[MARK]
        except Transient:
            continue


async def patch(store: PostgresStore, course: Course, side: int) -> int:
    """Patches the node that the other side patches too, each time on top of what is there; how often for sure."""
    patched = 0
    for number in range(PATCHES):
        refused = True
        while refused:
            try:
                node = store.recall_node(SHARED) or (await store.nodes([SHARED]))[SHARED]
            except Transient:
                continue
            spec = {"description": f"{side}/{number}"}
            outcome = await course.tell(send(store, Command("patchSpec", SHARED, spec, expected_version=node.version)))
            refused = outcome is not None and refusal(outcome) is not None
            if outcome is not None and refused:
                assert refusal(outcome) is Conflict
                store.others_wrote()  # what is recalled was not the present
            patched += outcome is not None and not refused
    return patched


async def intrude(store: PostgresStore, course: Course, number: int) -> type[Exception] | None:
    """Writes with a token that nobody has; None where no answer came."""
    outcome = await course.tell(send(store, job(f"intruder-{number}"), fence=Fence("shared", 1_000 + number)))
    assert outcome is None or refusal(outcome) is not None
    return refusal(outcome) if outcome is not None else None


async def disturb(url: str, course: Course, cuts: int) -> int:
    """Cuts all connections so many times, each time after some more has been done, and the first time while somebody writes for
    sure; returns how often there were any."""
    found = 0
    async with connection(url) as disturber:
        for number in range(1, cuts + 1):
            await until(partial(course.reached, 30 * number), timeout_s=60.0)
            if number > 1:
                found += await cut(disturber) > 0
            else:
                async with disturber.transaction():
                    await disturber.execute("SELECT FROM head FOR UPDATE")
                    await eventually(partial(_waits, disturber), timeout_s=60.0)
                    found += await cut(disturber) > 0
    return found


async def _waits(disturber: Connection) -> bool:
    """Whether somebody waits for a lock."""
    return bool(await disturber.fetchval("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"))
