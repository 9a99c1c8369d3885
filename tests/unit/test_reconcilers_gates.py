"""Who waits for others' files is looked at when those end, writes what has changed and on nothing old, then is let alone."""

import itertools
from collections.abc import AsyncIterator, Collection
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio

from datamodel.appender import Appender
from datamodel.command import Command, Fence
from datamodel.errors import Conflict, TendrilError
from datamodel.memory import MemoryStore
from datamodel.node import Node
from datamodel.ports import Change
from datamodel.reads import Reads
from datamodel.seeds import seed
from reconcilers.gates import PAGE, Gates
from tests.graph import EDGE, JOBS, SYSTEM, attempt, attempt_path, done, job, memory_store, new_edge, new_job, present

PARTS = [{"name": "part", "path": "part"}]
LEAST = {"cpu": 0.001, "memoryBytes": 1, "powerW": 0.001}


@pytest.fixture
def store() -> MemoryStore:
    return memory_store()


@pytest_asyncio.fixture
async def appender(store: MemoryStore) -> AsyncIterator[Appender]:
    await seed(store)
    await new_edge(store)
    async with Appender(store) as appender:
        yield appender


@pytest_asyncio.fixture
async def fence(store: MemoryStore, appender: Appender) -> Fence:
    return Fence("gates/0", (await store.acquire(["gates/0"], "mine", 60.0))["gates/0"])


@pytest.fixture
def gates(store: MemoryStore, appender: Appender) -> Gates:
    seconds = itertools.count()
    return Gates(
        store, appender, Reads(store), lambda: datetime(2030, 1, 1, tzinfo=UTC) + timedelta(seconds=next(seconds))
    )


def waiting(name: str, *sources: str, **fields: object) -> Command:
    wanted = [{"job": f"default/{source}", "artifact": "part", "path": source, **fields} for source in sources]
    return job(name, inputs=wanted)


async def woken(store: MemoryStore, gates: Gates, after: int) -> list[str]:
    """The names of the jobs that it is woken for by what happened after a position."""
    changes = [change for change in await store.changes(after, 10_000) if change.kind == "Job"]
    wakes = [wake for change in changes for wake in gates.watches["Job"](change)]
    return list(dict.fromkeys(wake.key.rpartition("/")[2] for wake in wakes))


async def head(store: MemoryStore) -> int:
    return (await store.head()).position


async def leave(store: MemoryStore, source: Node, chunks: Collection[int]) -> None:
    """A source succeeds; these chunks of it have each left a file, and the others none."""
    for index in range(source.spec["chunks"]):
        await done(store, attempt(source, index), actor=SYSTEM)
    for index in chunks:
        left = {"name": "part", "bytes": index, "sha256": "0" * 64}
        status = {"phase": "succeeded", "artifacts": [left]}
        await done(store, Command("patchStatus", attempt_path(source, index), {"phase": "running"}), actor=EDGE)
        await done(store, Command("patchStatus", attempt_path(source, index), status), actor=EDGE)
    await end(store, source.path)


async def end(store: MemoryStore, path: str, phase: str = "succeeded") -> None:
    for one in ("pending", "running", phase):
        await done(store, Command("patchStatus", path, {"phase": one}), actor=SYSTEM)


def reason(found: Node) -> str:
    return next((str(one["reason"]) for one in found.status["conditions"] if one["type"] == "InputsReady"), "")


