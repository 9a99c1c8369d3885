"""What a key was woken by is what its reconciliation's writes are caused by."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

import pytest

from datamodel.appender import Appender
from datamodel.cause import CAUSE_LIMIT, CORRELATION_LIMIT, Cause, causing_position, is_known, present_cause
from datamodel.command import Command, Fence, Unit, raise_refused
from datamodel.errors import Conflict, Invalid
from datamodel.memory import MemoryStore
from datamodel.ports import Change
from datamodel.prepare import prepare
from datamodel.scheduling.model import MODEL
from datamodel.seeds import seed
from reconcilers.runtime.causes import Causes
from reconcilers.runtime.controller import Controller, Watch
from reconcilers.runtime.metrics import Metrics
from reconcilers.runtime.shards import Shards
from tests.graph import SYSTEM, memory_store
from tests.waiting import until

SITE = "/desired-config/sites/s"


def change(position: int, correlation: str = "") -> Change:
    return Change(position, f"e{position}", "/config", "u", "Config", None, 0, correlation)


def told(cause: Cause) -> tuple[str, str]:
    return cause.text, cause.correlation


def test_the_newest_event_is_kept_and_nothing_else_takes_its_place() -> None:
    causes = Causes()
    causes.put_other("a", "resync")
    causes.put("a", change(3, "x"))
    causes.put("a", change(5, "y"))
    causes.put_other("a", "resync")
    causes.put_other("b", "resync")
    causes.put_other("b", "message")
    assert len(causes) == 2
    first = causes.take("a")
    assert told(first) == ("event:5", "y")
    causes.put("a", change(6))
    causes.put_back("a", first)
    assert told(causes.take("a")) == ("event:6", "")
    causes.put_back("a", first)
    assert causes.take("a") is first
    assert told(causes.take("b")) == ("resync", "")
    assert told(causes.take("b")) == ("requeue", "")
    assert len(causes) == 0


def test_events_of_another_log_are_no_causes() -> None:
    causes = Causes()
    causes.put("a", change(500, "x"))
    causes.restart()
    assert told(causes.take("a")) == ("resync", "")


class Scripted:
    """A reconciler that writes a label each time, where its script says so, and ends as that says."""

    name = "scripted"
    shards = 1
    resync_s = 3600.0
    watches: Mapping[str, Watch] = {}

    def __init__(self, appender: Appender) -> None:
        self._appender = appender
        self.all: list[str] = []
        self.causes: list[tuple[str, str]] = []
        self.script: list[tuple[bool, float | Exception | None]] = []
        self.meanwhile: Callable[[], object] = lambda: None

    async def keys(self) -> list[str]:
        return self.all

    async def reconcile(self, key: str, fence: Fence) -> float | None:
        cause = present_cause.get()
        assert cause is not None
        self.causes.append(told(cause))
        self.meanwhile()
        writes, ends = self.script.pop(0) if self.script else (False, None)
        if writes:
            label = Command("apply", SITE, labels={"n": str(len(self.causes))})
            raise_refused(await self._appender.append(Unit((label,), SYSTEM, fence=fence)))
        if isinstance(ends, Exception):
            raise ends
        return ends


@asynccontextmanager
async def controlled() -> AsyncIterator[tuple[MemoryStore, Controller, Scripted]]:
    store = memory_store()
    await seed(store)
    shards = Shards(store, ttl_s=60.0)
    async with Appender(store) as appender:
        reconciler = Scripted(appender)
        controller = Controller(reconciler, shards, Metrics(), workers=2)
        await shards._round()
        working = asyncio.create_task(controller.run())
        await asyncio.sleep(0)
        try:
            yield store, controller, reconciler
        finally:
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)


@pytest.mark.parametrize(
    ("script", "causes"),
    [
        ([(True, None)], [("event:7", "x")]),
        ([(False, Conflict("no")), (True, None)], [("event:7", "x")] * 2),
        ([(True, Conflict("no")), (True, None)], [("event:7", "x")] * 2),
        ([(False, ValueError("a bug")), (True, None)], [("event:7", "x")] * 2),
        ([(False, 0.01), (True, None)], [("event:7", "x")] * 2),
        ([(True, 0.0), (True, None)], [("event:7", "x")] * 2),
        ([(True, 0.01), (True, None)], [("event:7", "x"), ("requeue", "")]),
    ],
)
async def test_a_key_keeps_its_cause_until_it_has_led_to_something(
    script: list[tuple[bool, float | Exception | None]], causes: list[tuple[str, str]]
) -> None:
    async with controlled() as (store, controller, reconciler):
        before, reconciler.script = (await store.head()).position, [*script]
        controller.wake("a", change=change(7, "x"))
        await until(lambda: len(reconciler.causes) == len(causes) and not controller.queue._working)
        assert reconciler.causes == causes
        assert len(controller.causes) == 0
        written = await store.events(before, 10)
        assert [event.cause for event in written] == [
            text for (text, _), (writes, _) in zip(causes, script, strict=True) if writes
        ]
        assert {event.correlation for event in written} == {"x"}


async def test_who_is_woken_while_it_works_acts_on_the_newer_event() -> None:
    async with controlled() as (_, controller, reconciler):
        events = iter([change(8), change(9)])

        def meanwhile() -> None:
            for newer in events:
                controller.wake("a", change=newer)

        reconciler.meanwhile = meanwhile
        controller.wake("a", change=change(7))
        await until(lambda: len(reconciler.causes) == 2)
        assert [text for text, _ in reconciler.causes] == ["event:7", "event:9"]


async def test_who_looks_at_everything_says_so_but_for_what_an_event_woke() -> None:
    async with controlled() as (_, controller, reconciler):
        await until(lambda: not controller._resync.is_set())
        reconciler.all = ["a"]
        controller.wake("b", after_s=60.0, change=change(7))
        controller.resync()
        controller.wake("c", change=change(8))
        controller.wake("d")
        await until(lambda: len(reconciler.causes) == 3)
        assert {text for text, _ in reconciler.causes} == {"resync", "event:8", "message"}
        assert len(controller.causes) == 1


async def test_a_key_that_is_not_ours_leaves_no_cause() -> None:
    async with controlled() as (_, controller, reconciler):
        controller.wake("a", change=change(7))
        controller._shards._held = {}
        assert not controller.wake("b", change=change(7))
        await until(lambda: not controller.queue and len(controller.causes) == 0)
        assert reconciler.causes == []


async def test_a_unit_that_says_why_keeps_its_word() -> None:
    store = memory_store()
    await seed(store)
    before = (await store.head()).position
    cause = Cause("event:1", "other")
    async with Appender(store) as appender:
        present_cause.set(cause)
        for number, (told_cause, correlation) in enumerate((("message", ""), ("", "own"), ("", ""))):
            label = Command("apply", SITE, labels={"n": str(number)})
            raise_refused(await appender.append(Unit((label,), SYSTEM, cause=told_cause, correlation=correlation)))
    written = await store.events(before, 10)
    assert [(event.cause, event.correlation) for event in written] == [
        ("message", ""),
        ("event:1", "own"),
        ("event:1", "other"),
    ]


@pytest.mark.parametrize(
    ("cause", "known"),
    [
        *(
            (text, True)
            for text in ("request:a", "event:1", "report:s/a/1-b/7", "resync", "requeue", "message", "seed")
        ),
        *((text, False) for text in ("", "event:", "event:0", "event:-1", "event:x", "request:", "report:7", "ledger")),
        ("request:" + "x" * 129, False),
        ("request:a b", False),
    ],
)
def test_causes_have_known_shapes(cause: str, *, known: bool) -> None:
    assert is_known(cause) == known


def test_only_events_name_positions() -> None:
    assert [causing_position(cause) for cause in ("event:12", "event:", "event:x", "request:12", "resync")] == [
        12,
        *[None] * 4,
    ]


@pytest.mark.parametrize(
    ("cause", "correlation", "field"),
    [
        ("x" * (CAUSE_LIMIT + 1), "", "/cause"),
        ("a\x00", "", "/cause"),
        ("", "x" * (CORRELATION_LIMIT + 1), "/correlation"),
        ("", "\x00", "/correlation"),
    ],
)
def test_what_cannot_be_recorded_is_refused_by_name(cause: str, correlation: str, field: str) -> None:
    label, told_itself = Command("apply", SITE), Command("apply", SITE, cause=cause, correlation=correlation)
    for unit in (Unit((label,), SYSTEM, cause=cause, correlation=correlation), Unit((told_itself,), SYSTEM)):
        with pytest.raises(Invalid) as refused:
            prepare(MODEL, unit)
        assert refused.value.field == field
