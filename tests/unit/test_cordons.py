"""cordons: what operators ask of edges, over the fake store."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from datamodel.appender import Appender
from datamodel.command import Command, Fence
from datamodel.errors import Conflict, Invalid
from datamodel.memory import MemoryStore
from datamodel.reads import Reads
from datamodel.scheduling.edges import desired_path, inventory_path
from datamodel.scheduling.service import config_path
from datamodel.seeds import seed
from reconcilers.cordons import Cordons
from tests.graph import SYSTEM, done, memory_store, new_edge, new_job, place, present, refusal, report, send

NOW = datetime(2030, 1, 1, tzinfo=UTC)
KEY, PLACE, CONFIG = "s/e", desired_path("s", "e"), config_path("s", "e")
EDGE_PATH = inventory_path("s", "e")


@pytest.fixture
def store() -> MemoryStore:
    return memory_store()


@pytest_asyncio.fixture
async def appender(store: MemoryStore) -> AsyncIterator[Appender]:
    await seed(store)
    await new_edge(store)
    async with Appender(store) as appender:
        yield appender


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cordons(store: MemoryStore, appender: Appender, clock: Clock) -> Cordons:
    return Cordons(store, appender, Reads(store), clock)


async def asked(store: MemoryStore, intent: str, **spec: Any) -> None:
    await done(store, Command("apply", "/config/sites/s"), Command("apply", CONFIG, {"intent": intent, **spec}))


async def reconciled(cordons: Cordons, store: MemoryStore, key: str = KEY) -> float | None:
    token = (await store.acquire(["cordons/0"], "mine", 60.0))["cordons/0"]
    return await cordons.reconcile(key, Fence("cordons/0", token))


def window(begin: datetime, end: datetime, **more: Any) -> dict[str, Any]:
    return {"begin": begin.isoformat(), "end": end.isoformat(), **more}


async def cordoned(store: MemoryStore) -> bool:
    is_cordoned: bool = (await present(store, PLACE)).spec["cordoned"]
    return is_cordoned


@pytest.mark.parametrize(("intent", "phase"), [("use", "open"), ("cordon", "cordoned"), ("drain", "drained")])
async def test_what_is_asked_of_an_edge_is_done_and_told_once(
    store: MemoryStore, cordons: Cordons, intent: str, phase: str
) -> None:
    await asked(store, intent)
    assert await reconciled(cordons, store) is None
    assert await cordoned(store) is (intent != "use")
    told = {"phase": phase, "since": NOW.isoformat(), "observedGeneration": 1}
    assert (await present(store, CONFIG)).status == told
    assert (await present(store, EDGE_PATH)).status.get("service") == (None if phase == "open" else phase)
    before = await store.head()
    await reconciled(cordons, store)
    assert await store.head() == before, "nothing differs"


async def test_an_edge_of_which_nothing_is_asked_any_more_is_used(store: MemoryStore, cordons: Cordons) -> None:
    await asked(store, "cordon")
    await reconciled(cordons, store)
    await done(store, Command("delete", CONFIG))
    assert await cordons.keys() == [KEY], "also for who did not hear of it"
    await reconciled(cordons, store)
    assert not await cordoned(store)
    assert "service" not in (await present(store, EDGE_PATH)).status
    assert await cordons.keys() == []


async def test_what_runs_on_a_drained_edge_goes_elsewhere_and_it_is_drained_once_that_has_ended(
    store: MemoryStore, cordons: Cordons, clock: Clock
) -> None:
    job = await new_job(store, chunks=2)
    running, waiting = await place(store, job, 0), await place(store, job, 1)
    await report(store, running, phase="running")
    await asked(store, "drain")
    await reconciled(cordons, store)
    assert {(await present(store, path)).spec["intent"] for path in (running, waiting)} == {"abandon"}
    assert (await present(store, CONFIG)).phase == "draining"
    assert (await store.totals([job.uid]))[job.uid].phases == {"retry": 2}, "they may be placed elsewhere at once"

    await report(store, running, phase="stopped")
    before = (await store.head()).position
    await report(store, waiting, phase="stopped")
    (change,) = await store.changes(before, 10)
    assert [wake.key for wake in cordons.watches["Attempt"](change)] == [KEY]
    clock.now += timedelta(minutes=5)
    await reconciled(cordons, store)
    status = (await present(store, CONFIG)).status
    assert (status["phase"], status["since"]) == ("drained", clock.now.isoformat())


async def test_what_runs_may_go_on_for_as_long_as_is_granted(
    store: MemoryStore, cordons: Cordons, clock: Clock
) -> None:
    path = await place(store, await new_job(store))
    await asked(store, "drain", drainBy=(NOW + timedelta(seconds=90)).isoformat())
    assert await reconciled(cordons, store) == 90.0
    assert await cordoned(store)
    assert (await present(store, path)).spec["intent"] == "run"
    assert (await present(store, CONFIG)).phase == "draining"
    clock.now += timedelta(seconds=90)
    assert await reconciled(cordons, store) is None
    assert (await present(store, path)).spec["intent"] == "abandon"


async def test_what_is_placed_on_a_drained_edge_nevertheless_is_noticed(store: MemoryStore, cordons: Cordons) -> None:
    job = await new_job(store)
    await asked(store, "drain")
    await reconciled(cordons, store)
    before = (await store.head()).position
    path = await place(store, job)
    (change,) = await store.changes(before, 10)
    assert [wake.key for wake in cordons.watches["Attempt"](change)] == [KEY]
    await reconciled(cordons, store)
    assert (await present(store, path)).spec["intent"] == "abandon"


async def test_who_wakes_for_nothing_is_not_woken(store: MemoryStore, cordons: Cordons) -> None:
    await asked(store, "cordon")
    await reconciled(cordons, store)
    before = (await store.head()).position
    path = await place(store, await new_job(store))
    await report(store, path, phase="running")
    for change in await store.changes(before, 10):
        assert change.kind == "Job" or not list(cordons.watches["Attempt"](change))


@pytest.mark.parametrize("what", ["asked", "told"])
async def test_another_writer_between_reading_and_writing_is_a_conflict(
    store: MemoryStore, appender: Appender, clock: Clock, what: str
) -> None:
    class Late(Reads):
        async def nodes(self, *paths: str) -> Any:
            found = await super().nodes(*paths)
            if what == "asked":
                await asked(store, "use")
            else:
                await done(store, Command("patchStatus", EDGE_PATH, {"phase": "suspect"}), actor=SYSTEM)
            return found

    await asked(store, "cordon")
    with pytest.raises(Conflict):
        await reconciled(Cordons(store, appender, Late(store), clock), store)


async def test_what_was_told_of_an_edge_too_late_is_looked_at_again(store: MemoryStore, cordons: Cordons) -> None:
    """A write of which nobody waited for the end may be done when something else is so."""
    await asked(store, "use")
    await reconciled(cordons, store)
    before = (await store.head()).position
    await done(store, Command("patchStatus", EDGE_PATH, {"service": "cordoned"}), actor=SYSTEM)
    await done(store, Command("patchStatus", EDGE_PATH, {"phase": "suspect"}), actor=SYSTEM)
    late, other = await store.changes(before, 10)
    assert [wake.key for wake in cordons.watches["Edge"](late)] == [KEY]
    assert not list(cordons.watches["Edge"](other))
    await reconciled(cordons, store)
    assert "service" not in (await present(store, EDGE_PATH)).status
    (mended,) = await store.changes(before + 2, 10)
    assert [wake.key for wake in cordons.watches["Edge"](mended)] == [KEY]


@pytest.mark.usefixtures("appender")
@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"intent": "leave"}, "/spec/intent"),
        ({"intent": "drain", "drainBy": "2030-01-01T00:00:00"}, "/spec/drainBy"),
        ({"intent": "drain", "drainBy": "soon"}, "/spec/drainBy"),
        ({"intent": "drain", "drainBy": "5"}, "/spec/drainBy"),
        ({"intent": "drain", "drainBy": 5}, "/spec/drainBy"),
        ({"cordoned": True}, "/spec/cordoned"),
    ],
)
async def test_what_cannot_be_asked_names_its_field(store: MemoryStore, spec: dict[str, Any], field: str) -> None:
    await done(store, Command("apply", "/config/sites/s"))
    with pytest.raises(Invalid) as refused:
        await send(store, Command("apply", CONFIG, spec))
    assert refused.value.field == field
    assert refusal(await send(store, Command("create", CONFIG, {"intent": "drain"}))) is None


async def test_in_a_maintenance_window_nothing_new_is_placed_and_it_says_until_when(
    store: MemoryStore, cordons: Cordons, clock: Clock
) -> None:
    begin, end = (NOW + timedelta(seconds=s) for s in (60, 180))
    await done(store, Command("apply", "/config/sites/s", {"maintenance": [window(begin, end)]}))
    path = await place(store, await new_job(store))
    assert await reconciled(cordons, store) == 60.0
    assert not await cordoned(store)
    clock.now = begin
    assert await reconciled(cordons, store) == 120.0
    assert await cordoned(store)
    assert (await present(store, EDGE_PATH)).status["maintenance"] == {"until": end.isoformat()}
    assert (await present(store, path)).spec["intent"] == "run", "what runs goes on"
    before = await store.head()
    await reconciled(cordons, store)
    assert await store.head() == before, "nothing differs"
    clock.now = end
    assert await reconciled(cordons, store) is None
    assert not await cordoned(store)
    assert "maintenance" not in (await present(store, EDGE_PATH)).status


async def test_a_window_that_moves_what_runs_is_a_drain_that_ends_by_itself(
    store: MemoryStore, cordons: Cordons, clock: Clock
) -> None:
    path = await place(store, await new_job(store))
    begin, end = (NOW + timedelta(seconds=s) for s in (60, 180))
    await asked(store, "use", maintenance=[window(begin, end, drain="move", noticeS=30)])
    clock.now += timedelta(seconds=30)
    assert await reconciled(cordons, store) == 30.0
    assert await cordoned(store)
    assert (await present(store, path)).spec["intent"] == "run"
    clock.now = begin
    await reconciled(cordons, store)
    spec = (await present(store, path)).spec
    assert (spec["intent"], spec["intentReason"]) == ("abandon", "EdgeInMaintenance")
    assert (await present(store, CONFIG)).phase == "draining"
    before = (await store.head()).position
    await report(store, path, phase="stopped")
    (change,) = await store.changes(before, 10)
    assert [wake.key for wake in cordons.watches["Attempt"](change)] == [KEY]
    await reconciled(cordons, store)
    assert (await present(store, CONFIG)).phase == "drained"
    clock.now = end
    assert await reconciled(cordons, store) is None
    assert (await present(store, CONFIG)).phase == "open"


async def test_what_is_asked_of_a_site_wakes_all_its_edges(store: MemoryStore, cordons: Cordons) -> None:
    await new_edge(store, "f")
    before = (await store.head()).position
    await done(store, Command("apply", "/config/sites/s", {"maintenance": [window(NOW, NOW + timedelta(days=1))]}))
    (change,) = await store.changes(before, 10)
    assert [wake.key for wake in cordons.watches["SiteConfig"](change)] == ["s/"]
    woken: list[str] = []
    cordons.listen(woken.append)
    assert await reconciled(cordons, store, "s/") is None
    assert woken == ["s/e", "s/f"]
    assert await cordons.keys() == ["s/"], "after a restart, too"


async def test_an_edge_that_comes_to_be_known_in_a_window_is_told_of_it(store: MemoryStore, cordons: Cordons) -> None:
    end = NOW + timedelta(days=1)
    await done(store, Command("apply", "/config/sites/s", {"maintenance": [window(NOW, end)]}))
    before = (await store.head()).position
    await new_edge(store, "f")
    changes = [change for change in await store.changes(before, 10) if change.kind == "Edge"]
    assert [wake.key for change in changes for wake in cordons.watches["Edge"](change)] == ["s/f"]
    before = (await store.head()).position
    await reconciled(cordons, store, "s/f")
    told = {"maintenance": {"until": end.isoformat()}, "service": "cordoned"}
    assert (await present(store, inventory_path("s", "f"))).status == told
    await done(store, Command("patchStatus", inventory_path("s", "f"), {"phase": "suspect"}), actor=SYSTEM)
    own, suspect = [change for change in await store.changes(before, 10) if change.kind == "Edge"]
    assert len(list(cordons.watches["Edge"](own))) == 1
    assert not list(cordons.watches["Edge"](suspect)), "else each heartbeat that is missed would wake it"