@pytest.mark.parametrize("known_by", ["its creation", "a look at it", "a look at everything"])
async def test_all_who_wait_are_woken_by_the_end_of_each_that_they_wait_for(
    store: MemoryStore, gates: Gates, fence: Fence, known_by: str
) -> None:
    await done(store, job("a", artifacts=PARTS), job("c", artifacts=PARTS))
    before = await head(store)
    await done(store, waiting("one", "a", "c"), waiting("two", "a"))
    if known_by == "its creation":
        assert await woken(store, gates, before) == ["one", "two"]
    elif known_by == "a look at everything":
        assert await gates.keys() == [f"{JOBS}/one", f"{JOBS}/two"]
    else:
        for name in ("one", "two"):
            await gates.reconcile(f"{JOBS}/{name}", fence)
    before = await head(store)
    await end(store, f"{JOBS}/a")
    assert await woken(store, gates, before) == ["one", "two"]
    await gates.reconcile(f"{JOBS}/one", fence)
    assert reason(await present(store, f"{JOBS}/one")) == "WaitingForJobs"
    before = await head(store)
    await end(store, f"{JOBS}/c", "failed")
    assert await woken(store, gates, before) == ["one"]
    await gates.reconcile(f"{JOBS}/one", fence)
    assert reason(await present(store, f"{JOBS}/one")) == "SourceFailed"


async def test_they_are_woken_by_one_that_is_gone_before_anybody_read_of_its_end(
    store: MemoryStore, gates: Gates
) -> None:
    await done(store, job("a", artifacts=PARTS), waiting("b", "a"))
    await gates.keys()
    gone = Change(await head(store) + 1, "", f"{JOBS}/a", "0" * 32, "Job", None)
    assert [wake.key for wake in gates.watches["Job"](gone)] == [f"{JOBS}/b"]


async def test_whatever_waits_is_looked_at_now_and_then_and_nothing_else(store: MemoryStore, gates: Gates) -> None:
    await done(store, job("a", artifacts=PARTS), *(waiting(f"j{number:03}", "a") for number in range(PAGE + 2)))
    await done(store, Command("patchStatus", f"{JOBS}/j001", {"phase": "pending"}), actor=SYSTEM)
    await done(store, Command("patchStatus", f"{JOBS}/j002", {"phase": "pending", "inputs": []}), actor=SYSTEM)
    await end(store, f"{JOBS}/j003", "aborted")
    assert await gates.keys() == [f"{JOBS}/j{number:03}" for number in range(PAGE + 2) if number not in (2, 3)]


async def test_nothing_is_written_where_nothing_has_changed(store: MemoryStore, gates: Gates, fence: Fence) -> None:
    await done(store, job("a", artifacts=PARTS), waiting("b", "a"))
    await gates.reconcile(f"{JOBS}/b", fence)
    before = await head(store)
    await gates.reconcile(f"{JOBS}/b", fence)
    assert await head(store) == before
    since = (await present(store, f"{JOBS}/b")).status["conditions"][0]["lastTransitionTime"]
    await done(store, Command("delete", f"{JOBS}/b"))
    await end(store, f"{JOBS}/a", "failed")
    before = await head(store)
    await gates.reconcile(f"{JOBS}/b", fence)
    assert await head(store) == before, "it is being deleted"
    assert since.endswith("00:00:00+00:00")


async def test_who_is_to_be_told_of_a_failure_is_when_its_inputs_never_come(
    store: MemoryStore, gates: Gates, fence: Fence
) -> None:
    callbacks = [{"url": "https://example.org/", "on": ["failed"]}]
    wanted = [{"job": "default/a", "artifact": "part", "path": "a"}]
    await done(store, job("a", artifacts=PARTS), job("b", inputs=wanted, callbacks=callbacks), waiting("c", "a"))
    waits = {"phase": "pending", "chunks": {"pending": 1}}
    await done(store, Command("patchStatus", f"{JOBS}/b", waits), actor=SYSTEM)
    await done(store, Command("delete", f"{JOBS}/a"))
    await done(store, Command("finalize", f"{JOBS}/a", {"finalizer": "attempts"}), actor=SYSTEM)
    for name in ("b", "c"):
        await gates.reconcile(f"{JOBS}/{name}", fence)
    told, silent = [(await present(store, f"{JOBS}/{name}")).status for name in ("b", "c")]
    assert [told["phase"], silent["phase"]] == ["failed", "failed"]
    assert [(notice["phase"], notice["at"]) for notice in told["callbacks"]] == [("failed", told["finishedAt"])]
    assert told["callbacks"][0]["chunks"] == told["chunks"], "they are told of what its status says"
    assert "callbacks" not in silent


