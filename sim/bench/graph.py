"""The graph's own figures: what one process appends, what the relay publishes, and how far behind the feed is.

They are measured on a model that has nothing in it but text, with Postgres' fsync on.
"""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from datamodel.appender import Appender
from datamodel.command import Actor, Command, Fence, Unit, raise_refused
from datamodel.feed.bus import Bus
from datamodel.feed.follow import NatsFeed
from datamodel.feed.stream import JetStreams
from datamodel.ports import FeedItem, Message, Store, Synced
from reconcilers.relay import KEY, Relay
from sim.bench.model import WRITER
from sim.bench.report import latencies
from sim.bench.waiting import done, until

TASKS = 2_000
"""That append at a time, each a node after the other."""
UNIT = 500
"""Commands that are sent together where that is not what is measured."""
TEXT = "x" * 189
"""With it, a spec is 200 bytes of JSON."""

_ACTOR = Actor("bench", WRITER)


class Items:
    """New items, evenly over shelves that are there."""

    def __init__(self, shelves: int) -> None:
        self._numbers = itertools.count()
        self._shelves = shelves

    def unit(self) -> Unit:
        number = next(self._numbers)
        path = f"{shelf(number % self._shelves)}/items/i{number}"
        return Unit((Command("create", path, {"text": TEXT}),), _ACTOR)


async def furnish(store: Store, shelves: int) -> Items:
    """Makes empty shelves."""
    async with Appender(store) as appender:
        above = [Command("apply", path) for path in ("/bench", *(shelf(number) for number in range(shelves)))]
        for first in range(0, len(above), UNIT):
            raise_refused(await appender.append(Unit(tuple(above[first : first + UNIT]), _ACTOR)))
    return Items(shelves)


def shelf(number: int) -> str:
    return f"/bench/shelves/s{number}"


async def appended(store: Store, items: Items, seconds: float) -> dict[str, float]:
    """Many tasks of one process create a node each, again and again: durable events a second."""
    end_s, created = time.perf_counter() + seconds, 0

    async def create(appender: Appender) -> None:
        nonlocal created
        while time.perf_counter() < end_s:
            raise_refused(await appender.append(items.unit()))
            created += 1

    async with Appender(store) as appender:
        began, spent_s = time.perf_counter(), time.process_time()
        await asyncio.gather(*(create(appender) for _ in range(TASKS)))
        took_s, spent_s = time.perf_counter() - began, time.process_time() - spent_s
    return {"eventsPerS": round(created / took_s), "events": created, "writerCpuUs": round(spent_s / created * 1e6, 1)}


async def appended_alone(store: Store, items: Items, count: int) -> dict[str, float]:
    """One client that waits for each answer."""
    took_s = []
    async with Appender(store) as appender:
        for _ in range(count):
            began = time.perf_counter()
            raise_refused(await appender.append(items.unit()))
            took_s.append(time.perf_counter() - began)
    return latencies(took_s)


async def relayed(store: Store, bus: Bus, items: Items, count: int) -> dict[str, float]:
    """So many events that nobody has published yet, until the stream has them: events a second."""
    relay = Relay(store, JetStreams(bus))
    await _publish(relay)
    async with Appender(store) as appender:
        for _ in range(0, count, UNIT):
            commands = tuple(command for _ in range(UNIT) for command in items.unit().commands)
            raise_refused(await appender.append(Unit(commands, _ACTOR)))
    began = time.perf_counter()
    await _publish(relay)
    return {"eventsPerS": round(count / (time.perf_counter() - began)), "events": count}


async def behind(store: Store, bus: Bus, items: Items, *, events_per_s: int, seconds: int) -> dict[str, float]:
    """Events at a fixed rate that does not wait: from each one's commit until a follower has it."""
    relay, grown, synced = Relay(store, JetStreams(bus)), asyncio.Event(), asyncio.Event()
    committed: dict[str, float] = {}
    arrived: dict[str, float] = {}
    await _publish(relay)

    def deliver(item: FeedItem) -> None:
        if isinstance(item, Synced):
            synced.set()
        elif isinstance(item, Message):
            arrived[item.path] = time.perf_counter()

    async def publish() -> None:
        while True:
            await grown.wait()
            grown.clear()
            await _publish(relay)

    async def create(appender: Appender) -> None:
        (verdict,) = raise_refused(await appender.append(items.unit()))
        committed[verdict.path] = time.perf_counter()

    following = _running(NatsFeed(bus).follow(["/bench"], deliver), publish())
    async with following, Appender(store, committed=grown.set) as appender:
        await synced.wait()
        began, tasks = time.perf_counter(), []
        for number in range(events_per_s * seconds):
            await asyncio.sleep(max(0.0, began + number / events_per_s - time.perf_counter()))
            tasks.append(asyncio.create_task(create(appender)))
        await asyncio.gather(*tasks)
        await until(done(lambda: committed.keys() <= arrived.keys()), "every event to arrive")
    return latencies([arrived[path] - at for path, at in committed.items()])


async def _publish(relay: Relay) -> None:
    """Until the stream is where the log is. It has no other to fence off."""
    while await relay.reconcile(KEY, Fence("relay/0", 1)) is not None:
        pass


@asynccontextmanager
async def _running(*coroutines: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
