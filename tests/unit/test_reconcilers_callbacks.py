"""Who is called of which phases of which jobs, how often, signed by what, and what is written down of it."""

import asyncio
import base64
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio

from datamodel.appender import Appender
from datamodel.command import Command, Fence, Outcome, Unit
from datamodel.errors import Conflict, Transient
from datamodel.memory import MemoryStore
from datamodel.node import Node
from datamodel.reads import Reads
from datamodel.secrets.memory import MemorySecrets
from datamodel.secrets.ports import Scope
from datamodel.secrets.value import hidden
from datamodel.seeds import seed
from reconcilers.callbacks import FREE_S, LINES, Callbacks
from reconcilers.calling.exposure import Exposure
from reconcilers.calling.memory import MemorySender
from reconcilers.calling.ports import Call, Reply
from reconcilers.planning.callbacks import Terms
from reconcilers.runtime.controller import Wake
from tests.graph import JOBS, SYSTEM, counted_ids, done, memory_store, new_job, present
from tests.receiver import Taken
from tests.waiting import until

NOW = datetime(2030, 1, 1, tzinfo=UTC)
GROUP = "/config/job-groups/default"
KEY = b"k" * 32
TERMS = Terms(attempts=4, give_up_s=3600.0)
URL = "https://one.test/hook"


@dataclass
class Stand:
    """The reconciler, and receivers that answer what is set: None for never."""

    store: MemoryStore
    appender: Appender
    fence: Fence
    secrets: MemorySecrets = field(default_factory=MemorySecrets)
    answers: dict[str, Reply | None] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    now: datetime = NOW
    terms: Terms = TERMS
    timeout_s: float = 0.05

    def started(self, *, knows_secrets: bool = True) -> Callbacks:
        """A replica that remembers nothing."""
        sender = MemorySender(self._carry, Exposure(), self.timeout_s)
        secrets = self.secrets if knows_secrets else None
        reads = Reads(self.store)
        return Callbacks(self.store, self.appender, reads, sender, self.terms, lambda: self.now, secrets)

    async def _carry(self, call: Call) -> Reply | None:
        self.calls.append(call)
        return self.answers.get(urlsplit(call.url).hostname or "", 204)

    async def ended(self, *callbacks: dict[str, Any], name: str = "j", phase: str = "succeeded") -> Node:
        job = await new_job(self.store, name, callbacks=[{"url": URL, **callback} for callback in callbacks])
        return await self.end(job, phase)

    async def end(self, job: Node, phase: str = "succeeded") -> Node:
        status = {"phase": phase, "finishedAt": self.now.isoformat(), "chunks": {phase: 1}}
        await done(self.store, Command("patchStatus", job.path, status), actor=SYSTEM)
        return await present(self.store, job.path)

    async def until_still(self, callbacks: Callbacks, path: str = f"{JOBS}/j") -> float | None:
        """Reconciles until it waits for a time."""
        while (rest_s := await callbacks.reconcile(path, self.fence)) == 0.0:
            pass
        return rest_s

    async def told(self, path: str = f"{JOBS}/j") -> list[tuple[str, str, str]]:
        """Phase, state and reason, in order."""
        notices = (await present(self.store, path)).status.get("callbacks", [])
        return [(notice["phase"], one["state"], one.get("reason", "")) for notice in notices for one in notice["told"]]

    async def position(self) -> int:
        return (await self.store.head()).position


@pytest_asyncio.fixture
async def stand() -> AsyncIterator[Stand]:
    store = memory_store()
    await seed(store)
    async with Appender(store) as appender:
        token = (await store.acquire(["callbacks/0"], "mine", 600.0))["callbacks/0"]
        yield Stand(store, appender, Fence("callbacks/0", token))


