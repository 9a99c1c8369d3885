"""What jobs are told wrongly of why they wait is complained of, and what attempts do not say, or do not make."""

from typing import Any

import pytest
from msgspec import structs

from datamodel.command import Actor, Command
from datamodel.memory import MemoryStore
from datamodel.seeds import seed
from reconcilers.reasons import EVERY_S
from sim.world.reasons import Reasons, untold
from tests.graph import JOBS, SYSTEM, attempt, done, memory_store, new_edge, new_job, place, report

GOOD = "of 12 edges, 7 have too little memory, 3 are cordoned, 2 are of another site"


class Seen:
    """A store, and what is said of what is appended there."""

    def __init__(self) -> None:
        self.complaints: list[str] = []
        self.store: MemoryStore = memory_store()
        self.reasons = Reasons(self.complaints.append)
        self._position = 0

    async def begin(self) -> None:
        await seed(self.store)
        await new_edge(self.store)

    async def at(self, now_s: float) -> list[str]:
        """What is said of what was appended since, at this time."""
        for event in await self.store.events(self._position, 1_000):
            self.reasons.appended(event, now_s)
            self._position = event.position
        return self.complaints

    async def tell(self, message: str, **status: Any) -> None:
        since = "2030-01-01T00:00:00+00:00"
        told = {
            "type": "Placed",
            "status": "False",
            "reason": "NoRoom",
            "message": message,
            "lastTransitionTime": since,
        }
        await done(self.store, Command("patchStatus", f"{JOBS}/j", {"conditions": [told], **status}), actor=SYSTEM)


@pytest.mark.parametrize(
    ("message", "after_s", "status", "says"),
    [
        (GOOD, EVERY_S, {}, ""),
        ("the group default is paused", EVERY_S, {}, ""),
        (GOOD, EVERY_S - 0.1, {}, "after 4.90 s"),
        (GOOD.replace("7", "8"), EVERY_S, {}, "do not add up"),
        (GOOD, EVERY_S, {"phase": "aborted"}, "is aborted, and is told why it waits"),
    ],
)
async def test_what_is_told_of_waiting_is_looked_at(message: str, after_s: float, status: Any, says: str) -> None:
    seen = Seen()
    await seen.begin()
    await new_job(seen.store, "j")
    assert await seen.at(100.0) == []
    await seen.tell(message, **status)
    found = await seen.at(100.0 + after_s)
    assert len(found) == bool(says)
    assert not says or says in found[0]
    assert seen.reasons.told == 1


@pytest.mark.parametrize("decision", [None, {"policy": "bestFit", "order": "arrival", "edges": 0}])
async def test_an_attempt_says_why_it_is_there(decision: Any) -> None:
    seen = Seen()
    await seen.begin()
    job = await new_job(seen.store, "j")
    more = {"decision": decision} if decision else {}
    await done(seen.store, attempt(job, **more), actor=Actor("placement", "system"))
    (complaint,) = await seen.at(100.0)
    assert "does not say why it was placed" in complaint


async def test_at_rest_nobody_is_told_in_vain_and_the_attempts_make_what_was_counted() -> None:
    seen = Seen()
    await seen.begin()
    job = await new_job(seen.store, "j", chunks=2)
    await seen.tell(GOOD)
    await report(seen.store, await place(seen.store, job), phase="failed", reason="NonZeroExit")
    path = await place(seen.store, job, 0, 2)
    state = seen.store.state
    assert list(untold(state)) == [], "one of its chunks waits still"
    await place(seen.store, job, 1)
    assert ["is told why it waits" in one for one in untold(state)] == [True]
    await done(seen.store, Command("patchStatus", job.path, {"conditions": []}), actor=SYSTEM)
    entry = state.entries[job.uid, 0]
    state.entries[job.uid, 0] = structs.replace(entry, failures=0)
    assert ["which its attempts do not make" in one for one in untold(state)] == [True]
    state.entries[job.uid, 0] = entry
    state.nodes[path] = structs.replace(state.nodes[path], status={"phase": "succeeded", "settlement": "counted"})
    assert len(list(untold(state))) == 2, "the edge's pool and the entry"
