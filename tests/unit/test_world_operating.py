"""What the world's checker says of operators' wishes that are not followed."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from datamodel.command import Command
from datamodel.memory import MemoryStore
from datamodel.scheduling.service import config_path
from datamodel.seeds import seed
from sim.world.operating import Operating
from sim.world.process import EPOCH
from sim.world.windows import due, on
from tests.graph import SYSTEM, done, memory_store, new_edge, new_job, place

SITE = "/config/sites/s"
LATE_S = 1_000.0


class Watched:
    """A store of which the checker sees every event, at a time."""

    def __init__(self, store: MemoryStore, *, is_timely: bool = True) -> None:
        self.store = store
        self.found: list[str] = []
        self._position = 0
        self._operating = Operating(self.found.append, lambda: 0.0, is_timely=is_timely)

    async def see(self, now_s: float = LATE_S) -> list[str]:
        for event in await self.store.events(self._position, 1_000):
            self._position = event.position
            self._operating.appended(event, self.store.state, now_s)
        return self.found


async def watched(*, is_timely: bool = True) -> Watched:
    store = memory_store()
    await seed(store)
    await new_edge(store)
    return Watched(store, is_timely=is_timely)


async def shed(store: MemoryStore, path: str) -> None:
    await done(store, Command("patchSpec", path, {"intent": "abandon", "intentReason": "Shed"}), actor=SYSTEM)


def window(begin_s: float, end_s: float, **more: Any) -> dict[str, Any]:
    begin, end = (EPOCH + timedelta(seconds=s) for s in (begin_s, end_s))
    return {"begin": begin.isoformat(), "end": end.isoformat(), "drain": "wait", **more}


async def test_what_is_shed_unasked_is_told() -> None:
    world = await watched()
    await shed(world.store, await place(world.store, await new_job(world.store)))
    (told,) = await world.see()
    assert told.endswith("is shed, and nobody asks for that")


async def test_what_is_shed_while_something_stays_that_matters_less_is_told() -> None:
    world = await watched()
    await done(world.store, Command("apply", SITE, {"shed": "lowestPriority"}))
    high, low = [await place(world.store, await new_job(world.store, f"p{p}", priority=p)) for p in (90, 10)]
    await shed(world.store, low)
    assert await world.see(1e9) == []
    low = await place(world.store, await new_job(world.store, "another", priority=10))
    await shed(world.store, high)
    (told,) = await world.see(1e9)
    assert told == f"{high} is shed, and {low} matters less"


@pytest.mark.parametrize(
    ("windows", "now_s", "is_told"),
    [
        ([], LATE_S, False),
        ([window(LATE_S - 100, LATE_S + 1)], LATE_S, True),
        ([window(LATE_S - 30, LATE_S + 1)], LATE_S, False),
        ([window(LATE_S - 100, LATE_S)], LATE_S, False),
    ],
)
@pytest.mark.parametrize("path", [SITE, config_path("s", "e")])
async def test_what_is_placed_long_after_a_window_began_is_told(
    windows: list[dict[str, Any]], now_s: float, path: str, *, is_told: bool
) -> None:
    world = await watched()
    asked = {"maintenance": windows} if windows else {}
    sites = [Command("apply", SITE)] if path != SITE else []
    await done(world.store, *sites, Command("apply", path, asked))
    assert await world.see(0.0) == []
    await place(world.store, await new_job(world.store))
    assert bool(await world.see(now_s)) == is_told


async def test_where_clocks_are_wrong_there_are_no_windows() -> None:
    world = await watched(is_timely=False)
    await done(world.store, Command("apply", SITE, {"maintenance": [window(0, 1e6)]}))
    await world.see(0.0)
    await place(world.store, await new_job(world.store))
    assert await world.see() == []
    assert due(world.store.state.nodes, "s", "e", None).intent == "use"
    assert due(world.store.state.nodes, "s", "e", EPOCH).intent == "cordon"


@pytest.mark.parametrize(("minute", "is_on"), [(0, True), (1, True), (2, False), (9, False), (10, True), (59, False)])
def test_windows_that_come_again_are_reckoned_by_the_hour(minute: int, *, is_on: bool) -> None:
    every = {"maintenance": [{"cron": "*/10 * * * *", "durationS": 120.0, "drain": "move"}]}
    found = list(on(every, datetime(2030, 1, 1, 5, minute, 30, tzinfo=UTC) - timedelta(seconds=30 * (minute == 2))))
    assert bool(found) == is_on