async def test_an_end_is_told_once_and_takes_two_events(stand: Stand) -> None:
    job = await stand.ended({})
    callbacks, before = stand.started(), await stand.position()
    assert await callbacks.keys() == [job.path]
    assert await stand.until_still(callbacks) is None
    assert await stand.told() == [("succeeded", "delivered", "")]
    (call,) = stand.calls
    assert call.url == URL
    assert call.headers.keys() == {"webhook-id", "webhook-timestamp"}
    assert await stand.position() - before == 2
    assert await stand.until_still(callbacks) is None
    assert await callbacks.keys() == []
    assert len(stand.calls) == 1


async def test_what_is_sent_again_is_the_same_whoever_sends_it(stand: Stand) -> None:
    await stand.ended({})
    stand.answers["one.test"] = 500
    rests_s = [await stand.until_still(stand.started())]
    await done(stand.store, Command("patchSpec", f"{JOBS}/j", {"workWs": 1.0}))
    stand.now += timedelta(seconds=3)
    rests_s.append(await stand.until_still(stand.started()))
    assert len(stand.calls) == 2
    assert stand.calls[0].body == stand.calls[1].body
    assert stand.calls[0].headers["webhook-id"] == stand.calls[1].headers["webhook-id"]
    stamps = [int(call.headers["webhook-timestamp"]) for call in stand.calls]
    assert stamps[1] - stamps[0] == 3
    assert all(rest_s is not None and 0 < rest_s < 8 for rest_s in rests_s)


async def test_it_is_tried_at_its_moments_and_then_given_up_with_three_events(stand: Stand) -> None:
    await stand.ended({})
    stand.answers["one.test"] = 503
    before, tries = await stand.position(), []
    for _ in range(40):
        rest_s = await stand.until_still(stand.started())  # each is another replica
        tries.append(len(stand.calls))
        if rest_s is None:
            break
        stand.now += timedelta(seconds=rest_s + 0.01)
    assert tries == [1, 2, 3, 4]
    assert await stand.told() == [("succeeded", "givenUp", "Refused")]
    assert await stand.position() - before == 3


async def test_one_process_tries_each_moment_once(stand: Stand) -> None:
    await stand.ended({})
    stand.answers["one.test"] = 503
    callbacks = stand.started()
    for _ in range(5):
        assert await stand.until_still(callbacks)
    assert len(stand.calls) == 1


async def test_who_was_away_for_long_tries_once_before_giving_up(stand: Stand) -> None:
    await stand.ended({})
    stand.answers["one.test"] = 503
    stand.now += timedelta(days=30)
    assert await stand.until_still(stand.started()) is None
    assert len(stand.calls) == 1
    assert await stand.told() == [("succeeded", "givenUp", "Refused")]


async def test_what_a_database_that_was_put_back_has_forgotten_is_tried_once_more(stand: Stand) -> None:
    job = await stand.ended({})
    stand.answers["one.test"] = 503
    stand.now += timedelta(days=30)
    callbacks = stand.started()
    assert await callbacks.reconcile(job.path, stand.fence) == 0.0
    before = (await present(stand.store, job.path)).status["callbacks"]
    assert await callbacks.reconcile(job.path, stand.fence) == 0.0
    assert await stand.told() == [("succeeded", "givenUp", "Refused")]
    await done(stand.store, Command("patchStatus", job.path, {"callbacks": before}), actor=SYSTEM)
    assert await stand.until_still(callbacks) is None
    assert await stand.told() == [("succeeded", "givenUp", "Refused")]
    assert len(stand.calls) == 2


async def test_a_clock_that_was_put_back_does_not_wait_for_it(stand: Stand) -> None:
    await stand.ended({})
    stand.answers["one.test"] = 503
    stand.now -= timedelta(hours=1)
    rest_s = await stand.until_still(stand.started())
    assert rest_s is not None
    assert rest_s < 3
    assert len(stand.calls) == 1


async def test_who_is_gone_is_not_tried_again(stand: Stand) -> None:
    await stand.ended({})
    stand.answers["one.test"] = 410
    assert await stand.until_still(stand.started()) is None
    assert await stand.told() == [("succeeded", "givenUp", "Gone")]