async def test_a_condition_has_stood_since_it_changed_whatever_its_reason(
    store: MemoryStore, gates: Gates, fence: Fence
) -> None:
    await done(store, job("a", artifacts=PARTS), job("c", artifacts=PARTS), waiting("b", "a", "c"))
    times = []
    for end_of in ("", "a"):
        if end_of:
            await end(store, f"{JOBS}/{end_of}")
        await gates.reconcile(f"{JOBS}/b", fence)
        condition, _ = (await present(store, f"{JOBS}/b")).status["conditions"]
        times.append((condition["message"], condition["lastTransitionTime"]))
    assert [message for message, _ in times] == ["waits for default/a, default/c", "waits for default/c"]
    assert times[0][1] == times[1][1]


async def test_what_rests_on_an_old_reading_or_a_lost_lease_is_not_written(
    store: MemoryStore, appender: Appender, gates: Gates, fence: Fence
) -> None:
    await done(store, waiting("b", "none"))
    path = f"{JOBS}/b"
    old = await present(store, path)

    class Old(Reads):
        async def node(self, path: str) -> Node | None:
            return old

    await done(store, Command("patchStatus", path, {"inputs": []}), actor=SYSTEM)  # by who had the lease before
    with pytest.raises(Conflict):
        await Gates(store, appender, Old(store), lambda: datetime.now(UTC)).reconcile(path, fence)
    await done(store, waiting("d", "none"))
    await store.release(["gates/0"], "mine")
    await store.acquire(["gates/0"], "another", 60.0)
    before = await head(store)
    with pytest.raises(TendrilError):
        await gates.reconcile(f"{JOBS}/d", fence)
    assert await head(store) == before


async def test_files_are_found_however_many_chunks_are_between_and_are_never_looked_for_again(
    store: MemoryStore, gates: Gates, fence: Fence
) -> None:
    source = await new_job(store, "a", chunks=PAGE + 1, artifacts=PARTS, requests=LEAST)
    ends = (0, PAGE)
    wanted = [{"job": "default/a", "artifact": "part", "path": str(chunk), "chunk": chunk} for chunk in ends]
    await done(store, job("b", inputs=wanted))
    await gates.reconcile(f"{JOBS}/b", fence)
    await leave(store, source, ends)
    await gates.reconcile(f"{JOBS}/b", fence)
    found = await present(store, f"{JOBS}/b")
    assert [(one["path"], one["bytes"]) for one in found.status["inputs"]] == [("0", 0), (str(PAGE), PAGE)]
    assert reason(found) == "Ready"
    await done(store, Command("delete", source.path))
    await gates.reconcile(f"{JOBS}/b", fence)
    assert await present(store, f"{JOBS}/b") == found


async def test_nobody_is_remembered_who_does_not_wait(store: MemoryStore, gates: Gates, fence: Fence) -> None:
    await done(store, job("a", artifacts=PARTS), job("c", artifacts=PARTS), waiting("b", "a", "c"), waiting("d", "c"))
    for name in ("b", "d"):
        await gates.reconcile(f"{JOBS}/{name}", fence)
    before = await head(store)
    await end(store, f"{JOBS}/a", "failed")
    await woken(store, gates, before)
    await gates.reconcile(f"{JOBS}/b", fence)
    assert {path: names for path, names in gates._waiting.items() if names} == {f"{JOBS}/c": {f"{JOBS}/d"}}