async def test_one_that_hangs_does_not_hold_up_the_others_of_a_job(stand: Stand) -> None:
    await stand.ended({}, {"url": "https://two.test/"}, {"url": "https://three.test/", "on": ["failed"]})
    stand.answers["one.test"] = None
    assert await stand.until_still(stand.started())
    assert await stand.told() == [("succeeded", "waiting", "TimedOut"), ("succeeded", "delivered", "")]
    assert [call.url for call in stand.calls] == [URL, "https://two.test/"]


async def test_a_job_that_is_tried_again_calls_again(stand: Stand) -> None:
    job = await stand.ended({}, phase="failed")
    callbacks = stand.started()
    await stand.until_still(callbacks)
    running = {"phase": "running", "finishedAt": None}
    await done(stand.store, Command("patchStatus", job.path, running), actor=SYSTEM)
    assert await callbacks.reconcile(job.path, stand.fence) is None
    stand.now += timedelta(seconds=9)
    await stand.end(job)
    await stand.until_still(callbacks)
    assert await stand.told() == [("failed", "delivered", ""), ("succeeded", "delivered", "")]
    assert len({call.headers["webhook-id"] for call in stand.calls}) == 2


async def test_a_job_that_is_deleted_calls_nobody(stand: Stand) -> None:
    job = await stand.ended({})
    await done(stand.store, Command("delete", job.path))
    callbacks = stand.started()
    assert await callbacks.keys() == []
    assert await stand.until_still(callbacks) is None
    assert stand.calls == []


async def test_what_was_answered_is_not_asked_again_where_it_could_not_be_written(stand: Stand) -> None:
    await stand.ended({})
    callbacks = stand.started()
    await callbacks.reconcile(f"{JOBS}/j", stand.fence)  # the notice is there

    class Late(Reads):
        """Somebody else writes while it is called."""

        async def node(self, path: str) -> Node | None:
            found = await super().node(path)
            if path.endswith("/j"):
                await done(stand.store, Command("patchSpec", path, {"workWs": float(await stand.position())}))
            return found

    vars(callbacks)["_reads"] = Late(stand.store)
    with pytest.raises(Conflict):
        await callbacks.reconcile(f"{JOBS}/j", stand.fence)
    vars(callbacks)["_reads"] = Reads(stand.store)
    await stand.until_still(callbacks)
    assert await stand.told() == [("succeeded", "delivered", "")]
    assert len(stand.calls) == 1


async def put(stand: Stand, name: str, **values: str) -> None:
    group = await present(stand.store, GROUP)
    await stand.secrets.put(Scope("default", group.uid), name, hidden(values))


async def test_it_is_signed_by_a_secret_of_the_group(stand: Stand) -> None:
    await put(
        stand,
        "hook",
        value=f"whsec_{base64.b64encode(KEY).decode()}",
        other=base64.b64encode(KEY[::-1] + b"o").decode(),
    )
    await stand.ended({"secret": "hook"}, {"url": "https://two.test/", "secret": "hook", "key": "other"})
    await stand.until_still(stand.started())
    one, two = (Taken(call.url, dict(call.headers), call.body) for call in stand.calls)
    assert one.is_signed_with(KEY)
    assert two.is_signed_with(KEY[::-1] + b"o")
    job = await present(stand.store, f"{JOBS}/j")
    assert base64.b64encode(KEY).decode() not in f"{job.status}{one.body!r}{one.headers}"


@pytest.mark.parametrize(
    ("values", "callback", "reason"),
    [
        ({}, {"secret": "hook"}, "SecretMissing"),
        ({"value": "x"}, {"secret": "hook", "key": "other"}, "SecretMissing"),
        ({"value": "tr0ub4dor"}, {"secret": "hook"}, "SecretUnusable"),
    ],
)
async def test_without_its_secret_nothing_is_sent_and_it_is_tried_again(
    stand: Stand, values: dict[str, str], callback: dict[str, str], reason: str
) -> None:
    if values:
        await put(stand, "hook", **values)
    await stand.ended(callback)
    callbacks = stand.started()
    assert await stand.until_still(callbacks)
    assert stand.calls == []
    assert await stand.told() == [("succeeded", "waiting", reason)]
    assert "tr0ub4dor" not in str((await present(stand.store, f"{JOBS}/j")).status)
    await put(stand, "hook", **{callback.get("key", "value"): base64.b64encode(KEY).decode()})
    stand.now += timedelta(seconds=5)
    await stand.until_still(stand.started())
    assert await stand.told() == [("succeeded", "delivered", "")]


async def test_a_program_without_secrets_says_so(stand: Stand) -> None:
    await stand.ended({"secret": "hook"})
    await stand.until_still(stand.started(knows_secrets=False))
    assert await stand.told() == [("succeeded", "waiting", "SecretMissing")]


async def test_a_host_that_hangs_has_some_calls_at_a_time_and_others_go_by(stand: Stand) -> None:
    stand.timeout_s = 5.0
    stand.answers["one.test"] = None
    names = [f"slow-{number}" for number in range(LINES + 2)]
    for name in names:
        await stand.ended({}, name=name)
    await stand.ended({"url": "https://two.test/"}, name="quick")
    callbacks, woken = stand.started(), list[str]()
    callbacks.listen(woken.append)
    slow = [asyncio.create_task(stand.until_still(callbacks, f"{JOBS}/{name}")) for name in names]
    await until(lambda: len(stand.calls) == LINES)
    assert await stand.until_still(callbacks, f"{JOBS}/quick") is None
    assert await stand.told(f"{JOBS}/quick") == [("succeeded", "delivered", "")]
    await until(lambda: sum(task.done() for task in slow) == 2)
    rests_s = [task.result() for task in slow if task.done()]
    assert rests_s == [FREE_S, FREE_S]
    for task in slow:
        task.cancel()
    await asyncio.wait(slow)
    assert len(woken) == 2, "lines are free again"
    assert len(stand.calls) == LINES + 1


async def test_who_has_nothing_to_tell_is_not_woken(stand: Stand) -> None:
    async def wakes(callbacks: Callbacks, after: int) -> Sequence[Wake]:
        changes = [change for change in await stand.store.changes(after, 1_000) if change.kind == "Job"]
        return [wake for change in changes for wake in callbacks.watches["Job"](change)]

    callbacks, before = stand.started(), await stand.position()
    job = await new_job(stand.store, "silent")
    await stand.end(job)
    waits = await new_job(stand.store, "waits", callbacks=[{"url": URL}])
    assert await wakes(callbacks, before) == []
    before = await stand.position()
    await stand.end(waits)
    assert [wake.key for wake in await wakes(callbacks, before)] == [waits.path]
    await stand.until_still(callbacks, waits.path)
    assert await callbacks.keys() == []


class LosingStore(MemoryStore):
    """It writes, and its answer is lost."""

    loses = False

    async def append(self, units: Sequence[Unit]) -> list[Outcome]:
        outcomes = await super().append(units)
        if self.loses and any("callbacks" in command.body for unit in units for command in unit.commands):
            raise Transient("the connection broke")
        return outcomes


async def test_where_it_is_unknown_whether_it_was_written_nobody_is_called_twice(stand: Stand) -> None:
    store = LosingStore(stand.store.model, lambda: datetime.now(UTC), counted_ids())
    store.__dict__.update(stand.store.__dict__)
    async with Appender(store) as appender:
        losing = Stand(store, appender, stand.fence)
        await losing.ended({})
        callbacks = losing.started()
        assert await callbacks.reconcile(f"{JOBS}/j", stand.fence) == 0.0
        store.loses = True
        with pytest.raises(Transient):
            await callbacks.reconcile(f"{JOBS}/j", stand.fence)
        store.loses = False
        await losing.until_still(callbacks)
        assert await losing.told() == [("succeeded", "delivered", "")]
        assert len(losing.calls) == 1