async def test_one_that_comes_after_others_is_told_each_time_that_one_of_them_ends(
    store: MemoryStore, gates: Gates, fence: Fence
) -> None:
    await done(store, job("a"), job("c"))
    wanted = [{"job": "a"}, {"job": "default/c", "on": "finished"}]
    before = await head(store)
    await done(store, job("b", after=wanted))
    assert await woken(store, gates, before) == ["b"]
    await gates.reconcile(f"{JOBS}/b", fence)
    for name, phase, met in (("a", "succeeded", ["a"]), ("c", "failed", ["a", "default/c"])):
        before = await head(store)
        await end(store, f"{JOBS}/{name}", phase)
        assert await woken(store, gates, before) == ["b"]
        await gates.reconcile(f"{JOBS}/b", fence)
        assert (await present(store, f"{JOBS}/b")).status["after"] == met
    assert "readyAt" in (await present(store, f"{JOBS}/b")).status
    assert not any(gates._waiting.values())
    before = await head(store)
    assert await gates.reconcile(f"{JOBS}/b", fence) is None
    assert await head(store) == before


async def test_one_that_begins_later_is_looked_at_when_it_is_time_also_by_another(
    store: MemoryStore, appender: Appender, fence: Fence
) -> None:
    begin = datetime(2030, 1, 1, 13, tzinfo=UTC)
    await done(store, job("b", startAt="2030-01-01T14:00:00+01:00"))
    path = f"{JOBS}/b"

    def gates(now: datetime) -> Gates:
        return Gates(store, appender, Reads(store), lambda: now)

    assert await gates(begin - timedelta(hours=1)).reconcile(path, fence) == 3600.0
    assert (await present(store, path)).status["conditions"][0]["message"] == "begins at 2030-01-01T14:00:00+01:00"
    restarted = gates(begin - timedelta(microseconds=1))
    assert await restarted.keys() == [path]
    assert await restarted.reconcile(path, fence) == 1e-6
    assert "readyAt" not in (await present(store, path)).status
    assert await gates(begin).reconcile(path, fence) is None
    assert (await present(store, path)).status["readyAt"] == begin.isoformat()


async def test_one_that_can_never_begin_fails_and_says_why(store: MemoryStore, gates: Gates, fence: Fence) -> None:
    await done(store, job("b", after=[{"job": "other/none"}]))
    await gates.reconcile(f"{JOBS}/b", fence)
    found = await present(store, f"{JOBS}/b")
    assert found.phase == "failed"
    assert {one["type"]: one["message"] for one in found.status["conditions"]} == dict.fromkeys(
        ("Ready", "Complete"), "after/0: there is no job other/none, or no more"
    )
    before = await head(store)
    await done(store, job("c"), Command("patchSpec", f"{JOBS}/b", {"retries": 9}))
    await done(store, Command("patchStatus", f"{JOBS}/b", {"phase": "pending"}), actor=SYSTEM)
    assert "b" in await woken(store, gates, before), "it is tried again"


@pytest.mark.parametrize(("fields", "names"), [({}, ["a/0", "a/2"]), ({"chunk": 1}, None)])
async def test_of_chunks_that_may_fail_there_is_nothing_to_be_given(
    store: MemoryStore, gates: Gates, fence: Fence, fields: dict[str, int], names: list[str] | None
) -> None:
    policy = {"chunks": 3, "retries": 0, "completion": {"maxFailedChunks": 1}, "requests": LEAST}
    source = await new_job(store, "a", artifacts=PARTS, **policy)
    await done(store, waiting("one", "a", **fields))
    for index in range(3):
        await done(store, attempt(source, index), actor=SYSTEM)
    left = {"artifacts": [{"name": "part", "bytes": 1, "sha256": "0" * 64}]}
    for index, status in (
        (0, {"phase": "succeeded", **left}),
        (1, {"phase": "failed"}),
        (2, {"phase": "succeeded", **left}),
    ):
        await done(store, Command("patchStatus", attempt_path(source, index), status), actor=EDGE)
    await end(store, source.path)
    await gates.reconcile(f"{JOBS}/one", fence)
    found = await present(store, f"{JOBS}/one")
    assert [one["path"] for one in found.status.get("inputs", ())] == (names or [])
    assert reason(found) == ("Ready" if names else "ChunkFailed")
